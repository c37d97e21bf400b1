"""Clips that the tests of links play."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from onlooker.testing.rtp import Clip


@pytest.fixture(scope="session")
def walk(tmp_path_factory, data):
    """Two seconds of a real clip as a camera sends them: a key picture each half second, no B-frames, AAC sound."""
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    rate, sound_rate = 20, 16_000
    with (
        av.open(str(path), "w", options={"movflags": "+faststart"}) as out,
        av.open(str(data("clips/home_indoor_one_by_one_person.mp4"))) as source,
    ):
        video = out.add_stream("h264", rate=rate, options={"preset": "ultrafast", "bf": "0", "g": "10"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        sound = out.add_stream("aac", rate=sound_rate, layout="mono")
        source.seek(6_500_000)
        for number, frame in zip(range(2 * rate), source.decode(video=0), strict=False):
            made = frame.reformat(320, 180, "yuv420p")
            made.pts, made.time_base = number, Fraction(1, rate)
            out.mux(video.encode(made))
        tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * sound_rate) / sound_rate)).astype(np.float32)
        for at in range(0, len(tone) - 1023, 1024):
            block = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], "fltp", "mono")
            block.sample_rate, block.pts = sound_rate, at
            out.mux(sound.encode(block))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def walk_clip(walk):
    return Clip.load(walk)
