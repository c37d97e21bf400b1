"""What a stretch gives does not depend on where reading began, nor on what else is asked for."""

# PyAV's stubs do not tell the sorts of streams and items apart
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalOperand=false

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadRequest
from onlooker.core.time import Timestamp
from onlooker.sources import open_source


def sorts(source, **request):
    """(frames, packets, blocks, failures) as values that can be compared."""
    frames, packets, blocks, failures = [], [], [], []
    for item in source.read(ReadRequest(**request)):
        if isinstance(item, AudioBlock):
            blocks.append((item.time.value, item.samples.tobytes()))
        elif isinstance(item, Packet):
            packets.append((item.time.value, item.duration, item.size, item.key))
        elif isinstance(item, ReadFailure):
            failures.append((item.span.start.value, item.span.end.value, item.message))
        else:
            frames.append((item.time.value, item.duration, item.key, hash(item.luma().tobytes())))
    return frames, packets, blocks, failures


def inside(items, start, end):
    return [i for i in items if start <= i[0] < end]


NAMES = (
    "open_gop.mkv",
    "uneven.mp4",
    "stream.ts",
    "refresh.mkv",
    "hevc.mp4",
    "hevc_open.mkv",
    "late_video.mp4",
    "fast.mp4",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frames", ["all", "reference", "key", "none"])
def test_parts_put_together_are_the_whole(media, more_media, name, frames):
    source = open_source(str({**media, **more_media}[name]))
    asked = {"frames": frames, "packets": True}
    whole = sorts(source, **asked)
    limits = [Fraction(0), Fraction(11, 10), Fraction(2517, 1000), Fraction(4), Fraction(100)]
    for start, end in pairwise(limits):
        part = sorts(source, **asked, start=Timestamp.of_seconds(start), end=Timestamp.of_seconds(end))
        for number in range(4):
            assert part[number] == inside(whole[number], start, end)
    source.close()
    assert not whole[3]


@pytest.mark.parametrize("name", ["two_tracks.mkv", "stream.ts", "fast.mp4", "fragmented.mp4", "late_video.mp4"])
def test_sound_and_packets_before_an_end_are_whole_beside_pictures(media, more_media, name):
    source = open_source(str({**media, **more_media}[name]))
    sound = {"audio_rate": 16000, "audio_block": Fraction(1, 5)}
    everything = {"frames": "all", "packets": True, **sound}
    whole = sorts(source, **everything)
    start, end = Fraction(3, 5), Fraction(9, 5)
    limits = {"start": Timestamp.of_seconds(start), "end": Timestamp.of_seconds(end)}
    expected = tuple(inside(items, start, end) for items in whole)
    assert len(expected[2]) == 6
    assert sorts(source, **everything, **limits) == expected
    assert sorts(source, frames="none", **sound, **limits)[2] == expected[2]
    assert sorts(source, frames="key", **sound, **limits)[2] == expected[2]
    assert sorts(source, frames="none", packets=True, **limits)[1] == expected[1]
    source.close()


@pytest.mark.parametrize("name", ["fast.mp4", "open_gop.mkv"])
def test_a_failure_is_told_by_the_part_it_begins_in(media, tmp_path, name):
    data = media[name].read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    source = open_source(str(tmp_path / name))
    whole = sorts(source)
    assert len(whole[3]) == 1
    limits = [Fraction(0), Fraction(1), Fraction(5, 2), Fraction(4), Fraction(9)]
    told = []
    for start, end in pairwise(limits):
        part = sorts(source, start=Timestamp.of_seconds(start), end=Timestamp.of_seconds(end))
        assert part[0] == inside(whole[0], start, end)
        told += part[3]
    source.close()
    assert told == whole[3]


@pytest.mark.parametrize("frames", ["all", "reference", "key", "none"])
def test_what_is_cut_off_is_told_whatever_is_selected(media, tmp_path, frames):
    data = media["fast.mp4"].read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    source = open_source(str(tmp_path / "cut.mp4"))
    failures = sorts(source, frames=frames, packets=True)[3]
    source.close()
    assert [round(float(f[1])) for f in failures] == [5]
    assert 0.5 < failures[0][0] < 4.5


def test_damage_lies_between_the_good_pictures_around_it(media, tmp_path):
    data = bytearray(media["fast.mp4"].read_bytes())
    at = len(data) * 4 // 10
    data[at : at + len(data) // 5] = bytes(len(data) // 5)
    (tmp_path / "zeros.mp4").write_bytes(bytes(data))
    source = open_source(str(tmp_path / "zeros.mp4"))
    frames, _, _, failures = sorts(source)
    source.close()
    times = [f[0] for f in frames]
    assert failures
    for start, end, _ in failures:
        assert start < end
        assert not [t for t in times if start < t < end]
        assert 0.5 < start < 4.5


def test_cuts_share_the_work(data):
    source = open_source(str(data("clips/tv_whitehouse_performance.mp4")))
    keys = [f.time for f in source.read(ReadRequest(frames="key")) if not isinstance(f, ReadFailure)]
    cuts = source.cut_points(4)
    total = source.info.duration
    source.close()
    assert set(cuts) <= set(keys)
    edges = [Fraction(0), *(c.value for c in cuts), total]
    longest_gap = max(float(b - a) for a, b in pairwise(keys)) if len(keys) > 1 else 0
    assert all(float(b - a) <= float(total) / 4 + longest_gap for a, b in pairwise(edges))


@pytest.mark.parametrize("name", ["clips/traffic_highway.avi", "clips/book.mkv", "clips/film_chaplin.mp4"])
def test_real_clips_read_whole_without_failure(data, name):
    source = open_source(str(data(name)))
    start, end = Fraction(1), Fraction(3)
    whole = sorts(source, frames="all", packets=True)
    part = sorts(source, frames="all", packets=True, start=Timestamp.of_seconds(start), end=Timestamp.of_seconds(end))
    source.close()
    assert not whole[3]
    assert part[0] == inside(whole[0], start, end)
    assert np.all(np.diff([float(f[0]) for f in whole[0]]) > 0)
