"""Sounds are found where they are, quiet places stay quiet, and the loudness is what the meter says."""

from __future__ import annotations

import os
import wave
from typing import Any, ClassVar

import av
import numpy as np
import pytest

from onlooker import models
from onlooker.analyzers.sounds.analyzer import Sounds
from onlooker.analyzers.sounds.config import SoundsConfig
from onlooker.analyzers.sounds.labels import CLASSES, LABELS, THRESHOLDS
from onlooker.analyzers.sounds.listener import LENGTH, Listener
from onlooker.core.analyzer import Context
from onlooker.core.media import AudioBlock
from onlooker.core.time import Timestamp
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
def _model():
    if models.state("yamnet") != "pulled":
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the model yamnet is not here")


@pytest.fixture(scope="module")
def mixture(data, tmp_path_factory):
    """Silence with a cock at 3 s, a baby at 12 s and rain from 20 s on, 28.3 s in all."""
    audio = data("esc10/audio")
    whole = np.zeros(int(28.3 * RATE))
    for start, label in ((3, "rooster"), (12, "baby_cry"), (20, "rain")):
        clip = samples_of(sorted(audio.glob(f"2-*-{label}.ogg"))[0])
        whole[start * RATE : start * RATE + len(clip)] = clip
    return write(tmp_path_factory.mktemp("sounds") / "mixture.wav", whole)


def observed(path: str, **config) -> list[Any]:
    source = open_source(path)
    try:
        return drive([Sounds(SoundsConfig(**config))], source)
    finally:
        source.close()


class TestContract(AnalyzerContract):
    """On sound alone."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, mixture):
        type(self).path = mixture

    def make(self):
        return [Sounds(SoundsConfig())]

    def open_source(self):
        return open_source(self.path)


class TestContractFast(TestContract):
    """With every second look."""

    _case = None

    def make(self):
        return [Sounds(SoundsConfig(every=2))]


def test_sounds_are_found_where_they_are(mixture):
    found = observed(mixture, labels=("bird", "baby_cry", "rain"))
    where = {label: [(o.span.start.seconds, o.span.end.seconds) for o in found if o.label == label] for label in LABELS}
    assert any(2.5 < a < 5 and b < 9 for a, b in where["bird"])
    assert any(11.5 < a < 14 and b < 19 for a, b in where["baby_cry"])
    assert any(19.5 < a < 22 and b > 23 for a, b in where["rain"])
    for o in found:
        assert 0 < o.score <= 1
        assert o.data["classes"][0][1] == pytest.approx(o.score, abs=0.01)
        assert -70 <= o.data["loudness_lufs"] <= o.data["loudest_lufs"] <= 0


def test_silence_holds_no_sound(tmp_path):
    assert observed(write(tmp_path / "silence.wav", np.zeros(6 * RATE))) == []


def test_a_clip_shorter_than_a_patch_is_heard(data, tmp_path):
    bark = samples_of(data("esc10/audio/1-100032-A-dog_bark.ogg"))[int(2.1 * RATE) : int(2.7 * RATE)]
    assert "dog" in {o.label for o in observed(write(tmp_path / "bark.wav", bark))}


def test_thresholds_and_labels_are_the_users(mixture):
    assert {o.label for o in observed(mixture, labels=("rain",))} == {"rain"}
    assert observed(mixture, labels=("rain",), thresholds={"rain": 1.0}, sensitivity=0.9) == []
    more, fewer = (len(observed(mixture, sensitivity=s)) for s in (3.0, 0.5))
    assert more > fewer
    with pytest.raises(ValueError, match=r"no sound 'trombone'.*scream"):
        SoundsConfig(labels=("trombone",))


def test_loudness_is_that_of_the_standard():
    listener = Listener(1)
    time = np.arange(LENGTH) / RATE
    # ITU-R BS.1770: a sine of 997 Hz at full scale in one channel reads -3.01
    for amplitude, expected in ((1.0, -3.01), (0.1, -23.01)):
        _, loudness = listener.scores((amplitude * np.sin(2 * np.pi * 997 * time)).astype(np.float32))
        assert loudness == pytest.approx(expected, abs=0.05)
    assert listener.scores(np.zeros(LENGTH, np.float32))[1] == -70
    listener.close()


def test_every_label_has_classes_of_its_own_and_a_threshold():
    names = models.entry("yamnet").labels
    assert len(names) == 521
    assert set(THRESHOLDS) == set(LABELS)
    members = [n for label in LABELS for n in CLASSES[label]]
    assert len(members) == len(set(members))
    for label, name in (("glass", "Shatter"), ("gunshot", "Gunshot, gunfire"), ("alarm", "Siren"), ("dog", "Bark")):
        assert names.index(name) in CLASSES[label]


def test_a_live_stream_that_is_joined_late_is_heard(mixture):
    source = open_source(mixture)
    sounds = Sounds(SoundsConfig())
    sounds.open(Context(source.info, read=None))
    block = AudioBlock(Timestamp.of_seconds(100.0), np.zeros((RATE, 1), np.float32), RATE)
    assert sounds.hear(block) is not None
    sounds.close()
    source.close()


def test_the_end_of_a_file_of_whole_seconds_is_heard(data, tmp_path):
    bark = samples_of(data("esc10/audio/1-100032-A-dog_bark.ogg"))[int(2.2 * RATE) : int(2.5 * RATE)]
    path = write(tmp_path / "end.wav", np.concatenate([np.zeros(int(3.7 * RATE)), bark]))
    (dog,) = observed(path, labels=("dog",), sensitivity=2)
    assert dog.span.end.seconds <= 4.01
