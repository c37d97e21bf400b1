"""Captions out of readings: the same words in the same place, over time, are one caption with its best reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from onlooker.analyzers.text.config import TextConfig
from onlooker.analyzers.text.words import likeness
from onlooker.core.observation import Box
from onlooker.core.time import Span, Timestamp

__all__ = ["Caption", "CaptionFollower", "Reading", "letters"]

_SAME_PLACE = 0.3
_SCROLLED_ALIKE = 0.8
_SCROLL = 0.25
_VOTES = 32
QUIET = 0.03
"""Share of changed pixels below which a picture counts as still."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One line in one frame.

    Args:
        box: the upright rectangle around it.
        angle: of the text in degrees, clockwise.
        height: of the line, as a share of the picture's.
        text, score: what was read.
    """

    box: Box
    angle: float
    height: float
    text: str
    score: float


def letters(text: str) -> str:
    """The letters and digits alone, in lower case: what tells texts apart that differ in more than their look."""
    return "".join(c for c in text.casefold() if c.isalnum())


@dataclass(slots=True)
class _Run:
    """Equal readings, one after the other. ``fresh``: they began where everything was read anew."""

    text: str
    start: Timestamp
    fresh: bool
    count: int = 0
    score: float = 0.0

    @property
    def mean(self) -> float:
        return self.score / self.count if self.count else 0.0


@dataclass(slots=True)
class Caption:
    """A caption under way, or one that has ended.

    Args:
        number: counts captions from 1.
        start, end: the first moment it was seen and the moment up to which it was.
        last: its newest reading.
    """

    number: int
    start: Timestamp
    end: Timestamp
    last: Reading
    gone: Timestamp | None = None
    count: int = 0
    votes: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    sums: list[float] = field(default_factory=lambda: [0.0] * 6)
    company: float = 0.0
    quiet: int = 0
    settled: str | None = None
    run: _Run | None = None

    @property
    def span(self) -> Span:
        """When it stood."""
        return Span(self.start, max(self.start, self.gone or self.end))

    @property
    def best(self) -> tuple[str, float]:
        """The text with the largest sum of scores, and its mean score."""
        text, (total, count) = max(self.votes.items(), key=lambda v: (v[1][0], v[0]))
        return text, total / count

    @property
    def box(self) -> Box:
        """Mean of where it was read."""
        left, top, right, bottom = (min(1.0, max(0.0, v / self.count)) for v in self.sums[:4])
        return Box(left, top, right, bottom)

    @property
    def angle(self) -> float:
        """Mean direction in degrees, clockwise."""
        return self.sums[4] / self.count

    @property
    def height(self) -> float:
        """Mean height of the line, as a share of the picture's."""
        return self.sums[5] / self.count

    def add(self, reading: Reading, span: Span, company: int, still: bool) -> None:
        """Seen again, among ``company`` lines."""
        self.last, self.end, self.gone = reading, span.end, None
        self.count += 1
        self.company += company
        self.quiet += still
        for i, value in enumerate((*reading.box, reading.angle, reading.height)):
            self.sums[i] += value
        vote = self.votes.setdefault(reading.text, [0.0, 0.0])
        vote[0] += reading.score
        vote[1] += 1
        if len(self.votes) > _VOTES:
            del self.votes[min(self.votes, key=lambda t: (self.votes[t][0], t))]

    def changed_for_good(self, reading: Reading, span: Span, fresh: bool, config: TextConfig) -> _Run | None:
        """The run of readings of another text that has now stood long enough to be another caption.

        What was read anew, rather than because its look changed, is a second opinion on the same caption.
        """
        text = letters(reading.text)
        if self.run is None or self.run.text != text:
            self.run = _Run(text, span.start, fresh)
        run = self.run
        run.count += 1
        run.score += reading.score
        if run.count < 2 or run.mean < config.split_score or span.end - run.start < config.split_seconds:
            return None
        if self.settled is None or self.settled == text or run.fresh:
            self.settled = text
            return None
        return run


