"""The golden run of a bundle: made when it is exported, replayed by ``verify`` in each engine."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle
from onlooker.bundles.inputs import ClipInput, FrameInput, Input, SeriesInput
from onlooker.bundles.manifest import Golden, Manifest
from onlooker.bundles.networks import TEXT
from onlooker.bundles.preprocess import (
    Still,
    clip_tensor,
    one_picture,
    picture_size,
    picture_tensor,
    series_tensor,
    sound_tensor,
)
from onlooker.bundles.running import Arrays, Engine, HeadRun, NetworkRun
from onlooker.bundles.words import MOST
from onlooker.core.errors import ModelError

__all__ = ["Player", "differences", "noise", "pack_golden", "play", "read_golden", "tensor_of"]

_MAX_BYTES = 1 << 30
_MAX_STEPS = 10_000


def noise(manifest: Manifest, *, steps: int = 4, seed: int = 0) -> Arrays:
    """Inputs for a golden run where no real ones are at hand: soft noise, ``steps`` of each.

    The same seed gives the same inputs.
    """
    random = np.random.default_rng(seed)
    made: Arrays = {}
    for network in manifest.networks:
        facts = network.input
        if isinstance(facts, FrameInput | ClipInput):
            count = facts.frames if isinstance(facts, ClipInput) else 1
            # a picture of the size that it is resized to, so that nothing of the replay hangs on resizing
            wide, high = picture_size(facts.width, facts.height, facts)
            coarse = random.integers(0, 256, (steps, count, -(-high // 8), -(-wide // 8), 3), np.uint8)
            made[f"in.{network.name}"] = coarse.repeat(8, 2).repeat(8, 3)[:, :, :high, :wide]
        elif isinstance(facts, SeriesInput):
            values = random.normal(0, 1, (steps, facts.steps, len(facts.columns)))
            made[f"in.{network.name}"] = (values * facts.std + facts.mean).astype(np.float32)
        else:
            made[f"in.{network.name}"] = random.normal(0, 0.1, (steps, facts.length)).astype(np.float32)
    if manifest.head is not None and manifest.head.text is not None:
        shape = (steps, manifest.head.text.size)
        hashed = manifest.head.text.encoder == "hashed-words"
        made["in.text"] = (random.integers(0, MOST, shape) if hashed else random.normal(0, 0.05, shape)).astype("f4")
    return made


def tensor_of(raw: NDArray[Any], facts: Input) -> NDArray[Any]:
    """What a network gets of one step's inputs: (pictures, height, width, 3) RGB bytes, (samples,) of sound, or (steps,
    columns) of a series.
    """
    if isinstance(facts, FrameInput):
        return picture_tensor(one_picture(Still(raw[0]), facts)[0], facts)
    if isinstance(facts, ClipInput):
        return clip_tensor([one_picture(Still(p), facts)[0] for p in raw], facts)
    if isinstance(facts, SeriesInput):
        return series_tensor(raw, facts)
    return sound_tensor(raw.astype(np.float32), facts)


def play(
    bundle: Bundle,
    inputs: Mapping[str, NDArray[Any]],
    *,
    engine: str | None = None,
    threads: int = 1,
    without: Collection[str] = (),
    exit: float | None = None,
) -> Arrays:
    """Run a bundle over the steps of a golden run, from the initial state on.

    Args:
        bundle: what to run.
        inputs: by ``in.NETWORK``: (steps, pictures, height, width, 3) RGB bytes, (steps, samples) of sound, (steps,
            T, columns) of a series, or ``in.text``: (steps, size) vectors.
        engine: name of the inference engine, or None for the preferred one.
        threads: how many it may use.
        without: names of networks whose modality is missing for the head; ``text`` for its text.
        exit: confidence from which networks with an early exit leave by it; None: as the bundle says.

    Returns:
        By ``out.TENSOR`` the outputs (steps, ...) of the head, or of the network where there is none.

    Raises:
        ModelError: the inputs do not fit, or the engine failed.
    """
    player = Player(bundle, inputs, engine=engine, threads=threads, without=without, exit=exit)
    try:
        made: dict[str, list[NDArray[Any]]] = {}
        for step in range(player.steps):
            for name, array in player.step(step).items():
                made.setdefault(f"out.{name}", []).append(array)
        return {name: _stacked(arrays) for name, arrays in made.items()}
    except (ValueError, TypeError) as error:
        raise ModelError(f"{bundle.manifest.name}: the golden run does not fit the bundle: {error}") from None
    finally:
        player.close()


class Player:
    """A loaded bundle that is run over the steps of some inputs; see `play` for its arguments, `Engine` for ``device``.

    Attributes:
        steps: how many there are.

    Raises:
        ModelError: the inputs do not fit.
    """

    def __init__(
        self,
        bundle: Bundle,
        inputs: Mapping[str, NDArray[Any]],
        *,
        engine: str | None = None,
        threads: int = 1,
        without: Collection[str] = (),
        exit: float | None = None,
        device: str = "auto",
    ) -> None:
        manifest = bundle.manifest
        wanted = {f"in.{n.name}" for n in manifest.networks}
        if manifest.head and manifest.head.text:
            wanted.add("in.text")
        if set(inputs) != wanted or len({len(v) for v in inputs.values()}) != 1:
            raise ModelError(f"{manifest.name}: expected {sorted(wanted)} of equally many steps, got {sorted(inputs)}")
        self.steps = len(next(iter(inputs.values())))
        self._inputs, self._without, self._networks = inputs, without, manifest.networks
        source = Engine(bundle, name=engine, threads=threads, device=device)
        self._runs = {n.name: NetworkRun(source, n, exit=exit) for n in manifest.networks}
        self._head = HeadRun(source, manifest.head) if manifest.head else None
        self._states = {name: run.initial() for name, run in self._runs.items()}
        self._head_state = self._head.initial() if self._head else {}

    def step(self, step: int) -> Arrays:
        """The outputs by name of one step, from the state that the last one left."""
        given: dict[tuple[str, str], NDArray[Any]] = {}
        outputs: Arrays = {}
        for network in self._networks:
            tensor = tensor_of(self._inputs[f"in.{network.name}"][step], network.input)
            outputs, self._states[network.name] = self._runs[network.name].step(tensor, self._states[network.name])
            if network.name not in self._without:
                given |= {(network.name, k): v for k, v in outputs.items()}
        if self._head is not None:
            vector = self._inputs["in.text"][step] if "in.text" in self._inputs and TEXT not in self._without else None
            outputs, self._head_state = self._head.step(given, self._head_state, vector)
        return outputs

    def close(self) -> None:
        """Release the models."""
        for run in (*self._runs.values(), *([self._head] if self._head else [])):
            run.close()


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of all steps; what is shorter than others (fewer boxes) is filled up with zeros."""
    shape = tuple(max(sides) for sides in zip(*(a.shape for a in arrays), strict=True))
    made = np.zeros((len(arrays), *shape), arrays[0].dtype)
    for step, array in enumerate(arrays):
        made[(step, *(slice(side) for side in array.shape))] = array
    return made


