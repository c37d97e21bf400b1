"""The report of a compression as one HTML page: the front, every candidate, and what the test part said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onlooker.learning.compress.plan import said
from onlooker.learning.evaluate.charts import Spot, spot_chart
from onlooker.learning.evaluate.page import Cell, document, escaped, section, table

__all__ = ["compression_page"]


def compression_page(found: Mapping[str, Any]) -> str:
    """The page of what `onlooker.learning.compress.run.compress` returns."""
    base, chosen = found["baseline"], found["chosen"]
    asked = ", ".join(f"{name} {value:g}" for name, value in found["contract"].items() if value is not None)
    about = f"{base['name']}: contract {asked}; " + (
        f"kept by {_said(chosen['steps'])}" if chosen else "kept by none of the candidates"
    )
    sections = [section("The front", _front(found)), section("Candidates", _candidates(found))]
    if found["confirmed"]:
        sections.append(section("Held to it on the test part", *(_confirmed(c) for c in found["confirmed"])))
    if not chosen:
        rows = [[Cell(_said(r["steps"]), "word"), Cell("; ".join(r["broken"]), "word")] for r in found["nearest"]]
        sections.append(section("Nearest", table([Cell("steps", "word"), Cell("what it misses", "word")], rows)))
    return document(f"{base['name']}, compressed", about, sections)


def _said(steps: list[dict[str, Any]]) -> str:
    return said(tuple(steps)) or "the baseline"


def _front(found: Mapping[str, Any]) -> str:
    base = found["baseline"]
    spots = [Spot(base["latency_ms"], base["accuracy"], "the baseline", False)]
    for row in found["candidates"]:
        if row["accuracy"] is not None:
            told = f"{_said(row['steps'])}: {row['accuracy']:.4g}, {row['latency_ms']:.3g} ms, {row['size_mb']:.3g} MB"
            spots.append(Spot(row["latency_ms"], row["accuracy"], told, row["front"]))
    return spot_chart(spots, "main metric on the validation part against milliseconds of a look", across="ms a look")


def _candidates(found: Mapping[str, Any]) -> str:
    base = found["baseline"]
    head = [
        Cell("steps", "word"), "metric", "drop", "ms", "p5", "p95", "times as fast", Cell("engine", "word"), "MB",
        Cell("contract", "word"), Cell("", "word"),
    ]  # fmt: skip
    rows: list[list[Any]] = [
        [
            Cell("the baseline", "word"), base["accuracy"], 0.0, base["latency_ms"], *base["spread"], 1.0,
            Cell(base["engine"], "word"), base["size_mb"], Cell("", "word"), Cell("", "word"),
        ]
    ]  # fmt: skip
    main = None
    for row in found["candidates"]:
        if "error" in row:
            rows.append([Cell(_said(row["steps"]), "word"), *[None] * 6, None, None, Cell(row["error"], "word"), ""])
            continue
        if found["chosen"] and row["steps"] == found["chosen"]["steps"]:
            main = len(rows)
        kept = "kept" if row["kept"] else "; ".join(row["broken"])
        rows.append(
            [
                Cell(_said(row["steps"]), "word"), row["accuracy"], row["drop"], row["latency_ms"], *row["spread"],
                row["speed_up"], Cell(row["engine"], "word"), row["size_mb"], Cell(kept, "word"),
                Cell("front" if row["front"] else "", "word"),
            ]
        )  # fmt: skip
    return table(head, rows, main=main)


def _confirmed(one: Mapping[str, Any]) -> str:
    rows: list[list[Any]] = []
    for name, base in one["baseline_tasks"].items():
        own, apart = one["tasks"].get(name, {}), one["against_baseline"].get(name, {})
        between = "" if not apart.get("ci95") else f"[{apart['ci95'][0]:+.4g}, {apart['ci95'][1]:+.4g}]"
        rows.append([name, base["metric"], base["value"], own.get("value"), apart.get("difference"), between])
    verdict = "kept" if one["kept"] else "; ".join(one["broken"])
    made = f"<p>{escaped(_said(one['steps']))}: {escaped(verdict)}; {one['speed_up']:g} times as fast</p>"
    made += table(["task", "metric", "baseline", "compressed", "difference", "95 % interval"], rows)
    if one["collapsed"]:
        fallen = [[c["task"], c["kind"], Cell(c["name"], "lower"), c["before"], c["after"]] for c in one["collapsed"]]
        made += "<p>Fell far more than the average:</p>" + table(["task", "what", "name", "before", "after"], fallen)
    return made
