"""Evaluation over real clips and small bundles, and that it means the same as training's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from learning._runs import ACTION, CLIP, CNN, TASKS, TCONV, make_run, recipe_of
from learning.evaluate._made import fights, motion_bundle
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.preparation import Pictures, Preparation
from onlooker.learning.evaluate.report_page import evaluation_page
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate
from onlooker.learning.export import export_run
from onlooker.learning.facts import Facts
from onlooker.learning.run_folder import dataset_digest, load_model
from onlooker.learning.task import TaskFacts
from onlooker.learning.training.batches import Data
from onlooker.learning.training.score import measured, predict


@pytest.fixture(scope="module")
def dataset(data, tmp_path_factory):
    return fights(data, tmp_path_factory.mktemp("fights"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return motion_bundle(folder, "good").folder, motion_bundle(folder, "flat", flat=True).folder


@pytest.fixture(scope="module")
def found(dataset, bundles):
    request = EvaluationRequest(
        str(bundles[0]), dataset.folder, slices=True, by=("source",), against=str(bundles[1]), draws=200, threads=1
    )
    return evaluate(request)


def test_the_public_form(found):
    made = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    task = made["tasks"]["action"]
    assert task["metric"] == "accuracy"
    low, high = task["ci95"]
    assert 0 <= low <= task["value"] <= high <= 1
    assert task["count"] == made["samples"] == 6
    assert (made["split"], made["failures"]) == ("test", {})
    counts = np.array(task["confusion"]["counts"])
    assert np.trace(counts) / counts.sum() == pytest.approx(task["value"])
    assert set(task["classes"]) == {"fight", "noFight"}
    assert sum(task["calibration"]["counts"]) == 6
    assert "3 units" in task["drawn"]
    assert sum(g["count"] for g in made["slices"]["source"]["action"].values()) == 6


def test_the_robustness_table_has_what_clips_can_suffer(found):
    rows = found.as_dict()["robustness"]["rows"]
    names = {r["corruption"] for r in rows}
    assert {"clean", "dark", "frames lost", "frozen", "compression", "occlusion", "rotation"} <= names
    assert not names & {"babble", "missing"}
    frozen = next(r for r in rows if r["corruption"] == "frozen" and r["severity"] == 3)
    # nothing moves any more, so that all is taken for noFight
    calm = found.tasks["action"].classes["noFight"]["support"] / 6
    assert frozen["values"]["action"] == pytest.approx(calm)
    assert frozen["changes"]["action"] == pytest.approx(calm - rows[0]["values"]["action"])


def test_two_bundles_are_compared_sample_by_sample(found):
    one = found.against["action"]
    fights = found.tasks["action"].classes["fight"]["support"] / 6
    assert one.other == pytest.approx(fights), "equal logits are always the first class"
    assert len(one.fixed) - len(one.broken) == round(6 * one.difference)
    assert 0 < (one.p or 0) <= 1
    assert 0 < (one.mcnemar or 0) <= 1


def test_a_bundle_is_not_better_than_itself(dataset, bundles):
    found = evaluate(
        EvaluationRequest(str(bundles[0]), dataset.folder, against=str(bundles[0]), draws=200, threads=1)
    ).against["action"]
    assert (found.difference, found.ci95, found.p, found.mcnemar) == (0.0, (0.0, 0.0), 1.0, 1.0)
    assert found.better is None


def test_samples_that_were_learned_from_are_told(dataset, tmp_path):
    bundle = motion_bundle(tmp_path, "leaky", provenance={"dataset": dataset_digest(dataset)})
    clean = evaluate(EvaluationRequest(str(bundle.folder), dataset.folder, near=False, draws=200, threads=1))
    assert clean.leaks == []
    found = evaluate(EvaluationRequest(str(bundle.folder), dataset.folder, "train", near=False, draws=200, threads=1))
    assert [(leak.code, leak.count) for leak in found.leaks] == [("trained-on", 6)]
    # a source on both sides
    shared = Dataset(dataset.folder, dataset.info, dataset.samples)
    shared.samples = [s.model_copy(update={"groups": {"source": "one"}}) for s in dataset.samples]
    shared.folder = tmp_path / "shared"
    shared.info = shared.info.model_copy(update={"root": str(dataset.root.resolve())})
    shared.save()
    leaky = motion_bundle(tmp_path, "leaky_too", provenance={"dataset": dataset_digest(shared)})
    found = evaluate(EvaluationRequest(str(leaky.folder), shared.folder, near=False, draws=200, threads=1))
    assert [leak.code for leak in found.leaks] == ["same-group"]


@pytest.mark.parametrize("streaming", [False, True])
def test_it_means_the_same_as_training(dataset, tmp_path, streaming):
    """The bundle in its engine gives the metrics that the model gave to the trainer."""
    task = TASKS["class"][0]
    classes = ("fight", "noFight")
    task = task.model_copy(update={"classes": classes})
    pictures = Pictures(frames=8, width=20, height=16)
    recipe = recipe_of({"video": TCONV if streaming else CNN}, ACTION, export={"streaming": streaming})
    # all of one length, so that the streaming form's own rate is that of clips spread over the whole
    dataset = Dataset(dataset.folder, dataset.info, [s.model_copy(update={"span": (0, 1.6)}) for s in dataset.samples])
    dataset.folder, root = tmp_path / "even", dataset.root.resolve()
    dataset.info = dataset.info.model_copy(update={"root": str(root)})
    dataset.save()
    clip = CLIP.model_copy(update={"rate": 5.0, "fit": "crop"})
    facts = Facts({"video": clip}, {"action": TaskFacts("action", task, classes, (3, 3), seconds=1.6)}, 1.6)
    run = make_run(tmp_path, recipe, facts, dataset=dataset, calibration={"action": {"temperature": 1.5}})
    export_run(run, run / "bundle")
    model, recipe, facts = load_model(run)
    samples = dataset.of_split("test")
    data = Data(dataset, samples, Preparation(pictures=pictures), facts, recipe.tasks, tasks=model.tasks, batch=4)
    answers = predict(model, data)
    expected = measured(answers, recipe, model.tasks, {"action": {"temperature": 1.5}})["action"]
    found = evaluate(EvaluationRequest(str(run), dataset.folder, near=False, looks=1, draws=200, threads=1))
    for name, value in expected.items():
        assert found.tasks["action"].metrics[name] == pytest.approx(value, abs=0.01), name


def test_what_does_not_fit_is_said(dataset, bundles):
    with pytest.raises(UsageError, match="no output 'mood'"):
        evaluate(EvaluationRequest(str(bundles[0]), dataset.folder, tasks={"mood": "action"}))
    with pytest.raises(UsageError, match="no split 'val'"):
        evaluate(EvaluationRequest(str(bundles[0]), dataset.folder, "val"))
    with pytest.raises(UsageError, match="there is no bundle"):
        evaluate(EvaluationRequest("nowhere", dataset.folder))
    with pytest.raises(UsageError, match="--by"):
        evaluate(EvaluationRequest(str(bundles[0]), dataset.folder, by=("colour",)))


@pytest.mark.browser
def test_the_report_in_a_browser(found, chromium, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(evaluation_page(found), encoding="utf-8")
    page = chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    try:
        assert complaints == []
        titles = page.locator("h2").all_inner_texts()
        assert {"Metrics", "Comparison", "Robustness", "By source", "action"} <= set(titles)
        wrong = round(6 * (1 - (found.tasks["action"].value or 0)))
        assert page.locator("article").count() == wrong
        pictures = page.evaluate("[...document.images].map(i => i.naturalWidth)")
        assert len(pictures) == wrong
        assert all(width > 100 for width in pictures)
        assert "fights <&>" in page.locator("header p").inner_text()
    finally:
        page.close()
