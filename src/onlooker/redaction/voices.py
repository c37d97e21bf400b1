"""Where somebody speaks, so that the sound can be silenced there."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from onlooker.analyzers._sound_stream import BLOCK, RATE, RecentSound
from onlooker.analyzers._sound_voice import FRAME, VoiceActivity, regions
from onlooker.core.media import AudioBlock, ReadRequest, Source
from onlooker.core.time import Span, Timestamp

__all__ = ["spoken"]

_ON, _OFF = 0.3, 0.15
_LEAST, _GAP = 3, 16
_BEFORE = Fraction(3, 10)
_AFTER = Fraction(4, 10)


def spoken(source: Source, *, threads: int = 1) -> list[Span]:
    """Stretches with speech, rather too much than too little, with some room on both sides.

    Silero's voice activity at a low threshold: words that begin or end softly lie in the room around.
    """
    sound = RecentSound(None)
    sound.restart(0, 0)
    voice = VoiceActivity(threads)
    probabilities: list[float] = []
    try:
        for item in source.read(ReadRequest(frames="none", audio_rate=RATE, audio_block=BLOCK)):
            if isinstance(item, AudioBlock):
                sound.add(item.samples[:, 0])
                probabilities += voice.hear(sound)
                sound.drop(sound.end - 2 * RATE)
    finally:
        voice.close()
    found = regions(np.array(probabilities, np.float32), _ON, _OFF, _LEAST, _GAP)
    return _joined([(Fraction(a * FRAME, RATE) - _BEFORE, Fraction(b * FRAME, RATE) + _AFTER) for a, b in found])


def _joined(stretches: Sequence[tuple[Fraction, Fraction]]) -> list[Span]:
    spans: list[Span] = []
    for begin, end in stretches:
        start = Timestamp.of_seconds(max(Fraction(0), begin))
        if spans and start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, Timestamp.of_seconds(end))
        else:
            spans.append(Span(start, Timestamp.of_seconds(end)))
    return spans
