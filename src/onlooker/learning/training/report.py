"""The report of a run: curves, metrics, confusion, calibration, recipe, in one HTML file that works offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.charts import confusion_chart, line_chart, reliability_chart
from onlooker.learning.evaluate.judging import confidences, confusion_of
from onlooker.learning.evaluate.page import Cell, class_rows, data_address, document, escaped, section, table
from onlooker.learning.metrics.calibration import calibration_error, reliability
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.task import Calibration, Head, TaskFacts
from onlooker.learning.training.left_out import FILE, words_of

__all__ = ["task_charts", "write_run_report"]

Results = Mapping[str, Mapping[str, Mapping[str, float]]]


def write_run_report(run: Path) -> Path:
    """Write ``report.html`` in the folder of a run from what is there; parts that are not there are left out.

    Args:
        run: the folder; see `onlooker.learning.run_folder`.

    Raises:
        UsageError: it is no folder of a run.
    """
    folder = RunFolder(run)
    recipe, facts = folder.recipe(), folder.facts()
    history: list[dict[str, Any]] = folder.history()
    metrics = _read(run / "metrics.json")
    calibration = _read(run / "calibration.json")
    parts = [
        _results(metrics, recipe),
        _curves(history, recipe),
        *_tasks(run, recipe, facts.tasks, calibration),
        _senses(run),
        _gains(run),
        _conflicts(run),
        _left_out(run),
        _settings(run, calibration),
    ]
    title = recipe.title or recipe.name
    page = document(f"Run: {title}", _about(recipe, history), [p for p in parts if p])
    write_whole(run / "report.html", page)
    return run / "report.html"


def _read(path: Path) -> Any:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}", hint="is the file damaged?") from None


def _about(recipe: Recipe, history: list[dict[str, Any]]) -> str:
    networks = ", ".join(f"{n}: {c.network}" for n, c in recipe.inputs.items())
    heads = ", ".join(f"{n}: {c.head}" for n, c in recipe.tasks.items())
    said = [f"inputs {networks}", f"tasks {heads}"]
    if recipe.fusion is not None:
        said.append(f"fusion {recipe.fusion.kind}")
    said.append(f"{len(history)} of {recipe.training.epochs} epochs, seed {recipe.training.seed}")
    return " · ".join(said)


def _results(metrics: Results, recipe: Recipe) -> str:
    """A table for each task: metrics by part of the dataset, the main one first."""
    made: list[str] = []
    for name, config in recipe.tasks.items():
        main = load_part("tasks", config.head).main
        held = {part: tasks[name] for part, tasks in metrics.items() if name in tasks}
        names = list(dict.fromkeys(m for values in held.values() for m in values))
        names.sort(key=lambda m: m != main.name)
        if not names:
            continue
        rows = [[m, *(values.get(m) for values in held.values())] for m in names]
        arrow = "higher" if main.higher else "lower"
        head = f"<h3>{escaped(name)} <span class=soft>({escaped(config.head)}; {escaped(main.name)}: {arrow} is better)"
        made.append(f"<div>{head}</span></h3>{table(['metric', *held], rows, main=0)}</div>")
    return section("Metrics", f'<div class="row">{"".join(made)}</div>') if made else ""


def _curves(history: list[dict[str, Any]], recipe: Recipe) -> str:
    """Loss, rate and every metric of the validation part over the epochs, the first being 1."""
    history = [{**line, "epoch": line["epoch"] + 1} for line in history]
    losses = {n: [(line["epoch"], line["loss"][n]) for line in history if n in line["loss"]] for n in recipe.tasks}
    scores = [(line["epoch"], line["score"]) for line in history if line.get("score") is not None]
    best = max(scores, key=lambda s: s[1])[0] if scores else None
    charts = [
        line_chart(losses, "training loss", mark=best),
        line_chart({"rate": [(line["epoch"], line["rate"]) for line in history]}, "learning rate"),
    ]
    for task, config in recipe.tasks.items():
        main = load_part("tasks", config.head).main.name
        lines = [(line["epoch"], line.get("validation", {}).get(task, {})) for line in history]
        names = sorted({m for _, values in lines for m in values}, key=lambda m: (m != main, m))
        for name in names:
            points = [(epoch, values[name]) for epoch, values in lines if name in values]
            charts.append(line_chart({name: points}, f"{task}: {name} (validation)", mark=best))
    drawn = [c for c in charts if c]
    if not drawn:
        return ""
    words = f"The best epoch on the validation part is {best}, marked by a dashed line." if best is not None else ""
    words = words or next((f"{line['note']}." for line in history if "note" in line), "")
    return section("Curves", f'<p class="soft">{escaped(words)}</p><div class="row">{"".join(drawn)}</div>')


def _tasks(run: Path, recipe: Recipe, facts: Mapping[str, TaskFacts], calibration: Any) -> list[str]:
    """Confusion, reliability and classes of each task on the test part, or else on the validation part."""
    parts = (("test", run / "predictions.npz"), ("validation", run / "predictions-validation.npz"))
    part, path = next(((p, f) for p, f in parts if f.is_file()), ("", None))
    if path is None:
        return []
    made: list[str] = []
    with np.load(path, allow_pickle=False) as held:
        for name, config in recipe.tasks.items():
            if f"raw.{name}" not in held.files:
                continue
            known = held[f"known.{name}"]
            raw, values = held[f"raw.{name}"][known], held[f"values.{name}"][known]
            steps = raw.shape[1] if raw.ndim == 3 else facts[name].steps
            head: type[Head] = load_part("tasks", config.head)
            charts = task_charts(head, raw, values, replace(facts[name], steps=steps), calibration.get(name, {}))
            if charts:
                made.append(section(f"{name} on the {part} part ({len(raw)} samples)", charts))
    return made


def task_charts(head: type[Head], raw: Any, values: Any, facts: TaskFacts, calibration: Calibration) -> str:
    """Confusion matrix, reliability diagram and table of the classes as HTML, those that the head has."""
    if not len(raw):
        return ""
    made: list[str] = []
    counts = confusion_of(head, raw, values, facts, calibration)
    if counts is not None:
        made.append(confusion_chart(counts, facts.classes, "Confusion"))
    sure = confidences(head, raw, values, facts, calibration)
    if sure is not None:
        error = calibration_error(*sure)
        made.append(reliability_chart(reliability(*sure), f"Reliability: calibration error {error or 0.0:.3f}"))
    rows = class_rows(head.by_label(raw, values, facts, calibration))
    if rows:
        made.append(f"<div>{table(rows[0], rows[1:])}</div>")
    return f'<div class="row">{"".join(made)}</div>' if made else ""


def _senses(run: Path) -> str:
    """What each input contributed to the answers on the test part."""
    path = run / "predictions.npz"
    if not path.is_file():
        return ""
    with np.load(path, allow_pickle=False) as held:
        shares = {f.removeprefix("shares."): held[f] for f in held.files if f.startswith("shares.")}
    if not shares:
        return ""
    rows = [[n, float(s.mean()), float(np.quantile(s, 0.1)), float(np.quantile(s, 0.9))] for n, s in shares.items()]
    words = '<p class="soft">Share of each input in the answers to the test part, 0 to 1.</p>'
    return section("Contribution of the inputs", words, table(["input", "mean", "10 %", "90 %"], rows))


def _gains(run: Path) -> str:
    """What each task gained by being learned with the others."""
    found = _read(run / "gains.json")
    if not found:
        return ""
    rows: list[list[Any]] = []
    for name, told in found["tasks"].items():
        between = "" if told["ci95"] is None else "[{:+.4g}, {:+.4g}]".format(*told["ci95"])
        gain = Cell(f"{told['gain']:+.4g}", "word")
        rows.append([name, Cell(told["metric"], "word"), told["together"], told["alone"], gain, Cell(between, "word")])
    rows += [[n, Cell(f"not compared: {why}", "word"), "", "", "", ""] for n, why in found.get("left_out", {}).items()]
    size = found["parameters"]
    words = f'<p class="soft">Parameters: {size["together"]:,} together, {size["alone"]:,} alone.</p>'
    words += "".join(f"<p>{escaped(w)}</p>" for w in found.get("suggestion", {}).get("words", ()))
    head = ["task", "metric", "together", "alone", "gain", "95 % interval"]
    return section("Learned together against alone", table(head, rows), words)


def _conflicts(run: Path) -> str:
    picture, found = run / "conflicts.png", _read(run / "conflicts.json")
    if not picture.is_file() and not found:
        return ""
    made = ""
    if picture.is_file():
        address = data_address(picture, "image/png")
        made = f'<img class="wide" alt="How the gradients of the tasks agree" src="{address}">'
    said = json.dumps(found, ensure_ascii=False, indent=1) if found else ""
    if said:
        made += f"<details><summary>conflicts.json</summary><pre>{escaped(said)}</pre></details>"
    return section("How the gradients of the tasks agree", made)


def _left_out(run: Path) -> str:
    """Which samples were not used, and why."""
    found = _read(run / FILE)
    lines = "".join(f"<li>{escaped(line)}</li>" for line in words_of(found))
    return section("What was left out", f"<ul>{lines}</ul>") if lines else ""


def _settings(run: Path, calibration: Any) -> str:
    environment = _read(run / "environment.json")
    flat: list[list[Any]] = []
    for key, value in environment.items():
        if isinstance(value, dict):
            flat += [[f"{key}: {k}", Cell(v, "word")] for k, v in value.items()]
        else:
            flat.append([key, Cell(value, "word")])
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    made = f"<details open><summary>recipe.yaml</summary><pre>{escaped(text)}</pre></details>"
    if calibration:
        said = json.dumps(calibration, ensure_ascii=False, indent=1)
        made += f"<details><summary>calibration.json</summary><pre>{escaped(said)}</pre></details>"
    return section("What was run", f"<div>{table(['', ''], flat)}</div>" if flat else "", made)
