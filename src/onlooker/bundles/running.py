"""Runs the networks and the head of a bundle in an inference engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle
from onlooker.bundles.manifest import Head, Network, State
from onlooker.core.errors import ModelError
from onlooker.core.plugins import load_plugin
from onlooker.core.runtime import LoadedModel, Runtime, TensorInfo, engines_for

__all__ = ["Engine", "HeadRun", "NetworkRun", "engines"]

Arrays: TypeAlias = dict[str, NDArray[Any]]
Shapes: TypeAlias = Mapping[str, Sequence[int]]


def engines(bundle: Bundle) -> list[str]:
    """Names of the engines here that read all models of the bundle: the one that it prefers, then those with a GPU."""
    files = [
        bundle.path(p.file)
        for p in (*bundle.manifest.networks, *([bundle.manifest.head] if bundle.manifest.head else []))
    ]
    return [engine.name for engine in engines_for(*files, first=bundle.manifest.runtime)]


class Engine:
    """Loads models in one engine.

    Args:
        name: of the engine, or None for the first that reads all of the bundle.
        bundle: whose models are loaded.
        threads: how many each model may use.
        device: as `Runtime.load` takes it: ``auto``, ``CPU``, or what the engine calls another one.

    Raises:
        ModelError: no engine here reads them.
    """

    def __init__(self, bundle: Bundle, *, name: str | None = None, threads: int = 1, device: str = "auto") -> None:
        known = engines(bundle)
        if not known or (name is not None and name not in known):
            raise ModelError(
                f"{bundle.manifest.name}: {name or 'no engine here'} does not read its models",
                hint=f"engines that do: {', '.join(known)}" if known else "pip install openvino onnxruntime",
            )
        self.name = name or known[0]
        self.bundle = bundle
        self._runtime: Runtime = load_plugin("runtimes", self.name)()
        self._threads, self._device = threads, device

    def load(
        self, file: str, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str]
    ) -> tuple[LoadedModel, list[int]]:
        """The model in ``file`` with its inputs fixed to ``shapes``, and the places of ``outputs`` among its outputs.

        Raises:
            ModelError: its inputs or outputs are not those.
        """
        path: Path = self.bundle.path(file)
        model = self._runtime.load(path, threads=self._threads, device=self._device)
        try:
            _same(path.name, "inputs", set(shapes), [t.name for t in model.inputs])
            for tensor in model.inputs:
                stated = tuple(shapes[tensor.name])
                if len(stated) != len(tensor.shape) or any(
                    own not in (-1, side) for own, side in zip(tensor.shape, stated, strict=True)
                ):
                    raise ModelError(
                        f"{path.name}: the input {tensor.name} takes {tensor.shape}, bundle.json says {stated}"
                    )
            if any(-1 in t.shape for t in model.inputs):
                model.close()
                model = self._runtime.load(path, threads=self._threads, device=self._device, shapes=shapes)
            names = [t.name for t in model.outputs]
            if missing := [o for o in outputs if o not in names]:
                raise ModelError(f"{path.name}: gives no {missing[0]!r}; it gives {', '.join(names)}")
        except ModelError:
            model.close()
            raise
        return model, [names.index(o) for o in outputs]


def _same(file: str, what: str, stated: set[str], found: Sequence[str]) -> None:
    if stated != set(found):
        raise ModelError(f"{file}: bundle.json states the {what} {sorted(stated)}, the model has {sorted(found)}")


class _Run:
    """A loaded model with what it is given beside its inputs."""

    def __init__(
        self,
        engine: Engine,
        file: str,
        shapes: Mapping[str, Sequence[int]],
        outputs: Sequence[str],
        state: State | None,
    ) -> None:
        self._states = state.tensors if state else ()
        self._outputs = tuple(outputs)
        wanted = [*outputs, *(s.output for s in self._states)]
        shapes = {**shapes, **{s.input: s.shape for s in self._states}}
        self._model, self._places = engine.load(file, shapes, wanted)
        self.inputs: dict[str, TensorInfo] = {t.name: t for t in self._model.inputs}

    def watch(self, wrap: Callable[[LoadedModel], LoadedModel]) -> None:
        """Put something between this and the model, such as what keeps its inputs."""
        self._model = wrap(self._model)

    def initial(self) -> Arrays:
        """The state at the beginning, by input name."""
        return {s.input: np.full(s.shape, s.initial, s.dtype) for s in self._states}

    def _step(self, inputs: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
        made = self._model.run({**inputs, **state})
        found = [made[place] for place in self._places]
        outputs = dict(zip(self._outputs, found[: len(self._outputs)], strict=True))
        after: Arrays = {}
        for tensor, array in zip(self._states, found[len(self._outputs) :], strict=True):
            if array.shape != tensor.shape:
                raise ModelError(f"the state {tensor.output}: expected {tensor.shape}, got {array.shape}")
            after[tensor.input] = array
        return outputs, after

    def close(self) -> None:
        """Release the model."""
        self._model.close()


class NetworkRun(_Run):
    """A network, loaded.

    Args:
        engine: that loads it.
        network: what it is.
        exit: of one with an early exit, the confidence from which that stands; None: as the bundle says.

    Attributes:
        early: whether the answer to the last step was early.
    """

    def __init__(self, engine: Engine, network: Network, *, exit: float | None = None) -> None:
        self._tensor, self._exit, self.early = network.tensor, network.exit, False
        shapes: dict[str, Sequence[int]] = {network.tensor: network.input.shape}
        self._given: Arrays = {}
        outputs = network.outputs
        if network.exit is not None:
            shapes[network.exit.input] = (1,)
            self._given[network.exit.input] = np.array([network.exit.default if exit is None else exit], np.float32)
            outputs = (*outputs, network.exit.output)
        super().__init__(engine, network.file, shapes, outputs, network.state)
        wanted = getattr(network.input, "dtype", "float32")
        if (found := self.inputs[network.tensor].dtype) != wanted:
            raise ModelError(f"{network.file}: the input {network.tensor} takes {found}, bundle.json says {wanted}")

    def step(self, tensor: NDArray[Any], state: Arrays) -> tuple[Arrays, Arrays]:
        """The outputs by name and the state after it, of an input tensor and the state before it."""
        outputs, after = self._step({self._tensor: tensor, **self._given}, state)
        if self._exit is not None:
            self.early = bool(outputs.pop(self._exit.output).reshape(-1)[0] > 0.5)
        return outputs, after


class HeadRun(_Run):
    """A head, loaded."""

    def __init__(self, engine: Engine, head: Head) -> None:
        self._head = head
        shapes: dict[str, Sequence[int]] = {i.tensor: (1, i.size) for i in head.inputs}
        shapes |= {i.mask: (1, 1) for i in head.inputs if i.mask is not None}
        if head.text is not None and head.text_tensor is not None:
            shapes[head.text_tensor] = head.text.shape
        if head.text_mask is not None:
            shapes[head.text_mask] = (1, 1)
        super().__init__(engine, head.file, shapes, head.outputs, head.state)

    def step(
        self,
        given: Mapping[tuple[str, str], NDArray[Any]],
        state: Arrays,
        vector: NDArray[np.float32] | None = None,
    ) -> tuple[Arrays, Arrays]:
        """The outputs by name and the state after it.

        Args:
            given: what the networks gave, by network and output; what is missing is zero, and its mask too.
            state: the state before it.
            vector: of a text, where the head reads; None: there is none.
        """
        inputs: Arrays = {}
        for i in self._head.inputs:
            features = given.get((i.network, i.output))
            inputs[i.tensor] = (
                np.zeros((1, i.size), np.float32)
                if features is None
                else np.ascontiguousarray(features, np.float32).reshape(1, i.size)
            )
            if i.mask is not None:
                inputs[i.mask] = np.full((1, 1), features is not None, np.float32)
        if (text := self._head.text) is not None:
            words = np.zeros(text.size, np.float32) if vector is None else np.asarray(vector, np.float32)
            inputs[str(self._head.text_tensor)] = words.reshape(1, -1)
        if self._head.text_mask is not None:
            inputs[self._head.text_mask] = np.full((1, 1), vector is not None, np.float32)
        return self._step(inputs, state)
