"""Contracts: what they ask for, and that none is silently broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.cli.main import main
from onlooker.core.errors import UsageError
from onlooker.learning.compress.collapse import collapsed
from onlooker.learning.compress.contract import Contract, Costs, Worth, broken, distance, drop_of
from onlooker.learning.compress.plan import said
from onlooker.learning.compress.run import hopeful
from onlooker.learning.compress.search import Candidate, Request, Search

BASE = {"action": Worth("accuracy", 0.9, True), "height": Worth("mae", 2.0, False)}
limits = st.one_of(st.none(), st.floats(0.01, 100))


@pytest.mark.parametrize("name", ["max_latency_ms", "speed_up", "max_size_mb"])
def test_a_limit_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        Contract(**{name: 0.0})
    with pytest.raises(UsageError, match="max_drop"):
        Contract(max_drop=-1)


def test_the_fastest_are_held_to_it_and_then_the_one_that_changed_least() -> None:
    def tried(name: str, value: float, speed_up: float, *, kept: bool = True) -> Candidate:
        worth = {"action": Worth("accuracy", value, True)}
        costs = Costs(1.0, (1.0, 1.0), "openvino", 1.0)
        return Candidate(({"step": name},), None, worth, costs, speed_up, [] if kept else ["slow"])

    candidates = [
        tried("same", 0.9, 1.5), tried("much", 0.8, 9, kept=False), tried("a", 0.895, 4), tried("b", 0.91, 3),
        tried("c", 0.892, 2), tried("better", 0.93, 1.7),
    ]  # fmt: skip
    chosen = hopeful(candidates, {"action": Worth("accuracy", 0.9, True)})
    assert [c.steps[0]["step"] for c in chosen] == ["a", "b", "c", "same"]
    assert [c.steps[0]["step"] for c in hopeful(candidates[1:4], {"action": BASE["action"]})] == ["a", "b"]


def test_of_those_that_are_as_fast_the_smaller_is_taken() -> None:
    def tried(name: str, speed_up: float, size: float) -> Candidate:
        costs = Costs(1.0, (1.0, 1.0), "openvino", size)
        return Candidate(({"step": name},), None, {"action": BASE["action"]}, costs, speed_up, [])

    candidates = [tried("large", 4.0, 1.0), tried("small", 3.95, 0.25), tried("slow", 2.0, 0.1)]
    chosen = hopeful(candidates, {"action": BASE["action"]})
    assert [c.steps[0]["step"] for c in chosen] == ["small", "large", "slow"]


def test_the_fastest_that_kept_the_drop_also_get_weights_of_8_bits(tmp_path: Path) -> None:
    def tried(value: float, speed_up: float, *names: str) -> Candidate:
        worth = {"action": Worth("accuracy", value, True)}
        return Candidate(tuple({"step": n} for n in names), None, worth, None, speed_up, ["too large"])

    search = Search.__new__(Search)
    search.request = Request("it", tmp_path, Contract(max_drop=1, max_size_mb=0.1), tmp_path)
    search.candidates = [
        Candidate((), None, {"action": Worth("accuracy", 0.9, True)}),
        tried(0.9, 1.2, "graph"), tried(0.895, 2.0, "prune", "graph"), tried(0.8, 9.0, "distil"),
        tried(0.9, 3.0, "int8"), tried(0.9, 1.0, "weight_only"),
    ]  # fmt: skip
    assert [said(steps) for steps in search.smaller_ends()] == ["prune, graph, weight_only", "graph, weight_only"]
    search.candidates.append(tried(0.9, 2.0, "prune", "graph", "weight_only"))
    assert [said(steps) for steps in search.smaller_ends()] == ["graph, weight_only"]
    search.request = Request("it", tmp_path, Contract(max_drop=3), tmp_path)
    assert search.smaller_ends()[0][-1] == {"step": "weight_only", "max_drop": 0.03}
    search.request = Request("it", tmp_path, Contract(), tmp_path, steps=("prune", "graph"))
    assert search.smaller_ends() == []


def test_what_was_pruned_between_two_ratios_goes_to_int8_too(tmp_path: Path) -> None:
    def tried(value: float, ratio: float, *ends: str) -> Candidate:
        cut = {"step": "prune", "ratio": ratio, "epochs": 0}
        steps = (cut, {"step": "distil"}, *({"step": end} for end in ends))
        return Candidate(steps, None, {"action": Worth("accuracy", value, True)})

    search = Search.__new__(Search)
    search.request = Request("it", tmp_path, Contract(max_drop=1), tmp_path)
    search.candidates = [
        Candidate((), None, {"action": Worth("accuracy", 0.9, True)}),
        tried(0.8, 0.5, "graph"), tried(0.7, 0.5, "int8"), tried(0.895, 0.3, "graph"),
        Candidate(({"step": "prune", "ratio": 0.5, "epochs": 3}, {"step": "int8"})),
    ]  # fmt: skip
    (steps,) = search.other_ends()
    assert said(steps) == "prune 0.3, distil, int8"
    assert steps[0]["epochs"] == 0
    search.candidates.append(Candidate(steps, None, {"action": Worth("accuracy", 0.8, True)}))
    assert search.other_ends() == []


def test_each_limit_is_told_when_it_is_broken() -> None:
    contract = Contract(max_drop=1, max_latency_ms=5, speed_up=2, max_size_mb=1)
    worth = {"action": Worth("accuracy", 0.88, True), "height": Worth("mae", 2.01, False)}
    told = broken(contract, BASE, worth, Costs(6, (5, 7), "openvino", 2.0), 1.5)
    assert told == [
        "action: 2.00 points less, allowed are 1", "6 ms a look, allowed are 5", "1.50 times as fast, wanted are 2",
        "2 MB, allowed are 1",
    ]  # fmt: skip
    assert broken(contract, BASE, BASE, Costs(4, (3, 5), "openvino", 0.5), 2.5) == []


def test_a_task_that_is_lost_breaks_every_contract() -> None:
    assert broken(Contract(max_drop=100), BASE, {"action": BASE["action"]}, Costs(1, (1, 1), "x", 1), 1) == [
        "height is not answered"
    ]


@given(st.floats(0, 50), limits, limits, limits, st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100))
def test_nothing_is_far_from_a_contract_that_it_keeps(
    drop, latency, speed, size, value, milliseconds, megabytes
) -> None:
    contract = Contract(drop, latency, speed, size)
    base, worth = {"a": Worth("accuracy", 0.9, True)}, {"a": Worth("accuracy", value, True)}
    costs, speed_up = Costs(milliseconds, (0, 0), "x", megabytes), 10 / milliseconds
    told = broken(contract, base, worth, costs, speed_up)
    far = distance(contract, drop_of(base["a"], worth["a"]), costs, speed_up)
    assert (far > 1e-9) == bool(told) or far < 1e-6


def test_a_class_that_collapses_under_the_average_is_told() -> None:
    """One of which the samples are too few to tell it is not."""

    def table(**recall: float) -> dict[str, dict[str, float]]:
        return {label: {"recall": v, "support": 3.0 if label == "jump" else 20.0} for label, v in recall.items()}

    base = {"action": Worth("accuracy", 0.9, True, classes=table(fight=0.9, fall=0.9, walk=0.9, jump=1.0))}
    worth = {"action": Worth("accuracy", 0.89, True, classes=table(fight=0.93, fall=0.4, walk=0.92, jump=0.67))}
    assert collapsed(base, worth, [], []) == [
        {"task": "action", "kind": "class (recall)", "name": "fall", "before": 0.9, "after": 0.4}
    ]


def test_a_misspelt_step_or_a_file_for_a_folder_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compress", "nothing", "--data", str(tmp_path), "--out"]
    with pytest.raises(SystemExit, match="1"):
        main([*words, str(tmp_path / "out"), "--steps", "prun"])
    assert "--steps: there is no step 'prun' (there are distil, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/out"):
        with pytest.raises(SystemExit, match="1"):
            main([*words, str(tmp_path / place)])
        assert "onlooker: cannot make the folder " in capsys.readouterr().err
