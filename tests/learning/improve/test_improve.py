"""A planted false alarm is learned away, the rest of the stored video stays, and it can be undone."""

from __future__ import annotations

import json
import time

import pytest
import torch
import yaml
from PIL import Image

from learning._runs import ACTION, CNN, FRAME, facts_of, make_run, recipe_of
from learning.improve._material import labelled, onlooker, told
from learning.improve.conftest import tinted
from onlooker.bundles import added
from onlooker.improving.improve import ImproveRequest, Told, improve
from onlooker.improving.origin import began_from, check_run
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.export import export_run
from onlooker.learning.improve.finetune import Strength, finetune
from onlooker.learning.run_folder import RunFolder

RECIPE = {
    "name": "alarms",
    "prepare": {"pictures": {"frames": 1, "width": 32, "height": 24, "crop": "none"}},
    "inputs": {"picture": {"network": "frame_cnn", "widths": [8, 16]}},
    "tasks": {"alarm": {"head": "classification"}},
    "optimiser": {"rate": 0.01},
    "training": {"epochs": 6, "batch": 16, "threads": 1, "ema": 0.8, "workers": 0},
    "export": {"rate": 5.0},
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def dataset_of(folder, shown, **labels):
    """Pictures of real footage, whose tint says their label."""
    samples = []
    folder.mkdir()
    for n, picture in enumerate(shown[::5]):
        for tint, label in labels.items():
            small = Image.fromarray(tinted(picture, tint)).resize((32, 24))
            small.save(folder / f"{tint}{n}.png")
            split = ("train", "train", "train", "val", "test")[n % 5]
            media = (Media(path=f"{tint}{n}.png", kind="image"),)
            samples.append(Sample(id=f"{tint} {n}", media=media, labels={"alarm": label}, split=split))
    dataset = Dataset.create(folder, name="alarms", tasks={"alarm": Task(kind="class", classes=("calm", "fight"))})
    dataset.put(samples)
    dataset.save()
    return folder


@pytest.fixture
def planted(shown, striped, tmp_path):
    """A library in which an added bundle calls a blue stretch a fight; its run, and a dataset without blue."""
    taught = dataset_of(tmp_path / "taught", shown, red="fight", blue="fight", green="calm", plain="calm")
    clean = dataset_of(tmp_path / "clean", shown, red="fight", green="calm", plain="calm")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**RECIPE, "dataset": str(taught)}))
    told("train", recipe, "--out", tmp_path / "run")
    onlooker("models", "add", tmp_path / "run" / "bundle")
    clip = striped("green", "blue", "red", "plain", name="yard.mp4")
    onlooker("analyze", clip, "--library", tmp_path / "lib", "--only", "alarms", "--workers", "1")
    (one, *_) = [o for o in labelled(tmp_path / "lib") if o[2] == "fight"]
    assert one[:2] == (pytest.approx(3, abs=0.4), pytest.approx(9, abs=0.4))
    id = told("search", "--label", "fight", "--library", tmp_path / "lib")["hits"][0]["id"]
    onlooker("feedback", "wrong", id, "--from", "3", "--to", "6", "--library", tmp_path / "lib")
    return ("--library", tmp_path / "lib", "--run", tmp_path / "run", "--data", clean, "--threads", "1")


def test_it_is_fixed_promoted_and_rolled_back(planted, tmp_path, capsys):
    before = added.versions("alarms")[1]
    made = told("improve", "alarms", *planted, "--workers", "1", "--yes")
    verdicts = made["verdicts"]
    assert (made["decision"], verdicts["fixed"], verdicts["asked"], verdicts["broken"]) == ("promoted", 1, 1, 0)
    assert verdicts["kept"] == 3
    held_out = made["held_out"]["tasks"]["alarm"]
    assert held_out["value"] >= held_out["other"] - 0.05
    # the new version is in use, descends from the old one, and tells what it was taught
    candidate = added.added_bundle("alarms")
    assert candidate.digest == made["candidate"]
    assert candidate.manifest.provenance.parent == before == made["used"]
    clip = tmp_path / "yard.mp4"
    onlooker("analyze", clip, "--library", tmp_path / "lib", "--only", "alarms", "--workers", "1")
    told_now = [(round(s), round(e), label) for s, e, label in labelled(tmp_path / "lib")]
    assert told_now == [(0, 6, "calm"), (6, 9, "fight"), (9, 12, "calm")]
    page = (tmp_path / "lib" / "improve" / "alarms" / before[:16] / "report.html").read_text()
    for said in ("fixed", candidate.digest, "Held-out data", "data:image/jpeg", "models rollback alarms"):
        assert said in page
    # the run of the new version is found among the library's improvements, and all that was said is heeded
    (run,) = (tmp_path / "lib" / "improve" / "alarms" / before[:16]).glob(f"round-{len(made['rounds'])}/run")
    again = told("improve", "alarms", *planted[:2], *planted[4:], "--workers", "1", "--yes")
    assert (again["decision"], again["run"], again["rounds"]) == ("nothing to do", str(run), [])
    assert [f["already"] for f in again["heeded"]] == [True]
    # the old run's weights are not those in use
    onlooker("improve", "alarms", *planted, code=1)
    said = capsys.readouterr().err
    assert f"is not the run that made alarms {candidate.digest[:16]}, which is in use: it made {before[:16]}" in said
    assert f"onlooker models promote alarms {before[:16]}" in said
    onlooker("models", "rollback", "alarms")
    assert added.versions("alarms")[1] == before


