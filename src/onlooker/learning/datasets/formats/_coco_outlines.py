"""Segmentations of COCO as the boxes around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from onlooker.learning.datasets.formats._checked import is_number

__all__ = ["box_around"]


def box_around(segmentation: Any) -> tuple[float, float, float, float] | None:
    """Left, top, width and height in pixels; None where it shows nothing, or is no segmentation.

    Args:
        segmentation: a list of polygons, or a mask of runs, compressed or not.

    >>> box_around([[1, 1, 5, 5, 9, 1]]), box_around({"size": [4, 3], "counts": [5, 2, 5]})
    ((1, 1, 8, 4), (1, 1, 1, 2))
    """
    if isinstance(segmentation, dict):
        return _box_of_runs(cast("dict[str, Any]", segmentation))
    if not isinstance(segmentation, list):
        return None
    polygons = cast("list[Any]", segmentation)
    if polygons and all(is_number(v) for v in polygons):
        polygons = [polygons]
    if not polygons or not all(_is_polygon(p) for p in polygons):
        return None
    across = [x for p in polygons for x in p[::2]]
    down = [y for p in polygons for y in p[1::2]]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def _is_polygon(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    held = cast("list[Any]", value)
    return len(held) >= 6 and len(held) % 2 == 0 and all(is_number(v) for v in held)


def _box_of_runs(mask: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Runs go down the columns, of what is outside and inside by turns."""
    counts, size = mask.get("counts"), mask.get("size")
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(size, list) or not isinstance(runs, list):
        return None
    sides, lengths = cast("list[Any]", size), cast("list[Any]", runs)
    if len(sides) != 2 or not all(type(n) is int and n >= 0 for n in [*sides, *lengths]):
        return None
    high, wide = sides
    if sum(lengths) > high * wide:
        return None
    left, top, right, bottom, at = wide, high, 0, 0, 0
    for number, length in enumerate(lengths):
        if number % 2 and length:
            first, last = divmod(at, high), divmod(at + length - 1, high)
            left, right = min(left, first[0]), max(right, last[0] + 1)
            one = first[0] == last[0]
            top, bottom = min(top, first[1] if one else 0), max(bottom, last[1] + 1 if one else high)
        at += length
    return (left, top, right - left, bottom - top) if right > left else None


def _unpacked(text: str) -> Sequence[int] | None:
    """The runs of a compressed mask: five bits a character, lowest first, as differences from the last but one."""
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, shift = 0, 0
    return None if shift else runs
