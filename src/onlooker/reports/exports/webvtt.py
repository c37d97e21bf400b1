"""WebVTT captions and metadata (W3C WebVTT)."""

from __future__ import annotations

from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, only_source, write_text
from onlooker.reports.exports.srt import clock
from onlooker.reports.subtitles import KINDS, subtitles

__all__ = ["PLUGIN", "WebVtt"]

PLUGIN = "onlooker.reports.exports.webvtt:WebVtt"


class WebVtt:
    """Speech, else captions burnt into the picture, or the kinds that are asked for, as cues named by the observation's
    id (with a number from the second cue on) and with the speaker as their voice.
    """

    name: ClassVar[str] = "webvtt"
    extension: ClassVar[str] = ".vtt"
    description: ClassVar[str] = "web captions: speech, else burnt-in captions, or the kinds you choose"
    kinds: ClassVar[tuple[str, ...]] = KINDS
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        write_text(out, "WEBVTT\n\n")
        for cue in subtitles(request, only_source(request, "WebVTT"), summary):
            text = _escaped("\n".join(cue.lines))
            if cue.who is not None:
                text = f"<v {_escaped(cue.who)}>{text}"
            times = f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}"
            write_text(out, f"{cue.id}\n{times}\n{text}\n\n")
        return summary


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
