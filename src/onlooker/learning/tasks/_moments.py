"""Where labels of time lie among the steps of an input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.datasets.clips import Clip, end_of
from onlooker.learning.datasets.manifest import LabelledSpan, Sample
from onlooker.learning.task import TaskFacts

__all__ = ["covered", "extent", "step_seconds"]


def extent(clip: Clip, facts: TaskFacts) -> tuple[float, float]:
    """The seconds in the medium at which an input begins, and how long it is.

    Pictures: from the first one's time on, as the analyzer places a clip, and as long as they are apart; where they are
    spread over a part, its length counts and not the usual one. Sound alone: so long around the middle of the sample's
    part, as the loader cuts it.
    """
    times, sample = clip.times, clip.sample
    if times is not None and len(times) > 1:
        each = _apart(times, sample, facts)
        # around their middle: those that would lie outside of the part are held back at its limits
        return float(times.mean()) - (len(times) - 1) / 2 * each, each * len(times)
    if times is not None and len(times):
        return float(times[0]), facts.seconds or 1.0
    start, end = sample.span or (0.0, next((m.seconds for m in sample.media if m.seconds is not None), None))
    length = facts.seconds
    if length is None:
        return start, 1.0 if end is None or end <= start else end - start
    return (start if end is None else (start + end - length) / 2), length


def _apart(times: NDArray[np.float64], sample: Sample, facts: TaskFacts) -> float:
    """Seconds from one picture to the next: by the usual length of clips, or by that of the part they are spread over.

    Whichever the times fit better, as `moments_of` makes them.
    """
    count = len(times)
    if facts.seconds is None:
        return float(times[-1] - times[0]) / (count - 1)
    usual = facts.seconds / count
    shown = sample.of_kind("video")
    start, end = sample.span or (0.0, shown.seconds if shown is not None else None)
    if end is None or end <= start:
        return usual
    end = end if shown is None else end_of(shown, start, end)
    own, places = (end - start) / count, np.arange(count) - (count - 1) / 2
    seen, limit = times - times.mean(), (end - start) / 2
    off = [np.abs(seen - made).sum() for made in (places * own, np.clip(places * usual, -limit, limit))]
    return own if off[0] < off[1] else usual


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
