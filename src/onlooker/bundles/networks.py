"""The networks and the head of a bundle, as its manifest tells them: files, tensors, inputs, memory, early exit."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from onlooker.bundles.inputs import FrameInput, Input, TextInput
from onlooker.bundles.values import MAX_ELEMENTS, FileName, Format, Name, Part, Seconds, Shape, TensorName, elements

__all__ = ["TEXT", "Exit", "Head", "HeadInput", "Network", "State", "StateTensor"]

TEXT = "text"
"""What a text is called among the senses that a head joins."""


class StateTensor(Part):
    """A state that goes from step to step.

    Attributes:
        input, output: names of the tensors by which it goes in and comes out.
        shape: of both.
        dtype: of both.
        initial: what all its numbers are at the beginning.
    """

    input: TensorName
    output: TensorName
    shape: Shape
    dtype: Literal["float32", "int64", "int32"] = "float32"
    initial: float = 0.0

    @model_validator(mode="after")
    def _small(self) -> Self:
        if elements(self.shape) > MAX_ELEMENTS:
            raise ValueError(f"a state of the shape {self.shape} has more than {MAX_ELEMENTS} numbers")
        return self


class State(Part):
    """The memory of a network that is run step by step (streaming).

    Attributes:
        tensors: what goes from step to step.
        steps: after so many steps a state does not depend on what was before (causal convolutions: their receptive
            field). ``verify`` tries it.
        reset_seconds: for memories without such a limit in a network: the state begins anew at each multiple of this.
            A head needs neither.
        gap_seconds: of a head: its state begins anew after a longer time without a look.
    """

    tensors: Annotated[tuple[StateTensor, ...], Field(min_length=1, max_length=256)]
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    reset_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    gap_seconds: Seconds = 5.0

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.steps is not None and self.reset_seconds is not None:
            raise ValueError("state: expected steps or reset_seconds, got both")
        return self


class Exit(Part):
    """A way out of a network before its end: where its answer is confident enough there, the rest is not computed.

    Attributes:
        input: name of the input (1,) for the confidence from which the early answer stands; above 1: never.
        default: what that is, unless the analyzer's setting ``exit`` says otherwise.
        output: name of the output (1,) that is 1 where the answer was early, else 0.
    """

    input: TensorName
    default: Annotated[float, Field(ge=0, le=2)]
    output: TensorName


class Network(Part):
    """A network and what it is fed with.

    Attributes:
        name: in this bundle.
        file, format: of the model.
        tensor: name of its input.
        input: how that is made.
        outputs: names of the tensors that are used, states left out.
        state: its memory, or None.
        speaks: which moment of a clip or window its answer is about: the ``centre`` or the ``end``.
        exit: a way out of it before its end, or None.
    """

    name: Name
    file: FileName
    format: Format = "onnx"
    tensor: TensorName
    input: Input
    outputs: Annotated[tuple[TensorName, ...], Field(min_length=1, max_length=64)]
    state: State | None = None
    speaks: Literal["centre", "end"] = "centre"
    exit: Exit | None = None

    @model_validator(mode="after")
    def _exit_stands_alone(self) -> Self:
        if self.exit is None:
            return self
        if self.state is not None:
            raise ValueError(f"{self.name}: a network with a state must see all of every look, it can have no exit")
        if self.exit.input == self.tensor or self.exit.output in self.outputs:
            raise ValueError(f"{self.name}: exit: expected names of a further input and output")
        return self

    @model_validator(mode="after")
    def _memory_is_limited(self) -> Self:
        if self.state is None:
            return self
        if isinstance(self.input, FrameInput):
            raise ValueError(f"{self.name}: a network with a state needs a clip, which has a stride in time")
        if self.state.steps is None and self.state.reset_seconds is None:
            raise ValueError(f"{self.name}: its state needs steps or reset_seconds; only a head may remember for ever")
        return self


class HeadInput(Part):
    """One input of the head.

    Attributes:
        tensor: its name.
        network, output: which network's output it takes.
        size: numbers of that output, flattened to (1, size).
        mask: name of an input (1, 1) that is 1 where the modality is there and 0 where it is missing.
    """

    tensor: TensorName
    network: Name
    output: TensorName
    size: Annotated[int, Field(ge=1, le=1 << 20)]
    mask: TensorName | None = None


class Head(Part):
    """What runs in order of time over what the networks gave, over texts, or over both.

    Attributes:
        file, format: of the model.
        inputs: from the networks.
        text: the vector of a text, with ``text_tensor`` as the name of its input.
        text_mask: beside inputs from networks, name of an input (1, 1) that is 1 where there is a text, else 0.
        outputs: names of the tensors that are used, states left out.
        state: its memory, or None.
    """

    file: FileName
    format: Format = "onnx"
    inputs: Annotated[tuple[HeadInput, ...], Field(max_length=16)] = ()
    text: TextInput | None = None
    text_tensor: TensorName | None = None
    text_mask: TensorName | None = None
    outputs: Annotated[tuple[TensorName, ...], Field(min_length=1, max_length=64)]
    state: State | None = None

    @model_validator(mode="after")
    def _fed(self) -> Self:
        if (self.text is None) != (self.text_tensor is None):
            raise ValueError("head: expected text and text_tensor together")
        if not self.inputs and self.text is None:
            raise ValueError("head: expected inputs from networks, or a text")
        if (self.text_mask is not None) != (self.text is not None and bool(self.inputs)):
            raise ValueError("head: text_mask: expected where a text is joined with networks, and only there")
        if self.text is not None and self.state is not None:
            raise ValueError("head: texts come in no fixed order, so that it cannot have a state")
        return self
