"""Makes subtitles of speech and of captions burnt into the picture: cues of at most two lines, long enough to be read.

Lengths and speeds follow the common guidelines of subtitling: 42 letters a line in alphabets, 16 characters in Chinese,
17 letters or 9 characters a second, from 5/6 of a second to 7 seconds, two frames apart.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

from onlooker.core.observation import Observation
from onlooker.core.store import SourceStatus
from onlooker.reports.export import ExportRequest, ExportSummary, chosen, millis, one_line
from onlooker.reports.people import is_known

__all__ = ["KINDS", "Cue", "lines_of", "subtitles"]

KINDS = ("speech", "text")
_LINE = 42.0
_WIDE = 42 / 16
_LETTERS, _CHARACTERS = 17.0, 9.0
_SHORTEST, _LONGEST, _APART = 833, 7000, 83
_TOGETHER = 600
"""Milliseconds within which lines that come and go together are one subtitle."""
_PAUSES = frozenset(",.;:!?，。；：！？、…")
_LEAST_RUN = 2


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: times in milliseconds, ``who`` speaks if known, and which observation it is of."""

    start: int
    end: int
    lines: tuple[str, ...]
    id: str
    who: str | None = None


def subtitles(request: ExportRequest, source: SourceStatus, summary: ExportSummary) -> Iterator[Cue]:
    """The cues of a source, in order of time.

    Speech where there is any, else burnt-in captions, unless the user chose kinds. Captions that are no subtitles (by
    their role) and what is too short to be shown are left out. ``summary`` counts observations.
    """
    kinds = request.query.kinds
    spoken = not kinds and any(True for _ in request.of(source, ("speech",)))
    voices = _Voices(request, source) if spoken or "speech" in kinds else None
    yield from _readable(_cues(request.of(source, KINDS), voices, summary, written=not spoken))


def _cues(
    observations: Iterable[Observation], voices: _Voices | None, summary: ExportSummary, *, written: bool
) -> Iterator[Cue]:
    """``written``: whether captions are wanted."""
    pending: list[Observation] = []
    for o in observations:
        start, end = millis(o.span.start), millis(o.span.end)
        other = o.kind == "text" and not (written and o.data.get("role", "subtitle") == "subtitle")
        if end <= start or other:
            summary.left_out[o.kind] += 1
            continue
        summary.written += 1
        if pending and start - millis(pending[0].span.start) > _TOGETHER:
            yield from _captions(pending)
            pending = []
        if o.kind == "text":
            pending.append(o)
        elif o.kind == "speech" and voices is not None:
            yield from _spoken(o, voices)
        else:
            yield Cue(start, end, (chosen(o),), o.id)
    yield from _captions(pending)


def _captions(lines: list[Observation]) -> list[Cue]:
    """Lines that begin together: those that also end together are one subtitle, from top to bottom."""
    cues: list[Cue] = []
    left = list(lines)
    while left:
        first = left[0]
        same = [o for o in left if abs(millis(o.span.end) - millis(first.span.end)) <= _TOGETHER]
        left = [o for o in left if o not in same]
        same.sort(key=lambda o: (round(o.box.top, 2), o.box.left) if o.box is not None else (0.0, 0.0))
        start, end = min(millis(o.span.start) for o in same), max(millis(o.span.end) for o in same)
        cues.append(Cue(start, end, tuple(chosen(o) for o in same), first.id))
    return sorted(cues, key=lambda c: c.start)


# -- speech --


class _Voices:
    """Who speaks when, by name where facts or identity know one."""

    def __init__(self, request: ExportRequest, source: SourceStatus) -> None:
        def of(kind: str) -> Iterator[Observation]:
            return request.observations(replace(request.query, sources=(source.info.id,), kinds=(kind,)))

        self._turns = [(millis(o.span.start), millis(o.span.end), o.track or o.label or "") for o in of("speaker")]
        people = {o.track: o.label for o in of("identity") if o.label and is_known(o.label)}
        self._always: dict[str, str] = {}
        self._at_times: list[tuple[str, int, int, str]] = []
        for fact in sorted(of("fact"), key=lambda o: o.score or 0.0):
            if fact.label != "speaker_is_face":
                continue
            data: Any = fact.data
            name = people.get(fact.track) or data.get("person")
            speaker = data.get("speaker")
            if not name or not speaker:
                continue
            if data.get("whole"):
                self._always[speaker] = name
            else:
                self._at_times += [(speaker, round(a * 1000), round(b * 1000), name) for a, b in data.get("turns", ())]

    def who(self, start: int, end: int) -> str | None:
        """Who speaks for the longest part of a stretch."""
        shared: Counter[tuple[str, int, int]] = Counter()
        for first, last, speaker in self._turns:
            both = min(end, last) - max(start, first)
            if both > 0:
                shared[speaker, first, last] += both
        if not shared:
            return None
        (speaker, first, last), _ = shared.most_common(1)[0]
        for known, a, b, name in self._at_times:
            if known == speaker and min(last, b) > max(first, a):
                return name
        return self._always.get(speaker, speaker)


