"""Who is who in one source: names of tracks, people with all their stretches, the speaker of a sentence."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onlooker.core.observation import Observation

__all__ = ["Person", "SpeakerAt", "gather_people", "is_known", "names_of"]

_LINK, _SURE = "speaker_is_face", 0.5
_UNKNOWN = re.compile(r"unknown(-\d+)?|(face|speaker|person)-\d+", re.IGNORECASE)


@dataclass(slots=True)
class Person:
    """One person in one source.

    Args:
        name: given at enrolment, or ``unknown-N``, or the track's own name where nobody was identified.
        spans: where the face is seen: face tracks, or identities where those are not stored.
        picture: the best picture, relative to the library folder.
        score: the surest identification, or None.
    """

    name: str
    spans: list[Observation] = field(default_factory=list[Observation])
    picture: str | None = None
    score: float | None = None
    quality: float = -1.0

    @property
    def seconds(self) -> float:
        """How long the face is seen, in seconds."""
        return sum(float(o.span.duration) for o in self.spans)

    @property
    def known(self) -> bool:
        """Whether somebody gave the name."""
        return is_known(self.name)


def is_known(name: str) -> bool:
    """Whether a name was given by somebody.

    >>> is_known("Ada"), is_known("unknown-3"), is_known("face-12")
    (True, False, False)
    """
    return not _UNKNOWN.fullmatch(name)


def names_of(identities: Iterable[Observation], facts: Iterable[Observation] = ()) -> dict[str, str]:
    """The name of each track that was identified, the surest where there are several.

    Args:
        identities: ``identity`` observations: of faces, and of voices where those are enrolled.
        facts: ``fact`` observations; one that says which person's face a speaker has names the speaker.
    """
    best: dict[str, tuple[float, str]] = {}

    def name(track: str | None, label: str | None, score: float | None) -> None:
        if track and label and (score or 0.0) >= best.get(track, (-1.0, ""))[0]:
            best[track] = (score or 0.0, label)

    for o in identities:
        name(o.track, o.label, o.score)
    for o in facts:
        speaker, person = o.data.get("speaker"), o.data.get("person")
        if o.label == _LINK and isinstance(speaker, str) and isinstance(person, str) and (o.score or 0.0) >= _SURE:
            name(speaker, person, o.score)
    return {track: said for track, (_, said) in best.items()}


def gather_people(identities: Iterable[Observation], tracks: Iterable[Observation]) -> list[Person]:
    """Faces by person: those with a given name first, then who is seen longest."""
    found = [o for o in identities if o.label]
    names = names_of(found)
    people: dict[str, Person] = {}
    seen: set[str] = set()
    for o in tracks:
        name = names.get(o.track or "", o.track or o.label or o.kind)
        person = people.setdefault(name, Person(name))
        person.spans.append(o)
        seen.add(o.track or "")
        quality = _number(o.data.get("quality"))
        if o.media and quality > person.quality:
            person.picture, person.quality = o.media[0], quality
    for o in found:
        if o.data.get("modality") == "voice" or (o.track or "").startswith("speaker"):
            continue  # not a face
        person = people.setdefault(str(o.label), Person(str(o.label)))
        if o.track not in seen:
            person.spans.append(o)
            person.picture = person.picture or (o.media[0] if o.media else None)
        if o.score is not None:
            person.score = max(person.score or 0.0, o.score)
    return sorted(people.values(), key=lambda p: (not p.known, -p.seconds, p.name))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class SpeakerAt:
    """Says whose turn covers most of a span.

    Args:
        turns: ``speaker`` observations.
        names: names of tracks; see `names_of`.
    """

    def __init__(self, turns: Iterable[Observation], names: Mapping[str, str]) -> None:
        self._turns: Sequence[Observation] = sorted(turns, key=lambda o: o.span.start)
        self._starts = [o.span.start.seconds for o in self._turns]
        self._longest = max((float(o.span.duration) for o in self._turns), default=0.0)
        self._names = names

    def of(self, sentence: Observation) -> str | None:
        """The speaker's name (or track) of a sentence, or None where nobody's turn meets it."""
        start, end = sentence.span.start.seconds, sentence.span.end.seconds
        shares: dict[str, float] = {}
        for turn in self._turns[bisect_left(self._starts, start - self._longest) : bisect_left(self._starts, end)]:
            shared = min(end, turn.span.end.seconds) - max(start, turn.span.start.seconds)
            track = turn.track or turn.label
            if shared > 0 and track:
                name = self._names.get(track, track)
                shares[name] = shares.get(name, 0.0) + shared
        return max(shares, key=lambda n: (shares[n], n)) if shares else None
