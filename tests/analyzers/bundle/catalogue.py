"""Models of the catalogue as bundles."""

from __future__ import annotations

import os

import pytest

from onlooker.analyzers.objects.analyzer import group_of
from onlooker.core.errors import ModelMissing
from onlooker.models import entry, model_path


def nanodet_file():
    """The frozen graph of the catalogue's detector."""
    try:
        return model_path("nanodet-416")
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def nanodet_facts(**more):
    own = entry("nanodet-416")
    numbers = range(6)
    picture = {"kind": "frame", "rate": 2.5, "width": 416, "height": 416, "fit": "pad_corner", "colour": "bgr"}
    boxes = {
        "form": "grid",
        "strides": own.facts["strides"],
        "scores": [f"Identity{f'_{n}' if n else ''}:0" for n in numbers[:3]],
        "distances": [f"Identity_{n}:0" for n in numbers[3:]],
        "bins": own.facts["bins"],
    }
    detection = {"task": "detection", "name": "coco", "labels": list(own.labels), "boxes": boxes}
    return {
        "name": "nanodet",
        "licence": own.licence,
        "input": {**picture, "mean": own.inputs["mean"], "std": own.inputs["std"]},
        "outputs": [{**detection, "groups": {label: group_of(label) for label in own.labels}}],
        "golden": {"tolerance": 1e-3, "relative": 1e-3},
        **more,
    }
