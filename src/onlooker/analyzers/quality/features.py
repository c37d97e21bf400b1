"""What is measured of a picture: few numbers from few pixels of the decoder's own planes.

Three levels, each more seldom than the one before; a row of values is as long as the levels that were due:

- every frame: `BASE`, from 54 x 96 single samples of the brightness;
- 8 a second: `SHIFT` besides, how far the picture moved as a whole, from sums of rows and columns;
- 2 a second: `SLOW` besides, exposure, sharpness, colour bars and black borders.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import Frame, UInt8Array

__all__ = ["BASE", "SHIFT", "SLOW", "Profiles", "bars_score", "blur", "borders", "compare", "sample", "shift", "slow"]

BASE = ("mean", "bright", "difference", "region", "step")
"""mean: brightness, coded 0..255; bright: share of samples above the black level; difference: mean absolute difference
to the frame before; region: the largest such difference among 48 regions; step: median over the regions of the change
of their mean, which is the gain of the whole picture without what moves in it."""
SHIFT = ("dx", "dy", "match")
"""dx, dy: shift since the measurement before, in shares of width and height; match: share of the picture's ninths with
detail that moved just so."""
SLOW = ("top", "bottom", "left", "right", "median", "low", "high", "crushed", "clipped", "texture", "sharpness", "bars")
"""Black borders in shares of the picture; then of the picture inside them: median, 5th and 95th percentile of the
brightness (full range 0..255), share of nearly black and nearly white pixels, mean gradient, sharpness 0..1 of its
sharpest parts, and likeness to colour bars 0..1."""

_ROWS, _COLUMNS = 54, 96
_BORDER = 30
Floats = NDArray[np.float32]


def _spread(size: int, count: int) -> NDArray[np.intp]:
    """``count`` indices spread evenly over ``size``."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.intp)


def sample(luma: UInt8Array) -> NDArray[np.int16]:
    """(54, 96) single samples of the picture."""
    height, width = luma.shape
    return luma[_spread(height, _ROWS)][:, _spread(width, _COLUMNS)].astype(np.int16)


def compare(now: NDArray[np.int16], before: NDArray[np.int16] | None, black_level: int) -> list[float]:
    """The values of `BASE`; NaN for what needs a frame before."""
    mean = float(now.mean())
    bright = np.count_nonzero(now > black_level) / now.size
    if before is None:
        return [mean, bright, np.nan, np.nan, np.nan]
    change = now - before
    away = _regions(np.abs(change))
    step = float(np.median(_regions(change)))
    return [mean, bright, float(away.mean()), float(away.max()), step]


def _regions(values: NDArray[np.int16]) -> NDArray[np.float64]:
    """(6, 8) means; nine samples of at most 255 fit the narrow type, which is what makes it quick."""
    narrow = np.add.reduce(values.reshape(6, 9, _COLUMNS), 1, dtype=np.int16)
    return np.add.reduce(narrow.reshape(6, 8, 12), 2, dtype=np.int32) / 108


