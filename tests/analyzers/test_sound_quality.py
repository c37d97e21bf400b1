"""Silence, clipping, direct current and a missing channel are found where they are."""

from __future__ import annotations

import wave
from fractions import Fraction

import av
import numpy as np
import pytest


@pytest.fixture
def music(data):
    """Ten seconds of real sound, stereo at 48 kHz."""
    with av.open(str(data("shots/hamilton.mp4"))) as clip:
        resampler = av.AudioResampler("flt", "stereo", 48000)
        parts = [b.to_ndarray().reshape(-1, 2) for f in clip.decode(audio=0) for b in resampler.resample(f)]
    return np.concatenate(parts)[: 9 * 48000] * 0.5


@pytest.fixture
def heard(tmp_path, observe):
    def run(samples, **settings):
        path = tmp_path / "sound.wav"
        with wave.open(str(path), "wb") as out:
            out.setnchannels(samples.shape[1])
            out.setsampwidth(2)
            out.setframerate(48000)
            out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        return observe("sound_quality", path, **settings)

    return run


def planted(music, change):
    made = music.copy()
    made[3 * 48000 : 6 * 48000] = change(made[3 * 48000 : 6 * 48000])
    return made


CHANGES = {
    "silence": lambda x: x * 0,
    "clipping": lambda x: np.clip(x * 12, -1, 1),
    "dc_offset": lambda x: x + 0.1,
    "channel_missing": lambda x: x * [1, 0],
}


@pytest.mark.parametrize("label", CHANGES)
def test_planted_cue_is_found_where_it_is(label, music, heard):
    made = [o for o in heard(planted(music, CHANGES[label])) if o.label == label]
    assert len(made) == 1
    assert made[0].span.start.seconds == pytest.approx(3, abs=0.3)
    assert made[0].span.end.seconds == pytest.approx(6, abs=0.3)


def test_real_sound_has_no_cue(music, heard):
    assert heard(music) == []


def test_mono_lacks_no_channel(music, heard):
    assert heard(music[:, :1]) == []


def test_silence_to_the_end_is_told(music, heard):
    music[7 * 48000 :] = 0
    (made,) = heard(music)
    assert made.label == "silence"
    assert made.span.end.value == Fraction(9)


def test_video_without_sound_has_no_cue(data, observe):
    assert observe("sound_quality", data("shots/bikes.mp4")) == []
