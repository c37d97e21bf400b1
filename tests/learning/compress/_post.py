"""Bundles for what is done after training: imported ones with planted weaknesses, and clips with sound as long."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from learning.compress._moving import moving_dataset
from onlooker.bundles import import_model, load_bundle
from onlooker.learning.compress.step import Subject
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media
from onlooker.learning.parts import load_part

OUTLIER = 1e5


def planted(folder: Path, *, outlier: float = OUTLIER, weight: float = 0.0, alone: bool = False) -> Subject:
    """An imported bundle that says which half of a picture of 16 x 16 is brighter, without any run.

    The layer ``sensitive`` is given a channel that is always ``outlier`` and has the given ``weight``, so that eight
    bits over its inputs, or over its weights, tell nothing of the others. With ``alone`` there is no other layer that
    could be in int8.
    """
    second = np.zeros((2, 4, 1, 1), np.float32)
    second[:, :3], second[:, 3] = 1 / 3, weight
    held: dict[str, np.ndarray] = {"second": second, "always": np.full((1, 1, 16, 16), outlier, np.float32)}
    nodes = [helper.make_node("Concat", ["a", "always"], ["b"], axis=1)]
    nodes += [helper.make_node("Conv", ["b", "second"], ["c"], name="sensitive")]
    if alone:
        held["rows"] = np.array([1, 32, 2, 8], np.int64)
        nodes = [
            helper.make_node("Relu", ["x"], ["a"]),
            *nodes,
            helper.make_node("Reshape", ["c", "rows"], ["d"]),
            helper.make_node("Transpose", ["d"], ["e"], perm=[0, 2, 1, 3]),
            helper.make_node("ReduceMean", ["e"], ["y"], axes=[2, 3], keepdims=0),
        ]
    else:
        held["first"] = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
        held["halves"] = np.zeros((2 * 256, 2), np.float32)
        held["halves"][np.arange(512), np.arange(512) % 16 // 8] = 0.1
        nodes = [
            helper.make_node("Conv", ["x", "first"], ["a"], name="begin"),
            *nodes,
            helper.make_node("Flatten", ["c"], ["d"]),
            helper.make_node("MatMul", ["d", "halves"], ["y"], name="end"),
        ]
    return _imported(nodes, held, folder)


def _imported(nodes: list[Any], held: dict[str, np.ndarray], folder: Path) -> Subject:
    """A bundle of a graph from ``x`` (1, 3, 16, 16) to ``y`` (1, 2)."""
    graph = helper.make_graph(
        nodes, "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 16, 16))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 2))],
        [numpy_helper.from_array(v, k) for k, v in held.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "planted.onnx")
    picture = {"kind": "frame", "rate": 2, "width": 16, "height": 16, "scale": 1 / 255}
    output = {"task": "classification", "name": "side", "kind": "side", "labels": ["left", "right"]}
    facts = {"name": "planted", "licence": "CC0-1.0", "input": picture, "outputs": [output]}
    return Subject(import_model(folder / "planted.onnx", facts, folder / "bundle").folder)


def shortcut(folder: Path) -> Subject:
    """An imported bundle of pictures whose convolution of 1 x 1 leaves out every second pixel, between two changes of
    the order of axes.
    """
    weights = np.random.default_rng(0).standard_normal((32, 16, 1, 1)).astype(np.float32)
    held: dict[str, np.ndarray] = {
        "first": np.random.default_rng(1).standard_normal((16, 3, 3, 3)).astype(np.float32) / 9,
        "weights": weights, "steps": np.array([1, 1, 32, 8, 8], np.int64), "one": np.array([1, 16, 16, 16], np.int64),
        "apart": np.array([1, 1, 16, 16, 16], np.int64), "last": np.ones((32, 2), np.float32),
    }  # fmt: skip
    held["last"][::2, 0] = held["last"][1::2, 1] = -1
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["a", "apart"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Transpose", ["d"], ["e"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["e", "one"], ["f"]),
        helper.make_node("Conv", ["f", "weights"], ["g"], strides=[2, 2], name="shortcut"),
        helper.make_node("Reshape", ["g", "steps"], ["h"]),
        helper.make_node("ReduceMean", ["h"], ["i"], axes=[1, 3, 4], keepdims=0),
        helper.make_node("MatMul", ["i", "last"], ["y"]),
    ]
    return _imported(nodes, held, folder)


def as_ir(first: Subject, folder: Path) -> Subject:
    """An imported bundle as one of OpenVINO IR."""
    import openvino

    folder.mkdir(parents=True, exist_ok=True)
    ir = folder / "model.xml"
    openvino.save_model(openvino.Core().read_model(str(first.bundle / "model.onnx")), str(ir), compress_to_fp16=False)
    manifest = load_bundle(first.bundle).manifest
    facts = manifest.model_dump(mode="json", by_alias=True, include={"licence", "outputs"})
    facts["input"] = manifest.networks[0].input.model_dump(mode="json")
    return Subject(import_model(ir, {**facts, "name": "ir"}, folder / "ir").folder)


def sounding_dataset(folder: Path) -> Dataset:
    """The moving squares with tones as long as the clips."""
    made = moving_dataset(folder, count=12)
    samples = []
    for sample in made.samples:
        hertz = 1600 if sample.labels["way"] == "right" else 500
        tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(16000) / 8000)
        with wave.open(str(folder / f"{sample.id}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((tone * 32767).astype("<i2").tobytes())
        heard = Media(path=f"{sample.id}.wav", kind="audio", seconds=2.0)
        samples.append(sample.model_copy(update={"media": (sample.media[0], heard)}))
    made.put(samples)
    made.save()
    return made


def after(step: str, subject: Subject, work, **settings: object) -> Subject:
    """The subject after a step."""
    part = load_part("compress.steps", step)
    return part.apply(subject, part.Config(**settings), work)


def told(subject: Subject) -> dict[str, Any]:
    """The settings of the last step that the bundle's lineage tells."""
    return dict(load_bundle(subject.bundle).manifest.provenance.steps[-1].settings)


def models_size(subject: Subject) -> int:
    """Bytes of all models."""
    files = load_bundle(subject.bundle).manifest.files
    return sum(fact.size for name, fact in files.items() if name.endswith((".onnx", ".xml", ".bin")))