class Profiles:
    """Sums of the columns and rows of nine parts of the picture, less their slow part, to see how far it moved.

    Integral projections as in Ratakonda, "Real-time digital video stabilization for multi-media applications" (1998).
    ``x``: (9, 106), ``y``: (9, 60).
    """

    __slots__ = ("x", "y")

    def __init__(self, luma: UInt8Array) -> None:
        height, width = luma.shape
        # at most 22 rows and about 20 columns of up to 255 are added, which fits 16 bits
        rows, columns = luma[_spread(height, 66)], luma[:: max(1, height // 360), :: max(1, width // 60)]
        third = columns.shape[1] // 3
        across = np.stack([np.add.reduce(rows[i : i + 22], 0, dtype=np.uint16) for i in (0, 22, 44)])
        down = np.stack([np.add.reduce(columns[:, i * third : (i + 1) * third], 1, dtype=np.uint16) for i in range(3)])
        self.x = _detail(_bins(across, 318, 22))
        self.y = _detail(_bins(down, 180, max(1, third)))


def _bins(sums: NDArray[np.uint16], count: int, summed: int) -> Floats:
    """(n, count) means of neighbours, each a sum of ``summed``; the nearest where there are fewer than ``count``."""
    size = sums.shape[1]
    if size <= count:
        return (sums[:, _spread(size, count)] / summed).astype(np.float32)
    edges = np.arange(count) * size // count
    means = np.add.reduceat(sums, edges, 1, dtype=np.uint32) / (summed * np.diff(edges, append=size))
    return means.astype(np.float32)


def _detail(profiles: Floats) -> Floats:
    """The profiles less their moving average over an eighth of their length, cut into thirds: (3 n, length / 3)."""
    half = profiles.shape[1] // 16
    beyond = np.arange(-half - 1, profiles.shape[1] + half).clip(0, profiles.shape[1] - 1)
    sums = profiles[:, beyond].cumsum(1, dtype=np.float64)
    smooth = (sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]) / (2 * half + 1)
    return (profiles - smooth).astype(np.float32).reshape(3 * len(profiles), -1)


def shift(now: Profiles, before: Profiles) -> list[float]:
    """The values of `SHIFT`."""
    dx, match_x = _displacement(now.x, before.x)
    dy, match_y = _displacement(now.y, before.y)
    return [dx, dy, min(match_x, match_y)]


def _displacement(now: Floats, before: Floats) -> tuple[float, float]:
    """Shift of most parts in shares of the whole (up to 4 %), and the share of parts with detail that made it.

    Args:
        now: (parts, length) profiles.
        before: the same of the measurement before.
    """
    length = now.shape[1]
    reach = length * 12 // 100
    core = now[:, reach:-reach]
    windows = np.lib.stride_tricks.sliding_window_view(before, core.shape[1], axis=1)
    products = np.einsum("plc,pc->pl", windows, core)
    squares = np.zeros((len(before), length + 1))
    np.cumsum(np.square(before), axis=1, out=squares[:, 1:])
    energy = squares[:, core.shape[1] :] - squares[:, : -core.shape[1]]
    own = np.einsum("pc,pc->p", core, core)
    fits = products / (np.sqrt(energy * own[:, None]) + 1e-3 * core.shape[1])
    parts = np.arange(len(fits))
    best = fits.argmax(1)
    inner = np.clip(best, 1, fits.shape[1] - 2)
    left, middle, right = (fits[parts, inner + i] for i in (-1, 0, 1))
    bend = np.minimum(left - 2 * middle + right, -1e-6)
    offset = np.where(best == inner, inner + 0.5 * (left - right) / bend, best)
    moves = (reach - offset) / (3 * length)
    detailed = own / core.shape[1] > 1.0
    if np.count_nonzero(detailed) < 4:
        return 0.0, 0.0
    move = float(np.median(moves[detailed]))
    # movement along the other direction changes what a part shows, so large moves agree less well
    alike = detailed & (np.abs(moves - move) < 0.002 + 0.3 * abs(move)) & (fits[parts, best] > 0.5)
    return move, np.count_nonzero(alike) / np.count_nonzero(detailed)


def borders(luma: UInt8Array) -> tuple[float, float, float, float]:
    """Shares of the picture that are black at its top, bottom, left and right."""
    height, width = luma.shape
    dark_rows = luma[:, _spread(width, min(width, 120))].max(1) <= _BORDER
    dark_columns = luma[_spread(height, min(height, 68))].max(0) <= _BORDER
    if dark_rows.all() or dark_columns.all():
        return 0.0, 0.0, 0.0, 0.0
    top, bottom = int(np.argmin(dark_rows)), int(np.argmin(dark_rows[::-1]))
    left, right = int(np.argmin(dark_columns)), int(np.argmin(dark_columns[::-1]))
    return top / height, bottom / height, left / width, right / width


def blur(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """How blurred each tile is, 0 (sharp) to 1, by blurring it again and looking at what that takes away.

    Crete, Dolmiere, Ladret and Nicolas, "The blur effect: perception and estimation with a new no-reference perceptual
    blur metric" (2007), with a 9-sample box along both directions. NaN where a tile has too little contrast to tell.

    Args:
        tiles: (n, size, size) brightness.
    """
    worst = np.zeros(len(tiles), np.float32)
    enough = np.ones(len(tiles), bool)
    for turned in (tiles, tiles.transpose(0, 2, 1)):
        sums = np.cumsum(turned, 2)
        again = (sums[:, :, 9:] - sums[:, :, :-9]) / 9
        inner = turned[:, :, 5:-4]
        before = np.abs(np.diff(inner, axis=2))
        after = np.abs(np.diff(again, axis=2))
        total = before.sum((1, 2))
        lost = np.maximum(before - after, 0).sum((1, 2))
        enough &= total > 0.5 * before[0].size
        worst = np.maximum(worst, 1 - lost / np.maximum(total, 1e-6))
    worst[~enough] = np.nan
    return worst


def _tiles(luma: UInt8Array) -> NDArray[np.float32] | None:
    """(15, 64, 64) parts of the picture at a width of at most 960, so that blur means the same at all sizes."""
    height, width = luma.shape
    factor = max(1, -(-width // 960))
    size = 64
    if width < size * factor or height < size * factor:
        return None
    parts: list[NDArray[np.uint32]] = []
    for y in np.linspace(0, height - size * factor, 3).astype(int):
        for x in np.linspace(0, width - size * factor, 5).astype(int):
            part = luma[y : y + size * factor, x : x + size * factor]
            total = np.zeros((size, size), np.uint32)
            for row, column in np.ndindex(factor, factor):
                total += part[row::factor, column::factor]
            parts.append(total)
    return (np.stack(parts) / factor**2).astype(np.float32)


def slow(frame: Frame, grey: UInt8Array) -> list[float]:
    """The values of `SLOW`.

    Args:
        frame: the picture.
        grey: the same, small and full range.
    """
    luma = frame.luma()
    top, bottom, left, right = borders(luma)
    height, width = grey.shape
    inside = grey[
        round(top * height) : max(round(top * height) + 1, height - round(bottom * height)),
        round(left * width) : max(round(left * width) + 1, width - round(right * width)),
    ]
    low, median, high = (float(v) for v in np.percentile(inside, (5, 50, 95)))
    wide = inside.astype(np.int16)
    texture = float(np.abs(np.diff(wide, axis=1)).mean()) if inside.shape[1] > 1 else 0.0
    tiles = _tiles(luma)
    sharpness = np.nan
    if tiles is not None:
        blurred = blur(tiles)
        if not np.isnan(blurred).all():
            sharpness = 1 - float(np.nanpercentile(blurred, 15))
        elif high - low >= 40:
            sharpness = 0.2  # light and dark without a single edge between them
    return [
        *(top, bottom, left, right),
        *(median, low, high),
        np.count_nonzero(inside <= 12) / inside.size,
        np.count_nonzero(inside >= 243) / inside.size,
        texture,
        sharpness,
        bars_score(frame),
    ]


_BARS = {"yellow": (-1, 0), "cyan": (0, -1), "green": (-1, -1), "magenta": (1, 1), "red": (0, 1), "blue": (1, 0)}
_ORDER = ("yellow", "cyan", "green", "magenta", "red", "blue")


def bars_score(frame: Frame) -> float:
    """Likeness to colour bars (SMPTE ECR 1, EBU Tech 3325 and kin): vertical bars white, yellow, cyan, green,
    magenta, red, blue of falling brightness over the upper part of the picture.

    Returns:
        0 for none, else the share of the upper half's samples that fit their bar.
    """
    planes = frame.chroma()
    if planes is None:
        return 0.0
    luma = frame.luma()
    y = _upper(luma)
    if float(np.median(y.std(0))) > 6:
        return 0.0
    cb, cr = (_upper(p) - 128 for p in planes)
    middle = slice(14, 98)  # SMPTE RP 219 has its seven bars between grey pillars of an eighth each
    return max(
        _bars_fit(y, cb, cr, 7), _bars_fit(y, cb, cr, 8), _bars_fit(y[:, middle], cb[:, middle], cr[:, middle], 7)
    )


def _upper(plane: Any) -> NDArray[np.float32]:
    """(12, 112) samples of the upper half."""
    height, width = plane.shape
    return plane[_spread(max(1, height * 55 // 100), 12)][:, _spread(width, 112)].astype(np.float32)


def _bars_fit(y: Floats, cb: Floats, cr: Floats, count: int) -> float:
    width = y.shape[1] // count
    centres = [slice(i * width + width // 4, i * width + width - width // 4) for i in range(count)]
    means = [(float(y[:, s].mean()), float(cb[:, s].mean()), float(cr[:, s].mean())) for s in centres]
    if abs(means[0][1]) > 10 or abs(means[0][2]) > 10:
        return 0.0
    if any(a[0] <= b[0] for a, b in itertools.pairwise(means)):
        return 0.0
    for name, (_, u, v) in zip(_ORDER, means[1:7], strict=True):
        want_u, want_v = _BARS[name]
        if (want_u and u * want_u < 12) or (want_v and v * want_v < 12):
            return 0.0
    fits = [
        (np.abs(y[:, s] - m[0]) < 8) & (np.abs(cb[:, s] - m[1]) < 10) & (np.abs(cr[:, s] - m[2]) < 10)
        for s, m in zip(centres, means, strict=True)
    ]
    return float(np.mean([f.mean() for f in fits]))
