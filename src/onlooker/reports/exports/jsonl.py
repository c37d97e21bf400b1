"""JSON lines: everything, one observation a line; the form that other programs should build on."""

from __future__ import annotations

import json
from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, write_text

__all__ = ["PLUGIN", "JsonLines"]

PLUGIN = "onlooker.reports.exports.jsonl:JsonLines"


class JsonLines:
    """Lines of `Observation.as_dict`, with nothing left out."""

    name: ClassVar[str] = "jsonl"
    extension: ClassVar[str] = ".jsonl"
    description: ClassVar[str] = "one JSON object a line, everything that is known"
    kinds: ClassVar[tuple[str, ...]] = ()
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        for source in request.sources:
            for observation in request.of(source):
                write_text(out, json.dumps(observation.as_dict(), ensure_ascii=False) + "\n")
                summary.written += 1
        return summary