class CaptionFollower:
    """Feed it the readings of frames in order of time; it gives back captions that have ended.

    Args:
        config: the analyzer's.
    """

    def __init__(self, config: TextConfig) -> None:
        self._config = config
        self._gap = Fraction(round(config.gap_seconds * 1000), 1000)
        # frames are a tick of the rate apart, so that a longer silence is a hole in the source
        self._hole = self._gap + Fraction(round(2000 / config.rate), 1000)
        self._open: list[Caption] = []
        self._count = 0

    @property
    def seen(self) -> list[Caption]:
        """The captions of the newest frame."""
        return [c for c in self._open if c.gone is None]

    def take(self, span: Span, lines: list[Reading] | None, changed: float | None) -> list[Caption]:
        """One frame.

        Args:
            span: of the frame.
            lines: what was read, or None where it is what was read before.
            changed: share of the picture that changed, None where everything was read anew.
        """
        ended = self._expired(span.start)
        pairs = [(c, c.last) for c in self.seen] if lines is None else self._matched(lines, span)
        still = changed is None or changed < QUIET
        for caption, reading in pairs:
            ended += self._grow(caption, reading, span, len(pairs), still, fresh=changed is None)
        return sorted(ended, key=lambda c: (c.start, c.number))

    def _grow(
        self, caption: Caption, reading: Reading, span: Span, company: int, still: bool, *, fresh: bool
    ) -> list[Caption]:
        run = caption.changed_for_good(reading, span, fresh, self._config)
        longest = self._config.longest_seconds
        if run is None and caption.end - caption.start < longest:
            caption.add(reading, span, company, still)
            return []
        cut = run.start if run is not None else span.start
        follower = self._new(cut, reading)
        if run is not None:
            # its readings so far belong to the new caption
            for text in [t for t in caption.votes if letters(t) == run.text]:
                follower.votes[text] = caption.votes.pop(text)
            follower.settled = run.text
        follower.run = caption.run
        follower.add(reading, span, company, still)
        self._open[self._open.index(caption)] = self._open.pop()
        caption.end, caption.gone = cut, None
        return [caption] if caption.votes else []

    def _new(self, start: Timestamp, reading: Reading) -> Caption:
        self._count += 1
        self._open.append(Caption(self._count, start, start, reading))
        return self._open[-1]

    def _expired(self, now: Timestamp) -> list[Caption]:
        ended = [
            c
            for c in self._open
            if (c.gone is not None and now - c.gone > self._gap) or (c.gone is None and now - c.end > self._hole)
        ]
        self._open = [c for c in self._open if not any(c is e for e in ended)]
        return ended

    def _matched(self, lines: list[Reading], span: Span) -> list[tuple[Caption, Reading]]:
        """Each line with its caption, an old or a new one; captions without a line are marked as gone."""
        likely: list[tuple[float, int, int]] = []
        for i, line in enumerate(lines):
            for j, caption in enumerate(self._open):
                if (value := self._fit(caption, line)) > 0:
                    likely.append((-value, i, j))
        of_line: dict[int, Caption] = {}
        taken: set[int] = set()
        for _, i, j in sorted(likely):
            if i not in of_line and j not in taken:
                of_line[i] = self._open[j]
                taken.add(j)
        for j, caption in enumerate(self._open):
            if j not in taken and caption.gone is None:
                caption.gone = span.start
        return [(of_line[i] if i in of_line else self._new(span.start, line), line) for i, line in enumerate(lines)]

    def _fit(self, caption: Caption, line: Reading) -> float:
        """How well a line goes on a caption; 0: it does not."""
        old = caption.last.box
        share = _shared(old, line.box)
        if share >= _SAME_PLACE:
            alike = likeness(caption.last.text, line.text)
            return alike + share if alike >= self._config.alike else 0.0
        moved = max(abs(old.left + old.right - line.box.left - line.box.right), abs(old.top - line.box.top)) / 2
        if moved > _SCROLL or len(line.text) < 3 or abs(len(line.text) - len(caption.last.text)) > 2:
            return 0.0
        alike = likeness(caption.last.text, line.text)
        return alike - moved if alike >= _SCROLLED_ALIKE else 0.0

    def finish(self) -> list[Caption]:
        """The source has ended."""
        ended, self._open = self._open, []
        return sorted(ended, key=lambda c: (c.start, c.number))


def _shared(one: Box, other: Box) -> float:
    """Share of the smaller box that both cover."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    least = min(one.area, other.area)
    return max(0.0, width) * max(0.0, height) / least if least > 0 else 0.0
