"""Settings of the analyzer of speech."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["SpeechConfig"]


def _can_transcribe() -> bool:
    return find_spec("faster_whisper") is not None


class SpeechConfig(AnalyzerConfig):
    """Settings of `Speech`.

    Args:
        transcribe: whether to write down what is said; False gives the spans of speech alone. By default that is
            done where the extra ``onlooker[speech]`` is installed; installing it makes stored spans stale.
        model: the catalogue entry that transcribes (CTranslate2 form of Whisper).
        languages: the languages that may be spoken (``en``, ``zh``, ...); none: any that the model knows.
        prompts: by language, a text in the style that is wished for, which the model is shown before it writes. The one
            for Chinese makes it write simplified characters and punctuation.
        beam: how many ways of writing are followed at once; 1 is the fastest.
        words: whether words get times of their own.
        voice_on: probability of speech with which a stretch begins.
        voice_off: probability down to which it goes on.
        voice_seconds: shortest stretch of speech.
        pause_seconds: pauses up to this length do not part a stretch.
        sentence_seconds: a sentence that does not end is cut after about this long.
        score: sentences with a lower confidence (mean probability of their tokens) are left out.
    """

    transcribe: bool = Field(default_factory=_can_transcribe)
    model: str = "whisper-base"
    languages: tuple[str, ...] = ()
    prompts: dict[str, str] = Field(default_factory=lambda: {"zh": "以下是普通话的句子。"})
    beam: int = Field(default=5, ge=1, le=20)
    words: bool = True
    voice_on: float = Field(default=0.5, gt=0, lt=1)
    voice_off: float = Field(default=0.35, gt=0, lt=1)
    voice_seconds: float = Field(default=0.25, ge=0)
    pause_seconds: float = Field(default=0.5, ge=0)
    sentence_seconds: float = Field(default=15.0, gt=0)
    score: float = Field(default=0.3, ge=0, le=1)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` follows one way of writing."""
        return {"beam": 1} if quality == "fast" else {}
