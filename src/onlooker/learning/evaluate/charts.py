"""Charts as inline SVG in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.evaluate.page import escaped, number
from onlooker.learning.metrics.calibration import Reliability

__all__ = ["Spot", "confusion_chart", "line_chart", "reliability_chart", "spot_chart"]

Points = Sequence[tuple[float, float]]
_COLOURS = 8
_MOST_CLASSES = 40
_WIDE, _HIGH, _LEFT, _BELOW, _ABOVE, _RIGHT = 380, 210, 46, 30, 8, 10


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about so many.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if not span > 0:
        return [low]
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.8)
    first = math.ceil(low / step - 1e-9)
    return [round((first + n) * step, 12) for n in range(math.floor(high / step + 1e-9) - first + 1)]


def line_chart(series: Mapping[str, Points], title: str, *, across: str = "epoch", mark: float | None = None) -> str:
    """Curves over a common axis; empty where there is nothing to draw.

    Args:
        series: by name, (x, y) points; those that are not finite are left out.
        title: of the chart.
        across: what x is.
        mark: an x that stands out, such as the best epoch.
    """
    kept = {n: [(x, y) for x, y in p if math.isfinite(x) and math.isfinite(y)] for n, p in series.items()}
    kept = {n: p for n, p in kept.items() if p}
    if not kept:
        return ""
    xs, ys = ([p[axis] for points in kept.values() for p in points] for axis in (0, 1))
    frame = _Frame(_padded(min(xs), max(xs), 0.0), _padded(min(ys), max(ys), 0.05))
    body = frame.grid(across)
    if mark is not None:
        body += f'<line class="axis" stroke-dasharray="3 3" {frame.line((mark, frame.y[0]), (mark, frame.y[1]))}/>'
    for place, (name, points) in enumerate(kept.items()):
        colour = f"var(--c{place % _COLOURS})"
        way = " ".join(f"{frame.across(x):.1f},{frame.up(y):.1f}" for x, y in points)
        body += f'<polyline class="curve" stroke="{colour}" points="{way}"/>'
        for x, y in points if len(points) <= 60 else points[-1:]:
            said = escaped(f"{name}: {number(y)} at {across} {number(x)}")
            spot = f'cx="{frame.across(x):.1f}" cy="{frame.up(y):.1f}" r="2.5" fill="{colour}"'
            body += f"<circle {spot}><title>{said}</title></circle>"
    return _figure(title, body, _WIDE, _HIGH, list(kept) if len(kept) > 1 else [])


class Spot(NamedTuple):
    """A point with what it says when it is pointed at, and whether it stands out.

    Args:
        x, y: where it lies.
        said: on pointing at it.
        main: whether it stands out.
        label: written beside it.
        sort: the place of its colour and of its name in the legend; None: 1 where it stands out, else 0.
    """

    x: float
    y: float
    said: str
    main: bool = False
    label: str = ""
    sort: int | None = None

    @property
    def colour(self) -> str:
        """As the page's style names it."""
        return f"var(--c{int(self.main) if self.sort is None else self.sort})"


def spot_chart(
    spots: Sequence[Spot],
    title: str,
    *,
    across: str,
    size: tuple[int, int] = (_WIDE, _HIGH),
    legend: Sequence[str] = (),
) -> str:
    """Points, of which those that stand out are joined in the order of x; empty where there are none.

    Args:
        spots: the points.
        title: of the chart.
        across: what x is.
        size: width and height in pixels.
        legend: names of the sorts.
    """
    if not spots:
        return ""
    xs, ys = [s.x for s in spots], [s.y for s in spots]
    frame = _Frame(_padded(min(xs), max(xs), 0.05), _padded(min(ys), max(ys), 0.05), *size)
    body = frame.grid(across)
    way = " ".join(f"{frame.across(s.x):.1f},{frame.up(s.y):.1f}" for s in sorted(s for s in spots if s.main))
    body += f'<polyline class="curve" stroke="var(--c1)" points="{way}"/>'
    for spot in spots:
        place = f'cx="{frame.across(spot.x):.1f}" cy="{frame.up(spot.y):.1f}" r="4"'
        body += f'<circle {place} fill="{spot.colour}"><title>{escaped(spot.said)}</title></circle>'
    return _figure(title, body + _labels(spots, frame), *size, legend)


