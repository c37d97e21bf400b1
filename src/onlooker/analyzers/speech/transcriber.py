"""Whisper over one section of sound, by faster-whisper, with guards against text that nobody said.

Radford et al. 2022, Robust Speech Recognition via Large-Scale Weak Supervision, https://arxiv.org/abs/2212.04356.
Whisper invents text where there is little speech, and repeats itself. The guards: only what the voice detector calls
speech is given to it, a section that came out badly is written again in another way (never by chance, so that a second
run gives the same), and segments that stay improbable are left out.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._sound_stream import RATE
from onlooker.analyzers._sound_voice import FRAME, regions
from onlooker.analyzers.speech.config import SpeechConfig
from onlooker.core.errors import ModelError, ModelMissing

__all__ = ["Transcriber"]

_PAD = 12  # frames kept on both sides of a stretch of speech
_JOIN = 24  # shorter pauses are given to the network as they are
_COMPRESSION, _LOG_PROBABILITY, _NO_SPEECH = 2.4, -1.0, 0.6
_SHORTEST, _CERTAIN, _LOOSE = 0.05, 0.2, 0.3  # of words: seconds, probability, share of the bad ones
_PASSED_OVER = 2.5  # seconds
_DEPTH = 3
_LANGUAGE, _SURE, _MOST_GROUPS = 2.0, 0.75, 4
"""Seconds of speech in which a language is looked for, probability from which it may differ from the section's, and
into how many parts a section is divided for it."""
_FASTEST = 35.0  # characters a second; nobody speaks faster


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of the source and where it lies in what the network hears, in samples."""

    source: int
    heard: int
    length: int


def _engine(name: str, threads: int) -> Any:
    """The network, loaded from the archive in the cache."""
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise ModelMissing(
            f"transcription needs the package faster-whisper: {error}", hint="run: pip install 'onlooker[speech]'"
        ) from None

    class Whisper(WhisperModel):
        """Keeps the last encoding: the language is found and the text written from one."""

        _last: tuple[NDArray[np.float32], Any] | None = None

        def encode(self, features: NDArray[np.float32]) -> Any:
            if self._last is None or not np.array_equal(self._last[0], features):
                self._last = (features.copy(), super().encode(features))
            return self._last[1]

    path = models.model_path(name)
    try:
        with zipfile.ZipFile(path) as archive:
            files = {file: archive.read(file) for file in archive.namelist()}
        return Whisper(name, device="cpu", compute_type="int8", cpu_threads=max(1, threads), files=files)
    except (zipfile.BadZipFile, KeyError, RuntimeError, ValueError) as error:
        raise ModelError(f"{name} cannot be loaded for transcription: {error}") from error


