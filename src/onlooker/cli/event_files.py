"""Events as JSON lines or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from onlooker.core.errors import UsageError

__all__ = ["write_events"]

_COLUMNS = (
    *(
        "id",
        "rule",
        "source",
        "camera",
        "state",
        "severity",
        "start",
        "end",
        "wall_start",
        "wall_end",
        "label",
        "score",
    ),
    *("muted", "acknowledged_by", "verdict", "verdict_by", "verdict_note", "evidence", "data"),
)


def write_events(events: Iterable[Mapping[str, Any]], output: Path) -> int:
    """Write events in their public JSON form; gives how many.

    Args:
        events: each as `EventRecord.as_dict` gives it.
        output: a .jsonl or .csv file; ``-`` prints JSON lines.

    Raises:
        UsageError: another ending, or it cannot be written.
    """
    if str(output) == "-":
        return _lines(events, sys.stdout)
    writers = {".jsonl": _lines, ".csv": _table}
    if output.suffix not in writers:
        raise UsageError(f"no format goes with {output.name!r}", hint="end it with .jsonl or .csv")
    try:
        with output.open("w", encoding="utf-8", newline="") as out:
            return writers[output.suffix](events, out)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error}", hint="check the path") from None


def _lines(events: Iterable[Mapping[str, Any]], out: TextIO) -> int:
    count = 0
    for event in events:
        out.write(json.dumps(event, ensure_ascii=True, allow_nan=False) + "\n")
        count += 1
    return count


def _table(events: Iterable[Mapping[str, Any]], out: TextIO) -> int:
    count = 0
    table = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for event in events:
        said = event["feedback"][-1] if event["feedback"] else {}
        values = {
            **event,
            "acknowledged_by": (event["acknowledged"] or {}).get("by"),
            "verdict": said.get("verdict"),
            "verdict_by": said.get("by"),
            "verdict_note": said.get("note"),
            "evidence": json.dumps(event["evidence"]),
            "data": json.dumps(event["data"]),
        }
        table.writerow({name: _harmless(value) for name, value in values.items()})
        count += 1
    return count


def _harmless(value: Any) -> Any:
    """No text begins a formula of a spreadsheet."""
    if not isinstance(value, str):
        return value
    plain = value.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@", "\t", "\r") else plain
