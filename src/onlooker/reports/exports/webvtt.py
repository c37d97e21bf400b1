"""WebVTT captions and metadata (W3C WebVTT)."""

from __future__ import annotations

from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, chosen, millis, only_source, write_text
from onlooker.reports.exports.srt import clock

__all__ = ["PLUGIN", "WebVtt"]

PLUGIN = "onlooker.reports.exports.webvtt:WebVtt"


class WebVtt:
    """Speech and text on screen, or the kinds that are asked for, as cues named by the observation's id."""

    name: ClassVar[str] = "webvtt"
    extension: ClassVar[str] = ".vtt"
    description: ClassVar[str] = "web captions: speech and text, or the kinds you choose"
    kinds: ClassVar[tuple[str, ...]] = ("speech", "text")
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        write_text(out, "WEBVTT\n\n")
        for observation in request.of(only_source(request, "WebVTT"), self.kinds):
            start, end = millis(observation.span.start), millis(observation.span.end)
            if end <= start:
                summary.left_out[observation.kind] += 1
                continue
            text = chosen(observation).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            times = f"{clock(start, '.')} --> {clock(end, '.')}"
            write_text(out, f"{observation.id}\n{times}\n{text}\n\n")
            summary.written += 1
        return summary
