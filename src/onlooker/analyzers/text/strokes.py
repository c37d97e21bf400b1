"""Cheap signs of text: whether a line's strokes are still there, and whether strokes appeared anywhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers.text.geometry import Region, crop
from onlooker.core.media import Frame

__all__ = ["appeared", "stroke_density", "strokes_alike", "strokes_of"]

Floats = NDArray[np.float32]
_HEIGHT = 24
"""Height in pixels of the small crop by which a line is recognised again."""
_LONGEST = 640
_FAINT = 6.0
"""Standard deviation in grey levels below which a piece of a line shows no strokes."""
_WIDTH = 480
_CELL = 6
_STEP = 20
"""Grey levels between neighbouring pixels that make the edge of a stroke."""
_DENSE, _DENSER = 0.3, 0.2
"""Density of a cell that belongs to text, and by how much it must have grown."""


def strokes_of(grey: Image.Image, region: Region) -> Floats:
    """A small grey crop of a line, 24 pixels across its direction."""
    wide = region.width >= region.height
    ratio = max(region.width, region.height) / max(1.0, min(region.width, region.height))
    long = max(_HEIGHT, min(_LONGEST, round(_HEIGHT * ratio)))
    made = np.asarray(crop(grey, region, (long, _HEIGHT) if wide else (_HEIGHT, long)), np.float32)
    return made if wide else made.T


def strokes_alike(one: Floats, other: Floats) -> tuple[float, float, float]:
    """Likeness of two small crops of a line, -1..1: the least, the median and the mean correlation over pieces about
    one character wide; pieces without strokes do not count.

    Where the picture behind the line is still, one piece that differs is a changed character, however alike the
    others are. Where it moves, all pieces differ somewhat, and their mean tells whether it is still the same text.

    Args:
        one: (height, width) grey.
        other: of the same form.
    """
    height, width = one.shape
    found: list[float] = []
    for start in range(0, max(1, width - height + 1), height // 2):
        a, b = one[:, start : start + height], other[:, start : start + height]
        a, b = a - a.mean(), b - b.mean()
        x, y = float(np.sqrt((a * a).mean())), float(np.sqrt((b * b).mean()))
        if max(x, y) >= _FAINT:
            found.append(float((a * b).mean()) / max(x * y, 1e-6))
    return (min(found), float(np.median(found)), sum(found) / len(found)) if found else (1.0, 1.0, 1.0)


def stroke_density(frame: Frame) -> Floats:
    """(rows, columns) share of pixels at the edge of a stroke, 0..1, in small square cells of a small grey picture.

    Edges in both directions count, for text may run down too.
    """
    grey = frame.image(_WIDTH, 0, "gray").astype(np.int16)
    edges = np.abs(np.diff(grey, axis=1))[:-1] >= _STEP
    edges |= np.abs(np.diff(grey, axis=0))[:, :-1] >= _STEP
    rows, columns = edges.shape[0] // _CELL, edges.shape[1] // _CELL
    cells = edges[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL)
    return cells.mean((1, 3), dtype=np.float32)


def appeared(before: Floats, now: Floats, known: Iterable[Region], frame: Frame) -> bool:
    """Whether strokes appeared that no known line accounts for: neighbouring cells that became denser.

    Args:
        before: density when text was last looked for.
        now: of this frame.
        known: regions in pixels of the frame.
        frame: the frame.
    """
    if before.shape != now.shape:
        return True
    denser = (now >= _DENSE) & (now - before >= _DENSER)
    across, down = now.shape[1] / frame.width, now.shape[0] / frame.height
    for region in known:
        left, top, right, bottom = region.hull()
        rows = slice(max(0, int(top * down)), max(0, int(bottom * down) + 1))
        denser[rows, max(0, int(left * across)) : max(0, int(right * across) + 1)] = False
    # a letter is a cell or two: a word has cells side by side, or, running down, one below the other
    return bool(
        (denser[:, 2:] & denser[:, 1:-1] & denser[:, :-2]).any() or (denser[2:] & denser[1:-1] & denser[:-2]).any()
    )