def _spoken(sentence: Observation, voices: _Voices) -> Iterator[Cue]:
    """The cues of a sentence, one voice in each."""
    text = one_line(sentence.text) or chosen(sentence)
    timed = _timed(sentence, text)
    count = 0
    for who, first, last in _by_voice(timed, voices, len(text)):
        for a, b in _pieces(text, first, last, timed):
            part = text[a:b].strip()
            if not part:
                continue
            start, end = _time(timed, a), _time(timed, b)
            count += 1
            number = sentence.id if count == 1 else f"{sentence.id}-{count}"
            yield Cue(start, max(end, start + 1), lines_of(part), number, who)


def _timed(sentence: Observation, text: str) -> list[tuple[int, int]]:
    """(letter, millisecond) of the beginnings of words and of the end, both rising."""
    start, end = millis(sentence.span.start), millis(sentence.span.end)
    known = [(0, start)]
    words: Any = sentence.data.get("words") or ()
    at = 0
    for word in words:
        found = text.find(str(word[2]), at)
        if found < 0:
            continue
        at = found + len(str(word[2]))
        moment = min(end, max(known[-1][1], round(float(word[0]) * 1000)))
        if found > known[-1][0]:
            known.append((found, moment))
    return [*known, (max(len(text), known[-1][0] + 1), max(end, known[-1][1]))]


def _time(timed: list[tuple[int, int]], letter: int) -> int:
    """When the letter is said."""
    for (a, start), (b, end) in pairwise(timed):
        if letter <= b:
            return round(start + (end - start) * (letter - a) / (b - a))
    return timed[-1][1]


def _by_voice(timed: list[tuple[int, int]], voices: _Voices, length: int) -> list[tuple[str | None, int, int]]:
    """(who, first letter, letter after the last) of runs of words by one voice; single words go with those before."""
    words = [(a, b, voices.who(start, max(end, start + 1))) for (a, start), (b, end) in pairwise(timed)]
    runs: list[tuple[str | None, int, int]] = []
    for who, group in groupby(words, key=lambda w: w[2]):
        part = list(group)
        if runs and (len(part) < _LEAST_RUN or who in (None, runs[-1][0])):
            runs[-1] = (runs[-1][0], runs[-1][1], part[-1][1])
        elif runs and runs[-1][0] is None:
            runs[-1] = (who, runs[-1][1], part[-1][1])
        else:
            runs.append((who, part[0][0], part[-1][1]))
    return [(who, a, min(b, length)) for who, a, b in runs]


def _pieces(text: str, first: int, last: int, timed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Parts that fit a cue, cut near the middle where that is needed."""
    width = _width(text[first:last].strip())
    slow = _time(timed, last) - _time(timed, first) > _LONGEST and width > _LINE / 2
    cut = _cut(text, first, last) if slow or width > 2 * _LINE else None
    if cut is None:
        return [(first, last)]
    return [*_pieces(text, first, cut, timed), *_pieces(text, cut, last, timed)]


# -- lines --


def lines_of(text: str) -> tuple[str, ...]:
    """One line, or two of about the same length, cut at a pause where there is one.

    >>> lines_of("Ask not what your country can do for you, ask what you can do for it.")
    ('Ask not what your country can do for you,', 'ask what you can do for it.')
    """
    cut = _cut(text, 0, len(text)) if _width(text) > _LINE else None
    return (text,) if cut is None else (text[:cut].strip(), text[cut:].strip())


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def _width(text: str) -> float:
    """In letters of an alphabet."""
    return sum(_WIDE if _is_wide(c) else 1.0 for c in text)


def _cut(text: str, first: int, last: int) -> int | None:
    """The best place to cut near the middle: between words, rather after a pause."""
    total = _width(text[first:last])
    best: tuple[float, int] | None = None
    before = 0.0
    for i in range(first + 1, last):
        before += _WIDE if _is_wide(text[i - 1]) else 1.0
        left, right = text[i - 1], text[i]
        between = left == " " or ((_is_wide(left) or _is_wide(right)) and right not in _PAUSES and right != " ")
        if not between or not text[first:i].strip() or not text[i:last].strip():
            continue
        pause = text[first:i].rstrip()[-1:] in _PAUSES
        cost = abs(before - total / 2) - (0.15 * total if pause else 0.0)
        if best is None or cost < best[0]:
            best = (cost, i)
    return best[1] if best is not None else None


# -- time to read --


def _readable(cues: Iterator[Cue]) -> Iterator[Cue]:
    """Cues last until they can be read, as far as the next one lets them; no cue is shortened."""
    held: Cue | None = None
    for cue in cues:
        if held is not None:
            yield _longer(held, cue.start - _APART)
        held = cue
    if held is not None:
        yield _longer(held, held.start + _LONGEST)


def _longer(cue: Cue, limit: int) -> Cue:
    text = "".join(cue.lines)
    wide = sum(map(_is_wide, text))
    wanted = max(_SHORTEST, round(1000 * ((len(text) - wide) / _LETTERS + wide / _CHARACTERS)))
    return replace(cue, end=max(cue.end, min(cue.start + min(wanted, _LONGEST), limit)))
