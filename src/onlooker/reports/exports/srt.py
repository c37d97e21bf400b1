"""SubRip subtitles."""

from __future__ import annotations

from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, chosen, millis, only_source, write_text

__all__ = ["PLUGIN", "SubRip", "clock"]

PLUGIN = "onlooker.reports.exports.srt:SubRip"


def clock(moment: int, mark: str) -> str:
    """``HH:MM:SS,mmm`` of so many milliseconds, with ``mark`` before their part."""
    hours, rest = divmod(moment, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


class SubRip:
    """Speech and text on screen, or the kinds that are asked for, as numbered captions."""

    name: ClassVar[str] = "srt"
    extension: ClassVar[str] = ".srt"
    description: ClassVar[str] = "subtitles: speech and text, or the kinds you choose"
    kinds: ClassVar[tuple[str, ...]] = ("speech", "text")
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        for observation in request.of(only_source(request, "SRT"), self.kinds):
            start, end = millis(observation.span.start), millis(observation.span.end)
            if end <= start:
                summary.left_out[observation.kind] += 1
                continue
            summary.written += 1
            # an arrow inside a caption would read as a new time
            text = chosen(observation).replace("-->", "→")
            times = f"{clock(start, ',')} --> {clock(end, ',')}"
            write_text(out, f"{summary.written}\n{times}\n{text}\n\n")
        return summary
