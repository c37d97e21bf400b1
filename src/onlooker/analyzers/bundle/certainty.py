"""What a look answers and how sure it is, before anything is decided of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Dense, Detection, Events, Output, Scored, tensors
from onlooker.bundles.scores import exclusive, probabilities
from onlooker.core.errors import ConfigError

__all__ = ["certainty", "check_certain", "joined", "scored_rows"]

Floats = NDArray[np.float32]


def joined(arrays: Mapping[str, NDArray[Any]], output: Output) -> Floats:
    """All numbers of an output, tensor after tensor."""
    return np.concatenate([arrays[name].reshape(-1) for name in tensors(output)])


def scored_rows(output: Scored, values: Floats) -> list[NDArray[np.float64]]:
    """(labels,) probabilities of each step of a look."""
    steps = output.steps if isinstance(output, Dense | Events) else 1
    return [probabilities(output, row) for row in values.reshape(steps, -1)]


def certainty(output: Scored | Detection, values: Floats) -> tuple[Hashable, float]:
    """What a look answers, comparable, and its confidence (0..1).

    Of classes and levels that is the probability of the one that holds; of labels side by side, the probability of the
    least certain yes or no; of boxes the score of the least certain one, where those below the threshold count as 'none
    here' with what is left to 1. Of several steps, the least.

    Args:
        output: of the bundle.
        values: its numbers of one look; of detections, rows as `boxes_of` gives.
    """
    if isinstance(output, Detection):
        scores = values[:, 4]
        there = scores >= output.threshold
        sure = np.where(there, scores, 1 - scores)
        none = 1 - output.keep_score
        return tuple(sorted(values[there, 5].astype(int).tolist())), float(sure.min()) if len(sure) else none
    answers: list[Hashable] = []
    least = 1.0
    for scores in scored_rows(output, values):
        only = exclusive(output, scores)
        if only is not None:
            answers.append(only)
            least = min(least, float(scores[only]))
            continue
        on = np.array([output.thresholds.get(label, output.threshold) for label in output.labels])
        answers.append(tuple((scores >= on).tolist()))
        least = min(least, float(np.maximum(scores, 1 - scores).min()))
    return tuple(answers), least


def check_certain(name: str, setting: str, manifest: Manifest, *, boxes: bool) -> None:
    """Refuse a setting that needs a confidence where there is none.

    Args:
        name: of the analyzer.
        setting: which.
        manifest: of the bundle.
        boxes: whether boxes will do.

    Raises:
        ConfigError: a head decides in order of time, or an output has no confidence.
    """
    if manifest.head is not None or len(manifest.networks) != 1:
        raise ConfigError(
            f"{name}: {setting}: the bundle has a head, so that a look has no confidence of its own",
            hint="still works with heads",
        )
    for output in manifest.outputs:
        if not isinstance(output, Scored | Detection) or (isinstance(output, Detection) and not boxes):
            hint = "still skips pictures in which nothing changed" if setting == "sure" else None
            raise ConfigError(f"{name}: {setting}: {output.task} ({output.name}) has no confidence", hint=hint)
