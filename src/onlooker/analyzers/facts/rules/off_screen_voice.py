"""Somebody speaks who is not seen: no mouth on screen moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import ClassVar

import numpy as np
from pydantic import Field

from onlooker.analyzers.facts.memory import bins_of
from onlooker.analyzers.facts.rule import Rule, RuleSettings, hull, make_fact, shares
from onlooker.analyzers.facts.rules._speaking import speaking
from onlooker.core.observation import Observation

__all__ = ["RULE", "OffScreenVoice", "OffScreenVoiceSettings"]


class OffScreenVoiceSettings(RuleSettings):
    """Settings of `OffScreenVoice`.

    Args:
        unseen: probability that who speaks is not on screen, before the lips are looked at.
        score: least probability that nobody on screen speaks, in the mean over a turn or sentence.
        least_seconds: shorter stretches are left out.
        gap_seconds: stretches with a shorter pause are one.
    """

    unseen: float = Field(default=0.4, gt=0, lt=1)
    score: float = Field(default=0.7, ge=0, le=1)
    least_seconds: float = Field(default=1.0, ge=0)
    gap_seconds: float = Field(default=1.5, ge=0)


class OffScreenVoice(Rule):
    """Turns (else sentences) in which no visible mouth moves, or no face is on screen; needs that faces are looked for.

    Where only faces but no lips are known, it speaks of moments without a face alone.
    """

    name: ClassVar[str] = "off_screen_voice"
    Settings: ClassVar[type[RuleSettings]] = OffScreenVoiceSettings

    def finish(self) -> Iterable[Observation]:
        """One fact for each stretch of one voice."""
        memory, settings = self.known.memory, self.settings
        if memory.voices is None or not {"attention", "face_track"} & memory.kinds:
            return
        pieces = memory.turns if memory.voices == "speaker" else memory.sentences
        _, unseen = speaking(memory.talking(), settings.unseen)
        if not len(unseen):
            unseen = np.ones(memory.count)
        off: list[tuple[Observation, float]] = []
        for piece in pieces:
            part = unseen[bins_of(piece.span.start.seconds, piece.span.end.seconds)]
            score = float(part.mean()) if len(part) else 0.0
            if score >= settings.score:
                off.append((piece, score))
        for group in self._joined(off):
            span = hull(o for o, _ in group)
            if span.duration < settings.least_seconds:
                continue
            seconds = [float(o.span.duration) for o, _ in group]
            score = float(np.average([s for _, s in group], weights=seconds))
            yield self._fact(group, score)

    def _joined(self, off: list[tuple[Observation, float]]) -> Iterator[list[tuple[Observation, float]]]:
        for _, same in groupby(sorted(off, key=lambda p: p[0].track or ""), key=lambda p: p[0].track):
            group: list[tuple[Observation, float]] = []
            for piece in same:
                if group and piece[0].span.start - group[-1][0].span.end > self.settings.gap_seconds:
                    yield group
                    group = []
                group.append(piece)
            yield group

    def _fact(self, group: list[tuple[Observation, float]], score: float) -> Observation:
        memory = self.known.memory
        span = hull(o for o, _ in group)
        part = bins_of(span.start.seconds, span.end.seconds)
        shown = [t for t, p in memory.talking().items() if not np.isnan(p[part]).all()]
        lips = "attention" in memory.kinds
        sense = "lips" if shown and lips else "face"
        speaker = group[0][0].track if group[0][0].kind == "speaker" else None
        seen = [memory.faces[t].evidence(span) for t in shown]
        return make_fact(
            self,
            span,
            score,
            shares(score, {"voice": 0.0, sense: self.settings.unseen}),
            [*(o for o, _ in group), *seen],
            missing=[] if lips else ["lips"],
            text=f"{speaker or 'voice'} is not on screen",
            speaker=speaker,
            faces=[*shown],
        )


RULE = OffScreenVoice
