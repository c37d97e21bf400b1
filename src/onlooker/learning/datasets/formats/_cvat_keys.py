"""Tracks of which a CVAT file has the key frames alone: between them lie boxes too, as CVAT shows them.

CVAT itself writes every frame; other programs need not, and CVAT reads no more than key frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onlooker.learning.datasets.formats._xml import Element
from onlooker.learning.datasets.manifest import LabelledBox

__all__ = ["Key", "between"]

Sides = tuple[float, float, float, float]
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Key:
    """A shape of a track.

    Args:
        frame: of the video.
        shape: as the file has it.
        box: that of the shape; None where the track is outside from here on.
    """

    frame: int
    shape: Element
    box: LabelledBox | None


def between(
    keys: Sequence[Key], step: int, sides: Callable[[Element], Sides], left_out: Counter[str]
) -> list[tuple[int, LabelledBox]]:
    """Boxes on the frames between key frames that follow each other, on straight lines.

    Args:
        keys: of one track.
        step: frames of the video from one of the task to the next.
        sides: of a shape, in fractions of the picture.
        left_out: counts gaps between outlines, of which only CVAT knows what lies there.

    Raises:
        KeyError, ValueError: a shape is wrong, or two lie too far apart.
    """
    made: list[tuple[int, LabelledBox]] = []
    for one, other in pairwise(sorted(keys, key=lambda k: k.frame)):
        gap = other.frame - one.frame
        if one.box is None or gap <= step or not (_is_key(one) and _is_key(other)):
            continue
        if one.shape.name != "box" or other.shape.name != "box":
            left_out["gaps between key frames of outlines, which stay without boxes"] += 1
            continue
        if gap > _LONGEST:
            raise ValueError(f"frame: expected key frames at most {_LONGEST} apart, got {one.frame} and {other.frame}")
        end = other.box.box if other.box is not None else sides(other.shape)
        for frame in range(one.frame + step, other.frame, step):
            share = (frame - one.frame) / gap
            left, top, right, bottom = (round(a + (b - a) * share, 7) for a, b in zip(one.box.box, end, strict=True))
            made.append((frame, one.box.model_copy(update={"box": (left, top, right, bottom)})))
    return made


def _is_key(one: Key) -> bool:
    return one.shape.get("keyframe") == "1"
