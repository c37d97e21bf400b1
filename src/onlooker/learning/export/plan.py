"""What the bundle of a trained model consists of: which networks, which head, what its outputs mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from onlooker.bundles.inputs import ClipInput, FrameInput, Input, LogMelInput, TextInput, WaveformInput
from onlooker.bundles.networks import TEXT
from onlooker.core.errors import UsageError
from onlooker.learning.export.forms import Encoder, Joint, Whole, Windows
from onlooker.learning.export.graph import AFTER, BEFORE, Piece
from onlooker.learning.facts import Facts
from onlooker.learning.model import Model, build_model
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe
from onlooker.learning.task import Calibration

__all__ = ["Plan", "alone_on", "check_plan", "plain_names", "plan"]

_RESET_SECONDS, _RESET_CLIPS = 20.0, 8
_HINT = "the run itself can be used: onlooker evaluate RUN"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bundle consists of.

    Args:
        pieces: its files of models.
        networks: fields of the bundle's networks.
        head: fields of its head, or None.
        outputs: fields of its outputs.
        names: by input of the recipe, the network's name in the bundle; ``text`` for a text.
        windows: the streaming form, where it is deployed.
    """

    pieces: tuple[Piece, ...]
    networks: tuple[dict[str, Any], ...]
    head: dict[str, Any] | None
    outputs: tuple[dict[str, Any], ...]
    names: Mapping[str, str]
    windows: Windows | None = None


def alone_on(recipe: Recipe, task: str) -> str | None:
    """The one input of several that a task is answered from; None where all are joined."""
    given = set(recipe.tasks[task].inputs or recipe.inputs)
    return next(iter(given)) if given != set(recipe.inputs) else None


def plain_names(names: Iterable[str], other: str) -> dict[str, str]:
    """Names as bundles take them, each another.

    >>> plain_names(["Mood", "mood", "1st"], "task")
    {'Mood': 'mood', 'mood': 'mood_2', '1st': 'task_1st'}
    """
    made: dict[str, str] = {}
    for name in names:
        plain = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")[:56]
        plain = plain if re.match("[a-z]", plain) else f"{other}_{plain}".rstrip("_")
        number, chosen = 1, plain
        while chosen in made.values():
            number += 1
            chosen = f"{plain}_{number}"
        made[name] = chosen
    return made


def check_plan(recipe: Recipe, facts: Facts, *, bundle: bool = True) -> None:
    """Try that bundles can hold the model of a recipe, before it is trained.

    Args:
        recipe: of the model.
        facts: form of its inputs.
        bundle: whether one is to be made at all.

    Raises:
        UsageError: they cannot, or not in the form that the recipe asks for.
    """
    if not bundle:
        return
    try:
        plan(build_model(recipe, facts), recipe, facts, {})
    except UsageError as error:
        other = "" if error.hint in (None, _HINT) else f", or {error.hint}"
        raise UsageError(
            f"no bundle can be made of this: {error.message}", hint=f"--no-bundle trains without one{other}"
        ) from None


def plan(model: Model, recipe: Recipe, facts: Facts, calibration: Mapping[str, Calibration]) -> Plan:
    """Plan the bundle.

    Args:
        model: trained.
        recipe: its recipe.
        facts: form of its inputs.
        calibration: by task.

    Raises:
        UsageError: bundles cannot hold such a model, or not in the form that the recipe asks for.
    """
    _check_inputs(facts)
    _check_outputs(recipe, facts)
    streaming = _streaming(model, recipe, facts)
    if len(facts.inputs) > 1:
        return _joined(model, recipe, facts, calibration)
    name, own = next(iter(facts.inputs.items()))
    if isinstance(own, TextInput):
        return _reading(model, recipe, own, calibration)
    if streaming:
        assert isinstance(own, ClipInput)
        return _streamed(model, recipe, own, facts.seconds, calibration)
    views = recipe.training.test_time if isinstance(own, FrameInput | ClipInput) else ()
    whole = Whole(model, name, views=views, lone=isinstance(own, FrameInput))
    names = plain_names([name], "input")
    piece = Piece("model.onnx", whole, {_tensor(name): torch.zeros(own.shape)}, list(recipe.tasks))
    network = _network(names[name], piece, own)
    return Plan((piece,), (network,), None, _outputs(model, recipe, calibration), names)


def _tensor(name: str) -> str:
    return f"input.{name}"


