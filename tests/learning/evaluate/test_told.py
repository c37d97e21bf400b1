"""What cannot be told is said in words, and not as numbers that look certain."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.bundle.making import brightness_model, loudness_facts, loudness_model
from cli.sample_library import run
from learning._tiny import tiny_recipe
from learning.evaluate.test_fits import FILLED, made
from learning.training.test_words import SETTINGS, spoken
from onlooker.bundles import import_model
from onlooker.bundles.outputs import Classification, Dense, Events
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at
from onlooker.learning.evaluate.answers import CLEAN, Answers, TaskAnswers
from onlooker.learning.evaluate.compare import pairs_of
from onlooker.learning.evaluate.gallery import worst
from onlooker.learning.evaluate.measure import TaskResult, worst_first
from onlooker.learning.evaluate.report_page import evaluation_page
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate
from onlooker.learning.evaluate.tasks import Judge
from onlooker.learning.parts import load_part
from onlooker.learning.task import HeadConfig, TaskFacts
from onlooker.learning.training.train import train


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """A bundle that tells how light pictures are, and a set in which one picture alone has a label."""
    folder = tmp_path_factory.mktemp("light")
    picture = {"kind": "frame", "rate": 5.0, "width": 8, "height": 8, "colour": "gray", "scale": 1 / 255}
    outputs = [{"task": "regression", "name": "light", "labels": ["light"]}]
    facts = {"name": "light", "licence": "CC0-1.0", "input": picture, "outputs": outputs}
    bundle = import_model(brightness_model(folder / "light.onnx"), facts, folder / "bundle")
    labels = {"red": {"light": 0.4}}
    return bundle.folder, made(folder / "set", {"light": Task(kind="regression")}, lambda n: labels.get(n, {})).folder


def test_one_sample_has_no_interval(light, capsys):
    """It had one from the value to the value, as if it were certain."""
    bundle, dataset = light
    assert len(FILLED) == 3
    found = evaluate(EvaluationRequest(str(bundle), dataset, against=str(bundle), draws=200, threads=1))
    task = found.tasks["light"]
    assert task.value is not None
    assert (task.intervals, task.draws) == ({}, 0)
    assert task.drawn == "1 unit alone, of which there is no interval"
    assert (found.against["light"].ci95, found.against["light"].p) == (None, None)
    assert "Intervals: 1 unit alone, of which there is no interval." in evaluation_page(found)
    assert run("evaluate", bundle, dataset, "--against", bundle, "--draws", "200") == 0
    assert "light against light: mae +0, p could not be told\n" in capsys.readouterr().out


def test_texts_are_not_corrupted(tmp_path, monkeypatch):
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    train(tiny_recipe(tmp_path, spoken(tmp_path / "set"), **SETTINGS, name="parcels"), out=tmp_path / "run")
    request = EvaluationRequest(str(tmp_path / "run"), tmp_path / "set", slices=True, draws=200, threads=1)
    found = evaluate(request)
    assert found.robustness == []
    assert "no robustness: only pictures and sound are corrupted, and the bundle takes neither" in found.notes


def test_two_outputs_of_one_task_are_each_compared_with_their_own():
    facts = TaskFacts("when", Task(kind="spans", classes=("hit",)))

    def judge(output):
        return Judge(output, "when", load_part("tasks", output.task), HeadConfig(head=output.task), facts, {})

    more = {"labels": ("hit",), "steps": 4, "tensor": "y"}
    judges = [
        judge(Events.model_validate({"task": "events", "name": "when", **more})),
        judge(Dense.model_validate({"task": "dense", "name": "hits", **more})),
    ]
    assert [(a.name, b.name) for a, b in pairs_of(judges, judges[::-1])] == [("when", "when"), ("hits", "hits")]


@pytest.mark.parametrize(("higher", "first"), [(True, "a"), (False, "b")])
def test_the_worst_groups_come_first(higher, first):
    task = TaskResult("t", "t", "regression", "mae", higher, {}, {}, 3, 3, "", 0)
    groups = {"a": {"value": 1.0, "count": 1}, "b": {"value": 2.0, "count": 1}, "c": {"value": None, "count": 1}}
    ordered = [name for name, _ in worst_first(groups, task)]
    assert (ordered[0], ordered[-1]) == (first, "c")


def answered(judge, raw, values):
    """Answers of one look for each sample, of four seconds."""
    count = len(raw)
    spans = [Sample(id=str(n), text="-", labels={"when": ()}) for n in range(count)]
    one = TaskAnswers(raw, values, np.arange(count), np.tile([0.0, 4.0], (count, 1)))
    return Answers(spans, {CLEAN: {judge.name: one}}, {}, "none")


def test_looks_are_joined_only_where_they_follow_upon_each_other():
    times = np.array([[0.0, 4.0], [4.0, 8.0], [0.0, 4.0], [3.0, 7.0], [9.0, 13.0]])
    raw = np.arange(20, dtype=np.float32).reshape(5, 4, 1)
    whole = TaskAnswers(raw, raw > 9, np.array([0, 0, 1, 1, 1]), times).joined()
    assert whole.owner.tolist() == [0, 1, 1, 1]
    assert whole.times.tolist() == [[0, 8], [0, 4], [3, 7], [9, 13]]
    assert whole.raw[0, :, 0].tolist() == list(range(8))
    assert [int(np.isnan(row).sum()) for row in whole.raw] == [0, 4, 4, 4]
    assert whole.joined().raw is whole.raw or np.array_equal(whole.joined().raw, whole.raw, equal_nan=True)


@pytest.mark.parametrize("task", ["dense", "events"])
def test_what_is_behind_a_shorter_row_counts_nothing(task):
    head, random = load_part("tasks", task), np.random.default_rng(0)
    facts = TaskFacts("when", Task(kind="spans", classes=("hit", "miss")), ("hit", "miss"), steps=6, seconds=3.0)
    raw, values = random.normal(size=(5, 6, 2)), (random.random((5, 6, 2)) > 0.6) * 1.0
    padded = [np.concatenate([part, np.full((5, 7, 2), np.nan)], 1) for part in (raw, values)]
    calibration = {"thresholds": {"hit": 0.4}}
    assert head.metrics(*padded, facts, calibration) == pytest.approx(head.metrics(raw, values, facts, calibration))
    assert head.by_label(*padded, facts, calibration) == head.by_label(raw, values, facts, calibration)


@pytest.mark.parametrize("task", ["dense", "events"])
def test_right_answers_are_no_errors_whatever_the_threshold(task):
    """Thresholds are far from one half where what is looked for is rare."""
    facts = TaskFacts("when", Task(kind="spans", classes=("hit",)), ("hit",), steps=4, seconds=4.0)
    output = (Dense if task == "dense" else Events).model_validate(
        {"task": task, "name": "when", "labels": ("hit",), "steps": 4, "tensor": "y"}
    )
    judge = Judge(output, "when", load_part("tasks", task), HeadConfig(head=task), facts, {"thresholds": {"hit": 0.2}})
    shares = np.array([[0.05, 0.3, 0.05, 0.05], [0.3, 0.05, 0.05, 0.05], [0.1, 0.1, 0.05, 0.05]])
    raw = np.log(shares / (1 - shares))[..., None].astype(np.float32)
    values = np.zeros((3, 4, 1), np.float32)
    values[0, 1] = 1.5 if task == "events" else 1  # found where it is
    values[1, 3] = 1.5 if task == "events" else 1  # found elsewhere
    assert [wrong.sample.id for wrong in worst(judge, answered(judge, raw, values), 5)] == ["1"]


def test_the_worst_errors_are_those_of_all_samples():
    facts = TaskFacts("when", Task(kind="class", classes=("a", "b")), ("a", "b"))
    output = Classification.model_validate(
        {"task": "classification", "name": "when", "labels": ("a", "b"), "tensor": "y"}
    )
    judge = Judge(output, "when", load_part("tasks", "classification"), HeadConfig(head="classification"), facts, {})
    raw = np.tile(np.array([[2.0, 0.0]], np.float32), (5000, 1))
    values = np.zeros(5000, np.int64)
    values[-1] = 1
    assert [wrong.sample.id for wrong in worst(judge, answered(judge, raw, values), 5)] == ["4999"]


def test_that_one_sound_alone_has_no_babble_is_said(data, tmp_path):
    bundle = import_model(loudness_model(tmp_path / "loud.onnx"), loudness_facts(), tmp_path / "bundle")
    sound = sorted(data("esc10/audio").glob("*.ogg"))[0]
    tasks = {"loudness": Task(kind="regression")}
    dataset = Dataset.create(tmp_path / "set", name="set", tasks=tasks, root=str(sound.parent))
    media = look_at(sound.parent, Media(path=sound.name, kind="audio"))
    dataset.put([Sample(id="one", media=(media,), labels={"loudness": 0.5})])
    dataset.save()
    found = evaluate(EvaluationRequest(str(bundle.folder), dataset.folder, slices=True, draws=200, threads=1))
    assert "no babble: it needs the sounds of two samples" in found.notes
    assert {row.name for row in found.robustness} > {"clean", "muffled"}
