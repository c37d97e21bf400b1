"""``onlooker evaluate`` on the command line."""

from __future__ import annotations

import json

import pytest

from cli.sample_library import run
from learning.evaluate._made import fights, motion_bundle
from onlooker.learning.datasets.dataset import Dataset


@pytest.fixture(scope="module")
def given(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    return motion_bundle(folder, "good").folder, fights(data, folder, 4).folder


def test_json_report_and_limits(given, tmp_path, capsys):
    bundle, dataset = given
    report = tmp_path / "report.html"
    assert run("evaluate", bundle, dataset, "--json", "--report", report, "--draws", "200") == 0
    found = json.loads(capsys.readouterr().out)["tasks"]["action"]
    assert found["metric"] == "accuracy"
    assert len(found["ci95"]) == 2
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    value = found["value"]
    assert run("evaluate", bundle, dataset, "--draws", "200", "--at-least", f"action={value}") == 0
    assert "accuracy" in capsys.readouterr().out
    assert run("evaluate", bundle, dataset, "--draws", "200", "--at-least", f"action={value + 0.01}") == 1
    assert "action is worse than" in capsys.readouterr().err


def unanswered(*arguments, monkeypatch, capsys):
    """What a command says that must not have come to answer a sample."""
    with monkeypatch.context() as patch:
        patch.setattr("onlooker.learning.evaluate.run.answers_of", lambda *a, **k: pytest.fail("it began the work"))
        assert run("evaluate", *arguments) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_what_cannot_be_is_told_before_the_work(given, tmp_path, monkeypatch, capsys):
    bundle, dataset = given
    how = {"monkeypatch": monkeypatch, "capsys": capsys}
    assert "no bundle 'nowhere'" in unanswered(bundle, dataset, "--against", "nowhere", **how)
    assert "there is no task 'mood' (there are action)" in unanswered(bundle, dataset, "--at-least", "mood=0.5", **how)
    assert "not a number: action=nan" in unanswered(bundle, dataset, "--at-least", "action=nan", **how)
    bare = Dataset.load(dataset)
    bare.folder = tmp_path / "bare"
    bare.info = bare.info.model_copy(update={"root": str(dataset / bare.info.root)})
    bare.samples = [s.model_copy(update={"labels": {}}) for s in bare.samples]
    bare.save()
    assert "bare in test has a label of action" in unanswered(bundle, bare.folder, **how)
    bare.samples = [s.model_copy(update={"split": None}) for s in bare.samples]
    bare.save()
    said = "no labelled sample in test (--split says which part; there are train 0, test 0)"
    assert said in unanswered(bundle, bare.folder, **how)


def test_samples_without_a_label_of_the_task_are_not_answered(given, tmp_path, capsys):
    bundle, dataset = given
    half = Dataset.load(dataset)
    half.folder = tmp_path / "half"
    half.info = half.info.model_copy(update={"root": str(dataset / half.info.root)})
    test = [s.id for s in half.samples if s.split == "test"]
    half.samples = [s.model_copy(update={"labels": {}}) if s.id in test[::2] else s for s in half.samples]
    half.save()
    assert run("evaluate", bundle, half.folder, "--json", "--no-near", "--samples", "2", "--draws", "200") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["samples"], found["tasks"]["action"]["count"]) == (2, 2)
    assert f"{len(test[::2])} samples have no label of action: left out" in found["notes"]


def test_the_text_says_what_was_left_out(given, tmp_path, capsys):
    bundle, dataset = given
    more = Dataset.load(dataset)
    more.folder = tmp_path / "more"
    task = more.info.tasks["action"]
    tasks = {"action": task.model_copy(update={"classes": (*task.classes, "dance")})}
    more.info = more.info.model_copy(update={"root": str((dataset / more.info.root).resolve()), "tasks": tasks})
    first, second, *_ = [s for s in more.samples if s.split == "test"]
    gone = first.model_copy(update={"media": (first.media[0].model_copy(update={"path": "gone.mp4"}),)})
    more.put([second.model_copy(update={"labels": {"action": "dance"}})])
    more.samples += [gone.model_copy(update={"id": f"gone{n}"}) for n in range(30)]
    more.save()
    assert run("evaluate", bundle, more.folder, "--draws", "200", "--no-near") == 0
    told = capsys.readouterr().out
    assert "labels that the bundle does not know, left out: dance (1)" in told
    assert told.count("cannot be answered: gone") == 24
    assert "cannot be answered: and 6 more" in told


def test_bad_use_is_one_line(given, capsys):
    bundle, dataset = given
    assert run("evaluate", "nowhere", dataset) == 1
    assert "there is no bundle" in capsys.readouterr().err
    assert run("evaluate", bundle, dataset, "--at-least", "action=much") == 1
    assert "not a number" in capsys.readouterr().err
    assert run("evaluate", bundle, dataset, "--task", "action=mood") == 1
    assert "no task 'mood'" in capsys.readouterr().err