def _check_inputs(facts: Facts) -> None:
    """Bundles take one input of each sense."""
    kinds = {name: _sense(f) for name, f in facts.inputs.items()}
    for kind in dict.fromkeys(kinds.values()):
        same = [name for name, k in kinds.items() if k == kind]
        if len(same) > 1:
            raise UsageError(f"the inputs {' and '.join(same)} are both {kind}: bundles take one of each", hint=_HINT)


def _sense(facts: object) -> str:
    if isinstance(facts, FrameInput | ClipInput):
        return "pictures"
    if isinstance(facts, LogMelInput | WaveformInput):
        return "sound"
    return "text" if isinstance(facts, TextInput) else "series"


def _check_outputs(recipe: Recipe, facts: Facts) -> None:
    """What bundles cannot say of some inputs."""
    joined = len(facts.inputs) > 1
    read = all(isinstance(f, TextInput) for f in facts.inputs.values())
    for name, config in recipe.tasks.items():
        task = load_part("tasks", config.head).task
        if task == "detection" and (joined or not any(_sense(f) == "pictures" for f in facts.inputs.values())):
            raise UsageError(f"tasks.{name}: bundles find boxes with a network of pictures alone", hint=_HINT)
        if task == "detection" and recipe.training.test_time:
            raise UsageError(
                f"tasks.{name}: boxes cannot be averaged over views of a picture", hint="--set training.test_time=[]"
            )
        if task in ("dense", "events") and read:
            raise UsageError(f"tasks.{name}: a text has no steps in time", hint=_HINT)


def _streaming(model: Model, recipe: Recipe, facts: Facts) -> bool:
    """Whether the streaming form is deployed.

    Raises:
        UsageError: the recipe asks for it and there is none.
    """
    name, own = next(iter(facts.inputs.items()))
    network = model.network(name)
    missing = None
    if len(facts.inputs) > 1:
        missing = "inputs are joined over whole clips"
    elif not isinstance(own, ClipInput):
        missing = f"the input {name} is no clip"
    elif not network.streams:
        missing = f"the network {recipe.inputs[name].network} of {name} has no streaming form with these settings"
    if missing is not None and recipe.export.streaming:
        raise UsageError(f"export.streaming: {missing}", hint="--set export.streaming=false")
    return missing is None and recipe.export.streaming is not False


def _network(name: str, piece: Piece, facts: Input) -> dict[str, Any]:
    tensor = next(iter(piece.inputs))
    outputs = list(piece.outputs)
    return {
        "name": name,
        "file": piece.file,
        "tensor": tensor,
        "input": facts.model_dump(mode="json"),
        "outputs": outputs,
    }


def _outputs(
    model: Model, recipe: Recipe, calibration: Mapping[str, Calibration], *, steps: int | None = None
) -> tuple[dict[str, Any], ...]:
    """Fields of the outputs; ``steps`` of a look where they are not those of the whole input."""
    names = plain_names(recipe.tasks, "task")
    made: list[dict[str, Any]] = []
    for name, config in recipe.tasks.items():
        part = load_part("tasks", config.head)
        facts = model.tasks[name]
        if steps is not None:
            seconds = None if facts.seconds is None else facts.seconds * steps / facts.steps
            facts = replace(facts, steps=steps, seconds=seconds)
        fields = part.output(facts, config, calibration.get(name, {}))
        if getattr(config, "space", "") is None:
            # vectors of two trainings of one task are not alike
            fields["space"] = f"{recipe.name}/{fields['space']}"
        if "boxes" in fields:
            made.append({**fields, "name": names[name], "boxes": {"tensor": name, **fields["boxes"]}})
        else:
            made.append({**fields, "name": names[name], "tensor": name})
    return tuple(made)


def _streamed(
    model: Model, recipe: Recipe, facts: ClipInput, seconds: float | None, calibration: Mapping[str, Calibration]
) -> Plan:
    """Windows of pictures, with a state."""
    name, window = next(iter(recipe.inputs)), recipe.export.window
    form = Windows(model, name, window, views=recipe.training.test_time)
    frames = window * model.network(name).chunk
    own = ClipInput.model_validate({**facts.model_dump(), "frames": frames, "stride": frames})
    state = form.initial_state()
    piece = Piece("model.onnx", form, {_tensor(name): torch.zeros(own.shape)}, list(recipe.tasks), state)
    names = plain_names([name], "input")
    network = {**_network(names[name], piece, own), "speaks": "end"}
    if state:
        network["state"] = {"tensors": [_state(n, t) for n, t in state.items()], **_limit(form, own, seconds)}
    return Plan((piece,), (network,), None, _outputs(model, recipe, calibration, steps=window), names, form)


