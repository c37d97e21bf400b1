"""What of a dataset an anomaly bundle is judged by: videos in which people said what is abnormal, if anything is."""

from __future__ import annotations

import json
import shutil

import pytest

from analyzers.bundle.making import motion_bundle
from cli.sample_library import run
from onlooker.learning.anomaly import evaluate_anomaly
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledSpan, Media, Sample, Task
from onlooker.learning.datasets.media import look_at

NAME = "motion_energy"
SPAN = (LabelledSpan(label="fight", start=0.5, end=1.0),)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return motion_bundle(tmp_path_factory.mktemp("bundle")).folder


@pytest.fixture
def made(data, tmp_path):
    """A dataset of one video for each ``(part, labels, status)``."""
    root = data("fight_surv/fight")
    clips = sorted(root.glob("*.mp4"))

    def make(*rows, splits=("test",)):
        dataset = Dataset.create(tmp_path / "set", name="set", tasks={"odd": Task(kind="spans", classes=("fight",))})
        dataset.info = dataset.info.model_copy(update={"root": str(root), "splits": splits})
        for number, (part, labels, status) in enumerate(rows):
            media = look_at(root, Media(path=clips[number].name, kind="video"))
            dataset.put([Sample(id=f"v{number}", media=(media,), split=part, labels=labels, status=status)])
        dataset.save()
        return dataset.folder

    return make


def test_unlabelled_and_proposed_videos_are_left_out(made, bundle, capsys):
    folder = made(
        ("test", {"odd": SPAN}, "labelled"),
        ("test", {"odd": ()}, "labelled"),
        ("test", {}, "labelled"),
        ("test", {"odd": SPAN}, "proposed"),
    )
    assert run("evaluate", bundle, folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["tasks"][NAME]["by_video"]) == {"v0", "v1"}, "no span is a label too: nothing is abnormal"
    assert found["notes"] == [
        "1 videos have labels that are proposed alone: left out",
        "1 videos have no label of odd: left out; where nothing is abnormal, label no span: []",
        "the bundle does not say what it learned from: not looked for leaks",
    ]


def test_a_set_without_a_part_for_tests_is_measured_whole(made, bundle, capsys):
    folder = made((None, {"odd": SPAN}, "labelled"), ("may", {"odd": ()}, "labelled"), splits=("may",))
    assert run("evaluate", bundle, folder) == 0
    assert "note: all parts are measured, also what may have been learned from" in capsys.readouterr().out
    assert run("evaluate", bundle, folder, "--split", "may", "--json") == 0
    assert json.loads(capsys.readouterr().out)["split"] == "may"


def test_footage_that_was_learned_from_is_told(made, bundle, tmp_path, capsys):
    folder = made(
        ("usual", {"odd": ()}, "labelled"),
        ("test", {"odd": SPAN}, "labelled"),
        ("test", {"odd": ()}, "labelled"),
        splits=("usual", "test"),
    )
    shutil.copytree(bundle, tmp_path / "run" / "bundle")
    recipe = {"kind": "anomaly", "name": "yard", "dataset": str(folder), "splits": {"normal": "usual"}}
    (tmp_path / "run" / "recipe.yaml").write_text(json.dumps(recipe))
    assert run("evaluate", tmp_path / "run", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["leaks"] == []
    # one file more under another name is normal footage too
    dataset = Dataset.load(folder)
    again = dataset.samples[1].model_copy(update={"id": "again", "split": "usual", "labels": {}})
    dataset.put([again])
    dataset.save()
    assert run("evaluate", tmp_path / "run", folder) == 0
    said = capsys.readouterr()
    assert "leak: 1 of the evaluated samples are of a file that was learned from\n" in said.out
    assert "warning: 1 of the evaluated samples are of a file that was learned from\n" in said.err
    found = evaluate_anomaly(tmp_path / "run", folder, split="usual")
    assert [(leak["code"], leak["samples"]) for leak in found["leaks"]] == [("trained-on", ["v0"])]


def test_what_cannot_be_told_is_said(made, bundle, capsys):
    folder = made(("test", {"odd": ()}, "labelled"))
    assert run("evaluate", bundle, folder) == 0
    assert f"{NAME}: auc could not be told, mean over videos could not be told; 0 of " in capsys.readouterr().out
    assert run("evaluate", bundle, folder, "--at-least", f"{NAME}=0.5") == 1
    assert f"{NAME} could not be measured" in capsys.readouterr().err
    assert run("evaluate", bundle, folder, "--at-least", "anomaly=0.5") == 1
    assert f"--at-least: there is no task 'anomaly' (there are {NAME})" in capsys.readouterr().err


def test_a_set_without_labels_is_refused(made, bundle, capsys):
    folder = made(("test", {}, "labelled"), ("test", {"odd": SPAN}, "proposed"))
    assert run("evaluate", bundle, folder) == 1
    told = capsys.readouterr().err
    assert "1 videos have labels that are proposed alone: left out; 1 videos have no label of odd" in told
