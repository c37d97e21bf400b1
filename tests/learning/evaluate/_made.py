"""Small bundles whose answers follow from what clips show, and datasets of real clips."""

from __future__ import annotations

import shutil

from analyzers.bundle.making import constant, whole, write
from onlooker.bundles import import_model
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples

FRAMES, SIZE = 8, 24


def motion_model(path, *, limit: float, gain: float, flat: bool = False):
    """Logits of (fight, noFight): how far pictures that follow each other differ, above a limit."""
    nodes = [
        ("Slice", ["x", "one", "end", "axis"], ["later"], {}),
        ("Slice", ["x", "zero", "last", "axis"], ["sooner"], {}),
        ("Sub", ["later", "sooner"], ["change"], {}),
        ("Abs", ["change"], ["size"], {}),
        ("ReduceMean", ["size"], ["energy"], {"axes": [1, 2, 3, 4], "keepdims": 0}),
        ("Reshape", ["energy", "row"], ["e"], {}),
        ("Sub", ["e", "limit"], ["above"], {}),
        ("Mul", ["above", "gain"], ["y"], {}),
    ]
    numbers = [constant("limit", [limit]), constant("gain", [[0, 0]] if flat else [[gain, -gain]])]
    numbers += [whole("one", [1]), whole("zero", [0]), whole("end", [FRAMES]), whole("last", [FRAMES - 1])]
    numbers += [whole("axis", [1]), whole("row", [1, 1])]
    return write(path, nodes, {"x": (1, FRAMES, 1, SIZE, SIZE)}, {"y": (1, 2)}, numbers)


def motion_bundle(folder, name, *, limit=9.0, gain=0.3, flat=False, **more):
    clip = {"kind": "clip", "rate": 4.0, "frames": FRAMES, "stride": 4, "width": SIZE, "height": SIZE}
    output = {"task": "classification", "name": "action", "labels": ["fight", "noFight"], "temperature": 2.0}
    facts = {"name": name, "licence": "CC0-1.0", "input": {**clip, "colour": "gray", "fit": "crop"}}
    facts |= {"outputs": [output], **more}
    model = motion_model(folder / f"{name}.onnx", limit=limit, gain=gain, flat=flat)
    return import_model(model, facts, folder / name)


def fights(data, folder, count=6):
    """So many clips of each class, every other one in ``train``; two clips each are of one source."""
    for label in ("fight", "noFight"):
        (folder / "clips" / label).mkdir(parents=True)
        for clip in sorted(data(f"fight_surv/{label}").glob("*.mp4"))[:count]:
            shutil.copy(clip, folder / "clips" / label / clip.name)
    dataset = Dataset.create(folder / "data", name="fights <&>")
    import_samples(dataset, ImportRequest("folders", folder / "clips", {"task": "action"}))
    made = []
    for number, sample in enumerate(dataset.samples):
        split = "train" if number % 4 < 2 else "test"
        made.append(sample.model_copy(update={"groups": {"source": f"s{number // 2}"}, "split": split}))
    dataset.put(made)
    dataset.save()
    return Dataset.load(folder / "data")
