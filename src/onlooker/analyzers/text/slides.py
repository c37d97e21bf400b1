"""Notices that one slide took the place of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from onlooker.analyzers.text.captions import QUIET, Caption, letters
from onlooker.analyzers.text.config import TextConfig
from onlooker.analyzers.text.words import likeness
from onlooker.core.time import Span, Timestamp

__all__ = ["SlideWatch"]

_LEAST_LINES = 2
_LEAST_LETTERS = 12
_MOSTLY = 0.5
_ALIKE = 0.7

Screen = Mapping[int, str]
"""Letters on screen by number of caption."""


class SlideWatch:
    """Feed it the captions of frames in order of time.

    A slide is text that stands on a mostly still picture for some time. A cue comes when a slide stands whose letters
    were mostly not on the slide before; lines that are added one by one do not make a new slide, and a slide that
    comes back after a film is the same one.

    Args:
        config: the analyzer's.
    """

    def __init__(self, config: TextConfig) -> None:
        self._config = config
        self._seconds = Fraction(round(config.slide_seconds * 1000), 1000)
        self._slide: Screen = {}
        self._now: Screen = {}
        self._since: Span | None = None
        self._looked = self._quiet = 0
        self._decided = False

    def take(self, span: Span, captions: Sequence[Caption], changed: float | None) -> tuple[Span, float] | None:
        """One frame.

        Args:
            span: of the frame.
            captions: those on screen.
            changed: share of the picture that changed, None where unknown.

        Returns:
            Where a slide changed: the first frame of the new one, and the share of its letters that are new.
        """
        screen = {c.number: letters(c.last.text) for c in captions}
        if self._since is None or _kept(self._now, screen) <= self._config.slide_kept:
            self._since, self._looked, self._quiet, self._decided = span, 0, 0, False
        elif changed is not None:
            self._looked += 1
            self._quiet += changed < QUIET
        self._now = screen
        if self._decided:
            self._slide = screen if self._is_slide(screen) else self._slide
            return None
        stood = self._stood(span.end)
        if not stood or not self._is_slide(screen) or self._quiet < _MOSTLY * max(1, self._looked):
            return None
        before, self._slide, self._decided = self._slide, screen, True
        kept = _kept_by_words(before, screen)
        enough = max(len(before), len(screen)) >= self._config.slide_lines
        if not before or not enough or kept > self._config.slide_kept:
            return None
        return self._since, 1 - kept

    def _stood(self, now: Timestamp) -> bool:
        return self._since is not None and now - self._since.start >= self._seconds and self._looked > 0

    @staticmethod
    def _is_slide(screen: Screen) -> bool:
        return len(screen) >= _LEAST_LINES and sum(map(len, screen.values())) >= _LEAST_LETTERS


def _share(kept: int, one: Screen, other: Screen) -> float:
    most = max(sum(map(len, one.values())), sum(map(len, other.values())))
    return kept / most if most else 1.0


def _kept(one: Screen, other: Screen) -> float:
    """Share of letters of captions that are on both."""
    return _share(sum(len(other[n]) for n in other if n in one), one, other)


def _kept_by_words(one: Screen, other: Screen) -> float:
    """The same for slides far apart in time, whose captions have other numbers."""
    kept = 0
    for number, text in other.items():
        if number in one or any(likeness(text, old) >= _ALIKE for old in one.values()):
            kept += len(text)
    return _share(kept, one, other)
