"""Where labels of time lie among the steps of an input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import LabelledSpan
from onlooker.learning.task import TaskFacts

__all__ = ["covered", "extent", "step_seconds"]


def extent(clip: Clip, facts: TaskFacts) -> tuple[float, float]:
    """The seconds in the medium at which an input begins, and how long it is.

    Pictures: from the first one's time on. Sound alone: so long around the middle of the sample's part, as the loader
    cuts it.
    """
    times, sample = clip.times, clip.sample
    length = facts.seconds
    if times is not None and len(times):
        if length is None and len(times) > 1:
            # spread over a part of any length: each picture is the middle of its share
            length = float(times[-1] - times[0]) * len(times) / (len(times) - 1)
            return float(times[0]) - length / len(times) / 2, length
        return float(times[0]), length or 1.0
    start, end = sample.span or (0.0, next((m.seconds for m in sample.media if m.seconds is not None), None))
    if length is None:
        return start, 1.0 if end is None or end <= start else end - start
    return (start if end is None else (start + end - length) / 2), length


def step_seconds(facts: TaskFacts) -> float:
    """Length of a step, or 1 where the input has no length."""
    return (facts.seconds or facts.steps) / facts.steps


def covered(
    spans: Iterable[LabelledSpan], classes: tuple[str, ...], begin: float, length: float, steps: int, share: float
) -> NDArray[np.float32]:
    """(steps, classes): 1 where a span of the class covers at least a share of the step, or has its middle in it.

    >>> covered([LabelledSpan(label="run", start=1, end=2.5)], ("run",), 0.0, 4.0, 4, 0.5)[:, 0].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    made = np.zeros((steps, len(classes)), np.float32)
    left = np.arange(steps)
    for span in spans:
        first, last = ((t - begin) / length * steps for t in (span.start, span.end))
        part = np.minimum(last, left + 1) - np.maximum(first, left)
        hit = (part > 0) & (part >= share - 1e-9)
        middle = np.floor((first + last) / 2)
        if 0 <= middle < steps:
            hit[int(middle)] = True
        made[hit, classes.index(span.label)] = 1
    return made
