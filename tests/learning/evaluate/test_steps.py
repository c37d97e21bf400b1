"""What is labelled in time is measured of a bundle as it was of the run that made it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import yaml

from analyzers.conftest import write_clip
from cli.sample_library import run
from onlooker.core.store import Query
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.parts import load_part
from onlooker.learning.task import TaskFacts
from onlooker.learning.training.train import train
from onlooker.timeline import open_store

RATE, LABELS = 8, ("red", "blue")
WHEN = Task(kind="spans", classes=LABELS)


@pytest.fixture(scope="module")
def lit(tmp_path_factory):
    """Clips of four seconds in each of which a red and a blue light are on for a while."""
    folder, random = tmp_path_factory.mktemp("lit"), np.random.default_rng(0)
    dataset = Dataset.create(folder, name="lit", tasks={"when": WHEN})
    samples = []
    for number in range(24):
        shown = random.integers(0, 90, (4 * RATE, 32, 32, 3)).astype(np.uint8)
        spans = []
        for label, channel in zip(LABELS, (0, 2), strict=True):
            start = float(random.uniform(0, 2.8))
            end = min(4.0, start + float(random.uniform(0.3, 1.6)))
            shown[[start <= n / RATE < end for n in range(len(shown))], 8:24, 8:24, channel] = 140
            spans.append({"label": label, "start": round(start, 3), "end": round(end, 3)})
        write_clip(list(shown), folder / f"{number}.mp4", rate=RATE)
        media = (Media(path=f"{number}.mp4", kind="video", seconds=4.0, rate=str(RATE)),)
        split = "train" if number < 12 else "val" if number < 18 else "test"
        samples.append(Sample(id=str(number), media=media, labels={"when": WHEN.parse(spans)}, split=split))
    dataset.put(samples)
    dataset.save()
    return dataset


def taught(lit, folder, head, *, epochs=4, **changed):
    """The folder of a run on it."""
    values = {
        "name": "lit", "dataset": str(lit.folder),
        "prepare": {"pictures": {"width": 16, "height": 16, "crop": "none", **changed.pop("pictures", {})}},
        "inputs": {"picture": {"network": "cnn_rnn", "widths": [8, 16], "hidden": 12, **changed}},
        "tasks": {"when": {"head": head}}, "optimiser": {"rate": 0.01},
        "training": {"epochs": epochs, "batch": 4, "threads": 1, "workers": 0, "precision": "float32"},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values))
    train(folder / "recipe.yaml", out=folder / "run", bundle=True)
    return folder / "run"


@pytest.mark.parametrize("head", ["dense", "events"])
@pytest.mark.parametrize("both_ways", [False, True], ids=["window by window", "whole"])
@pytest.mark.parametrize("pictures", [{"frames": 8}, {"frames": 8, "rate": 2}], ids=["spread", "at a rate"])
def test_a_bundle_is_as_good_as_its_run(lit, tmp_path, capsys, pictures, both_ways, head):
    """Labels of looks began half a step before those that were learned from, which are from each picture on.

    Runs and moments were matched within each window of a bundle with memory: those at its edges were cut, or found
    twice.
    """
    folder = taught(lit, tmp_path, head, pictures=pictures, both_ways=both_ways)
    trained = json.loads((folder / "metrics.json").read_text())["test"]["when"]
    capsys.readouterr()
    assert run("evaluate", folder / "bundle", lit.folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)["tasks"]["when"]
    steps, runs = ("map", "auc", "micro_f1", "nll"), ("span_f1_10", "span_f1_50", "span_map")
    for name in (*steps, *runs) if head == "dense" else ("map", "map_1", "f1", "macro_f1"):
        assert found["metrics"][name] == pytest.approx(trained[name], abs=2e-3), name


@pytest.mark.parametrize("both_ways", [False, True], ids=["window by window", "whole"])
def test_steps_lie_at_work_where_they_were_measured(lit, tmp_path, both_ways, monkeypatch):
    """What is observed in a file begins and ends where labels are, by no more than a step on the whole."""
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    folder = taught(lit, tmp_path, "dense", epochs=40, pictures={"frames": 16, "rate": 4}, both_ways=both_ways)
    assert run("models", "add", folder / "bundle") == 0
    clips = [str(lit.root / s.media[0].path) for s in lit.samples]
    assert run("analyze", *clips, "--only", "lit", "--library", tmp_path / "lib", "--workers", "1") == 0
    apart: list[tuple[float, float]] = []
    with closing(open_store(tmp_path / "lib")) as store:
        names = {s.info.id: Path(s.info.path).name for s in store.sources()}
        found = [o for o in store.query(Query()) if o.label in LABELS]
    for sample in lit.samples:
        for span in sample.labels["when"]:
            seen = [o for o in found if names[o.source] == sample.media[0].path and o.label == span.label]
            if len(seen) == 1:
                (one,) = seen
                apart.append((one.span.start.seconds - span.start, one.span.end.seconds - span.end))
    assert len(apart) > 24
    # a light that goes on after a step's picture is seen with the next one
    assert np.abs(np.median(apart, 0)).max() < 1 / 4


def labels_of(length, times, seconds, spans, *, head="dense", before=(), span=None):
    """Steps and labels where there are any, of a clip with pictures at those times."""
    media = (*before, Media(path="a.mp4", kind="video", seconds=length))
    sample = Sample(id="a", media=media, labels={"when": WHEN.parse(spans)}, span=span)
    clip = Clip(sample, np.zeros((len(times), 2, 2, 3), np.uint8), np.array(times, np.float64), None, None)
    part = load_part("tasks", head)
    facts = TaskFacts("when", WHEN, LABELS, steps=len(times), seconds=seconds)
    return np.argwhere(part.encode(facts, part.Config(), [clip])[0][0] > 0).tolist()


@pytest.mark.parametrize("head", ["dense", "events"])
def test_pictures_that_are_spread_have_the_labels_of_their_own_time(head):
    """Of a sample that was longer than the usual one, labels lay too late, and those of its end were lost."""
    times, short = [0.5 + n for n in range(8)], [n / 4 + 0.125 for n in range(8)]
    assert labels_of(8.0, times, 4.0, [{"label": "red", "start": 6.5, "end": 7.5}], head=head) == [[6, 0]]
    assert labels_of(2.0, short, 4.0, [{"label": "red", "start": 1.625, "end": 1.875}], head=head) == [[6, 0]]


def test_pictures_that_are_held_back_at_the_ends_are_behind_them():
    """Of a sample shorter than a clip at a rate, labels began with its first picture and not with its own time."""
    # eight pictures, two a second, around the middle of two seconds: -0.75, -0.25, 0.25 .. 2.75
    times = [min(max(n / 2 - 0.75, 0.0), 1.999) for n in range(8)]
    assert labels_of(2.0, times, 4.0, [{"label": "red", "start": 0.75, "end": 1.75}]) == [[3, 0], [4, 0]]


def test_a_sound_beside_and_a_part_that_goes_on_behind_the_end_do_not_move_labels():
    times, spans = [0.5 + n for n in range(8)], [{"label": "red", "start": 6.5, "end": 7.5}]
    sound = Media(path="a.wav", kind="audio", seconds=3.0)
    assert labels_of(8.0, times, 4.0, spans, before=(sound,)) == [[6, 0]]
    assert labels_of(8.0, times, 4.0, spans, span=(0.0, 30.0)) == [[6, 0]]