def _labels(spots: Sequence[Spot], frame: _Frame) -> str:
    """What is written beside points, those on top first; one without room that hides no other has none."""
    made, taken = "", [(frame.across(s.x) - 5, frame.up(s.y) - 5, 10.0, 10.0) for s in spots]
    for spot in reversed(spots):
        x, y, wide = frame.across(spot.x), frame.up(spot.y), 6.2 * len(spot.label)
        for left, middle in ((x + 7, y), (x - 7 - wide, y), (x - wide / 2, y - 13), (x - wide / 2, y + 13)):
            box = (left, middle - 6, wide, 12.0)
            inside = left >= _LEFT and left + wide <= frame.wide and _ABOVE <= middle <= frame.high - _BELOW - 6
            if spot.label and inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                made += f'<text x="{left:.1f}" y="{middle + 4:.1f}">{escaped(spot.label)}</text>'
                break
    return made


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    if low == high:
        room = abs(low) * 0.1 or 0.5
        return low - room, high + room
    return low - share * (high - low), high + share * (high - low)


def _said(places: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with what is written at them, with so many digits that no two are alike."""
    for digits in range(4, 13):
        said = [number(p) if digits == 4 else f"{p:.{digits}g}" for p in places]
        if len(set(said)) == len(said):
            break
    return list(zip(places, said, strict=True))


class _Frame:
    """Where numbers lie in the picture."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], wide: int = _WIDE, high: int = _HIGH) -> None:
        self.x, self.y, self.wide, self.high = x, y, wide, high

    def across(self, x: float) -> float:
        return _LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.wide - _LEFT - _RIGHT)

    def up(self, y: float) -> float:
        return self.high - _BELOW - (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.high - _BELOW - _ABOVE)

    def line(self, a: tuple[float, float], b: tuple[float, float]) -> str:
        sides = zip(("x1", "y1", "x2", "y2"), (*self.place(a), *self.place(b)), strict=True)
        return " ".join(f'{name}="{value:.1f}"' for name, value in sides)

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        return self.across(point[0]), self.up(point[1])

    def grid(self, across: str) -> str:
        made = ""
        for y, said in _said(ticks(*self.y)):
            made += f'<line class="grid" {self.line((self.x[0], y), (self.x[1], y))}/>'
            made += f'<text x="{_LEFT - 5}" y="{self.up(y) + 4:.1f}" text-anchor="end">{said}</text>'
        for x, said in _said(ticks(*self.x, 6)):
            made += f'<text x="{self.across(x):.1f}" y="{self.high - _BELOW + 14}" text-anchor="middle">{said}</text>'
        made += f'<line class="axis" {self.line((self.x[0], self.y[0]), (self.x[1], self.y[0]))}/>'
        return made + f'<text x="{self.wide - _RIGHT}" y="{self.high - 3}" text-anchor="end">{escaped(across)}</text>'


def _figure(title: str, body: str, wide: float, high: float, legend: Sequence[str] = ()) -> str:
    keys = "".join(
        f'<span><i style="background:var(--c{n % _COLOURS})"></i>{escaped(name)}</span>'
        for n, name in enumerate(legend)
    )
    return (
        f'<figure><figcaption>{escaped(title)}</figcaption><svg width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-label="{escaped(title)}">{body}</svg>'
        f"{f'<div class=legend>{keys}</div>' if keys else ''}</figure>"
    )


