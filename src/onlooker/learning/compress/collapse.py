"""Classes and conditions that a compressed bundle loses far more of than the average tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onlooker.learning.compress.contract import Worth, drop_of
from onlooker.learning.evaluate.robustness import Row

__all__ = ["collapsed"]

_POINTS, _TIMES, _LEAST = 5.0, 3.0, 5


def collapsed(
    base: Mapping[str, Worth], worth: Mapping[str, Worth], before: list[Row], after: list[Row]
) -> list[dict[str, Any]]:
    """What fell by more than 5 points and more than three times as far as its task did on the whole; classes that occur
    fewer than 5 times are left out.

    Args:
        base: how good the baseline is.
        worth: how good the bundle is, on the same samples.
        before: the baseline's table of corrupted samples; empty where these were not asked for.
        after: the bundle's.

    Returns:
        For each its ``task``, ``kind`` (class or condition), ``name`` and ``before``, ``after`` in shares.
    """
    made: list[dict[str, Any]] = []
    for task, one in base.items():
        if task not in worth:
            continue
        limit = max(_POINTS, _TIMES * drop_of(one, worth[task]))
        made += _classes(task, one, worth[task], limit)
        made += _conditions(task, one, before, after, limit)
    return made


def _classes(task: str, base: Worth, worth: Worth, limit: float) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for label, row in (base.classes or {}).items():
        other = (worth.classes or {}).get(label, {})
        key = next((k for k in ("recall", "ap", "f1") if k in row and k in other), None)
        if key is None or row.get("support", _LEAST) < _LEAST:
            continue
        if 100 * (row[key] - other[key]) > limit:
            made.append(_fallen(task, f"class ({key})", label, row[key], other[key]))
    return made


def _conditions(task: str, base: Worth, before: list[Row], after: list[Row], limit: float) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    theirs = {(r.sense, r.name, r.severity): r for r in after}
    for row in before:
        other = theirs.get((row.sense, row.name, row.severity))
        if other is None or task not in row.values or task not in other.values:
            continue
        one, two = row.values[task], other.values[task]
        fall = drop_of(Worth(base.metric, one, base.higher), Worth(base.metric, two, base.higher))
        if fall > limit:
            name = row.name if row.severity is None else f"{row.name} {row.severity}"
            made.append(_fallen(task, "condition", name, one, two))
    return made


def _fallen(task: str, kind: str, name: str, before: float, after: float) -> dict[str, Any]:
    return {"task": task, "kind": kind, "name": name, "before": round(before, 4), "after": round(after, 4)}
