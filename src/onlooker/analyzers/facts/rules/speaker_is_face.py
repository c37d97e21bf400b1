"""A voice belongs to a face: its lips move while the voice is heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from onlooker.analyzers.facts.memory import BIN, Face, bins_of
from onlooker.analyzers.facts.rule import Rule, RuleSettings, make_fact, shares, stretch
from onlooker.analyzers.facts.rules._speaking import speaking
from onlooker.core.observation import Observation

__all__ = ["RULE", "SpeakerIsFace", "SpeakerIsFaceSettings"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class SpeakerIsFaceSettings(RuleSettings):
    """Settings of `SpeakerIsFace`.

    Args:
        unseen: probability that who speaks is not on screen, before the lips are looked at.
        score: least probability, in the mean over the voice's time with the face, that the face speaks.
        least_seconds: how long voice and face must have met.
        alone: what a score counts that rests on the lips alone, where nothing is known of the sound.
    """

    unseen: float = Field(default=0.2, gt=0, lt=1)
    score: float = Field(default=0.5, ge=0, le=1)
    least_seconds: float = Field(default=0.6, ge=0)
    alone: float = Field(default=0.6, ge=0, le=1)


class SpeakerIsFace(Rule):
    """Over the whole source: for each speaker the faces (one person's tracks together) that speak with the voice.

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
        found, _ = speaking(talking, settings.unseen)
        blind, _ = speaking(talking, settings.unseen, lips=False)
        if memory.voices is None:
            yield from self._silent(talking)
            return
        links: list[tuple[float, str | None, list[Face], Flags, list[Observation]]] = []
        for speaker, said, turns in self._voices():
            for faces in self._people():
                shown = np.any([~np.isnan(talking[f.track]) for f in faces], axis=0)
                both = said & shown
                if both.sum() * BIN >= settings.least_seconds:
                    score = float(sum(found[f.track][both].sum() for f in faces) / both.sum())
                    links.append((score, speaker, faces, both, turns))
        # a face has one voice
        best = {id(faces[0]): max(s for s, _, f, *_ in links if f[0] is faces[0]) for _, _, faces, *_ in links}
        for score, speaker, faces, both, turns in links:
            if score < settings.score or score < best[id(faces[0])]:
                continue
            shown = np.any([~np.isnan(talking[f.track]) for f in faces], axis=0)
            without = {
                "voice": float(sum(found[f.track][shown].sum() for f in faces) / shown.sum()),
                "lips" if lips else "face": (
                    float(sum(blind[f.track][both].sum() for f in faces) / both.sum()) if lips else 0.0
                ),
            }
            yield self._fact(speaker, faces, both, turns, score, without)

    def _people(self) -> list[list[Face]]:
        """Tracks of one person together where identity says so."""
        people: dict[str, list[Face]] = {}
        for face in self.known.memory.faces.values():
            people.setdefault(face.person or f" {face.track}", []).append(face)
        return list(people.values())

    def _voices(self) -> Iterator[tuple[str | None, Flags, list[Observation]]]:
        """(speaker, when, turns) of each voice; one without a name where speakers are not told apart."""
        memory = self.known.memory
        if memory.voices == "speech":
            if memory.sentences:
                yield None, memory.spoken(), memory.sentences
            return
        speakers: dict[str, list[Observation]] = {}
        for turn in memory.turns:
            speakers.setdefault(turn.track or turn.label or "", []).append(turn)
        for speaker, turns in sorted(speakers.items()):
            said = np.zeros(memory.count, bool)
            for turn in turns:
                said[bins_of(turn.span.start.seconds, turn.span.end.seconds)] = True
            yield speaker, said, turns

    def _fact(
        self,
        speaker: str | None,
        faces: list[Face],
        both: Flags,
        turns: list[Observation],
        score: float,
        without: dict[str, float],
    ) -> Observation:
        memory = self.known.memory
        first, last = (int(i) for i in np.flatnonzero(both)[[0, -1]])
        span = stretch(first * BIN, (last + 1) * BIN)
        name = next((f.name for f in faces if f.name), None)
        used = [t for t in turns if both[bins_of(t.span.start.seconds, t.span.end.seconds)].any()]
        missing = [s for s, kind in (("lips", "attention"), ("speakers", "speaker")) if kind not in memory.kinds]
        return make_fact(
            self,
            span,
            score,
            shares(score, without),
            [*(f.evidence() for f in faces), *used],
            missing=missing,
            track=faces[0].track,
            text=f"{speaker or 'voice'} is {name or faces[0].track}",
            speaker=speaker,
            faces=[f.track for f in faces],
            person=name,
            seconds=round(float(both.sum()) * BIN, 1),
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


RULE = SpeakerIsFace