class Transcriber:
    """Writes down sections.

    Args:
        config: the analyzer's settings.
        threads: how many the network may use.
    """

    def __init__(self, config: SpeechConfig, threads: int) -> None:
        self._config = config
        self._model = _engine(config.model, threads)

    def section(self, samples: NDArray[np.float32], voice: NDArray[np.uint8], start: int) -> list[dict[str, Any]]:
        """The segments of one section, in order, times in seconds of the source.

        Args:
            samples: of the whole section.
            voice: probability of speech in each of its frames, 0..255.
            start: its first frame.
        """
        config = self._config
        found = regions(
            voice / 255, config.voice_on, config.voice_off, round(config.voice_seconds * RATE / FRAME), _JOIN
        )
        pieces, heard = _pieces(list(found), samples, start)
        if not pieces:
            return []
        made: list[dict[str, Any]] = []
        for run, language, certain in self._runs(pieces, heard):
            first = run[0].heard
            own = [replace(p, heard=p.heard - first) for p in run]
            segments = self._write(heard[first : run[-1].heard + run[-1].length], language)
            kept = [s for s in segments if _is_speech(s, config.prompts.get(language, ""))]
            made += [self._plain(s, own, language, certain) for s in _unrepeated(kept)]
        return made

    def _runs(self, pieces: Sequence[_Piece], heard: NDArray[np.float32]) -> list[tuple[Sequence[_Piece], str, float]]:
        """Stretches of one language: the network writes all that it is given in one, and sees only the strongest."""
        groups = _groups(pieces)
        if len(groups) == 1 or len(self._config.languages) == 1:
            return [(pieces, *self._language(heard))]
        found = [self._language(heard[g[0].heard : g[-1].heard + g[-1].length]) for g in groups]
        if len({language for language, _ in found}) == 1:
            return [(pieces, found[0][0], max(c for _, c in found))]
        whole = self._language(heard)
        runs: list[tuple[Sequence[_Piece], str, float]] = []
        for group, own in zip(groups, found, strict=True):
            language, certain = own if own[1] >= _SURE else whole
            if runs and runs[-1][1] == language:
                runs[-1] = ([*runs[-1][0], *group], language, max(runs[-1][2], certain))
            else:
                runs.append((group, language, certain))
        return runs

    def _language(self, heard: NDArray[np.float32]) -> tuple[str, float]:
        allowed = self._config.languages
        if len(allowed) == 1:
            return allowed[0], 1.0
        # one frame less, as the writing takes it, so that the encoding serves both
        features = self._model.feature_extractor(heard)[..., :-1]
        language, certain, every = self._model.detect_language(features=features)
        if allowed:
            ranked = [(name, p) for name, p in every if name in allowed]
            if not ranked:
                raise ModelError(f"{self._config.model} knows none of the languages {', '.join(allowed)}")
            language, certain = max(ranked, key=lambda pair: pair[1])
        return language, float(certain)

    def _write(self, heard: NDArray[np.float32], language: str, depth: int = 0) -> list[Any]:
        """The segments; stretches that the network passed over, as it does with sentences said several times, are
        given to it again by themselves.
        """
        segments = self._best(heard, language)
        if depth == _DEPTH:
            return segments
        more: list[Any] = []
        for start, end in _uncovered(segments, len(heard) / RATE):
            part = heard[int(start * RATE) : int(end * RATE)]
            more += [_shifted(s, int(start * RATE) / RATE) for s in self._write(part, language, depth + 1)]
        return sorted([*segments, *more], key=lambda s: s.start)

    def _best(self, heard: NDArray[np.float32], language: str) -> list[Any]:
        """The segments; written a second time, without repetitions, if they came out badly."""
        first = self._run(heard, language)
        if not any(_is_bad(s) for s in first):
            return first
        second = self._run(heard, language, beam_size=max(2, self._config.beam), no_repeat_ngram_size=4)
        return min((first, second), key=lambda s: (sum(map(_is_bad, s)), -_log_probability(s)))

    def _run(self, heard: NDArray[np.float32], language: str, **other: Any) -> list[Any]:
        settings = {
            "beam_size": self._config.beam,
            "language": language,
            "temperature": 0.0,
            "word_timestamps": self._config.words,
            "condition_on_previous_text": False,
            "initial_prompt": self._config.prompts.get(language),
            "no_speech_threshold": _NO_SPEECH,
            "log_prob_threshold": _LOG_PROBABILITY,
            **other,
        }
        segments, _ = self._model.transcribe(heard, **settings)
        return list(segments)

    def _plain(self, segment: Any, pieces: Sequence[_Piece], language: str, certain: float) -> dict[str, Any]:
        start, end = _place(pieces, segment.start), _place(pieces, segment.end, after=True)
        words: list[list[Any]] = []
        for word in segment.words or ():
            limits = _place(pieces, word.start), _place(pieces, word.end, after=True)
            words.append([round(limits[0], 3), round(max(limits), 3), word.word, round(float(word.probability), 4)])
        return {
            "start": words[0][0] if words else round(start, 3),
            "end": words[-1][1] if words else round(max(start, end), 3),
            "text": segment.text.strip(),
            "score": round(float(np.exp(segment.avg_logprob)), 4),
            "language": language,
            "language_score": round(certain, 4),
            "words": words,
        }

    def close(self) -> None:
        """Release the network."""
        self._model.model.unload_model()


