"""Files whose pictures have no times of their own are read whole, at the rate that they state."""

# PyAV's stubs do not tell the sorts of streams and items apart
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false

from __future__ import annotations

import csv
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from onlooker.core.errors import UsageError
from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadRequest
from onlooker.core.time import Span, Timestamp
from onlooker.sources import numbering, open_source
from onlooker.sources.cut import cut_copy, cut_exact
from onlooker.sources.probe import probe
from onlooker.testing.source import check_source

RATE = 25


def sorts(source, **request):
    """(frames, packets, blocks, failures) as values that can be compared."""
    frames, packets, blocks, failures = [], [], [], []
    for item in source.read(ReadRequest(**request)):
        if isinstance(item, AudioBlock):
            blocks.append((item.time.value, item.samples.tobytes()))
        elif isinstance(item, Packet):
            packets.append((item.time.value, item.duration, item.size, item.key))
        elif isinstance(item, ReadFailure):
            failures.append((item.span.start.value, item.message))
        else:
            frames.append((item.time.value, item.duration, item.key, hash(item.luma().tobytes())))
    return frames, packets, blocks, failures


def inside(items, start, end):
    return [i for i in items if start <= i[0] < end]


def stands_still(path, target, *, after=0):
    """Copy an MP4 whose first table of times (the pictures') goes on by 0 from its entry's ``after``-th picture."""
    data = bytearray(path.read_bytes())
    at = data.index(b"stts")
    entries, count, step = (int.from_bytes(data[at + n : at + n + 4], "big") for n in (8, 12, 16))
    assert entries == 1
    if not after:
        data[at + 16 : at + 20] = bytes(4)
    else:
        # the second entry takes the place of the box that follows, which tells keyframes
        assert data[at + 24 : at + 28] == b"stss"
        size = int.from_bytes(data[at + 20 : at + 24], "big")
        assert size >= 24
        numbers = (2, after, step, count - after, 0, size - 8)
        data[at + 8 : at + 32] = b"".join(n.to_bytes(4, "big") for n in numbers)
        data[at + 32 : at + 36] = b"free"
        data[at - 4 : at] = (32).to_bytes(4, "big")
    target.write_bytes(data)
    return target


@pytest.fixture(scope="module")
def still(media, tmp_path_factory):
    """Files whose pictures do not move on, by name."""
    folder = tmp_path_factory.mktemp("still")
    with av.open(str(media["b_frames.mp4"])) as clip, av.open(str(folder / "still.flv"), "w") as out:
        streams = {s: out.add_stream_from_template(s) for s in clip.streams.video}
        for packet in clip.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = 0
                packet.stream = streams[packet.stream]
                out.mux(packet)
    made = {name: stands_still(media[name], folder / name) for name in ("fast.mp4", "b_frames.mp4")}
    return {**made, "still.flv": folder / "still.flv"}


@pytest.mark.parametrize("name", ["fast.mp4", "b_frames.mp4", "still.flv"])
def test_pictures_that_stand_still_are_read_as_those_that_move(media, still, name, pictures):
    with av.open(str(still[name])) as clip:
        assert len({p.pts for p in clip.demux(video=0) if p.size}) <= 4
    source = open_source(str(still[name]))
    frames, packets, _, failures = sorts(source, packets=True)
    assert [f[0] for f in frames] == [Fraction(n, RATE) for n in range(len(pictures))]
    assert {f[1] for f in frames} == {Fraction(1, RATE)}
    assert len(packets) == len(pictures)
    assert not failures
    assert source.info.video.frame_rate == RATE
    assert float(source.info.duration) == pytest.approx(len(pictures) / RATE, abs=0.1)
    if name in media:
        other = open_source(str(media[name]))
        assert [f[1:] for f in frames] == [f[1:] for f in sorts(other)[0]]
        other.close()
    source.close()


@pytest.mark.parametrize("name", ["fast.mp4", "still.flv"])
@pytest.mark.parametrize("frames", ["all", "reference", "key", "none"])
def test_parts_put_together_are_the_whole(still, name, frames):
    source = open_source(str(still[name]))
    asked = {"frames": frames, "packets": True, "audio_rate": 16000, "audio_block": Fraction(1, 10)}
    whole = sorts(source, **asked)
    assert source.cut_points(3) == []
    limits = [Fraction(0), Fraction(11, 10), Fraction(2517, 1000), Fraction(4), Fraction(100)]
    for start, end in pairwise(limits):
        part = sorts(source, **asked, start=Timestamp.of_seconds(start), end=Timestamp.of_seconds(end))
        for number in range(4):
            assert part[number] == inside(whole[number], start, end)
    source.close()
    assert whole[1]


