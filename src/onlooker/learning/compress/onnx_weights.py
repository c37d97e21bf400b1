"""Bundles whose weights alone are kept in another form, that become float32 when the model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onlooker.bundles.folder import load_bundle
from onlooker.bundles.manifest import Step
from onlooker.learning.compress.onnx_bundle import Changed, Made, needs_models, parts_of, remade, verdict_of
from onlooker.learning.compress.onnx_files import checked_model, graphs_of, read_onnx
from onlooker.learning.compress.step import StepConfig, Subject, Work, settings_of

__all__ = ["inserted", "refusal_of", "reweighted"]


def refusal_of(subject: Subject, large: Callable[[Any], Sequence[Any]]) -> str | None:
    """Why no weight of a bundle can be kept in another form, or None.

    Args:
        subject: whose bundle.
        large: the weights of an ONNX graph that would be.
    """
    if (no := needs_models(subject, ("onnx", "openvino-ir", "tf-frozen", "tflite"))) is not None:
        return no
    bundle = load_bundle(subject.bundle, check=False)
    for part in parts_of(bundle.manifest):
        if part.format != "onnx" or any(large(graph) for graph in graphs_of(read_onnx(bundle.path(part.file)))):
            return None
    return "it has no weights of 32 bits that are large enough"


def reweighted(
    subject: Subject,
    config: StepConfig,
    work: Work,
    *,
    onnx: Callable[[Any], None],
    other: Callable[[Path, Mapping[str, Sequence[int]]], Made],
    allowed: float,
    validation: int,
    max_drop: float | None = None,
) -> Subject:
    """The bundle with its weights in another form.

    Args:
        subject: before it.
        config: of the step.
        work: of the step.
        onnx: changes an ONNX graph.
        other: a model of another format at a place, with the shapes of its inputs, changed.
        allowed: see `remade`.
        validation: so many samples of the validation part judge.
        max_drop: largest loss there; None: any.

    Raises:
        ModelError: too much is lost, or the result is no working bundle.
    """
    bundle = load_bundle(subject.bundle)
    files: dict[str, Made] = {}
    for part in parts_of(bundle.manifest):
        path = bundle.path(part.file)
        if part.format != "onnx":
            files[part.file] = other(path, part.shapes)
            continue
        model = read_onnx(path)
        for graph in graphs_of(model):
            onnx(graph)
        files[part.file] = checked_model(model.SerializeToString())
    changed = Changed(files)
    verdict = verdict_of(bundle, changed, work, validation, max_drop=max_drop)
    step = Step(name=config.step, settings=settings_of(config))
    return remade(subject, changed, work, step, allowed=allowed, verdict=verdict)


def inserted(graph: Any, nodes: Sequence[Any]) -> None:
    """Put nodes before all others of an ONNX graph."""
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