def _pieces(
    found: Sequence[tuple[int, int]], samples: NDArray[np.float32], start: int
) -> tuple[list[_Piece], NDArray[np.float32]]:
    """The stretches of speech with a little around them, and their samples in one array."""
    limits: list[list[int]] = []
    for begin, end in found:
        left, right = max(0, (begin - _PAD) * FRAME), min(len(samples), (end + _PAD) * FRAME)
        if limits and left <= limits[-1][1]:
            limits[-1][1] = right
        else:
            limits.append([left, right])
    pieces: list[_Piece] = []
    parts: list[NDArray[np.float32]] = []
    at = 0
    for left, right in limits:
        pieces.append(_Piece(start * FRAME + left, at, right - left))
        parts.append(samples[left:right])
        at += right - left
    return pieces, np.concatenate(parts) if parts else samples[:0]


def _groups(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Neighbouring pieces together, each group long enough for its language to be found, at most `_MOST_GROUPS`."""
    total = sum(p.length for p in pieces)
    least = max(_LANGUAGE * RATE, total / _MOST_GROUPS)
    groups: list[list[_Piece]] = [[]]
    for piece in pieces:
        if sum(p.length for p in groups[-1]) >= least:
            groups.append([])
        groups[-1].append(piece)
    if len(groups) > 1 and sum(p.length for p in groups[-1]) < _LANGUAGE * RATE:
        last = groups.pop()
        groups[-1] += last
    return groups


def _place(pieces: Sequence[_Piece], seconds: float, *, after: bool = False) -> float:
    """Where a moment of what was heard lies in the source; on a seam it is the end of the piece before or, unless
    ``after``, the start of the next.
    """
    at = seconds * RATE
    for piece in pieces:
        end = piece.heard + piece.length
        if at < end or (after and at <= end) or piece is pieces[-1]:
            return (piece.source + min(max(at - piece.heard, 0), piece.length)) / RATE
    raise AssertionError("a section without speech is not transcribed")


def _uncovered(segments: Sequence[Any], seconds: float) -> list[tuple[float, float]]:
    """Stretches of what was heard, all of it speech but for short pauses, that no segment says anything of."""
    found: list[tuple[float, float]] = []
    at = 0.0
    if not segments:
        return found
    for segment in segments:
        for start, end in [(w.start, w.end) for w in segment.words or ()] or [(segment.start, segment.end)]:
            if start - at >= _PASSED_OVER:
                found.append((at, start))
            at = max(at, end)
    if seconds - at >= _PASSED_OVER:
        found.append((at, seconds))
    return found


def _shifted(segment: Any, by: float) -> Any:
    """The same segment later."""
    words = [replace(w, start=w.start + by, end=w.end + by) for w in segment.words or ()]
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words or None)


def _is_bad(segment: Any) -> bool:
    """Improbable, or going round in circles: text that repeats itself and does not lie on the sound.

    What is really said several times compresses as well, but its words have lengths and are certain.
    """
    if segment.avg_logprob < _LOG_PROBABILITY:
        return True
    if segment.compression_ratio <= _COMPRESSION:
        return False
    words = segment.words or ()
    loose = sum(w.end - w.start < _SHORTEST or w.probability < _CERTAIN for w in words)
    return _is_fast(segment) or loose > _LOOSE * len(words)


def _is_fast(segment: Any) -> bool:
    """Whether nobody can speak so fast."""
    text = segment.text.strip()
    return len(text) > 10 and len(text) > _FASTEST * (segment.end - segment.start)


def _log_probability(segments: Sequence[Any]) -> float:
    return float(np.mean([s.avg_logprob for s in segments])) if segments else -np.inf


def _is_speech(segment: Any, prompt: str) -> bool:
    """Whether somebody can have said it."""
    text = segment.text.strip()
    unsure = segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _LOG_PROBABILITY
    echo = bool(prompt) and text.strip("。.") == prompt.strip("。.")
    return bool(text) and not unsure and not _is_fast(segment) and not echo


def _unrepeated(segments: Sequence[Any]) -> list[Any]:
    """Without bad segments that say again, word for word, what the one before said."""
    kept: list[Any] = []
    for segment in segments:
        if kept and segment.text == kept[-1].text and _is_bad(segment):
            continue
        kept.append(segment)
    return kept
