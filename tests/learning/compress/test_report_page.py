"""The report of a search and what its figures mean."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("torch")

from onlooker.learning.compress.contract import Costs, Worth
from onlooker.learning.compress.report_page import compression_page
from onlooker.learning.compress.run import _mark_front
from onlooker.learning.compress.search import Candidate
from onlooker.learning.evaluate.charts import Spot, spot_chart

PRUNE, INT8 = {"step": "prune", "ratio": 0.5, "epochs": 0}, {"step": "int8"}


def row(steps: list[dict[str, Any]], value: float, speed_up: float, size: float, **more: Any) -> dict[str, Any]:
    task = {"metric": "accuracy", "value": value, "higher": True, "ci95": None, "count": 9, "classes": None}
    return {
        "steps": steps, "accuracy": value, "tasks": {"side": task}, "drop": 100 * (0.9 - value),
        "latency_ms": 4 / speed_up, "spread": [1.0, 9.0], "engine": "openvino", "size_mb": size, "speed_up": speed_up,
        "kept": True, "broken": [], "front": True, "throughput": None, "memory_mb": None, **more,
    }  # fmt: skip


def found() -> dict[str, Any]:
    base = {**row([], 0.9, 1.0, 2.0), "name": "sides", "eager_ms": 8.0, "pipeline": None}
    rows = [
        row([INT8], 0.89, 2.0, 0.5),
        {"steps": [{"step": "qat"}], "accuracy": None, "kept": False, "error": "qat: <no> layer", "front": False},
        row([PRUNE, INT8], 0.88, 3.0, 0.3),
    ]
    leak = {"code": "same-group", "message": "2 share their <person>", "samples": ["a"], "count": 2}
    tasks = {"baseline_tasks": base["tasks"], "against_baseline": {}, "collapsed": [], "leaks": [leak], "notes": ["n"]}
    chosen = {**rows[2], **tasks, "pipeline": None, "by_step": [row([PRUNE], 0.5, 2.0, 1.1), rows[2]]}
    return {
        "baseline": base, "candidates": rows, "chosen": chosen, "confirmed": [chosen], "not_tried": 2,
        "contract": {"max_drop": 5.0, "max_latency_ms": None, "speed_up": 2.0, "max_size_mb": None},
        "dataset": {"folder": "data", "validation": "val", "test": "test"},
        "device": {"timed": "cpu", "trained": "cpu", "not_run": {"cuda": "there is none"}},
        "pipeline": {"clip": None, "note": "no clips"}, "warnings": ["val was learned from"],
    }  # fmt: skip


def test_the_page_tells_every_candidate_each_step_and_what_was_not_done() -> None:
    page = compression_page(found())
    text = re.sub(r"<[^>]+>", " ", page)
    assert "a drop of at most 5 points, at least 2 times as fast. Kept by prune 0.5, int8: 3 times as fast" in text
    assert "6.67 times smaller" in text
    assert re.search(r"Could not be made\s+steps\s+why\s+2\s+qat\s+qat: &lt;no&gt; layer", text)
    assert "3: prune 0.5, int8: 0.88" in page, "a spot has the number of its row"
    assert "2 more were not tried" in text
    assert re.search(r"after\s+accuracy.*the baseline\s+0.9.*prune 0.5\s+0.5\s+40 .*int8\s+0.88", text, re.S)
    assert "Not measured: no clips" in text
    assert "2 share their &lt;person&gt;" in text, "what the test part may not tell"
    assert "Note: val was learned from." in text
    assert "Nothing was run on cuda: there is none." in text
    assert page.count("<svg") == 2
    assert page.count(">chosen</text>") == page.count(">baseline</text>") == 2


def test_what_the_baseline_beats_is_not_on_the_front() -> None:
    better, worse = row([INT8], 0.9, 1.5, 1.0), row([PRUNE], 0.8, 0.9, 2.5)
    base = Candidate((), None, {"side": Worth("accuracy", 0.9, True)}, Costs(4.0, (3.0, 5.0), "openvino", 2.0))
    _mark_front([better, worse], base)
    assert (better["front"], worse["front"]) == (True, False)


def test_a_greater_error_makes_no_better_candidate() -> None:
    small, great = (Candidate((), worth={"far": Worth("mae", v, False)}).accuracy for v in (0.2, 0.4))
    assert small is not None
    assert great is not None
    assert small > great


def test_ticks_close_together_are_told_apart_and_labels_do_not_lie_on_each_other() -> None:
    spots = [Spot(1.0 + n / 1e6, 0.44051 + n / 1e7, f"it {n}", label=f"label {n}") for n in range(6)]
    chart = spot_chart(spots, "near", across="ms")
    ticks = re.findall(r'text-anchor="end">([\d.]+)</text>', chart)
    assert len(ticks) > 2
    assert len(set(ticks)) == len(ticks)
    places = [(float(x), float(y)) for x, y in re.findall(r'<text x="([\d.]+)" y="([\d.]+)">label', chart)]
    assert places
    assert all(abs(a[0] - b[0]) > 40 or abs(a[1] - b[1]) >= 12 for i, a in enumerate(places) for b in places[:i])


def test_what_the_nearest_miss_is_told_where_only_the_test_part_refuses_them() -> None:
    told = found()
    first, _, last = told["candidates"]
    confirmed = {**told["confirmed"][0], "steps": last["steps"], "kept": False, "broken": ["side: 9 points less"]}
    told |= {"chosen": None, "nearest": [last, first], "confirmed": [confirmed]}
    text = re.sub(r"<[^>]+>", " ", compression_page(told))
    assert re.search(r"prune 0.5, int8\s+kept on the validation part; on the test part side: 9 points less", text)
    assert re.search(r"int8\s+kept on the validation part; not held to the test part", text)
