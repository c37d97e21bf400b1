"""Two voices are two speakers, one voice is one, and each has one vector."""

from __future__ import annotations

import os
import wave
from typing import Any, ClassVar

import av
import numpy as np
import pytest

from onlooker import models
from onlooker.analyzers.speakers.analyzer import SPACE, Speakers
from onlooker.analyzers.speakers.clustering import group, smooth
from onlooker.analyzers.speakers.config import SpeakersConfig
from onlooker.analyzers.speakers.turns import Turns
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

RATE = 16_000


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


@pytest.fixture(autouse=True)
def _models():
    for name in ("speaker", "silero-vad"):
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def lines(data, actor: int) -> np.ndarray:
    """What an actor says in four clips without strong feelings."""
    clips = sorted(data("ravdess_speech/audio").glob(f"03-01-0[12]-01-0[12]-01-{actor:02d}.ogg"))
    return np.concatenate([samples_of(clip) for clip in clips])


@pytest.fixture(scope="module")
def talk(data, tmp_path_factory):
    """A man, a woman, both again, and twelve seconds of silence before the end."""
    man, woman = lines(data, 3), lines(data, 4)
    half = len(man) // 2, len(woman) // 2
    parts = [man[: half[0]], woman[: half[1]], man[half[0] :], woman[half[1] :], np.zeros(12 * RATE)]
    path = write(tmp_path_factory.mktemp("speakers") / "talk.wav", np.concatenate(parts))
    ends = np.cumsum([len(p) for p in parts]) / RATE
    return path, ends.tolist()


def observed(path: str, **config) -> list[Any]:
    source = open_source(path)
    try:
        return drive([Speakers(SpeakersConfig(**config))], source)
    finally:
        source.close()


class TestContract(AnalyzerContract):
    """On a talk of two."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, talk):
        type(self).path = talk[0]

    def make(self):
        return [Speakers(SpeakersConfig())]

    def open_source(self):
        return open_source(self.path)


def test_two_voices_take_turns(talk):
    path, (a, b, c, d, _) = talk
    turns = [o for o in observed(path) if o.kind == "speaker"]
    assert {o.track for o in turns} == {"speaker-1", "speaker-2"}
    assert all(o.label == o.track and 0 < o.score <= 1 for o in turns)
    for start, end, name in ((0, a, "speaker-1"), (a, b, "speaker-2"), (b, c, "speaker-1"), (c, d, "speaker-2")):
        inside = [o for o in turns if start + 0.5 < (o.span.start.seconds + o.span.end.seconds) / 2 < end - 0.5]
        assert inside
        assert {o.track for o in inside} == {name}
    assert not [o for o in turns if o.span.end.seconds > d + 0.5], "nobody speaks at the end"


def test_each_speaker_has_one_voice(talk, data, tmp_path):
    made = observed(talk[0])
    voices = [o for o in made if o.kind == "embedding"]
    assert [o.track for o in voices] == ["speaker-1", "speaker-2"]
    for voice in voices:
        own = [o for o in made if o.kind == "speaker" and o.track == voice.track]
        assert (voice.label, voice.vector_space) == ("voice", SPACE)
        assert (voice.span.start, voice.span.end) == (own[0].span.start, own[-1].span.end)
        assert voice.data["seconds"] == pytest.approx(sum(float(o.span.duration) for o in own), abs=0.01)
        assert np.linalg.norm(voice.vector) == pytest.approx(1, abs=1e-5)
    # the same man elsewhere, saying it sadly
    clips = sorted(data("ravdess_speech/audio").glob("03-01-04-01-0?-01-03.ogg"))
    (again,) = [
        o
        for o in observed(write(tmp_path / "again.wav", np.concatenate([samples_of(c) for c in clips])), most=1)
        if o.kind == "embedding"
    ]
    man, woman = (float(again.vector @ v.vector) for v in voices)
    assert man > woman + 0.1


def test_one_voice_is_one_speaker(data, tmp_path):
    made = observed(write(tmp_path / "one.wav", lines(data, 9)))
    assert {o.track for o in made} == {"speaker-1"}


def test_nobody_is_heard_in_rain(data, tmp_path):
    rain = samples_of(sorted(data("esc10/audio").glob("*-rain.ogg"))[0])
    assert observed(write(tmp_path / "rain.wav", rain)) == []


def test_long_talks_are_grouped_in_batches_with_the_same_names(monkeypatch):
    monkeypatch.setattr("onlooker.analyzers.speakers.turns._BATCH", 20)
    rng = np.random.default_rng(0)
    voices = np.eye(2, 256, dtype=np.float32)
    turns = Turns(SpeakersConfig())
    made = []
    for second in range(200):
        speaks = 0 if second % 10 in (8, 9) else 1
        who = second // 20 % 2
        vectors = voices[[who, who]] + np.abs(rng.normal(0, 0.01, (2, 256))).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        # 31.25 frames and 2.5 windows a second
        voice = np.full(int((second + 1) * 31.25) - int(second * 31.25), 255 * speaks, np.uint8)
        places = np.arange(int(second * 2.5), int(second * 2.5) + 2) if speaks else np.zeros(0, np.int64)
        made += turns.add(voice, places, vectors[: len(places)])
    made += turns.flush()
    assert len(turns.speakers) == 2
    for turn in made:
        middle = (turn.start + turn.end) / 2 / RATE
        assert turn.speaker.number == 1 + int(middle // 20) % 2


def test_groups_are_those_of_average_linkage():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(3, 16))
    vectors = (centres[[0, 1, 0, 2, 1, 0, 2]] + rng.normal(0, 0.1, (7, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert group(vectors, 0.8).tolist() == [0, 1, 0, 2, 1, 0, 2]
    assert group(vectors, 2.0).tolist() == list(range(7))
    assert len(set(group(vectors, 2.0, most=2).tolist())) == 2
    assert group(vectors[:1], 0.5).tolist() == [0]


def test_a_single_window_does_not_change_the_speaker():
    scores = np.array([[0.9, 0.5]] * 4 + [[0.7, 0.75]] + [[0.9, 0.5]] * 4)
    follows = np.array([False] + [True] * 8)
    assert smooth(scores, follows, 0.1).tolist() == [0] * 9
    assert smooth(scores, follows, 0.0).tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert smooth(scores[:0], follows[:0], 0.1).tolist() == []
