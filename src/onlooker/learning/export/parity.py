"""How far the bundle's answers are from those of the model that was trained, on the same inputs, in each engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onlooker.bundles.folder import Bundle
from onlooker.bundles.golden import play, tensor_of
from onlooker.bundles.inputs import FrameInput
from onlooker.bundles.running import engines
from onlooker.core.errors import ModelError
from onlooker.learning.export.forms import Windows, averaged
from onlooker.learning.export.plan import Plan, alone_on
from onlooker.learning.model import Model
from onlooker.learning.recipe import Recipe

__all__ = ["ALLOWED", "compare"]

ALLOWED = 1e-3
"""Largest difference of a number, as a share of the largest of its tensor where that is above 1."""
Arrays = dict[str, NDArray[Any]]


def compare(plan: Plan, bundle: Bundle, model: Model, recipe: Recipe, inputs: Arrays) -> dict[str, Any]:
    """Differences between bundle and model.

    Args:
        plan: of the bundle.
        bundle: it.
        model: that it was made of.
        recipe: of the model.
        inputs: of the golden run.

    Returns:
        ``steps``: how many were compared; ``allowed``; ``engines``: by engine and tensor the ``largest`` difference and
        the ``scale``, the largest number; ``without``: the same by network that was taken as missing, engine and
        tensor; of a streaming form ``whole``: by task, the difference to the model's answer to the whole clip.

    Raises:
        ModelError: no engine here reads the models.
    """
    tensors = _tensors(bundle, inputs, plan)
    form = plan.windows
    with torch.no_grad():
        expected = _streamed(form, tensors) if form else _whole(plan, model, recipe, tensors, frozenset())
        found: dict[str, Any] = {"steps": len(next(iter(inputs.values()))), "allowed": ALLOWED}
        names = engines(bundle)
        if not names:
            raise ModelError("no engine here reads ONNX", hint="pip install openvino onnxruntime")
        found["engines"] = {name: _apart(expected, play(bundle, inputs, engine=name)) for name in names}
        if plan.head is not None and len(plan.names) > 1:
            found["without"] = {
                plan.names[gone]: {
                    name: _apart(
                        _whole(plan, model, recipe, tensors, frozenset([gone])),
                        play(bundle, inputs, engine=name, without=[plan.names[gone]]),
                    )
                    for name in names
                }
                for gone in plan.names
            }
        if form is not None:
            found["whole"] = _against_whole(form, model, recipe, tensors, expected)
    return found


def beyond(found: Mapping[str, Any]) -> list[str]:
    """What differs by more than is allowed, in words."""
    said: list[str] = []
    groups = [("", found["engines"]), *((f" without {k}", v) for k, v in found.get("without", {}).items())]
    for note, by_engine in groups:
        for engine, tensors in by_engine.items():
            for tensor, apart in tensors.items():
                if not apart["largest"] <= ALLOWED * max(1.0, apart["scale"]):
                    said.append(f"{tensor} in {engine}{note} differs by {apart['largest']:.3g}")
    for task, apart in found.get("whole", {}).items():
        if not apart["largest"] <= ALLOWED * max(1.0, apart["scale"]):
            said.append(f"{task} in windows differs from the whole clip by {apart['largest']:.3g}")
    return said


def _tensors(bundle: Bundle, inputs: Arrays, plan: Plan) -> dict[str, list[Tensor]]:
    """By input of the recipe, what its network gets at each step, through the bundle's own preprocessing."""
    networks = {n.name: n for n in bundle.manifest.networks}
    made: dict[str, list[Tensor]] = {}
    for name, plain in plan.names.items():
        if plain not in networks:
            made[name] = [torch.from_numpy(v)[None, None] for v in inputs["in.text"]]
            continue
        facts = networks[plain].input
        steps = [torch.from_numpy(tensor_of(raw, facts)) for raw in inputs[f"in.{plain}"]]
        made[name] = [s[:, None] for s in steps] if isinstance(facts, FrameInput) else steps
    return made


def _whole(
    plan: Plan, model: Model, recipe: Recipe, tensors: Mapping[str, list[Tensor]], gone: frozenset[str]
) -> Arrays:
    """The model's own answers, step by step."""
    rows: list[dict[str, Tensor]] = []
    for step in range(len(next(iter(tensors.values())))):
        inputs = {name: x[step] for name, x in tensors.items()}
        present = {name: torch.full((1,), float(name not in gone)) for name in plan.names}
        rows.append(averaged(model, inputs, present, views=recipe.training.test_time))
    # without its only input a task has no answer
    told = [task for task in rows[0] if not gone or alone_on(recipe, task) not in gone]
    return {task: np.stack([r[task].numpy() for r in rows]) for task in told}


def _streamed(form: Windows, tensors: Mapping[str, list[Tensor]]) -> Arrays:
    """The answers of the streaming form in PyTorch, step by step."""
    state = tuple(form.initial_state().values())
    tasks = list(form.model.tasks)
    rows: list[tuple[Tensor, ...]] = []
    for x in next(iter(tensors.values())):
        made = form(x, *state)
        rows.append(made[: len(tasks)])
        state = made[len(tasks) :]
    return {task: np.stack([r[n].numpy() for r in rows]) for n, task in enumerate(tasks)}


def _against_whole(
    form: Windows, model: Model, recipe: Recipe, tensors: Mapping[str, list[Tensor]], windows: Arrays
) -> dict[str, Any]:
    """After as many windows as make a whole clip, the answer is that to the whole clip; empty where none do."""
    count, rest = divmod(form.net.steps, form.window)
    if rest or count == 0:
        return {}
    name, parts = next(iter(tensors.items()))
    answers = averaged(model, {name: torch.cat(parts[:count], 1)}, None, views=recipe.training.test_time)
    made: dict[str, Any] = {}
    for task, raw in answers.items():
        rows = windows[task]
        head = model.head(task)
        by_step = not head.windowed and head.task != "detection" and raw.ndim == 3
        own = np.concatenate(list(rows[:count]), 1) if by_step else rows[count - 1]
        made[task] = _difference(raw.numpy(), own)
    return made


def _apart(expected: Arrays, found: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: _difference(array, found[f"out.{name}"]) for name, array in expected.items()}


def _difference(expected: NDArray[Any], found: NDArray[Any]) -> dict[str, float]:
    """The largest difference, which is infinite where shapes differ or a number is not finite."""
    scale = float(np.abs(expected).max(initial=0))
    if expected.shape != found.shape or not np.isfinite(found).all() or not np.isfinite(expected).all():
        return {"largest": float("inf"), "scale": scale if np.isfinite(scale) else 0.0}
    apart = np.abs(expected.astype(np.float64) - found.astype(np.float64))
    return {"largest": float(apart.max(initial=0)), "scale": scale}
