"""Reading is exact: the same frames at the same times, wherever it begins and whatever else is asked for."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from onlooker.core.errors import SourceError
from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadRequest
from onlooker.core.time import Timestamp
from onlooker.sources import open_source

NAMES = [
    *("b_frames.mp4", "open_gop.mkv", "uneven.mp4", "uneven.mkv", "stream.ts", "late.mkv", "odd.mkv", "ten_bit.mkv"),
    *("chroma_422.mp4", "chroma_444.mp4", "grey.mkv", "rgb.mkv", "old.avi", "two_tracks.mkv", "raw.h264"),
    *("one_key.mp4", "fragmented.mp4", "fast.mp4", "vp9.webm"),
]


def read(source, **request):
    return [i for i in source.read(ReadRequest(**request)) if not isinstance(i, AudioBlock | Packet | ReadFailure)]


def essence(frames):
    return [(f.time.value, f.duration, f.key, hash(f.luma().tobytes())) for f in frames]


@pytest.fixture(params=NAMES)
def source(request, media):
    opened = open_source(str(media[request.param]))
    yield opened
    opened.close()


def test_every_frame_comes_once_in_order_with_its_time(source, pictures):
    frames = read(source)
    assert len(frames) == len(pictures)
    times = [f.time for f in frames]
    assert all(a < b for a, b in pairwise(times))
    assert all(a.time.value + a.duration == b.time.value for a, b in pairwise(frames))
    assert frames[-1].duration > 0
    assert abs(times[0].value) < Fraction(1, 10)


def test_any_stretch_equals_the_same_stretch_of_a_whole_read(source):
    whole = essence(read(source))
    rng = np.random.default_rng(3)
    for _ in range(4):
        a, b = sorted(rng.integers(0, len(whole), 2).tolist())
        start, end = Timestamp.of_seconds(whole[a][0]), Timestamp.of_seconds(whole[b][0])
        assert essence(read(source, start=start, end=end)) == whole[a:b]
    middle = Timestamp.of_seconds(whole[60][0] + Fraction(1, 1000))
    assert essence(read(source, start=middle)) == whole[61:]


def test_reference_frames_have_the_times_and_pictures_of_the_whole(source):
    whole = {f.time: f for f in read(source)}
    for selection in ("reference", "key"):
        some = read(source, frames=selection)
        assert 0 < len(some) <= len(whole)
        assert all(np.array_equal(f.luma(), whole[f.time].luma()) for f in some)


def test_cuts_lie_on_keyframes_in_order(source):
    keys = {f.time for f in read(source) if f.key}
    cuts = source.cut_points(3)
    assert cuts == sorted(set(cuts))
    assert len(cuts) <= 2
    assert set(cuts) <= keys


def test_pictures_have_the_size_and_the_look_that_is_shown(source, pictures):
    frame = read(source)[40]
    video = source.info.video
    assert frame.luma().shape == (video.height, video.width) == (frame.height, frame.width)
    image = frame.image(64, 48)
    assert image.shape == (48, 64, 3)
    expected = pictures[40].reshape(48, 5, 64, 5, 3).mean((1, 3))
    shown = image.astype(float)
    if "gray" in video.pixel_format:
        expected = np.repeat((expected @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    assert np.abs(shown - expected).mean() < 9
    assert frame.image(64, 48) is image
    assert frame.image(width=64, format="gray").shape == (48, 64)
    chroma = frame.chroma()
    assert (chroma is None) == ("gray" in video.pixel_format)


def test_views_cannot_be_written(source):
    frame = read(source)[0]
    with pytest.raises(ValueError, match="read-only"):
        frame.luma()[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        frame.image(32, 24)[0, 0] = 1


@pytest.mark.parametrize("name", ["two_tracks.mkv", "stream.ts", "fast.mp4"])
def test_blocks_lie_on_the_grid_and_do_not_depend_on_what_else_is_asked(media, name):
    source = open_source(str(media[name]))
    asked = {"audio_rate": 8000, "audio_block": Fraction(1, 2)}
    alone = [i for i in source.read(ReadRequest(frames="none", **asked)) if isinstance(i, AudioBlock)]
    beside = [i for i in source.read(ReadRequest(packets=True, **asked)) if isinstance(i, AudioBlock)]
    later = ReadRequest(frames="none", start=Timestamp.of_seconds(2), end=Timestamp.of_seconds(4), **asked)
    part = [i for i in source.read(later) if isinstance(i, AudioBlock)]
    source.close()
    assert [b.time.value for b in alone] == [Fraction(n, 2) for n in range(len(alone))]
    assert all(len(b.samples) == 4000 for b in alone[:-1])
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(alone, beside, strict=True))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(alone[4:8], part, strict=True))
    spectrum = np.abs(np.fft.rfft(alone[4].samples[:, 0]))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 4


def test_the_track_that_is_asked_for_is_heard(media):
    source = open_source(str(media["two_tracks.mkv"]))
    request = ReadRequest(frames="none", audio_rate=8000, audio_track=1)
    (_, block, *_) = [i for i in source.read(request) if isinstance(i, AudioBlock)]
    assert abs(np.argmax(np.abs(np.fft.rfft(block.samples[:, 0]))) - 880) <= 4
    with pytest.raises(SourceError, match="has 2 audio tracks, not 4"):
        list(source.read(ReadRequest(audio_rate=8000, audio_track=3)))
    source.close()


def test_packets_are_given_without_decoding(media, pictures):
    source = open_source(str(media["b_frames.mp4"]))
    packets = [i for i in source.read(ReadRequest(frames="none", packets=True)) if isinstance(i, Packet)]
    keys = {f.time for f in read(source) if f.key}
    source.close()
    assert len(packets) == len(pictures)
    assert {p.time for p in packets if p.key} == keys
    assert all(p.size > 0 for p in packets)


def test_ten_bits_keep_their_brightness(media, pictures):
    deep, plain = (read(open_source(str(media[n])))[30] for n in ("ten_bit.mkv", "chroma_444.mp4"))
    assert abs(float(deep.luma().mean()) - float(plain.luma().mean())) < 2
