"""Files of many sorts, encoded once from a real clip."""

# PyAV's stubs do not tell the sorts of streams and items apart
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalOperand=false

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

SECONDS, RATE = 5, 25


@pytest.fixture(scope="session")
def pictures(data):
    """(n, h, w, 3) real frames."""
    with av.open(str(data("clips/tv_whitehouse_performance.mp4"))) as clip:
        frames = [
            f.to_ndarray(format="rgb24", width=320, height=240) for f in islice(clip.decode(video=0), SECONDS * RATE)
        ]
    return np.stack(frames)


def encode(
    path: Path,
    pictures,
    *,
    codec="libx264",
    pixels="yuv420p",
    size=(320, 240),
    options=None,
    times=None,
    sounds=0,
    start=0,
    container_options=None,
    rotation=0,
):
    """Write ``pictures`` as a file; ``times`` in milliseconds, ``sounds`` tones of 440, 880, ... Hz as audio tracks."""
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if codec in ("libx264", "libx265"):
            stream.options = {"preset": "ultrafast", "g": "20", "bf": "2", **(options or {})}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        tracks = []
        for _ in range(sounds):
            tracks.append(out.add_stream("aac", rate=16000, layout="mono"))
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(width=size[0], height=size[1], format=pixels)
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number + start, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for number, track in enumerate(tracks, 1):
            wave = np.sin(np.arange(16000 * SECONDS) / 16000 * 2 * np.pi * 440 * number).astype(np.float32) / 2
            for at in range(0, len(wave), 1024):
                block = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], format="fltp", layout="mono")
                block.sample_rate, block.time_base = 16000, Fraction(1, 16000)
                block.pts = at + start * 16000 // RATE
                out.mux(track.encode(block))
            out.mux(track.encode(None))
    return path


@pytest.fixture(scope="session")
def media(tmp_path_factory, pictures):
    """Paths by name."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(1)
    uneven = np.cumsum(rng.integers(10, 130, len(pictures))).tolist()
    made = {
        "b_frames.mp4": {},
        "open_gop.mkv": {"options": {"x264-params": "open-gop=1:keyint=20:bframes=3"}},
        "uneven.mp4": {"times": uneven},
        "uneven.mkv": {"times": uneven, "sounds": 1},
        "stream.ts": {"start": 200, "sounds": 1},
        "late.mkv": {"start": 100},
        "odd.mkv": {"codec": "ffv1", "size": (321, 243)},
        "ten_bit.mkv": {"codec": "ffv1", "pixels": "yuv420p10le"},
        "chroma_422.mp4": {"pixels": "yuv422p"},
        "chroma_444.mp4": {"pixels": "yuv444p"},
        "grey.mkv": {"codec": "ffv1", "pixels": "gray"},
        "rgb.mkv": {"codec": "ffv1", "pixels": "bgr0"},
        "old.avi": {"codec": "mpeg4"},
        "two_tracks.mkv": {"sounds": 2},
        "raw.h264": {},
        "one_key.mp4": {"options": {"g": "1000"}},
        "fragmented.mp4": {"sounds": 1, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
        "fast.mp4": {"sounds": 1, "container_options": {"movflags": "+faststart"}},
        "vp9.webm": {"codec": "libvpx-vp9"},
    }
    return {name: encode(folder / name, pictures, **how) for name, how in made.items()}


@pytest.fixture(scope="session")
def more_media(tmp_path_factory, pictures):
    """Paths by name: codings without clean keyframes, a late picture, turned, deep, interlaced."""
    folder = tmp_path_factory.mktemp("more_media")
    made = {
        "refresh.mkv": {"options": {"x264-params": "intra-refresh=1:keyint=25", "bf": "0"}},
        "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=20:bframes=3:open-gop=0:log-level=none"}},
        "hevc_open.mkv": {"codec": "libx265", "options": {"x265-params": "keyint=20:bframes=3:log-level=none"}},
        "interlaced.mkv": {"options": {"x264-params": "interlaced=1:tff=1"}},
        "rotated.mp4": {"rotation": 90},
    }
    paths = {name: encode(folder / name, pictures, **how) for name, how in made.items()}
    paths["late_video.mp4"] = _late_video(folder / "late_video.mp4", pictures)
    return paths


def _late_video(path, pictures):
    """Sound from 0, pictures from 0.6 s: an edit list shifts them."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "20", "bf": "2"}
        track = out.add_stream("aac", rate=16000, layout="mono")
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number + 15, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        wave = np.random.default_rng(4).normal(0, 0.1, (1, 16000 * SECONDS)).astype(np.float32)
        for at in range(0, wave.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(wave[:, at : at + 1024], format="fltp", layout="mono")
            block.sample_rate, block.time_base, block.pts = 16000, Fraction(1, 16000), at
            out.mux(track.encode(block))
        out.mux(track.encode(None))
    return path
