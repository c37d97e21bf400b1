"""CSV for spreadsheets (RFC 4180)."""

from __future__ import annotations

import csv
import io
import json
from typing import BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary

__all__ = ["COLUMNS", "PLUGIN", "Csv"]

PLUGIN = "onlooker.reports.exports.csv:Csv"
COLUMNS = (
    *("id", "source", "path", "kind", "start_seconds", "end_seconds", "score", "label", "track", "text"),
    *("left", "top", "right", "bottom", "producer", "media", "data"),
)
# a cell that begins so is a formula to a spreadsheet
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Csv:
    """A row for each observation; the kind's own fields stand as JSON in the last column."""

    name: ClassVar[str] = "csv"
    extension: ClassVar[str] = ".csv"
    description: ClassVar[str] = "a table for spreadsheets"
    kinds: ClassVar[tuple[str, ...]] = ()
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        text = io.TextIOWrapper(out, encoding="utf-8", errors="replace", newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        for source in request.sources:
            for observation in request.of(source):
                whole = observation.as_dict()
                row = {k: whole.get(k) for k in COLUMNS if k in whole}
                row["path"] = source.info.path
                if observation.box is not None:
                    row |= dict(
                        zip(("left", "top", "right", "bottom"), (round(v, 6) for v in observation.box), strict=True)
                    )
                row["media"] = " ".join(observation.media)
                row["data"] = json.dumps(dict(observation.data), ensure_ascii=False) if observation.data else ""
                writer.writerow({k: _harmless(v) for k, v in row.items()})
                summary.written += 1
        text.flush()
        text.detach()
        return summary


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