def reliability_chart(found: Reliability, title: str) -> str:
    """Share of right decisions by confidence, with how many there are; the diagonal is perfect."""
    if not found.counts.sum():
        return ""
    frame = _Frame((0.0, 1.0), (0.0, 1.0), 300, 260)
    body = frame.grid("confidence")
    most, bins = found.counts.max(), len(found.counts)
    for place, (count, share, mean) in enumerate(zip(found.counts, found.accuracy, found.confidence, strict=True)):
        if not count:
            continue
        left, right = frame.across(place / bins), frame.across((place + 1) / bins)
        said = escaped(f"{count} decisions: confidence {number(float(mean))}, right {number(float(share))}")
        height = frame.up(0) - frame.up(float(share))
        crowd = (frame.up(0) - frame.up(1)) * 0.16 * float(count) / float(most)
        body += (
            f'<rect x="{left + 1:.1f}" y="{frame.up(float(share)):.1f}" width="{right - left - 2:.1f}" '
            f'height="{height:.1f}" fill="var(--c0)" opacity=".75"><title>{said}</title></rect>'
            f'<rect x="{left + 1:.1f}" y="{frame.up(0) - crowd:.1f}" width="{right - left - 2:.1f}" '
            f'height="{crowd:.1f}" fill="var(--c4)"><title>{said}</title></rect>'
        )
    body += f'<line class="axis" stroke-dasharray="4 3" {frame.line((0, 0), (1, 1))}/>'
    legend = '<div class="legend"><span><i style="background:var(--c0)"></i>share that is right</span>'
    legend += '<span><i style="background:var(--c4)"></i>decisions</span></div>'
    return _figure(title, body, 300, 260).replace("</figure>", legend + "</figure>")


def confusion_chart(counts: NDArray[Any], labels: Sequence[str], title: str) -> str:
    """How often each class (row) was taken for each (column), coloured by the share of the row.

    Of more than 40 classes those that are confused most often are drawn, and the others left out.
    """
    counts, names, left_out = _fewer(counts, labels)
    count = len(names)
    side = 34 if count <= 12 else 22 if count <= 24 else 15
    room = min(150, 8 + max(6.2 * min(len(label), 22) for label in names))
    wide, high = room + side * count + 8, room + side * count + 8
    sums = np.maximum(counts.sum(1, keepdims=True), 1)
    body = ""
    for row, label in enumerate(names):
        short = escaped(label if len(label) <= 22 else label[:21] + "…")
        middle = room + side * row + side / 2
        body += f'<text x="{room - 4:.0f}" y="{middle + 4:.1f}" text-anchor="end">{short}</text>'
        body += f'<text transform="translate({middle + 4:.1f} {room - 4:.0f}) rotate(-90)">{short}</text>'
        for column, other in enumerate(names):
            value, share = int(counts[row, column]), float(counts[row, column] / sums[row, 0])
            x, y = room + side * column, room + side * row
            colour = "var(--c2)" if row == column else "var(--c1)"
            said = escaped(f"{label} taken for {other}: {value} ({share:.0%})")
            body += f'<g><title>{said}</title><rect x="{x:.0f}" y="{y:.0f}" width="{side - 1}" height="{side - 1}" '
            body += f'fill="{colour}" fill-opacity="{0.04 + 0.9 * share:.3f}"/>'
            if value and side >= 22:
                body += f'<text class="cell" x="{x + side / 2:.1f}" y="{y + side / 2 + 4:.1f}">{value}</text>'
            body += "</g>"
    note = f" ({left_out} classes that are confused less often are not drawn)" if left_out else ""
    return _figure(f"{title}: rows are true, columns answered{note}", body, wide, high)


def _fewer(counts: NDArray[Any], labels: Sequence[str]) -> tuple[NDArray[Any], list[str], int]:
    if len(labels) <= _MOST_CLASSES:
        return counts, list(labels), 0
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    kept: list[int] = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:_MOST_CLASSES]).tolist()
    return counts[np.ix_(kept, kept)], [labels[n] for n in kept], len(labels) - len(kept)
