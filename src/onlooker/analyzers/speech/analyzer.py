"""The analyzer ``speech``; see README.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from onlooker import models
from onlooker.analyzers._sound_stream import BLOCK, RATE, RecentSound
from onlooker.analyzers._sound_voice import FRAME, MODEL, VoiceActivity
from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.speech.config import SpeechConfig
from onlooker.analyzers.speech.sections import Section, Sections
from onlooker.analyzers.speech.sentences import Sentences
from onlooker.analyzers.speech.transcriber import Transcriber
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp

__all__ = ["Speech"]

_TICK = Fraction(1, RATE)
_HEAVY = {"transcribe", "model", "languages", "prompts", "beam", "words", "voice_on", "voice_off", "voice_seconds"}


class Speech(Analyzer[SpeechConfig]):
    """Sentences with their words, or the spans of speech alone."""

    name: ClassVar[str] = "speech"
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("speech",)
    Config = SpeechConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset(_HEAVY)

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__(config)
        self._context: Context | None = None
        self._sections: Sections | None = None
        self._voice: VoiceActivity | None = None
        self._transcriber: Transcriber | None = None
        self._restart()

    def needs(self) -> Needs:
        """Blocks of a second at 16 kHz, and the models."""
        used = (MODEL, self.config.model) if self.config.transcribe else (MODEL,)
        return Needs(audio_rate=RATE, audio_block=BLOCK, models=used)

    def bundle_digest(self) -> str:
        """Digest of the transcribing model, or of the voice detector."""
        return models.bundle_digest(self.config.model if self.config.transcribe else MODEL)

    def open(self, context: Context) -> None:
        """Load the models."""
        self._context = context
        self._sections = None
        self._restart()
        if not context.source.audio:
            return
        self._voice = VoiceActivity(context.threads)
        self._sections = Sections(RecentSound(context.read), self._voice)
        if self.config.transcribe:
            self._transcriber = Transcriber(self.config, context.threads)

    def _restart(self) -> None:
        config = self.config
        self._sentences = Sentences(config.sentence_seconds, config.score)
        self._finder = StretchFinder(
            config.voice_on * 255,
            config.voice_off * 255,
            minimum=_fraction(config.voice_seconds),
            gap=_fraction(config.pause_seconds),
        )
        self._done = 0
        self._pending: dict[str, Any] | None = None
        self._recent: list[int] = []
        self._first = 0
        self._end: Timestamp | None = None

    # -- the heavy part --

    def hear(self, block: AudioBlock) -> Measurement | None:
        """The probability of speech in each frame that the block completes, and what was said in each section that it
        completes.
        """
        if self._sections is None or self._context is None:
            return None
        voice, complete = self._sections.hear(block)
        written: list[dict[str, Any]] | None = None
        if self.config.transcribe:
            rest = [self._sections.rest()] if self._is_last(block) else []
            sections = [s for s in (*complete, *rest) if s is not None]
            written = [self._written(s, self._sections.sound) for s in sections]
        self._sections.forget()
        blob = json.dumps(written, ensure_ascii=False).encode() if written else None
        return Measurement(block.time, block.duration, voice, blob)

    def _is_last(self, block: AudioBlock) -> bool:
        """Whether nothing seems to come after it. Where that is wrong the section is written again."""
        assert self._context is not None
        duration = self._context.source.duration
        if duration is None or block.duration < BLOCK:
            return block.duration < BLOCK
        return block.time.value < duration <= block.time.value + block.duration

    def _written(self, section: Section, sound: RecentSound) -> dict[str, Any]:
        assert self._transcriber is not None
        samples = sound.samples(section.start * FRAME, section.end * FRAME)
        segments = self._transcriber.section(samples, section.voice, section.start)
        return {"start": section.start, "end": section.end, "complete": section.complete, "segments": segments}

    # -- the light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The sentences, or spans, that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            made += self._heard(m) if self.config.transcribe else self._spans(m)
            self._end = m.time + m.duration
        return made

    def _heard(self, measurement: Measurement) -> list[Observation]:
        made: list[Observation] = []
        self._recent += measurement.values.tolist()
        self._pending = None
        for section in json.loads(measurement.blob) if measurement.blob else ():
            if not section["complete"]:
                self._pending = section
                continue
            made += self._sentences.feed(section["segments"])
            del self._recent[: section["end"] - self._first]
            self._first = section["end"]
        return made

    def _spans(self, measurement: Measurement) -> list[Observation]:
        first = int(measurement.time.value * RATE) // FRAME
        stretches: list[Stretch] = []
        for i, value in enumerate(measurement.values.tolist(), first):
            stretches += self._finder.feed(Timestamp(i * FRAME, _TICK), float(value), voice=value / 255)
        return [_span(s) for s in stretches]

    def flush(self) -> Iterable[Observation]:
        """What is under way; the last section, where it was not yet written."""
        end, self._end = self._end, None
        if end is None:
            return []
        if not self.config.transcribe:
            return [_span(s) for s in self._finder.flush(end)]
        if self._pending is None and self._recent:
            self._pending = self._last()
        segments = self._pending["segments"] if self._pending else []
        self._pending, self._recent = None, []
        return [*self._sentences.feed(segments), *self._sentences.flush()]

    def _last(self) -> dict[str, Any] | None:
        """The last section, which ended with the sound and could not be known as the last when it was heard.

        The sound is read again where this instance did not hear it.
        """
        if self._transcriber is None or self._context is None or self._sections is None:
            return None
        voice = np.array(self._recent, np.uint8)
        section = Section(self._first, self._first + len(voice), voice, complete=False)
        sound = self._sections.sound
        if sound.end < section.end * FRAME and self._context.read is not None:
            sound = RecentSound(self._context.read)
            sound.restart(section.start * FRAME, section.end * FRAME)
        return self._written(section, sound) if sound.end >= section.end * FRAME else None

    def close(self) -> None:
        """Release the models."""
        if self._voice is not None:
            self._voice.close()
        if self._transcriber is not None:
            self._transcriber.close()
        self._voice = self._transcriber = self._sections = None


def _span(stretch: Stretch) -> Observation:
    return Observation(stretch.span, "speech", score=round(stretch.mean("voice"), 4))


def _fraction(seconds: float) -> Fraction:
    return Fraction(round(seconds * 1000), 1000)
