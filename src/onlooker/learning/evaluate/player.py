"""Runs a bundle over the looks of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle
from onlooker.bundles.inputs import ClipInput, FrameInput, PictureInput, SeriesInput
from onlooker.bundles.manifest import Network
from onlooker.bundles.outputs import Dense, Detection, Embedding, Events, Output, tensors
from onlooker.bundles.preprocess import clip_tensor, one_picture, picture_tensor, series_tensor, sound_tensor
from onlooker.bundles.running import Arrays, Engine, HeadRun, NetworkRun
from onlooker.bundles.words import reader_of
from onlooker.core.errors import ModelError
from onlooker.core.media import UInt8Array
from onlooker.learning.evaluate.boxes import box_rows
from onlooker.learning.evaluate.material import Diet, Material, Ready, window_of

__all__ = ["Answer", "Player", "Senses"]

Senses = frozenset[str]
"""Of ``pictures``, ``sound``, ``series`` and ``text``, what is taken as missing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle answers to one sample.

    Args:
        raw: by output, (rows, ...): one row, or one for each look where the output has steps in time.
        times: seconds in the medium that each look covers.
        early: how many times a network with an early exit left by it.
        exits: how many times it could have.
    """

    raw: dict[str, NDArray[np.float32]]
    times: tuple[tuple[float, float], ...]
    early: int = 0
    exits: int = 0


class Player:
    """A bundle, loaded; for one thread.

    Args:
        bundle: which.
        diet: what it takes.
        engine: name of the inference engine, or None for the preferred one.
        threads: how many the engine may use.
    """

    def __init__(self, bundle: Bundle, diet: Diet, *, engine: str | None = None, threads: int = 1) -> None:
        self._manifest, self._diet = bundle.manifest, diet
        source = Engine(bundle, name=engine, threads=threads)
        self.engine = source.name
        self._runs: dict[str, NetworkRun] = {}
        self._head: HeadRun | None = None
        try:
            for network in bundle.manifest.networks:
                self._runs[network.name] = NetworkRun(source, network)
            self._head = HeadRun(source, bundle.manifest.head) if bundle.manifest.head else None
        except ModelError:
            self.close()
            raise

    @property
    def runs(self) -> dict[str, NetworkRun | HeadRun]:
        """By file of the bundle, the model that is loaded."""
        made: dict[str, NetworkRun | HeadRun] = {n.file: self._runs[n.name] for n in self._manifest.networks}
        if self._head is not None and self._manifest.head is not None:
            made[self._manifest.head.file] = self._head
        return made

    def close(self) -> None:
        """Release the models."""
        for run in (*self._runs.values(), *([self._head] if self._head else [])):
            run.close()

    def _vector(self, text: str) -> NDArray[np.float32] | None:
        reads = self._manifest.reads
        return None if reads is None else np.asarray(reader_of(reads)(text), np.float32)

    def answer(self, material: Material, without: Senses = frozenset()) -> Answer:
        """The bundle's answer to a sample.

        Raises:
            ModelError: the engine failed, or nothing is left that the bundle takes.
        """
        states = {name: run.initial() for name, run in self._runs.items()}
        memory = self._head.initial() if self._head else {}
        pictures = self._pictures(material) if "pictures" not in without else None
        vector = self._vector(material.text) if material.text is not None and "text" not in without else None
        looks: list[Arrays] = []
        early = exits = 0
        for number in range(len(material.times)):
            outputs: Arrays = {}
            given: dict[tuple[str, str], NDArray[Any]] = {}
            for network in self._manifest.networks:
                tensor = self._tensor(network, material, pictures, number, without)
                if tensor is None:
                    continue
                outputs, states[network.name] = self._runs[network.name].step(tensor, states[network.name])
                given |= {(network.name, name): array for name, array in outputs.items()}
                exits += network.exit is not None
                early += self._runs[network.name].early
            if self._head is not None and (given or vector is not None):
                outputs, memory = self._head.step(given, memory, vector)
            if outputs:
                looks.append(outputs)
        if not looks:
            raise ModelError(f"{self._manifest.name}: nothing is left that it could be given")
        raw = {o.name: self._joined(o, looks, material) for o in self._manifest.outputs}
        return Answer(raw, material.times[: len(looks)], early, exits)

    def _pictures(self, material: Material) -> list[NDArray[Any]] | None:
        """Each picture of a sample, normalised once."""
        facts = self._diet.pictures
        if material.pictures is None or facts is None:
            return None
        return [one_picture(Ready(_inner(p, material.inner)), facts)[0] for p in material.pictures]

    def _tensor(
        self,
        network: Network,
        material: Material,
        pictures: Sequence[NDArray[Any]] | None,
        number: int,
        without: Senses,
    ) -> NDArray[Any] | None:
        facts = network.input
        if isinstance(facts, FrameInput | ClipInput):
            if pictures is None:
                return None
            first, last = material.views[number]
            return _seen(pictures[first:last], facts)
        if isinstance(facts, SeriesInput):
            rows = material.series[number] if material.series and "series" not in without else None
            return None if rows is None else series_tensor(rows, facts)
        if material.sound is None or "sound" in without:
            return None
        window = window_of(material.sound, *material.hears[number])
        return None if window is None else sound_tensor(window, facts)

    def _joined(self, output: Output, looks: Sequence[Arrays], material: Material) -> NDArray[np.float32]:
        if isinstance(output, Detection):
            # boxes have no mean: those of the last picture count, as in training
            return self._boxes(output, looks[-1], material)[None]
        arrays = [look[tensors(output)[0]].astype(np.float32) for look in looks]
        if isinstance(output, Dense | Events):
            return np.stack([a.reshape(output.steps, -1) for a in arrays])
        rows = np.stack([a.reshape(-1) for a in arrays])
        made = rows[-1:] if self._diet.streams else rows.mean(0, keepdims=True)
        if isinstance(output, Embedding) and output.unit_length:
            made = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return made

    def _boxes(self, output: Detection, look: Arrays, material: Material) -> NDArray[np.float32]:
        facts = self._diet.pictures
        assert facts is not None
        rows = box_rows(look, output, facts)
        if facts.fit == "pad_corner" and material.inner is not None:
            # labels are placed as if the picture lay in the middle
            wide, high = material.inner
            rows[:, [0, 2]] += (facts.width - wide) / 2 / facts.width
            rows[:, [1, 3]] += (facts.height - high) / 2 / facts.height
        return rows


def _inner(picture: UInt8Array, inner: tuple[int, int] | None) -> UInt8Array:
    """The part of a picture that is not padding, which the bundle's own facts put back."""
    if inner is None:
        return picture
    high, wide = picture.shape[:2]
    left, top = max(0, (wide - inner[0]) // 2), max(0, (high - inner[1]) // 2)
    return picture[top : top + min(high, inner[1]), left : left + min(wide, inner[0])]


def _seen(pictures: Sequence[NDArray[Any]], facts: PictureInput) -> NDArray[Any]:
    return picture_tensor(pictures[0], facts) if isinstance(facts, FrameInput) else clip_tensor(pictures, facts)
