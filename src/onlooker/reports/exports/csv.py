"""CSV for spreadsheets (RFC 4180)."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import BinaryIO, ClassVar

from onlooker.core.observation import Observation, finite
from onlooker.reports.export import ExportRequest, ExportSummary, box_of

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
        try:
            writer = csv.DictWriter(text, COLUMNS)
            writer.writeheader()
            for source in request.sources:
                for observation in request.of(source):
                    row = _row(observation, source.info.path)
                    writer.writerow({k: _harmless(v) for k, v in row.items()})
                    summary.written += 1
        finally:
            # else the wrapper would close the caller's file
            text.detach()
        return summary


def _row(observation: Observation, path: str) -> dict[str, object]:
    # without the kind's own fields, which could carry the name of a column
    whole = replace(observation, data={}).as_dict()
    row: dict[str, object] = {k: whole[k] for k in COLUMNS if k in whole}
    box = box_of(observation)
    if box is not None:
        row |= {side: round(v, 6) for side, v in zip(("left", "top", "right", "bottom"), box, strict=True)}
    data = json.dumps(finite(dict(observation.data)), ensure_ascii=False) if observation.data else ""
    return row | {"path": path, "media": " ".join(observation.media), "data": data}


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