def test_sound_stays_where_it_is(media, still):
    sound = {"audio_rate": 16000, "audio_block": Fraction(1, 10)}
    moving, standing = (open_source(str(files["fast.mp4"])) for files in (media, still))
    assert sorts(standing, **sound)[2] == sorts(moving, **sound)[2]
    assert standing.info.duration == moving.info.duration
    moving.close()
    standing.close()


def test_the_contract_holds(still):
    for path in still.values():
        check_source(lambda path=path: open_source(str(path)))


def test_times_that_stop_in_the_first_half_are_made_and_a_few_repeated_ones_are_left_out(media, tmp_path):
    early = open_source(str(stands_still(media["fast.mp4"], tmp_path / "early.mp4", after=30)))
    late = open_source(str(stands_still(media["fast.mp4"], tmp_path / "late.mp4", after=120)))
    assert len(sorts(early)[0]) == 125
    assert 120 <= len(sorts(late)[0]) < 125
    early.close()
    late.close()


def test_a_file_that_breaks_off_says_so(still, tmp_path):
    data = still["fast.mp4"].read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    source = open_source(str(tmp_path / "cut.mp4"))
    frames, _, _, failures = sorts(source)
    source.close()
    assert 20 < len(frames) < 120
    assert len(failures) == 1
    assert abs(failures[0][0] - frames[-1][0]) < Fraction(1, 2)


def test_probe_tells_the_length_and_the_keyframes(media, still):
    moving, standing = (probe(str(files["fast.mp4"])) for files in (media, still))
    for name in ("duration_seconds", "video", "keyframes", "audio"):
        assert standing[name] == moving[name]


def test_they_are_cut_exactly_and_not_by_copying(still, tmp_path):
    path = str(still["fast.mp4"])
    span = Span(Timestamp.of_seconds(1), Timestamp.of_seconds(3))
    with pytest.raises(UsageError, match="no times"):
        cut_copy(path, [span], tmp_path / "copied.mp4")
    source = open_source(path)
    cut_exact(source, [span], tmp_path / "exact.mp4")
    source.close()
    cut = open_source(str(tmp_path / "exact.mp4"))
    assert [f[0] for f in sorts(cut)[0]] == [Fraction(n, RATE) for n in range(50)]
    cut.close()


def test_only_doubtful_files_are_read_when_they_are_opened(media, still, monkeypatch):
    read = []
    monkeypatch.setattr("onlooker.sources.recorded.numbering", lambda o: read.append(o) or numbering.numbering(o))
    for path in media.values():
        open_source(str(path)).close()
    assert read == []
    open_source(str(still["fast.mp4"])).close()
    assert len(read) == 1


@pytest.mark.parametrize("name", ["fight/fi002.mp4", "fight/fi026.mp4", "noFight/nofi071.mp4", "noFight/nofi104.mp4"])
def test_real_clips_whose_times_are_all_0_are_read_whole(data, name):
    with data("fight_surv/labels.csv").open(newline="") as table:
        said = next(row for row in csv.DictReader(table) if row["file"] == name)
    source = open_source(str(data(f"fight_surv/{name}")))
    frames, packets, blocks, failures = sorts(source, packets=True, audio_rate=16000)
    part = sorts(source, start=Timestamp.of_seconds(Fraction(1, 2)), end=Timestamp.of_seconds(Fraction(3, 2)))
    source.close()
    assert len(frames) == len(packets) == int(said["frames"])
    assert not failures
    assert float(source.info.video.frame_rate) == pytest.approx(float(said["fps"]), abs=0.01)
    assert np.allclose([float(f[0]) for f in frames], np.arange(len(frames)) / float(said["fps"]), atol=0.005)
    assert float(source.info.duration) == pytest.approx(len(frames) / float(said["fps"]), abs=0.1)
    assert bool(blocks) == (float(said["audio_seconds"]) > 0)
    assert part[0] == inside(frames, Fraction(1, 2), Fraction(3, 2))
