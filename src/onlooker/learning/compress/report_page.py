"""The report of a compression as one HTML page: the front, every candidate, and what the test part said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onlooker.learning.compress.plan import missed, said
from onlooker.learning.evaluate.charts import Spot, spot_chart
from onlooker.learning.evaluate.page import Cell, document, escaped, section, table

__all__ = ["compression_page"]

_SIZE = (560, 300)
_OTHER, _FRONT, _BASE, _CHOSEN = range(4)
_LEGEND = ("candidate", "candidate that none beats in both", "baseline", "chosen")
_LIMITS = {
    "max_drop": "a drop of at most {:g} points", "max_latency_ms": "at most {:g} ms a look",
    "speed_up": "at least {:g} times as fast", "max_size_mb": "at most {:g} MB",
}  # fmt: skip
_COSTS = ["points less", "ms a look", "5 %", "95 %", "times as fast", Cell("engine", "name"), "MB"]


def compression_page(found: Mapping[str, Any]) -> str:
    """The page of what `onlooker.learning.compress.run.compress` returns."""
    base, chosen = found["baseline"], found["chosen"]
    sections = [section("The front", _front(found)), section("Candidates", _candidates(found))]
    if chosen and chosen.get("by_step"):
        sections.append(section("The chosen one, step by step", _by_step(found)))
    if found["confirmed"]:
        sections.append(section("Held to it on the test part", *(_confirmed(c) for c in found["confirmed"])))
    sections.append(section("In the whole pipeline", _pipeline(found)))
    if not chosen:
        rows = [
            [Cell(_said(r["steps"]), "name"), Cell(missed(r, found["confirmed"]), "word")] for r in found["nearest"]
        ]
        sections.append(section("Nearest", table([Cell("steps", "name"), Cell("what it misses", "word")], rows)))
    sections.append(section("How it was measured", _how(found)))
    return document(f"{base['name']}, compressed", _about(found), sections)


def _about(found: Mapping[str, Any]) -> str:
    limits = [_LIMITS[n].format(v) for n, v in found["contract"].items() if v is not None]
    chosen = found["chosen"]
    if chosen is None:
        return f"Asked for: {', '.join(limits)}. None of the candidates keeps that."
    gains = f"{chosen['speed_up']:.3g} times as fast"
    if chosen.get("size_mb"):
        gains += f", {found['baseline']['size_mb'] / chosen['size_mb']:.3g} times smaller"
    return f"Asked for: {', '.join(limits)}. Kept by {_said(chosen['steps'])}: {gains}."


def _said(steps: list[dict[str, Any]]) -> str:
    return said(tuple(steps)) or "the baseline"


def _front(found: Mapping[str, Any]) -> str:
    """Two pictures, as a candidate has three sides: accuracy, speed and size."""
    made = _picture(
        found, "speed_up", f"{_metric(found)} against milliseconds of a look", "ms a look, timed beside the baseline"
    )
    return f'<div class="row">{made}{_picture(found, "size_mb", f"{_metric(found)} against size", "MB")}</div>'


def _metric(found: Mapping[str, Any]) -> str:
    """What the height of the pictures is."""
    metrics = [t["metric"] if t["higher"] else f"-{t['metric']}" for t in found["baseline"]["tasks"].values()]
    return metrics[0] if len(metrics) == 1 else f"mean of {' and '.join(metrics)}"


def _picture(found: Mapping[str, Any], side: str, title: str, across: str) -> str:
    base, chosen = found["baseline"], found["chosen"]

    def place(row: Mapping[str, Any]) -> float:
        # each was timed beside the baseline: by their ratios they can be compared, whatever the machine did meanwhile
        return base["latency_ms"] / row["speed_up"] if side == "speed_up" else row["size_mb"]

    rows = {n: r for n, r in enumerate(found["candidates"], 1) if r["accuracy"] is not None}
    points = [(place({**base, "speed_up": 1.0}), base["accuracy"]), *((place(r), r["accuracy"]) for r in rows.values())]
    spots: list[Spot] = []
    for (number, row), (x, y) in zip([(0, None), *rows.items()], points, strict=True):
        steps = [] if row is None else row["steps"]
        front = not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)
        sort = _CHOSEN if chosen and chosen["steps"] == steps else _BASE if row is None else _FRONT if front else _OTHER
        label = {_CHOSEN: "chosen", _BASE: "baseline", _FRONT: _said(steps)}.get(sort, "")
        spots.append(Spot(x, y, f"{number}: {_said(steps)}: {y:.4g}, {x:.3g} {across}", front, label, sort))
    # what is drawn last lies on top, and its label is placed first
    spots.sort(key=lambda s: (_OTHER, _FRONT, _BASE, _CHOSEN).index(s.sort or 0))
    return spot_chart(spots, f"{title}, on the validation part", across=across, size=_SIZE, legend=_LEGEND)


def _head(found: Mapping[str, Any]) -> list[Any]:
    """The main metric of each task, then what candidates cost."""
    tasks = found["baseline"]["tasks"]
    return [*(t["metric"] if len(tasks) == 1 else f"{n}: {t['metric']}" for n, t in tasks.items()), *_COSTS]


def _cells(found: Mapping[str, Any], row: Mapping[str, Any]) -> list[Any]:
    """Cells of `_head`."""
    tasks = found["baseline"]["tasks"]
    values = [row["tasks"].get(n, {}).get("value") for n in tasks]
    times = [row["latency_ms"], *row["spread"], row.get("speed_up", 1.0)]
    return [*values, row.get("drop", 0.0), *times, Cell(row["engine"], "name"), row["size_mb"]]


def _candidates(found: Mapping[str, Any]) -> str:
    base, chosen = found["baseline"], found["chosen"]
    head = ["", Cell("steps", "long"), *_head(found), Cell("contract", "word"), Cell("front", "name")]
    rows: list[list[Any]] = [
        [Cell(0, "name"), Cell("the baseline", "long"), *_cells(found, base), Cell("", "word"), Cell("", "word")],
    ]
    main, failed = None, []
    for number, row in enumerate(found["candidates"], 1):
        if chosen and row["steps"] == chosen["steps"]:
            main = len(rows)
        name = [Cell(number, "name"), Cell(_said(row["steps"]), "long")]
        if "error" in row:
            failed.append([*name, Cell(row["error"], "long")])
            continue
        short = ["the budget cut its training short"] if row.get("cut_short") else []
        words = "; ".join([*(["kept"] if row["kept"] else row["broken"]), *short])
        kept = Cell(words, "word good" if row["kept"] else "word")
        rows.append([*name, *_cells(found, row), kept, Cell("yes" if row["front"] else "", "name")])
    told = "On the front are those that no other, nor the baseline, beats in metric, speed and size at once."
    if found["not_tried"]:
        told += f" {found['not_tried']} more were not tried: the time was up."
    made = table(head, rows, main=main) + f'<p class="soft">{told}</p>'
    if failed:
        made += "<h3>Could not be made</h3>" + table(["", Cell("steps", "long"), Cell("why", "long")], failed)
    return made


def _by_step(found: Mapping[str, Any]) -> str:
    head = [Cell("after", "name"), *_head(found)]
    rows: list[list[Any]] = [[Cell("the baseline", "name"), *_cells(found, found["baseline"])]]
    for row in found["chosen"]["by_step"]:
        rows.append([Cell(_said(row["steps"][-1:]), "name"), *_cells(found, row)])
    return table(head, rows)


def _confirmed(one: Mapping[str, Any]) -> str:
    rows: list[list[Any]] = []
    for name, base in one["baseline_tasks"].items():
        own, apart = one["tasks"].get(name, {}), one["against_baseline"].get(name, {})
        between = "" if not apart.get("ci95") else f"[{apart['ci95'][0]:+.4g}, {apart['ci95'][1]:+.4g}]"
        rows.append([name, base["metric"], base["value"], own.get("value"), apart.get("difference"), between])
    verdict = "kept" if one["kept"] else "; ".join(one["broken"])
    look = "good" if one["kept"] else "bad"
    made = f"<h3>{escaped(_said(one['steps']))}</h3>"
    made += f'<p><span class="{look}">{escaped(verdict)}</span>; {one["speed_up"]:g} times as fast</p>'
    made += table(["task", "metric", "baseline", "compressed", "difference", "95 % interval"], rows)
    made += "".join(f'<p class="bad">{escaped(leak["message"])}</p>' for leak in one["leaks"])
    made += "".join(f'<p class="soft">{escaped(note)}</p>' for note in one["notes"])
    if one["collapsed"]:
        fallen = [[c["task"], c["kind"], Cell(c["name"], "lower"), c["before"], c["after"]] for c in one["collapsed"]]
        made += "<p>Fell far more than the average:</p>" + table(["task", "what", "name", "before", "after"], fallen)
    return made


def _pipeline(found: Mapping[str, Any]) -> str:
    """What the baseline and the chosen one cost on a clip, beside decoding alone."""
    about = found["pipeline"]
    if about["note"] is not None:
        return f"<p>Not measured: {escaped(about['note'])}</p>"
    head = [
        "", "CPU", "by the clock", "decoding alone: CPU", "by the clock", "ms a look", "looks", "ms to open",
    ]  # fmt: skip
    fields = ("cpu_per_second", "wall_per_second", "decode_cpu_per_second", "decode_wall_per_second")
    rows: list[list[Any]] = []
    for name in ("baseline", "chosen"):
        if found[name] is not None and (told := found[name]["pipeline"]) is not None:
            rows.append([name, *(told[f] for f in fields), told["ms_per_look"], told["looks"], told["opening_ms"]])
    said = f"Seconds for a second of {Path(about['clip']).name}, decoded and analysed by each bundle alone, stored"
    return f"<p>{escaped(said)}.</p>" + table(head, rows)


def _how(found: Mapping[str, Any]) -> str:
    data, device, base = found["dataset"], found["device"], found["baseline"]
    told = [
        f"Candidates were judged by the part {data['validation']}, finalists by {data['test']}, of {data['folder']}.",
        "A look is preprocessing, networks and head on one thread, warm, in the engine that is fastest for each; ms "
        "are the median, with the 5th and 95th percentile. Each is timed in turns with the baseline: compare by "
        "'times as fast', as the machine may have been slower for one than for another.",
        f"Looks were timed on {device['timed']}, models trained on {device['trained']}.",
    ]
    told += [f"Note: {warning}." for warning in found["warnings"]]
    told += [f"Nothing was run on {name}: {reason}." for name, reason in device["not_run"].items()]
    if base["eager_ms"] is not None:
        told.append(f"In eager PyTorch, float32, a look of the baseline takes {base['eager_ms']:.4g} ms.")
    loads = [(n, found[n]) for n in ("baseline", "chosen") if found[n] and found[n].get("throughput")]
    told += [
        f"{n}: {v['throughput']:g} looks a second on all processors, {v['memory_mb']:g} MB of memory." for n, v in loads
    ]
    return "".join(f"<p>{escaped(line)}</p>" for line in told)
