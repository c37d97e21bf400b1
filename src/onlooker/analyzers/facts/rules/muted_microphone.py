"""A mouth talks, but nothing is heard: the microphone is muted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from onlooker.analyzers.facts.memory import BIN, Face, bins_of
from onlooker.analyzers.facts.rule import Known, Rule, RuleSettings, make_fact, shares, stretch
from onlooker.core.observation import Observation

__all__ = ["RULE", "MutedMicrophone", "MutedMicrophoneSettings"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class MutedMicrophoneSettings(RuleSettings):
    """Settings of `MutedMicrophone`.

    Args:
        talking: probability from which a mouth is taken to talk.
        least_seconds: how long it must talk without being heard.
        pause_seconds: pauses of the mouth up to this length are bridged.
        margin: seconds around speech in which a moving mouth is nothing special.
        not_silent: what a score counts where other sound is heard.
        unknown: what it counts where nothing is known of the sound.
    """

    talking: float = Field(default=0.6, ge=0, le=1)
    least_seconds: float = Field(default=1.6, gt=0)
    pause_seconds: float = Field(default=0.6, ge=0)
    margin: float = Field(default=0.6, ge=0)
    not_silent: float = Field(default=0.7, ge=0, le=1)
    unknown: float = Field(default=0.4, ge=0, le=1)


class MutedMicrophone(Rule):
    """Stretches in which a face talks and no speech is heard. A source without a sound track has no microphone.

    Without speech and speakers it rests on silence (`sound_quality`), without any on the lips alone.
    """

    name: ClassVar[str] = "muted_microphone"
    kinds: ClassVar[tuple[str, ...]] = ("cue",)
    Settings: ClassVar[type[RuleSettings]] = MutedMicrophoneSettings

    def __init__(self, settings: MutedMicrophoneSettings, known: Known) -> None:
        super().__init__(settings, known)
        self._silences: list[Observation] = []

    def take(self, observation: Observation) -> Iterable[Observation]:
        """Remember silence."""
        if observation.label == "silence":
            self._silences.append(observation)
        return ()

    def finish(self) -> Iterable[Observation]:
        """One fact for each stretch of one face."""
        memory = self.known.memory
        if not self.known.sound or not memory.faces:
            return
        quiet = np.zeros(memory.count, bool)
        for silence in self._silences:
            quiet[bins_of(silence.span.start.seconds, silence.span.end.seconds)] = True
        said = memory.spoken(self.settings.margin)
        for face in memory.faces.values():
            if face.times:
                yield from self._of(face, memory.talking()[face.track], said, quiet)

    def _of(self, face: Face, talking: Floats, said: Flags, quiet: Flags) -> Iterator[Observation]:
        settings, memory = self.settings, self.known.memory
        talks = np.nan_to_num(talking) >= settings.talking
        for first, last in _runs(talks & ~said, round(settings.pause_seconds / BIN)):
            if (last - first) * BIN < settings.least_seconds or said[first:last].any():
                continue
            lips = float(np.nanmean(talking[first:last]))
            silent = float(quiet[first:last].mean())
            heard = memory.voices is not None
            if silent >= 0.8:
                sound, state = 1.0, "silent"
            elif heard:
                sound, state = settings.not_silent, "no speech"
            else:
                sound, state = settings.unknown, "unknown"
            if state == "unknown" and "cue" in self.known.kinds:
                continue  # it is known not to be silent
            span = stretch(first * BIN, last * BIN)
            senses = shares(lips * sound, {"lips": 0.0, "sound": lips * settings.unknown})
            silences = [s for s in self._silences if s.span.start < span.end and s.span.end > span.start]
            yield make_fact(
                self,
                span,
                lips * sound,
                senses if state != "unknown" else {"lips": 1.0},
                [face.evidence(span), *silences],
                missing=["sound"] if state == "unknown" else [],
                track=face.track,
                text=f"{face.name or face.track} talks and is not heard",
                sound=state,
            )


def _runs(flags: Flags, gap: int) -> Iterator[tuple[int, int]]:
    """[first, last) of runs of True; runs with at most ``gap`` False between them are one."""
    found: list[list[int]] = []
    for i in np.flatnonzero(flags).tolist():
        if found and i - found[-1][1] <= gap:
            found[-1][1] = i + 1
        else:
            found.append([i, i + 1])
    yield from ((a, b) for a, b in found)


RULE = MutedMicrophone
