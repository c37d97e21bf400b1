"""Whether labels and bundles fit together, told before the long work."""

from __future__ import annotations

import pytest
from PIL import Image

from analyzers.bundle.making import COLOURS, brightness_model, colour_bundle
from onlooker.bundles import import_model
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate
from onlooker.learning.task import TaskFacts
from onlooker.learning.tasks.regression import Config, Regression

FILLED = {"red": (250, 20, 10), "green": (10, 200, 30), "blue": (5, 60, 220)}


def made(folder, tasks, labels):
    """Pictures of one colour each, with the labels that a function gives for it."""
    dataset = Dataset.create(folder, name=folder.name, tasks=tasks)
    samples = []
    for name, colour in FILLED.items():
        Image.new("RGB", (32, 24), colour).save(folder / f"{name}.png")
        samples.append(Sample(id=name, media=(Media(path=f"{name}.png", kind="image"),), labels=labels(name)))
    dataset.put(samples)
    dataset.save()
    return dataset


def evaluated(bundle, dataset, **more):
    return evaluate(EvaluationRequest(str(bundle.folder), dataset.folder, draws=200, threads=1, errors=0, **more))


def test_labels_of_another_width_are_refused(tmp_path):
    picture = {"kind": "frame", "rate": 5.0, "width": 8, "height": 8, "colour": "gray", "scale": 1 / 255}
    output = {"task": "regression", "name": "light", "labels": ["light"]}
    facts = {"name": "light", "licence": "CC0-1.0", "input": picture, "outputs": [output]}
    bundle = import_model(brightness_model(tmp_path / "light.onnx"), facts, tmp_path / "bundle")
    tasks = {"light": Task(kind="regression"), "both": Task(kind="regression")}
    grey = {name: (0.299 * r + 0.587 * g + 0.114 * b) / 255 for name, (r, g, b) in FILLED.items()}
    dataset = made(tmp_path / "set", tasks, lambda name: {"light": grey[name], "both": (grey[name], 100.0)})
    assert evaluated(bundle, dataset).tasks["light"].value == pytest.approx(0, abs=0.02)
    with pytest.raises(UsageError, match="the output light is of width 1, labels of both are of width 2"):
        evaluated(bundle, dataset, tasks={"light": "both"})


def test_a_part_of_another_width_than_the_one_learned_from_is_refused():
    task = Task(kind="regression")
    clip = Clip(Sample(id="a", text="a", labels={"light": (1.0, 2.0)}), None, None, None, "a")
    with pytest.raises(UsageError, match="labels of light are of width 2, expected 1"):
        Regression.encode(TaskFacts("light", task, width=1), Config(), [clip])


def test_bundles_that_call_their_outputs_otherwise_are_compared(tmp_path):
    tasks = {"colour": Task(kind="class", classes=COLOURS), "hue": Task(kind="class", classes=COLOURS)}
    dataset = made(tmp_path / "set", tasks, lambda name: {"colour": name, "hue": name})
    own = colour_bundle(tmp_path / "own")
    named = colour_bundle(tmp_path / "named", output={"name": "shade"})
    for one, other in ((named, own), (own, named)):
        found = evaluated(one, dataset, tasks={"shade": "colour"}, against=str(other.folder))
        assert [(d.value, d.other) for d in found.against.values()] == [(1.0, 1.0)]
    with pytest.raises(UsageError, match=r"no common task: hue \(classification\) and colour \(classification\)"):
        evaluated(named, dataset, tasks={"shade": "hue"}, against=str(own.folder))
    with pytest.raises(UsageError, match="no output 'mood'"):
        evaluated(named, dataset, tasks={"shade": "colour", "mood": "colour"}, against=str(own.folder))
