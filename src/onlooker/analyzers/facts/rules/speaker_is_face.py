"""A voice belongs to a face: its lips move while the voice is heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from onlooker.analyzers.facts.memory import BIN, Face, bins_of
from onlooker.analyzers.facts.rule import Rule, RuleSettings, make_fact, shares, stretch
from onlooker.analyzers.facts.rules._speaking import speaking
from onlooker.core.observation import Json, Observation

__all__ = ["RULE", "SpeakerIsFace", "SpeakerIsFaceSettings"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_MOST_TURNS = 500


class SpeakerIsFaceSettings(RuleSettings):
    """Settings of `SpeakerIsFace`.

    Args:
        unseen: probability that who speaks is not on screen, before the lips are looked at.
        unseen_alone: the same where lips are not known at all.
        score: least probability, in the mean over the voice's time with the face, that the face speaks.
        turn_score: the same for a single turn of a voice that is of no face in the whole.
        least_seconds: how long voice and face must have met.
        alone: what a score counts that rests on the lips alone, where nothing is known of the sound.
    """

    unseen: float = Field(default=0.2, gt=0, lt=1)
    unseen_alone: float = Field(default=0.4, gt=0, lt=1)
    score: float = Field(default=0.5, ge=0, le=1)
    turn_score: float = Field(default=0.7, ge=0, le=1)
    least_seconds: float = Field(default=0.6, ge=0)
    alone: float = Field(default=0.6, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class _Voice:
    """Who speaks (None: not told apart), in which bins, and the turns."""

    speaker: str | None
    said: Flags
    turns: list[Observation]


@dataclass(frozen=True, slots=True)
class _Link:
    """A voice and the tracks of a person; ``both``: the bins that speak for it, the ``whole`` voice or single turns."""

    voice: _Voice
    faces: list[Face]
    both: Flags
    score: float
    whole: bool


class SpeakerIsFace(Rule):
    """Over the whole source: for each speaker the faces (one person's tracks together) that speak with the voice.

    ``data.whole`` is false where only single turns of the voice are the person's; ``data.turns`` holds their times.

    Without `attention` a face that is alone on screen is taken for the speaker; without `speakers` all speech is one
    voice; without sound it says which faces talk.
    """

    name: ClassVar[str] = "speaker_is_face"
    Settings: ClassVar[type[RuleSettings]] = SpeakerIsFaceSettings

    def finish(self) -> Iterable[Observation]:
        """One fact for each voice and person."""
        memory, settings = self.known.memory, self.settings
        talking = memory.talking()
        if not talking:
            return
        lips = any(f.times for f in memory.faces.values())
        blind, _ = speaking(talking, settings.unseen_alone, lips=False)
        found = speaking(talking, settings.unseen)[0] if lips else blind
        if memory.voices is None:
            yield from self._silent(talking)
            return
        links = [link for voice in self._voices() for link in self._links(voice, found)]
        best = {id(k.faces[0]): max(o.score for o in links if o.faces[0] is k.faces[0]) for k in links if k.whole}
        for link in links:
            if link.whole and link.score < best[id(link.faces[0])]:
                continue  # a face has one voice
            shown = self._shown(link.faces, talking)
            without = {"voice": _mean(link.faces, found, shown)}
            without["lips" if lips else "face"] = _mean(link.faces, blind, link.both) if lips else 0.0
            yield self._fact(link, shares(link.score, without))

    def _links(self, voice: _Voice, found: dict[str, Floats]) -> Iterator[_Link]:
        """The people who speak with the voice; where it is of nobody in the whole, those who do in single turns: voices
        that are alike, or seldom heard, may have been taken for one.
        """
        settings = self.settings
        talking = self.known.memory.talking()
        whole: list[_Link] = []
        for faces in self._people():
            both = voice.said & self._shown(faces, talking)
            if both.sum() * BIN >= settings.least_seconds:
                whole.append(_Link(voice, faces, both, _mean(faces, found, both), True))
        if any(link.score >= settings.score for link in whole):
            yield from (link for link in whole if link.score >= settings.score)
            return
        parts = [np.zeros(self.known.memory.count, bool) for _ in whole]
        for turn in voice.turns:
            said = np.zeros(self.known.memory.count, bool)
            said[bins_of(turn.span.start.seconds, turn.span.end.seconds)] = True
            scores = [_mean(link.faces, found, said) for link in whole]
            if scores and max(scores) >= settings.turn_score:
                parts[int(np.argmax(scores))] |= said
        for link, part in zip(whole, parts, strict=True):
            if part.sum() * BIN >= settings.least_seconds:
                yield _Link(voice, link.faces, part, _mean(link.faces, found, part), False)

    @staticmethod
    def _shown(faces: list[Face], talking: dict[str, Floats]) -> Flags:
        """(count,) whether one of the faces is on screen."""
        return np.any([~np.isnan(talking[f.track]) for f in faces], axis=0)

    def _people(self) -> list[list[Face]]:
        """Tracks of one person together where identity says so."""
        people: dict[str, list[Face]] = {}
        for face in self.known.memory.faces.values():
            people.setdefault(face.person or f" {face.track}", []).append(face)
        return list(people.values())

    def _voices(self) -> Iterator[_Voice]:
        """Each voice; one without a name where speakers are not told apart."""
        memory = self.known.memory
        if memory.voices == "speech":
            if memory.sentences:
                yield _Voice(None, memory.spoken(), memory.sentences)
            return
        speakers: dict[str, list[Observation]] = {}
        for turn in memory.turns:
            speakers.setdefault(turn.track or turn.label or "", []).append(turn)
        for speaker, turns in sorted(speakers.items()):
            said = np.zeros(memory.count, bool)
            for turn in turns:
                said[bins_of(turn.span.start.seconds, turn.span.end.seconds)] = True
            yield _Voice(speaker, said, turns)

    def _fact(self, link: _Link, senses: dict[str, Json]) -> Observation:
        memory, faces, speaker = self.known.memory, link.faces, link.voice.speaker
        first, last = (int(i) for i in np.flatnonzero(link.both)[[0, -1]])
        span = stretch(first * BIN, (last + 1) * BIN)
        name = next((f.name for f in faces if f.name), None)
        used = [t for t in link.voice.turns if link.both[bins_of(t.span.start.seconds, t.span.end.seconds)].any()]
        times: list[Json] = [[round(t.span.start.seconds, 2), round(t.span.end.seconds, 2)] for t in used[:_MOST_TURNS]]
        missing = [s for s, kind in (("lips", "attention"), ("speakers", "speaker")) if kind not in memory.kinds]
        return make_fact(
            self,
            span,
            link.score,
            senses,
            [*(f.evidence() for f in faces), *used],
            missing=missing,
            track=faces[0].track,
            text=f"{speaker or 'voice'} is {name or faces[0].track}" + ("" if link.whole else " at times"),
            speaker=speaker,
            faces=[f.track for f in faces],
            person=name,
            whole=link.whole,
            turns=times,
            seconds=round(float(link.both.sum()) * BIN, 1),
        )

    def _silent(self, talking: dict[str, Floats]) -> Iterator[Observation]:
        """Which faces talk, where nothing is known of the sound."""
        settings = self.settings
        for face in self.known.memory.faces.values():
            talks = np.nan_to_num(talking[face.track])
            if not face.times or not (talks > 0.5).any():
                continue
            moments = talks > 0.5
            if moments.sum() * BIN < settings.least_seconds:
                continue
            score = float(talks[moments].mean()) * settings.alone
            first, last = (int(i) for i in np.flatnonzero(moments)[[0, -1]])
            yield make_fact(
                self,
                stretch(first * BIN, (last + 1) * BIN),
                score,
                {"lips": 1.0},
                [face.evidence()],
                missing=["voice"],
                track=face.track,
                text=f"{face.name or face.track} talks",
                speaker=None,
                faces=[face.track],
                person=face.name,
                seconds=round(float(moments.sum()) * BIN, 1),
            )


def _mean(faces: list[Face], found: dict[str, Floats], moments: Flags) -> float:
    """Mean probability over the moments that one of the faces speaks."""
    return float(np.minimum(sum(found[f.track][moments] for f in faces), 1.0).mean()) if moments.any() else 0.0


RULE = SpeakerIsFace
