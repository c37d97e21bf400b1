"""Compressing as a user does it: a trained bundle, a dataset, a contract."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from cli.sample_library import run
from onlooker.bundles import load_bundle, save_bundle
from onlooker.bundles.verify import verify_bundle
from onlooker.core.errors import UsageError
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.measure import worth_of
from onlooker.learning.compress.plan import sequences
from onlooker.learning.compress.run import compress
from onlooker.learning.compress.search import Request
from onlooker.learning.compress.step import Work
from onlooker.learning.datasets.manifest import Task

HALF = {"label": "half", "box": [0.0, 0.0, 0.5, 0.5]}
ORDER = ("prune", "low_rank", "distil", "qat", "int8", "half", "weight_only", "graph")


@pytest.fixture(scope="module")
def searched(tiny_subject, tmp_path_factory: pytest.TempPathFactory):
    """A search that was carried out, its result and its folder."""
    subject, dataset = tiny_subject
    out = tmp_path_factory.mktemp("searched") / "out"
    contract = Contract(max_drop=30.0, max_size_mb=1.0)
    request = Request(
        str(subject.run), dataset.folder, contract, out, steps=("prune", "distil", "int8"), epochs=1, threads=1,
        ratios=(0.5,),
    )  # fmt: skip
    return compress(request), request


def test_what_is_chosen_keeps_the_contract_on_samples_that_were_held_out(searched) -> None:
    found, request = searched
    assert json.loads((request.out / "compression.json").read_text()) == json.loads(json.dumps(found))
    base, chosen = found["baseline"], found["chosen"]
    assert base["accuracy"] is not None
    assert base["eager_ms"] > 0
    assert base["memory_mb"] > 10
    assert chosen is not None
    for name, before in chosen["baseline_tasks"].items():
        after = chosen["tasks"][name]["value"]
        if before["higher"]:
            assert 100 * (before["value"] - after) <= 30.0
        else:
            assert after <= 1.3 * before["value"]
    made = load_bundle(Path(chosen["bundle"]))
    assert verify_bundle(made).good
    assert made.manifest.runtime == chosen["engine"]
    if chosen["steps"]:
        steps = [s.name for s in made.manifest.provenance.steps]
        assert steps[-len(chosen["steps"]) :] == [s["step"] for s in chosen["steps"]]
        assert made.manifest.provenance.parent is not None


def test_every_candidate_is_told_with_its_figures_or_its_reason(searched) -> None:
    found, request = searched
    assert found["candidates"]
    for row in found["candidates"]:
        assert row["kept"] in (True, False)
        if "error" in row:
            continue
        assert row["latency_ms"] > 0
        assert row["size_mb"] > 0
        assert row["accuracy"] is not None
        assert row["kept"] == (not row["broken"])
    pruned = [r for r in found["candidates"] if r["steps"][0]["step"] == "prune" and "error" not in r]
    assert pruned
    assert min(r["size_mb"] for r in pruned) < found["baseline"]["size_mb"]
    page = (request.out / "report.html").read_text()
    assert "The front" in page
    assert "Held to it on the test part" in page


def test_a_search_goes_on_without_making_again_what_is_there(searched, tmp_path: Path) -> None:
    found, request = searched
    folders = {p: p.stat().st_mtime_ns for p in (request.out / "steps").glob("*/bundle/bundle.json")}
    assert folders
    again = compress(request)
    assert {p: p.stat().st_mtime_ns for p in folders} == folders
    before = [r["accuracy"] for r in found["candidates"]]
    assert [r["accuracy"] for r in again["candidates"]][: len(before)] == before


def test_a_contract_that_cannot_be_kept_is_refused_with_the_nearest(searched, tmp_path: Path, capsys) -> None:
    _, request = searched
    out = shutil.copytree(request.out, tmp_path / "out")
    arguments = ["--data", request.dataset, "--out", out, "--resume", "--steps", "int8", "--no-slices"]
    code = run("compress", request.bundle, *arguments, "--max-drop", 30, "--max-size", "0.0001", "--json")
    told = json.loads(capsys.readouterr().out)
    assert code == 4
    assert told["chosen"] is None
    assert told["nearest"]
    assert all("MB, allowed are 0.0001" in " ".join(r["broken"]) for r in told["nearest"])


def test_contracts_are_kept_or_refused(searched, tmp_path: Path) -> None:
    """Of the candidates that are there; the benchmark draws thirty."""
    _, request = searched
    out = shutil.copytree(request.out, tmp_path / "out")
    for drop, size in ((0.0, 1.0), (50.0, 0.005)):
        asked = Request(
            request.bundle, request.dataset, Contract(drop, max_size_mb=size), out, steps=("prune", "distil"),
            epochs=1, threads=1, slices=False, ratios=request.ratios,
        )  # fmt: skip
        chosen = compress(asked)["chosen"]
        if chosen is not None:
            assert chosen["size_mb"] <= size
            made = load_bundle(Path(chosen["bundle"]))
            assert sum(made.manifest.files[n.file].size for n in made.manifest.networks) <= size * 1e6


def test_only_what_a_bundle_alone_allows_is_tried_without_a_run(tiny_subject, tmp_path: Path) -> None:
    subject, dataset = tiny_subject
    shutil.copytree(subject.bundle, tmp_path / "alone")
    where = str(tmp_path / "alone")
    found = compress(Request(where, dataset.folder, Contract(5.0), tmp_path / "out", steps=("int8",), slices=False))
    ways = [[s.get("method") for s in r["steps"] if s["step"] == "int8"] for r in found["candidates"]]
    assert ways == [[None], ["onnxruntime"], ["nncf"]], "our search, and each quantiser as it is by default"
    assert found["baseline"]["eager_ms"] is None


def test_candidates_are_judged_on_pictures_cut_as_for_training(tmp_path: Path) -> None:
    """A bundle says itself how boxes were cut out: a copy of it must not be judged on other pictures than its run."""
    from learning._tiny import tiny_dataset, tiny_recipe
    from onlooker.learning.compress.search import Search
    from onlooker.learning.training.train import train

    dataset = tiny_dataset(tmp_path / "data")
    cut = {"frames": 1, "width": 16, "height": 16, "crop": "box", "margin": 0.0}
    boxed = [s.model_copy(update={"labels": {**s.labels, "where": [HALF]}}) for s in dataset.samples]
    dataset.put(boxed, {"where": Task(kind="boxes", classes=("half",))})
    dataset.save()
    tasks = {"shade": {"head": "regression"}}
    path = tiny_recipe(tmp_path, tmp_path / "data", prepare={"pictures": cut}, tasks=tasks)
    train(path, out=tmp_path / "run")
    search = Search(Request(str(tmp_path / "run"), dataset.folder, Contract(100.0), tmp_path / "out", threads=1))
    known = json.loads((tmp_path / "run" / "metrics.json").read_text())["validation"]["shade"]
    worth = search.base_worth["shade"]
    assert worth.value == pytest.approx(known[worth.metric], rel=1e-3)
    shutil.copytree(tmp_path / "run" / "bundle", tmp_path / "alone")
    alone = Search(Request(str(tmp_path / "alone"), dataset.folder, Contract(100.0), tmp_path / "again", threads=1))
    assert alone.base_worth["shade"].value == worth.value
    small = alone.tried(({"step": "half", "least": 8},))
    whole = load_bundle(tmp_path / "alone").manifest
    assert whole.cut is not None
    assert (whole.cut.crop, whole.cut.margin) == ("box", 0.0)
    assert small.bundle is not None, small.error
    assert small.worth is not None
    assert load_bundle(small.bundle).manifest.cut == whole.cut
    assert small.worth["shade"].value == pytest.approx(worth.value, rel=0.05)
    fields = whole.model_dump(mode="json", by_alias=True, exclude={"cut"})
    old = save_bundle(tmp_path / "old", fields, {n: tmp_path / "alone" / n for n in whole.files})
    assert old.manifest.cut is None
    assert worth_of(old.folder, dataset.folder, "val")[0]["shade"].value != pytest.approx(worth.value, rel=1e-3)


def test_a_step_is_a_run_to_evaluate_and_to_go_on_with(searched, tmp_path: Path, capsys) -> None:
    _, request = searched
    step = next(iter(sorted((request.out / "steps").glob("*/run"))))
    assert run("evaluate", step, request.dataset, "--split", "test", "--json") == 0
    assert json.loads(capsys.readouterr().out)["tasks"]
    found = compress(
        Request(
            str(step),
            request.dataset,
            Contract(100.0, max_size_mb=10.0),
            tmp_path / "out",
            steps=("int8",),
            slices=False,
        )
    )
    assert found["baseline"]["digest"] == load_bundle(step.parent / "bundle").digest
    assert found["baseline"]["eager_ms"] > 0
    assert found["candidates"][0].get("error") is None, "by defaults so small a network may gain nothing"


def test_training_has_all_processors_and_what_is_timed_has_one(tiny_subject, tmp_path: Path, monkeypatch) -> None:
    import onlooker.learning.compress.search as module

    subject, dataset = tiny_subject
    seen: list[int] = []

    def noted(*given, **more):
        made = Work(*given, **more)
        seen.append(made.threads)
        return made

    monkeypatch.setattr(module, "Work", noted)
    for threads in (None, 3):
        request = Request(
            str(subject.run), dataset.folder, Contract(100.0), tmp_path / str(threads), steps=("half",),
            slices=False, threads=threads,
        )  # fmt: skip
        compress(request)
    assert seen == [len(os.sched_getaffinity(0)), 3]


def test_a_device_that_is_not_there_is_refused(searched, tmp_path: Path, capsys) -> None:
    _, request = searched
    given = ("compress", request.bundle, "--data", request.dataset, "--out", tmp_path / "out")
    assert run(*given, "--device", "tpu") == 1
    assert "there is no 'tpu'" in capsys.readouterr().err
    assert run(*given, "--device", "cuda", "--engine", "openvino") == 1
    assert "openvino runs nothing on cuda" in capsys.readouterr().err
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: see test_on_a_gpu")
    for command in (given, ("bench", request.bundle)):
        assert run(*command, "--device", "cuda") == 1
        assert "PyTorch finds no GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    told = json.loads((request.out / "compression.json").read_text())["device"]
    assert told["timed"] == "cpu"
    assert "no GPU" in told["not_run"]["cuda"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(searched, tmp_path: Path, capsys) -> None:
    pytest.importorskip("onnxruntime")
    _, request = searched
    assert run("bench", request.bundle, "--device", "cuda", "--rounds", 10, "--json") == 0
    assert json.loads(capsys.readouterr().out)["bundles"][0]["engine"] == "onnxruntime"


def test_what_cannot_be_is_told(tiny_subject, tmp_path: Path, capsys) -> None:
    subject, dataset = tiny_subject
    assert run("compress", subject.bundle, "--data", dataset.folder, "--out", tmp_path / "a", "--steps", "magic") == 1
    assert "there is no step 'magic'" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    assert run("compress", subject.bundle, "--data", dataset.folder, "--out", tmp_path / "full") == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep"
    assert run("compress", subject.bundle, "--data", dataset.folder, "--out", tmp_path / "b", "--budget", "soon") == 1
    assert "--budget: expected a time" in capsys.readouterr().err


def test_steps_come_in_a_sensible_order() -> None:
    for steps in sequences(trains=True, epochs=2, int8={}):
        names = [s["step"] for s in steps]
        assert names == sorted(
            names,
            key=["prune", "low_rank", "distil", "early_exit", "qat", "int8", "half", "weight_only", "graph"].index,
        )
    tuned = [steps for steps in sequences(trains=True, epochs=2, int8={}) if steps[0].get("epochs") == 2]
    assert any([s["step"] for s in steps] == ["prune", "graph"] for steps in tuned), "also without a teacher"
    with pytest.raises(UsageError, match="there is no step 'x'"):
        sequences(trains=True, epochs=1, int8={}, only=("x",))


def test_bundles_are_compared_on_this_machine(searched, capsys) -> None:
    found, request = searched
    assert (
        run("bench", request.bundle, found["chosen"]["bundle"], "--data", request.dataset, "--rounds", 10, "--json")
        == 0
    )
    rows = json.loads(capsys.readouterr().out)["bundles"]
    assert rows[0]["times_as_fast"] == 1.0
    assert rows[0]["eager_ms"] > 0
    assert rows[1]["tasks"]["side"]["metric"] == "accuracy"
    assert all(r["throughput"] > 0 and r["memory_mb"] > 0 and r["size_mb"] > 0 for r in rows)