def pack_golden(inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of the .npz."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {**inputs, **outputs}
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def read_golden(path: Path) -> Arrays:
    """The arrays of the .npz; nothing is unpickled.

    Raises:
        ModelError: it is no .npz of plain numbers, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(i.file_size for i in archive.infolist()) > _MAX_BYTES:
                raise ModelError(f"{path} unpacks to more than {_MAX_BYTES} bytes", hint="do not use it")
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is no golden run: {error}", hint="export the bundle again") from None
    if any(a.ndim == 0 or len(a) > _MAX_STEPS or a.dtype.kind not in "fiub" for a in arrays.values()):
        raise ModelError(f"{path} is no golden run: expected arrays of numbers by step", hint="export the bundle again")
    return arrays


def differences(expected: Arrays, found: Arrays, golden: Golden) -> tuple[float, Sequence[str]]:
    """The largest difference beyond nothing, and what differs by more than the stated tolerance."""
    largest, wrong = 0.0, list[str]()
    for name, array in expected.items():
        other = found.get(name)
        if other is None or other.shape != array.shape:
            wrong.append(f"{name}: expected {array.shape}, got {None if other is None else other.shape}")
            continue
        apart = np.abs(other.astype(np.float64) - array.astype(np.float64))
        if not np.isfinite(apart).all():
            wrong.append(f"{name}: not all numbers are finite")
            continue
        largest = max(largest, float(apart.max(initial=0.0)))
        allowed = golden.tolerance + golden.relative * np.abs(array.astype(np.float64))
        if (apart > allowed).any():
            wrong.append(f"{name}: differs by up to {float(apart.max()):.3g}, allowed are {golden.tolerance:g}")
    return largest, wrong
