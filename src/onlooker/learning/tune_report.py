"""The report of a search: its front, its trials, what mattered, in one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.charts import Spot, line_chart, spot_chart
from onlooker.learning.evaluate.page import Cell, document, section, table

__all__ = ["write_tune_report"]

_UNITS = {"score": "score", "latency": "latency, ms a look", "size": "size, MB"}


def write_tune_report(out: Path, found: Mapping[str, Any]) -> Path:
    """Write ``report.html`` of a search.

    Args:
        out: the search's folder.
        found: from `onlooker.learning.tune.summary`.
    """
    objectives: Sequence[str] = found["objectives"]
    done = [line for line in found["trials"] if line["values"]]
    charts = [_front(found, done, objectives[0], other) for other in objectives[1:]]
    charts.append(_course(done, objectives[0]))
    parts = [section("Trials that were finished", f'<div class="row">{"".join(charts)}</div>')] if done else []
    for objective, matters in found["importances"].items():
        rows = [[name, f"{share:.0%}"] for name, share in sorted(matters.items(), key=lambda item: -item[1])]
        parts.append(section(f"What mattered for {objective}", table(["setting", "share"], rows)))
    parts.append(section("All trials", _trials(found)))
    write_whole(out / "report.html", document(f"Search: {out.name}", _counts(found), parts))
    return out / "report.html"


def _counts(found: Mapping[str, Any]) -> str:
    states: dict[str, int] = {}
    for line in found["trials"]:
        states[line["state"]] = states.get(line["state"], 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    best = found["best"]
    if best is None:
        return f"{told}. No trial was finished."
    return f"{told}. The best is trial {best}: best.yaml trains it."


def _front(found: Mapping[str, Any], done: Sequence[Mapping[str, Any]], up: str, across: str) -> str:
    spots = [
        Spot(
            line["values"][across],
            line["values"][up],
            f"trial {line['trial']}: {json.dumps(line['values'])} {json.dumps(line['settings'])}",
            line["trial"] in found["front"],
        )
        for line in done
    ]
    return spot_chart(spots, f"{_UNITS[up]} against {_UNITS[across]}; what nothing beats is joined", across=across)


def _course(done: Sequence[Mapping[str, Any]], objective: str) -> str:
    """How the best grew from trial to trial."""
    values = [line["values"][objective] for line in done]
    best = max if objective == "score" else min
    grown = [(line["trial"], best(values[: n + 1])) for n, line in enumerate(done)]
    series = {"best so far": grown, "each": [(line["trial"], v) for line, v in zip(done, values, strict=True)]}
    return line_chart(series, f"{_UNITS[objective]} over the trials", across="trial")


def _trials(found: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(name for line in found["trials"] for name in line["settings"]))
    rows: list[list[Any]] = []
    for line in found["trials"]:
        shown = [line["settings"].get(n) for n in names]
        rows.append(
            [
                line["trial"],
                Cell(line.get("error") or line["state"], "word"),
                *(line["values"].get(o) for o in found["objectives"]),
                *(json.dumps(v) if isinstance(v, list | dict) else v for v in shown),
                line["seconds"],
                Cell("front" if line["trial"] in found["front"] else "", "word"),
            ]
        )
    head = ["trial", Cell("state", "word"), *found["objectives"], *names, "seconds", ""]
    best = next((n for n, line in enumerate(found["trials"]) if line["trial"] == found["best"]), None)
    return table(head, rows, main=best)
