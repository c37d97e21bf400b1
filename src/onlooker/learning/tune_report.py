"""The report of a search: its front, its trials, what mattered, in one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["write_tune_report"]

_WIDE, _HIGH, _EDGE = 640, 320, 48
_UNITS = {"score": "score (higher is better)", "latency": "latency, ms a look", "size": "size, MB"}
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .5rem;border-bottom:1px solid #d8dee4;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}.front{font-weight:600;background:#eef6ff}
.bar{background:#2f6fb0;height:.7rem;border-radius:2px}svg text{font:12px system-ui,sans-serif;fill:#444}"""


def write_tune_report(out: Path, found: Mapping[str, Any]) -> Path:
    """Write ``report.html`` of a search.

    Args:
        out: the search's folder.
        found: from `onlooker.learning.tune.summary`.
    """
    objectives: Sequence[str] = found["objectives"]
    parts = [f"<h1>Search: {escape(out.name)}</h1>", f"<p>{_counts(found)}</p>"]
    if len(objectives) > 1:
        parts += [_scatter(found, objectives[0], other) for other in objectives[1:]]
    parts.append(_course(found, objectives[0]))
    for objective, matters in found["importances"].items():
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td class=n>{value:.0%}</td><td style='width:50%'>"
            f"<div class=bar style='width:{value:.0%}'></div></td></tr>"
            for name, value in sorted(matters.items(), key=lambda item: -item[1])
        )
        parts.append(f"<h2>What mattered for {escape(objective)}</h2><table>{rows}</table>")
    parts.append(_table(found))
    page = f"<!doctype html><meta charset=utf-8><title>Search</title><style>{_STYLE}</style>{''.join(parts)}"
    write_whole(out / "report.html", page)
    return out / "report.html"


def _counts(found: Mapping[str, Any]) -> str:
    states: dict[str, int] = {}
    for line in found["trials"]:
        states[line["state"]] = states.get(line["state"], 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    best = found["best"]
    return f"{told}. " + (
        "No trial was finished." if best is None else f"The best is trial {best}: best.yaml trains it."
    )


def _scaled(values: Sequence[float], low: float, high: float) -> list[float]:
    least, most = min(values), max(values)
    return [low + (high - low) * ((v - least) / (most - least) if most > least else 0.5) for v in values]


def _axes(across: str, up: str, xs: Sequence[float], ys: Sequence[float]) -> str:
    right, bottom = _WIDE - 10, _HIGH - _EDGE
    return (
        f"<line x1={_EDGE} y1={bottom} x2={right} y2={bottom} stroke='#888'/>"
        f"<line x1={_EDGE} y1=10 x2={_EDGE} y2={bottom} stroke='#888'/>"
        f"<text x={_EDGE} y={bottom + 16}>{min(xs):.4g}</text>"
        f"<text x={right} y={bottom + 16} text-anchor=end>{max(xs):.4g}</text>"
        f"<text x={(right + _EDGE) / 2} y={bottom + 34} text-anchor=middle>{escape(across)}</text>"
        f"<text x={_EDGE - 4} y=18 text-anchor=end>{max(ys):.4g}</text>"
        f"<text x={_EDGE - 4} y={bottom} text-anchor=end>{min(ys):.4g}</text>"
        f"<text x={_EDGE + 6} y=18>{escape(up)}</text>"
    )


def _scatter(found: Mapping[str, Any], up: str, across: str) -> str:
    lines = [line for line in found["trials"] if line["values"]]
    if not lines:
        return ""
    xs, ys = [line["values"][across] for line in lines], [line["values"][up] for line in lines]
    places = zip(lines, _scaled(xs, _EDGE + 12, _WIDE - 24), _scaled(ys, _HIGH - _EDGE - 12, 30), strict=True)
    dots: list[str] = []
    front: list[tuple[float, float]] = []
    for line, x, y in places:
        first = line["trial"] in found["front"]
        if first:
            front.append((x, y))
        tip = escape(f"trial {line['trial']}: {json.dumps(line['values'])} {json.dumps(line['settings'])}")
        colour = "#c2410c" if first else "#8fa3b8"
        dots.append(f"<circle cx={x:.1f} cy={y:.1f} r=5 fill='{colour}'><title>{tip}</title></circle>")
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in sorted(front))
    drawn = f"<polyline points='{way}' fill=none stroke='#c2410c' stroke-dasharray=4 />"
    axes = _axes(_UNITS[across], _UNITS[up], xs, ys)
    title = f"<h2>{escape(up)} against {escape(across)}</h2>"
    return f"{title}<svg width={_WIDE} height={_HIGH}>{axes}{drawn}{''.join(dots)}</svg>"


def _course(found: Mapping[str, Any], objective: str) -> str:
    """How the best grew from trial to trial."""
    lines = [line for line in found["trials"] if line["values"]]
    if len(lines) < 2:
        return ""
    values = [line["values"][objective] for line in lines]
    best = max if objective == "score" else min
    grown = [best(values[: n + 1]) for n in range(len(values))]
    numbers = [float(line["trial"]) for line in lines]
    xs = _scaled(numbers, _EDGE + 12, _WIDE - 24)
    heights = _scaled(values + grown, _HIGH - _EDGE - 12, 30)
    dots = "".join(
        f"<circle cx={x:.1f} cy={y:.1f} r=3 fill='#8fa3b8'/>" for x, y in zip(xs, heights[: len(xs)], strict=True)
    )
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, heights[len(xs) :], strict=True))
    line = f"<polyline points='{way}' fill=none stroke='#2f6fb0' stroke-width=2 />"
    axes = _axes("trial", objective, numbers, values)
    return f"<h2>Course</h2><svg width={_WIDE} height={_HIGH}>{axes}{dots}{line}</svg>"


def _table(found: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(name for line in found["trials"] for name in line["settings"]))
    head = "".join(f"<th>{escape(n)}</th>" for n in ["trial", "state", *found["objectives"], *names, "seconds"])
    rows: list[str] = []
    for line in found["trials"]:
        cells = [str(line["trial"]), line.get("error") or line["state"]]
        cells += [f"{line['values'][o]:.4g}" if o in line["values"] else "" for o in found["objectives"]]
        cells += [_shown(line["settings"].get(n)) for n in names]
        cells.append(f"{line['seconds']:.1f}" if line["seconds"] else "")
        look = " class=front" if line["trial"] in found["front"] else ""
        rows.append(f"<tr{look}>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>")
    return f"<h2>Trials</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else json.dumps(value)
