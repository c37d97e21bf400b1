"""The report of an evaluation: one HTML file with everything in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onlooker.learning.evaluate.charts import confusion_chart, reliability_chart
from onlooker.learning.evaluate.compare import Difference
from onlooker.learning.evaluate.gallery import cards
from onlooker.learning.evaluate.measure import TaskResult, worst_first
from onlooker.learning.evaluate.page import Cell, class_rows, document, escaped, number, section, table
from onlooker.learning.evaluate.robustness import Row
from onlooker.learning.evaluate.run import Evaluation

__all__ = ["evaluation_page"]

_BUDGET = 24_000_000
_LISTED = 200


def evaluation_page(found: Evaluation) -> str:
    """The page as HTML."""
    budget = _BUDGET // max(1, len(found.errors))
    parts = [
        _warnings(found),
        _overview(found.tasks),
        _against(found),
        *(_task(task) for task in found.tasks.values()),
        _robustness(found.robustness, found.corrupted, found.tasks),
        *(_slices(sort, tasks, found.tasks) for sort, tasks in found.slices.items()),
        *(_errors(found, name, budget) for name in found.errors),
    ]
    title = f"Evaluation: {found.subject['title'] or found.subject['name']}"
    about = [
        f"bundle {found.subject['name']} {found.subject['digest'][:16]}",
        f"dataset {found.dataset.info.name}, {found.split or 'all parts'}",
        f"{found.count} samples",
        found.looks,
        f"run by {found.engine}",
    ]
    return document(title, " · ".join(about), [p for p in parts if p])


def _warnings(found: Evaluation) -> str:
    lines = [
        f'<p class="bad">{escaped(leak.message)}: {escaped(", ".join(leak.samples[:8]))}</p>' for leak in found.leaks
    ]
    if found.failures:
        shown = "; ".join(f"{i}: {reason}" for i, reason in list(found.failures.items())[:5])
        lines.append(f'<p class="bad">{len(found.failures)} samples could not be answered: {escaped(shown)}</p>')
    for task in found.tasks.values():
        if task.unknown:
            shown = ", ".join(f"{label} ({count})" for label, count in list(task.unknown.items())[:12])
            shown += f" and {more} more" if (more := len(task.unknown) - 12) > 0 else ""
            lines.append(
                f'<p class="bad">{escaped(task.name)}: labels that the bundle does not know: {escaped(shown)}</p>'
            )
    lines += [f'<p class="soft">{escaped(note)}</p>' for note in found.notes]
    return section("To be known", *lines) if lines else ""


def _between(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"{number(interval[0])} .. {number(interval[1])}"


def _overview(tasks: Mapping[str, TaskResult]) -> str:
    made: list[str] = []
    for task in tasks.values():
        rows = [
            [name, task.metrics[name], Cell(_between(task.intervals.get(name)), "")]
            for name in sorted(task.metrics, key=lambda m: (m != task.metric, m))
        ]
        way = "higher" if task.higher else "lower"
        words = f"({escaped(task.head)}; {escaped(task.metric)}: {way} is better; {task.count} samples)"
        none = "the labels of these samples give no measure" if task.count else "no sample has a label"
        body = table(["metric", "value", "95 % interval"], rows, main=0) if rows else f"<p>{none}</p>"
        drawn = f"Intervals: {task.draws} draws of {task.drawn}." if task.draws else f"Intervals: {task.drawn}."
        why = f'<p class="soft">{escaped(drawn)}</p>' if rows else ""
        made.append(f"<div><h3>{escaped(task.name)} <span class=soft>{words}</span></h3>{body}{why}</div>")
    return section("Metrics", f'<div class="row">{"".join(made)}</div>')


def _task(task: TaskResult) -> str:
    parts: list[str] = []
    if task.confusion is not None:
        parts.append(confusion_chart(task.confusion, task.labels, "Confusion"))
    if task.reliability is not None:
        parts.append(reliability_chart(task.reliability, f"Reliability: calibration error {task.error or 0.0:.3f}"))
    rows = class_rows(task.classes)
    if rows:
        parts.append(f"<div>{table(rows[0], rows[1:])}</div>")
    return section(task.name, f'<div class="row">{"".join(parts)}</div>') if parts else ""


def _robustness(rows: Sequence[Row], count: int, tasks: Mapping[str, TaskResult]) -> str:
    """Corruptions down, severities across, of each task."""
    if not rows:
        return ""
    made: list[str] = []
    for task in (t for t in tasks.values() if any(t.name in row.values for row in rows)):
        clean = rows[0].values.get(task.name)
        kinds = list(dict.fromkeys((r.sense, r.name) for r in rows[1:]))
        lines: list[list[Any]] = [["clean", "", Cell(clean, ""), "", ""]]
        for sense, name in kinds:
            own = {r.severity: r for r in rows if (r.sense, r.name) == (sense, name)}
            cells = [_cell(own.get(s), task) for s in ((1, 2, 3) if None not in own else (None,))]
            lines.append([name, Cell(sense, "word"), *cells, *[""] * (3 - len(cells))])
        head = ["", Cell("sense", "word"), "1", "2", "3"]
        made.append(f"<div><h3>{escaped(task.name)}: {escaped(task.metric)}</h3>{table(head, lines, main=0)}</div>")
    words = (
        f'<p class="soft">{count} samples, corrupted in three severities. What lost more than a tenth of the clean '
        "value is marked, and what lost more than a quarter is marked more.</p>"
    )
    return section("Robustness", words, f'<div class="row">{"".join(made)}</div>')


def _cell(row: Row | None, task: TaskResult) -> Cell:
    value = None if row is None else row.values.get(task.name)
    change = None if row is None else row.changes.get(task.name)
    if value is None or change is None:
        return Cell(value, "")
    lost = -change if task.higher else change
    base = abs(value - change) or 1.0
    return Cell(f"{number(value)} ({change:+.3g})", "lower" if lost > base / 4 else "low" if lost > base / 10 else "")


def _slices(sort: str, by_task: Mapping[str, Mapping[str, Mapping[str, Any]]], tasks: Mapping[str, TaskResult]) -> str:
    made: list[str] = []
    for name, groups in by_task.items():
        task = tasks[name]
        rows = [[group, found["value"], found["count"]] for group, found in worst_first(groups, task)]
        more = f"<p>and {len(rows) - _LISTED} more</p>" if len(rows) > _LISTED else ""
        body = table([sort, task.metric, "samples"], rows[:_LISTED])
        made.append(f"<div><h3>{escaped(name)}</h3>{body}{more}</div>")
    return section(f"By {sort}", f'<div class="row">{"".join(made)}</div>') if made else ""


def _against(found: Evaluation) -> str:
    if found.other is None:
        return ""
    rows: list[list[Any]] = []
    details = ""
    for name, one in found.against.items():
        verdict = {True: Cell("better", "good"), False: Cell("worse", "bad"), None: Cell("cannot be told", "soft")}
        rows.append(
            [name, one.metric, one.value, one.other, one.difference, _between(one.ci95), one.p, one.mcnemar,
             verdict[one.better]]
        )  # fmt: skip
        details += _moved(name, one)
    head = ["task", "metric", "this", "other", "difference", "95 % interval", "p", "McNemar p", ""]
    words = (
        f"Against {found.other['title'] or found.other['name']} ({found.other['digest'][:16]}), on the same samples."
    )
    body = table(head, rows) if rows else "<p>There is no task that both have.</p>"
    return section("Comparison", f'<p class="soft">{escaped(words)}</p>', body, details)


def _moved(name: str, one: Difference) -> str:
    if one.mcnemar is None:
        return ""
    lists = ""
    for words, ids in (("right here alone", one.fixed), ("right there alone", one.broken)):
        more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
        shown = ", ".join(ids[:_LISTED]) or "none"
        lists += f"<p><b>{words} ({len(ids)})</b>: {escaped(shown)}{more}</p>"
    return f"<details><summary>{escaped(name)}: samples that differ</summary>{lists}</details>"


def _errors(found: Evaluation, name: str, budget: int) -> str:
    shown = cards(found.dataset, found.errors[name], budget)
    return section(f"Worst errors: {name}", shown) if shown else ""
