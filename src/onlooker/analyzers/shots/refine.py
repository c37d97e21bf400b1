"""The exact frame of a cut that was seen between two frames some apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from onlooker.analyzers.shots.grid import grid_of
from onlooker.core.media import Frame, ReadItem, ReadRequest
from onlooker.core.time import NANOSECONDS, Timestamp

__all__ = ["exact_cut"]

_ABRUPT = 0.5
"""Share of the squared distance that one step of a cut takes; two equal steps of a movement take a quarter each."""


def exact_cut(
    read: Callable[[ReadRequest], Iterator[ReadItem]], before: Timestamp, after: Timestamp, threads: int = 1
) -> Timestamp | None:
    """Read the frames from ``before`` to ``after`` and say at which the new shot begins.

    Where the change turns out to be spread over several frames, it was a movement and no cut.

    Args:
        read: opens another reader on the source.
        before: time of a frame of the old shot.
        after: time of a frame of the new shot.
        threads: decoder threads.

    Returns:
        The time of the first frame after the largest change; ``after`` where nothing could be read; None where
        there is no cut.
    """
    request = ReadRequest(frames="all", start=before, end=after + NANOSECONDS, threads=threads)
    times, grids = [], []
    for item in read(request):
        if isinstance(item, Frame):
            times.append(item.time)
            grids.append(grid_of(item).astype(np.int32))
    if len(grids) < 2:
        return after
    change = [int(((b - a) ** 2).sum()) for a, b in itertools.pairwise(grids)]
    largest = int(np.argmax(change))
    whole = int(((grids[-1] - grids[0]) ** 2).sum())
    return times[largest + 1] if change[largest] > _ABRUPT * whole else None