def test_what_was_stopped_goes_on(planted, tmp_path):
    class Stopped(Exception):
        pass

    class Stopping:
        def __getattr__(self, name):
            return lambda *_: None

        def epoch(self, line):
            if line["epoch"] == 2:
                raise Stopped

    library, run, data = planted[1], planted[3], planted[5]
    request = ImproveRequest("alarms", library, tmp_path / "out", run, data, threads=1, workers=1)
    with pytest.raises(Stopped):
        improve(request, Told(training=Stopping()))
    logged = (tmp_path / "out" / "round-1" / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in logged] == [0, 1]
    again = told("improve", "alarms", *planted, "--workers", "1", "--out", tmp_path / "out")
    assert again["verdicts"]["fixed"] == 1
    # without --yes it is only proposed, and the same command finds all of it done
    assert again["decision"] == "ready"
    assert added.versions("alarms")[1] == again["used"]
    third = told("improve", "alarms", *planted, "--workers", "1", "--out", tmp_path / "out")
    assert third["candidate"] == again["candidate"]


def test_a_round_that_the_budget_cut_short_goes_on(planted, tmp_path):
    run, dataset, out = tmp_path / "run", Dataset.load(tmp_path / "taught"), tmp_path / "round"
    strength = Strength(epochs=2)

    def made(deadline):
        bundle = finetune(run, run / "bundle", dataset, out, strength, deadline=deadline, threads=1)
        return bundle.digest, len(RunFolder(out).history())

    # one step is made however late it is
    cut, one = made(time.monotonic())
    whole, both = made(None)
    assert (one, both) == (1, 2)
    assert whole != cut
    assert made(None) == (whole, 2)


def test_what_is_not_known_becomes_a_labelling_task(planted, tmp_path):
    """With three classes, wrong alone does not say what is right."""
    from onlooker.bundles.outputs import Classification
    from onlooker.improving.feedback import Feedback, Said
    from onlooker.improving.labels import Taught, samples_of
    from onlooker.improving.lessons import labelled as taught_by
    from onlooker.improving.lessons import write_labels

    output = Classification(task="classification", name="alarm", tensor="alarm", labels=("calm", "fight", "fall"))
    said = Said(verdict="wrong", source="s", start=3, end=6, analyzer="alarms", label="fight")
    files = {"s": (tmp_path / "yard.mp4", 12.0)}
    found = samples_of([Feedback("ab", said)], [Taught(output, "alarm")], {}, files, None)
    assert not found.new
    tasks = {"alarm": Task(kind="class", classes=output.labels)}
    labels = write_labels(tmp_path / "labels", found, tasks)
    assert [s.status for s in labels.samples] == ["proposed"]
    assert taught_by(labels, None, {}) == {}
    # a person labels it in a tool; what comes back is learned from, and not asked again
    onlooker("dataset", "export", tmp_path / "labels", "label-studio", tmp_path / "tasks.json", "--proposed")
    assert "fight" in (tmp_path / "tasks.json").read_text()
    (asked,) = labels.samples
    labels.put([asked.model_copy(update={"labels": {"alarm": "fall"}, "status": "labelled"})])
    labels.save()
    again = write_labels(tmp_path / "labels", found, tasks)
    samples = taught_by(again, None, {})["ab"]
    assert len(samples) > 1
    assert {s.labels["alarm"] for s in samples} == {"fall"}
    assert all(s.at is not None and 3 <= s.at <= 6 for s in samples)


def test_what_cannot_be_improved_is_refused(planted, tmp_path, capsys):
    library = planted[1]
    onlooker("improve", "alarms", "--library", library, "--out", tmp_path / "a", code=1)
    assert "--run" in capsys.readouterr().err
    other = make_run(tmp_path / "other", recipe_of({"x": CNN}, ACTION), facts_of({"x": FRAME}, {"action": "class"}))
    onlooker("improve", "alarms", "--library", library, "--run", other, "--out", tmp_path / "a", code=1)
    assert "is not the run that made alarms: it has no task 'alarm', it has action (" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    # what was exported anew, or compressed, goes on from the run that was trained, and descends from its bundle
    run, used = tmp_path / "run", added.added_bundle("alarms")
    anew = export_run(run, tmp_path / "anew")
    assert anew.digest != used.digest
    check_run(run, RunFolder(run).recipe(), "alarms", anew)
    assert began_from(run, anew) == (run / "bundle").resolve()
    for one in told("feedback", "list", "--library", library)["feedback"]:
        onlooker("feedback", "remove", one["key"], "--library", library)
    onlooker("improve", "alarms", *planted, code=1)
    assert "nothing was said of alarms" in capsys.readouterr().err
