"""What is said, when, in which language; nothing where nobody speaks; the same after a resume."""

from __future__ import annotations

import json
import sys
import wave
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, ClassVar

import av
import numpy as np
import pytest

from onlooker.analyzers._sound_stream import BLOCK, RATE, RecentSound
from onlooker.analyzers._sound_voice import VoiceActivity
from onlooker.analyzers.speech import transcriber
from onlooker.analyzers.speech.analyzer import Speech
from onlooker.analyzers.speech.config import SpeechConfig
from onlooker.analyzers.speech.sections import Sections
from onlooker.analyzers.speech.sentences import Sentences
from onlooker.core.analyzer import Context, Window
from onlooker.core.errors import ModelMissing
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, ReadRequest
from onlooker.core.time import Timestamp
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive, measure


def samples_of(path) -> np.ndarray:
    resampler = av.AudioResampler("fltp", "mono", RATE)
    parts: list[np.ndarray] = []
    with av.open(str(path)) as opened:
        for frame in opened.decode(audio=0):
            parts += [block.to_ndarray()[0] for block in resampler.resample(frame)]
        parts += [block.to_ndarray()[0] for block in resampler.resample(None)]
    return np.concatenate(parts)


def write(path, samples: np.ndarray) -> str:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return str(path)


@pytest.fixture(scope="module")
def spoken(data, tmp_path_factory):
    """70 s: an address, silence, six sentences, noise, the address again."""
    address = samples_of(data("speech/jfk.flac"))
    lines = [samples_of(p) for p in sorted(data("ravdess_speech/audio").glob("03-01-01-01-0*-01-0[1-6].ogg"))[:10]]
    noise = np.random.default_rng(0).normal(0, 0.01, 7 * RATE)
    whole = np.concatenate([address, np.zeros(3 * RATE), *lines, noise, address])
    return write(tmp_path_factory.mktemp("speech") / "spoken.wav", whole[: 70 * RATE + 5000])


@pytest.fixture(autouse=True)
def _models():
    import os

    from onlooker import models

    for name in ("silero-vad", "whisper-base"):
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def spans_only() -> Speech:
    return Speech(SpeechConfig(transcribe=False))


def fast(**more) -> Speech:
    pytest.importorskip("faster_whisper")
    return Speech(SpeechConfig(beam=1, **more))


def observed(analyzer: Speech, path: str) -> list[Any]:
    source = open_source(path)
    try:
        return drive([analyzer], source)
    finally:
        source.close()


