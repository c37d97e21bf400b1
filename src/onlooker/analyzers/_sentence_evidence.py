"""What speaks for what a video is about: sentences, captions, things and sounds, each with its time and weight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onlooker.analyzers._sentence_words import letters
from onlooker.core.observation import Observation
from onlooker.core.time import Span

__all__ = ["SENSES", "Evidence", "evidence_of", "joined"]

SENSES = {"speech": "speech", "text": "text", "track": "objects", "sound": "sounds"}
"""Which sense each kind of observation comes by."""

_FULL = 60
"""A text of so many letters weighs 1, a shorter one less."""
_WEIGHTS = {"speech": 1.0, "text": 0.7, "objects": 0.35, "sounds": 0.35}
_SILENT = frozenset({"person", "speech", "music", "crowd"})
"""Labels of what is in videos of every sort."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece.

    Args:
        span: when.
        sense: one of the values of `SENSES`.
        text: its words.
        weight: how much it counts.
    """

    span: Span
    sense: str
    text: str
    weight: float


def evidence_of(observation: Observation) -> Evidence | None:
    """What an observation says about what the video is about, or None."""
    sense = SENSES.get(observation.kind)
    if sense is None:
        return None
    if observation.kind in ("speech", "text"):
        text = " ".join((observation.text or "").split())
        size = letters(text)
        if size < 4:
            return None
        return Evidence(observation.span, sense, text, _WEIGHTS[sense] * min(1.0, size / _FULL))
    label = (observation.label or "").replace("_", " ")
    if not label or observation.label in _SILENT:
        return None
    return Evidence(observation.span, sense, label, _WEIGHTS[sense] * (observation.score or 0.5))


def joined(pieces: Iterable[Evidence]) -> list[Evidence]:
    """Captions, things and sounds that come again count once for each stretch, with their largest weight."""
    made: dict[tuple[str, str], Evidence] = {}
    sentences: list[Evidence] = []
    for piece in pieces:
        if piece.sense == "speech":
            sentences.append(piece)
            continue
        known = made.get((piece.sense, piece.text.casefold()))
        if known is None or piece.weight > known.weight:
            made[piece.sense, piece.text.casefold()] = piece
    return sentences + list(made.values())
