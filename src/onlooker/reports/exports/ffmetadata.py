"""Chapters as an FFmpeg metadata file, to be muxed with ``ffmpeg -i video -i chapters.txt -map_metadata 1``."""

from __future__ import annotations

import re
from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, chosen, millis, only_source, write_text

__all__ = ["PLUGIN", "FfMetadata"]

PLUGIN = "onlooker.reports.exports.ffmetadata:FfMetadata"
_SPECIAL = re.compile(r"([=;#\\\n])")


class FfMetadata:
    """Chapters, or the kinds that are asked for."""

    name: ClassVar[str] = "ffmetadata"
    extension: ClassVar[str] = ".ffmetadata"
    description: ClassVar[str] = "chapters for FFmpeg"
    kinds: ClassVar[tuple[str, ...]] = ("chapter",)
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        write_text(out, ";FFMETADATA1\n")
        for observation in request.of(only_source(request, "FFmpeg metadata"), self.kinds):
            start, end = millis(observation.span.start), millis(observation.span.end)
            if end <= start:
                summary.left_out[observation.kind] += 1
                continue
            title = _SPECIAL.sub(r"\\\1", chosen(observation))
            write_text(out, f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n")
            summary.written += 1
        return summary