class TestContract(AnalyzerContract):
    """Over several sections, so that segments begin in the middle of one."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, spoken):
        type(self).path = spoken

    def make(self):
        return [spans_only()]

    def open_source(self):
        return open_source(self.path)


def test_english_is_written_with_the_times_of_words(data):
    found = observed(fast(), str(data("speech/jfk.flac")))
    text = " ".join(o.text for o in found).lower()
    assert "ask not what your country can do for you" in text
    assert "fellow americans" in text
    words = [w for o in found for w in o.data["words"]]
    assert all(a[1] <= b[0] + 0.3 and a[0] <= a[1] for a, b in pairwise(words))
    assert all(o.data["language"] == "en" and 0 < o.score <= 1 for o in found)
    # as can be heard in the recording
    first, second = (w[0] for w in words if w[2].lower().strip(",.") == "country")
    assert 5.3 < first < 6.3
    assert 9.3 < second < 10.5


def test_chinese_is_found_and_written(data):
    (found, *more) = observed(fast(), str(data("speech/aishell-BAC009S0724W0121.wav")))
    text = "".join(o.text for o in [found, *more])
    assert found.data["language"] == "zh"
    assert sum(c in text for c in "州市地产介分析") >= 4


def test_speech_is_grouped_into_parts_long_enough_to_find_their_language():
    def groups(*seconds: float) -> list[list[float]]:
        pieces = [transcriber._Piece(0, 0, int(s * RATE)) for s in seconds]
        return [[p.length / RATE for p in g] for g in transcriber._groups(pieces)]

    assert groups(1.0) == [[1.0]]
    assert groups(2.5, 1.0) == [[2.5, 1.0]]
    assert groups(3.0, 2.5, 1.0) == [[3.0], [2.5, 1.0]]
    assert groups(1.0, 1.5, 3.0) == [[1.0, 1.5], [3.0]]
    assert len(groups(*[2.0] * 12)) == 4


@pytest.mark.parametrize("order", [("jfk.flac", "aishell-BAC009S0724W0121.wav"), ("bus_chinese.wav", "LDC93S1.wav")])
def test_two_languages_in_one_section_are_both_written(data, tmp_path, order):
    pause = np.zeros(int(1.2 * RATE))
    parts = [samples_of(data(f"speech/{name}")) for name in order]
    found = observed(fast(), write(tmp_path / "both.wav", np.concatenate([parts[0], pause, parts[1]])))
    border = (len(parts[0]) + len(pause) / 2) / RATE
    languages = ["zh" if "ese" in name or "aishell" in name else "en" for name in order]
    assert {o.data["language"] for o in found if o.span.end.seconds < border} == {languages[0]}
    assert {o.data["language"] for o in found if o.span.end.seconds > border} == {languages[1]}
    english = " ".join(o.text or "" for o in found if o.data["language"] == "en").lower()
    assert ("your country" if order[0] == "jfk.flac" else "suit") in english


def test_only_the_languages_that_are_allowed(data):
    found = observed(fast(languages=("en", "zh")), str(data("speech/LDC93S1.wav")))
    assert {o.data["language"] for o in found} == {"en"}
    assert "suit" in found[0].text


def test_nothing_is_written_where_nobody_speaks(data, tmp_path):
    rain = samples_of(sorted(data("esc10/audio").glob("*-rain.ogg"))[0])
    noise = np.random.default_rng(0).normal(0, 0.03, 5 * RATE)
    assert observed(fast(), write(tmp_path / "none.wav", np.concatenate([np.zeros(5 * RATE), noise, rain, rain]))) == []


def test_spans_of_speech_need_no_transcription(spoken, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    spans = [(o.span.start.seconds, o.span.end.seconds) for o in observed(spans_only(), spoken)]
    assert spans[0][0] < 0.5
    assert not [s for s in spans if s[0] < 12 < s[1]], "silence is called speech"


def test_without_the_package_one_line_says_what_to_do(monkeypatch, data):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ModelMissing, match=r"pip install 'onlooker\[speech\]'"):
        observed(Speech(SpeechConfig(transcribe=True)), str(data("speech/jfk.flac")))


def test_whether_the_package_is_here_decides_the_default(monkeypatch):
    assert SpeechConfig().transcribe
    monkeypatch.setattr("onlooker.analyzers.speech.config.find_spec", lambda name: None)
    assert not SpeechConfig().transcribe


def test_sections_are_the_same_wherever_hearing_begins(spoken):
    source = open_source(spoken)
    blocks = [
        b
        for b in source.read(ReadRequest(frames="none", audio_rate=RATE, audio_block=BLOCK))
        if isinstance(b, AudioBlock)
    ]
    voice = VoiceActivity()

    def run(first: int):
        sections = Sections(RecentSound(source.read), voice)
        made = []
        for block in blocks[first:]:
            heard, complete = sections.hear(block)
            cut = [
                (s.start, s.end, s.voice.tobytes(), sections.sound.samples(s.start * 512, s.end * 512).tobytes())
                for s in complete
            ]
            made.append((heard.tobytes(), cut))
            sections.forget()
        rest = sections.rest()
        assert rest is not None
        return made, (rest.start, rest.end, rest.voice.tobytes())

    whole, rest = run(0)
    cuts = [s[:2] for _, cut in whole for s in cut]
    assert len(cuts) >= 2
    assert all(b == c for (_, b), (c, _) in pairwise(cuts))
    assert all(20 * RATE < (b - a) * 512 < 30 * RATE for a, b in cuts)
    for first in (1, 20, 25, 26, 28, 50, 52, 55, len(blocks) - 2):
        assert run(first) == (whole[first:], rest), f"from {first} s on"
    voice.close()
    source.close()


class _Unknown:
    """A source that does not say how long it is."""

    def __init__(self, path: str) -> None:
        self._source = open_source(path)
        self.info = replace(self._source.info, duration=None)
        self.read, self.cut_points, self.close = self._source.read, self._source.cut_points, self._source.close


def test_the_end_is_written_whether_or_not_it_could_be_known(data, tmp_path):
    path = write(tmp_path / "whole.wav", samples_of(data("speech/jfk.flac"))[: 5 * RATE])
    known = [o.as_dict() for o in observed(fast(), path)]
    assert known
    source = _Unknown(path)
    assert [o.as_dict() for o in drive([fast()], source)] == known
    # and from stored measurements, by an instance that heard nothing
    first, second = fast(), fast()
    first.open(Context(source.info, source.read))
    measured = measure([first], source)["speech"]
    assert all(m.blob is None for m in measured)
    second.open(Context(source.info, source.read))
    made = [*second.analyze(Window(measured, (), Timestamp.of_seconds(9))), *second.flush()]
    assert [o.as_dict() for o in made] == known
    for analyzer in (first, second):
        analyzer.close()
    source.close()


def _segment(start: float, words: list[str], language: str = "en", step: float = 0.5) -> dict:
    timed = [[start + i * step, start + (i + 1) * step, w, 0.9] for i, w in enumerate(words)]
    text = "".join(words)
    return {
        "start": start,
        "end": timed[-1][1],
        "text": text,
        "score": 0.8,
        "language": language,
        "language_score": 1.0,
        "words": timed,
    }


def test_sentences_end_where_they_should():
    sentences = Sentences(longest=15.0, score=0.3)
    made = sentences.feed([_segment(0, [" One", " two.", " Three"])])
    assert [o.text for o in made] == ["One two."]
    # it goes on over the border of two sections, and a pause ends it
    made = sentences.feed([_segment(1.5, [" four"]), _segment(4.0, ["五"], "zh")])
    assert [o.text for o in made] == ["Three four"]
    assert [o.text for o in sentences.feed([])] == ["五"]
    assert sentences.flush() == []


def test_improbable_sentences_are_left_out():
    sentences = Sentences(longest=15.0, score=0.9)
    assert sentences.feed([_segment(0, [" One."])]) == []


def test_a_section_that_is_written_again_is_said_once():
    speech = Speech(SpeechConfig())
    early = {"start": 0, "end": 31, "complete": False, "segments": [_segment(0, [" Early."])]}
    late = {"start": 0, "end": 62, "complete": True, "segments": [_segment(0, [" Late."])]}

    def at(second: int, sections: list[dict] | None) -> Measurement:
        blob = json.dumps(sections).encode() if sections else None
        return Measurement(Timestamp.of_seconds(Fraction(second)), Fraction(1), np.zeros(31, np.uint8), blob)

    window = Window([at(0, [early]), at(1, [late])], (), Timestamp.of_seconds(2))
    made = [*speech.analyze(window), *speech.flush()]
    assert [o.text for o in made] == ["Late."]


def test_what_is_said_again_and_again_is_written_each_time(data, tmp_path):
    clips = sorted(data("ravdess_speech/audio").glob("03-01-01-01-01-01-0[1-8].ogg"))
    assert len(clips) == 6
    found = observed(fast(), write(tmp_path / "again.wav", np.concatenate([samples_of(c) for c in clips])))
    text = " ".join(o.text for o in found).lower()
    assert text.count("kids are talking") >= 5


def _written(text: str, start: float, end: float, **more) -> SimpleNamespace:
    words = [SimpleNamespace(start=start, end=end, probability=0.9)]
    facts = {"avg_logprob": -0.3, "compression_ratio": 1.2, "no_speech_prob": 0.1, "words": words}
    return SimpleNamespace(text=text, start=start, end=end, **(facts | more))


def test_what_nobody_can_have_said_is_left_out():
    loose = [SimpleNamespace(start=1.0, end=1.0, probability=0.1)] * 9
    circle = _written("thanks for watching", 0, 5, compression_ratio=5.0, words=loose)
    assert transcriber._is_bad(circle)
    assert not transcriber._is_bad(_written("kids are talking", 0, 5, compression_ratio=5.0))
    assert [s.text for s in transcriber._unrepeated([circle, circle, _written("yes", 5, 6)])] == [
        "thanks for watching",
        "yes",
    ]
    assert transcriber._is_speech(_written("hello there", 0, 2), "")
    assert not transcriber._is_speech(_written("hello there everybody, how do you do", 0, 0.4), "")
    assert not transcriber._is_speech(_written("hello", 0, 2, no_speech_prob=0.9, avg_logprob=-1.5), "")
    assert not transcriber._is_speech(_written("以下是普通话的句子", 0, 2), "以下是普通话的句子。")
    assert transcriber._uncovered([_written("a", 0, 2), _written("b", 6, 7)], 10.0) == [(2, 6), (7, 10.0)]
    assert transcriber._uncovered([], 10.0) == []