def _state(name: str, tensor: Tensor) -> dict[str, Any]:
    first = float(tensor.flatten()[0])
    if not bool((tensor == first).all()):
        raise UsageError(f"the state {name} does not begin with equal numbers, as bundles ask for", hint=_HINT)
    return {"input": BEFORE + name, "output": AFTER + name, "shape": list(tensor.shape), "initial": first}


def _limit(form: Windows, facts: ClipInput, seconds: float | None) -> dict[str, Any]:
    """How far the state reaches back; one without a limit begins anew after eight clips, but not within 20 s."""
    if form.memory is not None:
        return {"steps": max(1, form.memory)}
    clip = seconds or form.net.steps * form.net.chunk / facts.rate
    return {"reset_seconds": min(3600.0, max(_RESET_SECONDS, _RESET_CLIPS * clip))}


def _reading(model: Model, recipe: Recipe, facts: TextInput, calibration: Mapping[str, Calibration]) -> Plan:
    """A head that reads a text."""
    name = next(iter(recipe.inputs))
    whole = Whole(model, name, views=(), lone=True)
    piece = Piece("model.onnx", whole, {_tensor(name): torch.zeros(facts.shape)}, list(recipe.tasks))
    head = {"file": piece.file, "text": facts.model_dump(mode="json"), "text_tensor": _tensor(name)}
    head["outputs"] = list(piece.outputs)
    return Plan((piece,), (), head, _outputs(model, recipe, calibration), {name: TEXT})


def _joined(model: Model, recipe: Recipe, facts: Facts, calibration: Mapping[str, Calibration]) -> Plan:
    """A network for each sense, and a head that joins them; a text is read by the head."""
    text = next((name for name, own in facts.inputs.items() if isinstance(own, TextInput)), None)
    names = _named(recipe, text)
    pieces: list[Piece] = []
    networks: list[dict[str, Any]] = []
    shapes: dict[str, tuple[int, int, int]] = {}
    for name in recipe.inputs:
        own = facts.inputs[name]
        if isinstance(own, TextInput):
            continue
        views = recipe.training.test_time if isinstance(own, FrameInput | ClipInput) else ()
        encoder = Encoder(model, name, views=views, lone=isinstance(own, FrameInput))
        piece = Piece(f"{names[name]}.onnx", encoder, {_tensor(name): torch.zeros(own.shape)}, ["features"])
        pieces.append(piece)
        networks.append(_network(names[name], piece, own))
        shapes[name] = encoder.shape
    piece, head = _head(Joint(model, shapes, text), names, facts, list(recipe.tasks))
    outputs = [
        {**fields, "rests_on": names[alone]} if (alone := alone_on(recipe, task)) else fields
        for task, fields in zip(recipe.tasks, _outputs(model, recipe, calibration), strict=True)
    ]
    return Plan((*pieces, piece), tuple(networks), head, tuple(outputs), names)


def _named(recipe: Recipe, text: str | None) -> dict[str, str]:
    """Names of the networks, and of the text."""
    others = plain_names([TEXT, *(n for n in recipe.inputs if n != text)] if text else recipe.inputs, "input")
    return {name: TEXT if name == text else others[name] for name in recipe.inputs}


def _head(joint: Joint, names: Mapping[str, str], facts: Facts, tasks: list[str]) -> tuple[Piece, dict[str, Any]]:
    """The file of a joining head, and its fields."""
    sizes = {name: n * steps * size for name, (n, steps, size) in joint.shapes.items()}
    own = facts.inputs[joint.text] if joint.text is not None else None
    given = {f"features.{name}": torch.zeros(1, size) for name, size in sizes.items()}
    given |= {_tensor(joint.text): torch.zeros(own.shape)} if joint.text is not None and own is not None else {}
    given |= {_mask(name): torch.ones(1, 1) for name in (*sizes, *([joint.text] if joint.text is not None else []))}
    inputs = [
        {"tensor": f"features.{n}", "network": names[n], "output": "features", "size": size, "mask": _mask(n)}
        for n, size in sizes.items()
    ]
    head: dict[str, Any] = {"file": "head.onnx", "inputs": inputs, "outputs": tasks}
    if joint.text is not None and own is not None:
        reads = {"text": own.model_dump(mode="json"), "text_tensor": _tensor(joint.text)}
        head |= {**reads, "text_mask": _mask(joint.text)}
    return Piece("head.onnx", joint, given, tasks), head


def _mask(name: str) -> str:
    return f"there.{name}"
