"""Inputs of the golden run: samples that the model was not trained on, where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.golden import noise
from onlooker.bundles.inputs import ClipInput, FrameInput, SeriesInput
from onlooker.bundles.manifest import Manifest, Network
from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.facts import preparation_of
from onlooker.learning.recipe import Recipe

__all__ = ["golden_inputs"]

Arrays = dict[str, NDArray[Any]]
_TRIED = 32


def golden_inputs(recipe: Recipe, manifest: Manifest, steps: int, *, tried: int = _TRIED) -> tuple[Arrays, bool]:
    """Inputs by ``in.NETWORK`` (see `onlooker.bundles.play`), and whether they are real ones.

    Args:
        recipe: where its dataset cannot be read, soft noise is given.
        manifest: of the bundle.
        steps: how many; a streaming form gets the pictures of one sample after another.
        tried: at most so many samples, spread evenly, are taken; where that is not enough they are repeated.
    """
    made = noise(manifest, steps=steps)
    if not manifest.networks:
        return made, False
    try:
        real = _real(recipe, manifest, steps, tried)
    except OnlookerError:
        real = None
    # vectors of texts stay soft noise: the encoder that makes real ones need not be here
    return (made, False) if real is None else ({**made, **real}, True)


def _real(recipe: Recipe, manifest: Manifest, steps: int, tried: int) -> Arrays | None:
    parts: dict[str, list[NDArray[Any]]] = {n.name: [] for n in manifest.networks}
    wanted = {n.name: steps * _pictures(n) for n in manifest.networks}
    for clip in _clips(recipe, tried):
        taken = {n.name: _taken(clip, n) for n in manifest.networks}
        if any(array is None for array in taken.values()):
            continue
        for name, array in taken.items():
            parts[name].append(array)  # pyright: ignore[reportArgumentType]
        if all(sum(map(len, arrays)) >= wanted[name] for name, arrays in parts.items()):
            break
    made: Arrays = {}
    for network in manifest.networks:
        arrays, count = parts[network.name], wanted[network.name]
        if not arrays:
            return None
        rows = np.concatenate(arrays)
        rows = np.concatenate([rows] * -(-count // len(rows)))[:count]
        pictured = isinstance(network.input, FrameInput | ClipInput)
        made[f"in.{network.name}"] = rows.reshape(steps, -1, *rows.shape[1:]) if pictured else rows
    return made


def _pictures(network: Network) -> int:
    """Rows of one step: pictures, or one row of sound or of a series."""
    return network.input.frames if isinstance(network.input, ClipInput) else 1


def _clips(recipe: Recipe, tried: int) -> Iterator[Clip]:
    dataset = Dataset.load(Path(recipe.dataset))
    splits = recipe.splits
    for split in (splits.validation, splits.test, splits.train):
        samples = dataset.of_split(split) if split in dataset.info.splits else []
        if samples:
            count = min(len(samples), tried)
            some = [samples[n * len(samples) // count] for n in range(count)]
            with Loader(
                dataset, preparation_of(recipe, dataset), samples=some, shuffle=False, on_error="skip"
            ) as loader:
                yield from loader.epoch()
            return


def _taken(clip: Clip, network: Network) -> NDArray[Any] | None:
    """Rows of a network's input: pictures (n, height, width, 3), sound (1, samples), a series (1, steps, columns)."""
    facts = network.input
    if isinstance(facts, FrameInput | ClipInput):
        pictures = clip.pictures
        if pictures is None or pictures.shape[1:3] != (facts.height, facts.width):
            return None
        return np.array(pictures if pictures.shape[-1] == 3 else pictures.repeat(3, -1))
    if isinstance(facts, SeriesInput):
        series = clip.series
        return None if series is None or series.shape != (facts.steps, len(facts.columns)) else series[None]
    if clip.sound is None or not len(clip.sound):
        return None
    samples = np.zeros((1, facts.length), np.float32)
    count = min(facts.length, len(clip.sound))
    samples[0, :count] = clip.sound[:count, 0]
    return samples
