"""The runtime protocol: an inference engine that runs one loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from onlooker.core.plugins import load_plugin, plugin_names

__all__ = ["LoadedModel", "Runtime", "RuntimeReport", "TensorInfo", "engines_for"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output: ``shape`` holds -1 where it is free; ``dtype`` is numpy's name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class RuntimeReport:
    """What was chosen: printable, for ``--plan`` and ``doctor``."""

    runtime: str
    version: str
    device: str
    threads: int
    precision: str


class LoadedModel(Protocol):
    """A model that is ready to run. Calls from several threads are allowed."""

    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]
    report: RuntimeReport

    def run(self, inputs: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs in the order of ``outputs``; the arrays belong to the caller.

        Raises:
            ModelError: wrong names, shapes or dtypes (says what was expected and what came), or the engine failed.
        """
        ...

    def close(self) -> None:
        """Release the model."""
        ...


class Runtime(Protocol):
    """An inference engine."""

    name: str

    def available(self) -> bool:
        """Whether its package can be imported here."""
        ...

    def reads(self, path: Path) -> bool:
        """Whether it reads this form of model file."""
        ...

    def has_gpu(self) -> bool:
        """Whether ``auto`` takes a GPU here; cheap to ask."""
        ...

    def load(
        self,
        path: Path,
        *,
        threads: int = 1,
        device: str = "auto",
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> LoadedModel:
        """Load and compile. ``shapes`` fixes or replaces input shapes by name.

        Raises:
            ModelError: the file is damaged or of a form that the engine does not read.
        """
        ...


def engines_for(*files: Path, usual: str = "openvino", first: str | None = None) -> list[Runtime]:
    """The engines that are here and read all files, in the order in which they are to be chosen.

    Args:
        files: model files.
        usual: the engine for processors.
        first: goes before all, as where it was measured to be the best; without it those that have a GPU here do.
    """
    known: list[Runtime] = [load_plugin("runtimes", name)() for name in plugin_names("runtimes")]
    able = [engine for engine in known if engine.available() and all(engine.reads(f) for f in files)]
    return sorted(able, key=lambda e: (e.name != first, not e.has_gpu(), e.name != usual))
