"""The analyzer ``speakers``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from onlooker import models
from onlooker.analyzers._sound_stream import BLOCK, RATE, RecentSound
from onlooker.analyzers._sound_voice import FRAME, PERIOD, SLACK, VoiceActivity, restart_frame
from onlooker.analyzers._sound_voice import MODEL as VOICE_MODEL
from onlooker.analyzers.speakers.config import SpeakersConfig
from onlooker.analyzers.speakers.turns import Turn, Turns
from onlooker.analyzers.speakers.voices import DIMENSIONS, HOP, LENGTH, MODEL, VoiceEncoder
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock
from onlooker.core.observation import Observation

__all__ = ["SPACE", "Speakers"]

SPACE = "voice-resemblyzer"
_SHARE = 0.5
"""Share of a window that must be speech for its voice to be looked at."""


class Speakers(Analyzer[SpeakersConfig]):
    """Turns of speakers, and the mean voice of each."""

    name: ClassVar[str] = "speakers"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("speaker", "embedding")
    Config = SpeakersConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: SpeakersConfig) -> None:
        super().__init__(config)
        self._voice: VoiceActivity | None = None
        self._encoder: VoiceEncoder | None = None
        self._restart()

    def needs(self) -> Needs:
        """Blocks of a second at 16 kHz, and the models."""
        return Needs(audio_rate=RATE, audio_block=BLOCK, models=(VOICE_MODEL, MODEL))

    def bundle_digest(self) -> str:
        """Digest of the voice encoder."""
        return models.bundle_digest(MODEL)

    def open(self, context: Context) -> None:
        """Load the models."""
        self._restart()
        self._sound = RecentSound(context.read)
        if context.source.audio:
            self._voice = VoiceActivity(context.threads)
            self._encoder = VoiceEncoder(context.threads)

    def _restart(self) -> None:
        self._turns = Turns(self.config)
        self._sound = RecentSound(None)
        self._probabilities: list[float] = []
        self._first = 0
        self._next = 0
        self._heard = False

    # -- the heavy part --

    def hear(self, block: AudioBlock) -> Measurement | None:
        """A row for each window of speech that the block completes: its number, counted from the block's start, and its
        vector; and the probability of speech in each frame.
        """
        if self._voice is None or self._encoder is None:
            return None
        begin = round(block.time.value * RATE)
        if not (self._heard and self._sound.follows(block)):
            self._go_on(begin)
        self._heard = True
        self._sound.add(block.samples[:, 0])
        voice = self._voice.hear(self._sound)
        self._probabilities += voice
        places = self._speaking()
        rows = np.zeros((len(places), 1 + DIMENSIONS), np.float16)
        if places:
            windows = np.stack([self._sound.samples(p * HOP, p * HOP + LENGTH) for p in places])
            rows[:, 1:] = self._encoder.vectors(windows)
            rows[:, 0] = [p - begin // HOP for p in places]
        self._forget()
        blob = bytes(round(p * 255) for p in voice)
        return Measurement(block.time, block.duration, rows, blob)

    def _speaking(self) -> list[int]:
        """The numbers of the windows that are complete now and are speech for the most part."""
        assert self._voice is not None
        places: list[int] = []
        while -(-(self._next * HOP + LENGTH) // FRAME) <= self._voice.frame:
            start = self._next * HOP // FRAME
            end = -(-(self._next * HOP + LENGTH) // FRAME)
            inside = self._probabilities[start - self._first : end - self._first]
            if sum(p >= _SHARE for p in inside) >= _SHARE * len(inside):
                places.append(self._next)
            self._next += 1
        return places

    def _go_on(self, until: int) -> None:
        """Hear again what the next windows rest on."""
        assert self._voice is not None
        done = until // FRAME
        # the first window that is not complete with the frames before
        self._next = max(0, (done * FRAME - LENGTH) // HOP + 1)
        period = (self._next * HOP // FRAME + SLACK) // PERIOD
        self._first = restart_frame(period)
        self._voice.restart(self._first)
        self._sound.restart(self._first * FRAME - FRAME, until)
        self._probabilities = self._voice.hear(self._sound)

    def _forget(self) -> None:
        """Drop what no later window needs."""
        keep = max(self._first, self._next * HOP // FRAME)
        del self._probabilities[: keep - self._first]
        self._first = keep
        self._sound.drop(keep * FRAME - FRAME)

    # -- the light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Turns, about ten minutes of speech at a time."""
        made: list[Observation] = []
        for m in window.measurements:
            begin = round(m.time.value * RATE) // HOP
            places = np.rint(m.values[:, 0].astype(np.float64)).astype(np.int64) + begin
            vectors = m.values[:, 1:].astype(np.float32)
            voice = np.frombuffer(m.blob or b"", np.uint8)
            made += map(_turn, self._turns.add(voice, places, vectors))
        return made

    def flush(self) -> Iterable[Observation]:
        """The last turns, and each speaker's voice."""
        turns, self._turns, collected = self._turns.flush(), Turns(self.config), self._turns
        voices = [
            Observation(
                s.span,
                "embedding",
                label="voice",
                track=f"speaker-{s.number}",
                data={"seconds": round(s.seconds, 3)},
                vector=s.vector,
                vector_space=SPACE,
            )
            for s in collected.speakers
            if s.seconds
        ]
        return [*map(_turn, turns), *voices]

    def close(self) -> None:
        """Release the models."""
        if self._voice is not None:
            self._voice.close()
        if self._encoder is not None:
            self._encoder.close()
        self._voice = self._encoder = None


def _turn(turn: Turn) -> Observation:
    name = f"speaker-{turn.speaker.number}"
    return Observation(turn.span, "speaker", score=round(turn.score, 4), label=name, track=name)
