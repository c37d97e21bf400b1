"""SubRip subtitles."""

from __future__ import annotations

from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, only_source, write_text
from onlooker.reports.subtitles import KINDS, subtitles

__all__ = ["PLUGIN", "SubRip", "clock"]

PLUGIN = "onlooker.reports.exports.srt:SubRip"


def clock(moment: int, mark: str) -> str:
    """``HH:MM:SS,mmm`` of so many milliseconds, with ``mark`` before their part."""
    hours, rest = divmod(moment, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


class SubRip:
    """Speech, else captions burnt into the picture, or the kinds that are asked for, as numbered subtitles.

    A speaker is named where another one spoke before.
    """

    name: ClassVar[str] = "srt"
    extension: ClassVar[str] = ".srt"
    description: ClassVar[str] = "subtitles: speech, else burnt-in captions, or the kinds you choose"
    kinds: ClassVar[tuple[str, ...]] = KINDS
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        spoke: str | None = None
        for number, cue in enumerate(subtitles(request, only_source(request, "SRT"), summary), 1):
            text = "\n".join(cue.lines)
            if cue.who is not None and cue.who != spoke:
                text, spoke = f"{cue.who}: {text}", cue.who
            # an arrow inside a caption would read as a new time
            text = text.replace("-->", "→")
            times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
            write_text(out, f"{number}\n{times}\n{text}\n\n")
        return summary
