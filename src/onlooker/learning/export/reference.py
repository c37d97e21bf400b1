"""What a bundle's inputs and scores look like on the validation part, for seeing drift where it is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onlooker.bundles.drift import (
    LEAST_SAMPLES,
    PICTURE,
    SOUND,
    Reference,
    distribution_of,
    picture_statistics,
    score_name,
    score_of,
    sound_statistics,
)
from onlooker.bundles.folder import Bundle
from onlooker.bundles.outputs import Scored
from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.material import Diet, Material, diet_of, material_of, window_of
from onlooker.learning.evaluate.player import Player
from onlooker.learning.facts import preparation_of
from onlooker.learning.recipe import Recipe

__all__ = ["reference_of"]

_MOST = 256


def reference_of(bundle: Bundle, recipe: Recipe, digest: str | None) -> Reference | None:
    """The reference of a bundle, or None: it reads texts, its dataset is not at hand, or the part is too small.

    Args:
        bundle: run by the engine that serves.
        recipe: of its run.
        digest: of the dataset.
    """
    manifest, split = bundle.manifest, recipe.splits.validation
    if not manifest.networks or split is None:
        return None
    try:
        dataset = Dataset.load(Path(recipe.dataset))
        samples = dataset.of_split(split)
        cut = preparation_of(recipe, dataset).pictures
    except OnlookerError:
        return None
    if len(samples) < LEAST_SAMPLES:
        return None
    count = min(len(samples), _MOST)
    some = [samples[n * len(samples) // count] for n in range(count)]
    found = _found(bundle, diet_of(manifest, looks=8, cut=cut), some, dataset.root)
    known = {name: distribution_of(values) for name, values in found.items() if len(values) >= LEAST_SAMPLES}
    if not known:
        return None
    return Reference(split=split, dataset=digest, count=max(map(len, found.values())), statistics=known)


def _found(bundle: Bundle, diet: Diet, samples: Sequence[Sample], root: Path) -> dict[str, list[float]]:
    """By statistic, a value for each sample that can be decoded: the median over its looks."""
    scored = [o for o in bundle.manifest.outputs if isinstance(o, Scored)]
    made: dict[str, list[float]] = {}
    player = Player(bundle, diet)
    try:
        for sample in samples:
            try:
                material = material_of(sample, root, diet)
                raw = player.answer(material).raw
            except (OnlookerError, OSError):
                # what cannot be decoded is told where the dataset is checked
                continue
            for name, value in _statistics(material).items():
                made.setdefault(name, []).append(value)
            for output in scored:
                rows = [score_of(output, row) for row in raw[output.name].astype(np.float32)]
                made.setdefault(score_name(output.name), []).append(float(np.median(rows)))
    finally:
        player.close()
    return made


def _statistics(material: Material) -> dict[str, float]:
    if material.pictures is not None:
        lasts = [last - 1 for _, last in material.views] or [len(material.pictures) - 1]
        rows = np.stack([picture_statistics(material.pictures[n]) for n in lasts])
        return dict(zip(PICTURE, np.median(rows, 0).tolist(), strict=True))
    if material.sound is None:
        return {}
    windows = [w for first, last in material.hears if (w := window_of(material.sound, first, last)) is not None]
    if not windows:
        return {}
    rows = np.stack([sound_statistics(w) for w in windows])
    return dict(zip(SOUND, np.median(rows, 0).tolist(), strict=True))
