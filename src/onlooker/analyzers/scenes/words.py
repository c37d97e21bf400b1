"""Chapters of what is said: boundaries where the subject changes, titles of slides or keywords.

Boundaries by text segmentation (Hearst 1997, TextTiling) in the form of Alemi and Ginsparg 2015, Text Segmentation
based on Semantic Word Embeddings: the division that makes the sum of the lengths of the sections' summed sentence
vectors largest, less a price for each section, found exactly by dynamic programming. A change of scene or slide, or a
pause, makes a boundary there cheaper.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._sentence_evidence import Evidence
from onlooker.analyzers._sentence_keywords import keywords_of
from onlooker.analyzers._sentence_words import is_chinese, letters
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models.sentences import SentenceEncoder

__all__ = ["Marks", "Section", "sections_of"]

PRICE = 0.9
"""What a section costs; chosen on the talks DEV of benchmarks/_meaning_texts.py."""
_SCENE, _SLIDE, _PAUSE = 0.25, 0.35, 0.1
_NEAR = Fraction(3, 2)
_LONG_PAUSE = Fraction(2)
_UNITS = 1200
_LEAST = 6
_SPOKEN = 0.2
"""Where less of the time is spoken, the pictures say more."""
_TITLE_WORDS = 3
_TITLE_LETTERS = 60


@dataclass(frozen=True, slots=True)
class Marks:
    """Moments at which a chapter may well begin.

    Args:
        scenes: starts of scenes, in order.
        slides: starts of slides, in order.
    """

    scenes: Sequence[Timestamp] = ()
    slides: Sequence[Timestamp] = ()


@dataclass(slots=True)
class Section:
    """A chapter.

    Args:
        span: when.
        title: what it is about; empty where nothing was found.
        keywords: its words.
        rests_on: how the title came about: ``slide`` or ``speech``.
    """

    span: Span
    title: str = ""
    keywords: list[str] = field(default_factory=list[str])
    rests_on: str = "speech"


def sections_of(
    sentences: Sequence[Observation],
    captions: Sequence[Observation],
    marks: Marks,
    end: Timestamp,
    encoder: SentenceEncoder,
    shortest: float,
    most: int,
) -> list[Section]:
    """The chapters, without gap from 0 to ``end``; none where too little is said.

    Args:
        sentences: kind ``speech`` with text.
        captions: kind ``text``; slides and titles may give a chapter its title.
        marks: where scenes and slides begin.
        end: of the source.
        encoder: makes the vectors.
        shortest: seconds that a chapter lasts at least.
        most: most chapters.
    """
    heard = (s for s in sentences if letters(s.text or "") >= 4 and s.span.start < end)
    said = sorted(heard, key=lambda s: (s.span.start, s.span.end))
    spoken = sum(float(s.span.duration) for s in said)
    if len(said) < _LEAST or spoken < _SPOKEN * float(end.value):
        return []
    size = -(-len(said) // _UNITS)
    units = [said[i : i + size] for i in range(0, len(said), size)]
    vectors = np.stack([encoder.many([" ".join((s.text or "").split()) for s in u]).sum(axis=0) for u in units])
    starts = [_boundary(units[i - 1][-1].span, units[i][0].span, marks) for i in range(1, len(units))]
    prices = np.array([PRICE - gain for _, gain in starts])
    times = np.array([0.0, *(float(t.value) for t, _ in starts), float(end.value)])
    cuts = best_cuts(vectors.astype(np.float64), prices, times, shortest, most)
    moments = [Timestamp.of_seconds(Fraction(0)), *(starts[c - 1][0] for c in cuts), end]
    made = [Section(Span(a, b)) for a, b in itertools.pairwise(moments)]
    for section in made:
        _name(section, said, captions, encoder)
    return made


def _boundary(before: Span, after: Span, marks: Marks) -> tuple[Timestamp, float]:
    """Where a chapter would begin between two sentences, and how much speaks for it besides the words."""
    low, high = min(before.end, after.start) - _NEAR, after.start + _NEAR
    gain = _PAUSE if after.start - before.end >= _LONG_PAUSE else 0.0
    place = after.start
    for moments, worth in ((marks.scenes, _SCENE), (marks.slides, _SLIDE)):
        inside = moments[bisect_left(moments, low) : bisect_right(moments, high)]
        if inside:
            gain += worth
            place = min(inside, key=lambda m: abs(m - after.start))
    return place, gain


def best_cuts(
    vectors: NDArray[np.float64], prices: NDArray[np.float64], times: NDArray[np.float64], shortest: float, most: int
) -> list[int]:
    """Numbers of the units at which sections begin, without the first.

    Args:
        vectors: (n, d), a vector for each unit.
        prices: (n - 1,), what a section costs that begins at unit 1, 2, ...
        times: (n + 1,), when each unit begins and the last one ends.
        shortest: seconds of a section at least.
        most: most sections.
    """
    count = len(vectors)
    sums = np.vstack([np.zeros(vectors.shape[1]), np.cumsum(vectors, axis=0)])
    products = sums @ sums.T
    squares = np.diag(products)
    lengths = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * products, 0.0))
    allowed = times[None, :] - times[:, None] >= shortest
    allowed[0, count] = True
    extra = 0.0
    while True:
        cuts = _cuts(lengths, np.concatenate([[0.0], prices + extra]), allowed)
        if len(cuts) < most:
            return cuts
        extra = 0.1 + 1.2 * extra


def _cuts(lengths: NDArray[np.float64], prices: NDArray[np.float64], allowed: NDArray[np.bool_]) -> list[int]:
    count = len(lengths) - 1
    best = np.full(count + 1, -np.inf)
    best[0] = 0.0
    came = np.zeros(count + 1, np.int64)
    for end in range(1, count + 1):
        gains = np.where(allowed[:end, end], best[:end] - prices[:end] + lengths[:end, end], -np.inf)
        came[end] = int(gains.argmax())
        best[end] = gains[came[end]]
    cuts: list[int] = []
    at = int(came[count])
    while at > 0:
        cuts.append(at)
        at = int(came[at])
    return cuts[::-1]


def _name(
    section: Section, said: Sequence[Observation], captions: Sequence[Observation], encoder: SentenceEncoder
) -> None:
    """Keywords of a section, and a title: that of its first slide, else its keywords."""
    inside = [s for s in said if section.span.contains(s.span.start)]
    evidence = [Evidence(s.span, "speech", " ".join((s.text or "").split()), 1.0) for s in inside]
    section.keywords = [k.text for k in keywords_of(evidence, encoder, 5)]
    title = _slide_title(section.span, captions)
    if title:
        section.title, section.rests_on = title, "slide"
        return
    words = section.keywords[:_TITLE_WORDS]
    if words:
        joined = ("、" if is_chinese(words[0]) else ", ").join(words)
        section.title = joined[:1].upper() + joined[1:]


def _slide_title(span: Span, captions: Sequence[Observation]) -> str:
    """The uppermost line of the first slide, or a title, of the first third of a stretch."""
    limit = span.start + span.duration / 3
    shown = [
        c
        for c in captions
        if c.data.get("role") in ("title", "slide") and span.start - 1 <= c.span.start <= limit and _fits(c.text)
    ]
    if not shown:
        return ""
    first = min(c.span.start for c in shown)
    together = [c for c in shown if c.span.start - first <= 1]
    best = min(together, key=lambda c: (c.data.get("role") != "title", c.box.top if c.box is not None else 1.0))
    return " ".join((best.text or "").split())


def _fits(text: str | None) -> bool:
    return text is not None and letters(text) >= 4 and len(text) <= _TITLE_LETTERS
