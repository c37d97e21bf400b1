"""Where two bundles differ over one source: what only one of them saw, labels and scores that are others.

Observations of the same kind are paired one to one, those first that overlap most in time (and, where they have boxes,
in the picture). What is left over only one saw; two left-overs of different labels that overlap are one difference of
labels. The agreement of a kind is the share of the time in which either tells something in which both tell the same
labels (the Jaccard index of their time lines).
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from onlooker.core.observation import Box, Observation

__all__ = ["Comparison", "Difference", "Sort", "Span", "compare", "compared_sources", "overlap"]

Sort: TypeAlias = Literal["only used", "only candidate", "label", "score", "value"]
Span: TypeAlias = tuple[float, float]
"""Start and end in seconds."""
_LEAST_BOX = 0.3
_SAME_MOMENT = 0.5
"""Seconds that two moments without length may lie apart."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One moment at which they differ.

    Args:
        sort: of the difference.
        source: id of the source.
        start, end: seconds.
        kind: of the observations.
        used, candidate: what each told, or None.
        by: how much: of scores and values their difference, of the others the higher score.
    """

    sort: Sort
    source: str
    start: float
    end: float
    kind: str
    used: Observation | None
    candidate: Observation | None
    by: float

    @property
    def middle(self) -> float:
        """Seconds."""
        return (self.start + self.end) / 2

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""

        def told(o: Observation | None) -> dict[str, Any] | None:
            if o is None:
                return None
            made: dict[str, Any] = {"label": o.label, "score": None if o.score is None else round(o.score, 4)}
            made |= {"start": round(o.span.start.seconds, 3), "end": round(o.span.end.seconds, 3)}
            value = o.data.get("value")
            return made | ({"value": value} if value is not None else {})

        return {
            "sort": self.sort, "source": self.source, "kind": self.kind,
            "start": round(self.start, 3), "end": round(self.end, 3), "by": round(self.by, 4),
            "used": told(self.used), "candidate": told(self.candidate),
        }  # fmt: skip


@dataclass(slots=True)
class Comparison:
    """Two bundles over some sources.

    Args:
        differences: in order of source and time.
        counts: by kind, how many observations each made and how many were paired.
        seconds: by kind and label, the time in which both tell it, and each alone does.
    """

    differences: list[Difference] = field(default_factory=list[Difference])
    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    seconds: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict[str, Any])

    @property
    def agreement(self) -> dict[str, float | None]:
        """By kind, 0..1; None where neither told anything that lasts."""
        made: dict[str, float | None] = {}
        for kind in self.counts:
            held = self.seconds.get(kind, {}).values()
            both, every = sum(v["both"] for v in held), sum(sum(v.values()) for v in held)
            made[kind] = both / every if every > 0 else None
        return made

    def add(self, other: Comparison) -> None:
        """Of another source."""
        self.differences += other.differences
        for kind, counts in other.counts.items():
            own = self.counts.setdefault(kind, dict.fromkeys(counts, 0))
            for name, value in counts.items():
                own[name] += value
        for kind, labels in other.seconds.items():
            for label, values in labels.items():
                held = self.seconds.setdefault(kind, {}).setdefault(label, dict.fromkeys(values, 0.0))
                for name, value in values.items():
                    held[name] += value

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        sorts: dict[str, int] = defaultdict(int)
        for d in self.differences:
            sorts[d.sort] += 1
        return {
            "agreement": {k: None if v is None else round(v, 4) for k, v in self.agreement.items()},
            "counts": self.counts,
            "seconds": {
                kind: {label: {n: round(v, 3) for n, v in held.items()} for label, held in labels.items()}
                for kind, labels in self.seconds.items()
            },
            "different": dict(sorts),
            "differences": [d.as_dict() for d in self.differences],
        }


def overlap(one: Span, other: Span) -> float:
    """Seconds that two stretches share.

    >>> overlap((0.0, 2.0), (1.5, 9.0))
    0.5
    """
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def compare(
    source: str,
    used: Iterable[Observation],
    candidate: Iterable[Observation],
    *,
    tolerance: float = 0.2,
    kinds: Iterable[str] = (),
) -> Comparison:
    """Compare what two bundles observed of one source.

    Args:
        source: its id.
        used: observations of the bundle in use.
        candidate: those of the other.
        tolerance: scores that differ by more are told; numbers (``measure``) that differ by more than this share of
            the range in which they lie.
        kinds: that are counted even where neither made any.
    """
    ours, theirs = _by_kind(used), _by_kind(candidate)
    made = Comparison()
    for kind in dict.fromkeys([*kinds, *ours, *theirs]):
        one, two = ours.get(kind, []), theirs.get(kind, [])
        pairs, left, right = _paired(one, two)
        made.counts[kind] = {"used": len(one), "candidate": len(two), "paired": len(pairs)}
        made.seconds[kind] = _seconds(one, two)
        spread = _spread([*one, *two])
        found = [d for a, b in pairs if (d := _apart(source, kind, a, b, tolerance, spread)) is not None]
        found += _left_over(source, kind, left, right)
        made.differences += sorted(found, key=lambda d: (d.start, d.end))
    return made


def compared_sources(comparisons: Mapping[str, Comparison]) -> Comparison:
    """All sources as one."""
    made = Comparison()
    for one in comparisons.values():
        made.add(one)
    return made


def _by_kind(observations: Iterable[Observation]) -> dict[str, list[Observation]]:
    made: dict[str, list[Observation]] = {}
    for o in sorted(observations, key=lambda o: (o.span.start, o.span.end, o.label or "")):
        if o.kind not in ("embedding", "drift"):
            made.setdefault(o.kind, []).append(o)
    return made


def _span(o: Observation) -> Span:
    return o.span.start.seconds, o.span.end.seconds


def _alike(one: Observation, other: Observation) -> float:
    """How far two observations tell of the same, 0..1: the intersection over the union of their time, and boxes."""
    (a, b), (c, d) = _span(one), _span(other)
    whole = max(b, d) - min(a, c)
    if b == a or d == c:
        apart = abs((a + b) / 2 - (c + d) / 2)
        time = 1 - apart / (2 * _SAME_MOMENT) if apart <= _SAME_MOMENT else 0.0
    else:
        time = overlap((a, b), (c, d)) / whole
    if one.box is None or other.box is None or time == 0:
        return time
    boxes = _boxes(one.box, other.box)
    return time * boxes if boxes >= _LEAST_BOX else 0.0


def _boxes(one: Box, other: Box) -> float:
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0.0, wide) * max(0.0, high)
    every = one.area + other.area - both
    return both / every if every > 0 else 0.0


def _near(one: Sequence[Observation], two: Sequence[Observation]) -> Iterable[tuple[float, int, int]]:
    """How alike, and the places, of those that overlap."""
    starts = [_span(o)[0] - _SAME_MOMENT for o in two]
    longest = max((_span(o)[1] - _span(o)[0] for o in two), default=0.0)
    for n, o in enumerate(one):
        start, end = _span(o)
        first = bisect.bisect_left(starts, start - longest - 2 * _SAME_MOMENT)
        for m in range(first, bisect.bisect_right(starts, end)):
            if (alike := _alike(o, two[m])) > 0:
                yield alike, n, m


def _matched(
    one: Sequence[Observation], two: Sequence[Observation]
) -> tuple[list[tuple[Observation, Observation]], list[Observation], list[Observation]]:
    """One to one, the most alike first, and what is left of both."""
    taken: dict[int, int] = {}
    gone: set[int] = set()
    for _, n, m in sorted(_near(one, two), key=lambda t: (-t[0], t[1], t[2])):
        if n not in taken and m not in gone:
            taken[n] = m
            gone.add(m)
    pairs = [(one[n], two[m]) for n, m in sorted(taken.items())]
    return pairs, [o for n, o in enumerate(one) if n not in taken], [o for m, o in enumerate(two) if m not in gone]


def _paired(
    one: Sequence[Observation], two: Sequence[Observation]
) -> tuple[list[tuple[Observation, Observation]], list[Observation], list[Observation]]:
    """Pairs of the same label."""
    pairs: list[tuple[Observation, Observation]] = []
    left: list[Observation] = []
    right: list[Observation] = []
    for label in dict.fromkeys(o.label for o in [*one, *two]):
        found, a, b = _matched([o for o in one if o.label == label], [o for o in two if o.label == label])
        pairs, left, right = pairs + found, left + a, right + b
    return pairs, left, right


def _spread(observations: Sequence[Observation]) -> float:
    values = [float(v) for o in observations if isinstance(v := o.data.get("value"), int | float)]
    return max(values) - min(values) if values else 0.0


def _apart(
    source: str, kind: str, a: Observation, b: Observation, tolerance: float, spread: float
) -> Difference | None:
    start, end = min(_span(a)[0], _span(b)[0]), max(_span(a)[1], _span(b)[1])
    one, two = a.data.get("value"), b.data.get("value")
    if isinstance(one, int | float) and isinstance(two, int | float):
        by = abs(float(one) - float(two))
        return Difference("value", source, start, end, kind, a, b, by) if by > tolerance * spread > 0 else None
    by = abs((a.score or 0.0) - (b.score or 0.0))
    return Difference("score", source, start, end, kind, a, b, by) if by > tolerance else None


def _left_over(source: str, kind: str, left: list[Observation], right: list[Observation]) -> list[Difference]:
    pairs, left, right = _matched(left, right)
    made = []
    for a, b in pairs:
        start, end = max(_span(a)[0], _span(b)[0]), min(_span(a)[1], _span(b)[1])
        by = max(a.score or 0.0, b.score or 0.0)
        made.append(Difference("label", source, min(start, end), max(start, end), kind, a, b, by))
    made += [Difference("only used", source, *_span(o), kind, o, None, o.score or 0.0) for o in left]
    return made + [Difference("only candidate", source, *_span(o), kind, None, o, o.score or 0.0) for o in right]


def _seconds(one: Sequence[Observation], two: Sequence[Observation]) -> dict[str, dict[str, float]]:
    made: dict[str, dict[str, float]] = {}
    for label in dict.fromkeys(o.label or "" for o in [*one, *two]):
        a = _union(_span(o) for o in one if (o.label or "") == label)
        b = _union(_span(o) for o in two if (o.label or "") == label)
        both = sum(overlap(x, y) for x in a for y in b if x[0] < y[1] and y[0] < x[1])
        ours, theirs = sum(e - s for s, e in a), sum(e - s for s, e in b)
        made[label] = {"both": both, "used": max(0.0, ours - both), "candidate": max(0.0, theirs - both)}
    return made


def _union(spans: Iterable[Span]) -> list[Span]:
    """Stretches that do not overlap, in order."""
    made: list[Span] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        elif end > start:
            made.append((start, end))
    return made
