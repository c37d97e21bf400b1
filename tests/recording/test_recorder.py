"""What is in the files is what the camera sent."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import threading
import time
from fractions import Fraction

import av
import pytest

from onlooker.core.errors import StoreBusy
from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.recording import Feed, Recorder, Recordings, RecordSettings, session
from onlooker.recording.session import Session
from recording.camera import Camera, digests, files, made, pictures, sound
from recording.conftest import SECOND, until


@pytest.mark.parametrize(
    ("clip", "changes"),
    [
        ("clips/traffic_car_overhead.mp4", {}),
        ("clips/traffic_car_overhead.mp4", {"annex_b": True}),
        ("clips/sport_gym.mp4", {"annex_b": True}),
        ("clips/talking_face_aoc_512.mp4", {}),
        ("clips/book.mkv", {}),
    ],
)
def test_pictures_and_sound_are_those_that_were_sent(tmp_path, data, record, recordings, clip, changes):
    camera = Camera(data(clip), **changes)
    status = record(camera.play, file=3)
    assert status.error == ""
    segments = recordings.segments("yard")
    expected = camera.pictures
    found = [(s.start / 1e9 + at, digest) for s in segments for at, digest in pictures(tmp_path / s.path)]
    assert [d for _, d in found] == [d for _, d in expected]
    assert all(abs(a - b) < 1e-3 for (a, _), (b, _) in zip(found, expected, strict=True))
    out = recordings.export("yard", 0, camera.end + SECOND, tmp_path / "out.mp4")
    joined = pictures(out)
    assert [d for _, d in joined] == [d for _, d in expected]
    if any(f.kind == "audio" for f in camera.formats):
        heard, sent = sound(out), [s for s in sound(data(clip)) if s[0] >= expected[0][0]]
        assert [d for _, d in heard] == [d for _, d in sent]
        # sound and picture stand to each other as they did
        shift = joined[0][0] - expected[0][0]
        assert all(abs(a - b - shift) < 1e-3 for (a, _), (b, _) in zip(heard, sent, strict=True))


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        ("libx265", {"preset": "ultrafast", "x265-params": "keyint=20:log-level=none"}),
        ("libx264", {"x264-params": "open-gop=1:keyint=20:bframes=3:b-adapt=0:scenecut=0"}),
    ],
)
def test_open_groups_of_pictures_with_parameters_in_the_packets(tmp_path, data, record, recordings, encoder, options):
    clip = made(tmp_path / "made.mp4", data("clips/sport_gym.mp4"), 160, 96, encoder, options)
    camera = Camera(clip, annex_b=True, parameters=False)
    assert record(camera.play, file=1).error == ""
    first, second = recordings.segments()
    # the pictures between them hang on both: each file hides them, and the joined one shows them
    assert first.end == second.start == 1.6 * SECOND
    expected = camera.digests
    assert digests(tmp_path / first.path) == expected[:37]
    assert digests(tmp_path / second.path) == expected[40:]
    assert pictures(recordings.export("yard", 0, 10 * SECOND, tmp_path / "out.mp4")) == camera.pictures
    if encoder == "libx265":
        with av.open(str(files(tmp_path)[0])) as container:
            assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_a_camera_that_changes_its_size_without_a_word(tmp_path, data, record, recordings):
    options = {"preset": "ultrafast", "g": "20", "bf": "0"}
    source = data("clips/sport_gym.mp4")
    small = Camera(made(tmp_path / "a.mp4", source, 160, 96, "libx264", options), annex_b=True)
    large = Camera(made(tmp_path / "b.mp4", source, 320, 192, "libx264", options), annex_b=True)
    shift = 60 * (small.packets[1].pts or 0)
    feed = Feed()

    def work(recorder):
        for taker in (recorder, feed):
            taker.begin(small.formats)
            for packet in small.packets:
                taker.packet(packet)
        viewer = feed.subscribe()
        for packet in large.packets:
            moved = dataclasses.replace(
                packet, pts=(packet.pts or 0) + shift, dts=(packet.dts or 0) + shift, time=packet.time + 2_400_000_000
            )
            recorder.packet(moved)
            feed.packet(moved)
        assert viewer.closed == "ended"
        assert feed.subscribe().codecs.startswith("avc1.")

    record(work, file=1000)
    first, second = recordings.segments()
    assert (second.start, second.cause) == (2_400_000_000, "")
    assert digests(tmp_path / first.path) == small.digests
    assert digests(tmp_path / second.path) == large.digests
    with av.open(str(tmp_path / second.path)) as container:
        assert container.streams.video[0].codec_context.width == 320


def test_what_mp4_does_not_hold_is_left_out_and_noted(street, record, recordings):
    formats = [*street.formats[:1], dataclasses.replace(street.formats[1], codec="pcm_alaw", extradata=b"")]

    def work(recorder):
        recorder.begin(formats)
        for packet in street.packets:
            recorder.packet(packet)

    assert record(work).left_out == "pcm_alaw: MP4 does not hold it"
    assert {s.left_out for s in recordings.segments()} == {"pcm_alaw: MP4 does not hold it"}
    with av.open(str(recordings.folder / recordings.segments()[0].path)) as container:
        assert [s.type for s in container.streams] == ["video"]


def test_a_camera_whose_pictures_cannot_be_recorded_says_so(record, recordings):
    def work(recorder):
        recorder.begin([StreamFormat(0, "video", "rawvideo", Fraction(1, 25))])
        recorder.packet(CodedPacket(0, b"abc", 0, 0, 1, True, 0))

    assert "rawvideo" in record(work).error
    assert recordings.segments() == []


def test_files_are_cut_at_keyframes_and_named_by_wall_time(tmp_path, home, record, recordings):
    record(home.play, file=60)
    segments = recordings.segments("yard")
    assert [s.start / 1e9 for s in segments] == [0.0, 60.0, 120.0]
    assert [s.cause for s in segments] == ["not running", "", ""]
    assert recordings.spans("yard") == [(0, segments[-1].end)]
    assert recordings.gaps("yard", 0, segments[-1].end) == []
    for segment in segments:
        assert segment.bytes == (tmp_path / segment.path).stat().st_size
        with av.open(str(tmp_path / segment.path)) as container:
            assert json.loads(container.metadata["comment"])["start"] == segment.start


def test_fragments_are_short_and_the_file_plays_while_it_grows(tmp_path, street, zero):
    recorder = Recorder(tmp_path, "yard", "a" * 32, RecordSettings(mode="continuous", fragment=1.0), zero)
    with Recordings(tmp_path) as recordings:
        try:
            recorder.begin(street.formats)
            for packet in street.packets:
                recorder.packet(packet)
            until(lambda: recordings.segments() and recordings.segments()[0].end > 28 * SECOND)
            segment = recordings.segments()[0]
            assert segment.open
            shown = pictures(tmp_path / segment.path)
            assert [d for _, d in shown] == street.digests[: len(shown)]
            assert shown[-1][0] > 28
            assert recordings.gaps("yard", 0, 60 * SECOND) == []
        finally:
            recorder.close()


def test_after_a_reconnect_a_new_file_begins(home, record, recordings):
    again = Camera(home.path, start=200 * SECOND)

    def work(recorder):
        home.play(recorder, lost="stalled")
        again.play(recorder, lost="refused")

    record(work, file=1000)
    first, second = recordings.segments("yard")
    assert (first.start, second.start) == (0, 200 * SECOND)
    (gap, last) = recordings.gaps("yard", 0, 400 * SECOND)
    assert (gap.start, gap.end, gap.reason) == (first.end, 200 * SECOND, "stalled")
    assert (last.start, last.end, last.reason) == (second.end, 400 * SECOND, "refused")


def test_a_clock_that_jumps_begins_a_new_file(home, record, recordings):
    def work(recorder):
        recorder.begin(home.formats)
        for packet in home.packets:
            late = 7 * SECOND if packet.time >= 50 * SECOND else 0
            recorder.packet(dataclasses.replace(packet, time=packet.time + late))

    record(work, file=1000)
    assert [s.start // SECOND for s in recordings.segments()] == [0, 57]
    assert [g.reason for g in recordings.gaps("yard", 0, 100 * SECOND)] == ["clock"]


def test_a_stream_that_begins_again_without_a_word_begins_a_new_file(home, record, recordings):
    """Its times jump back to zero in the middle of a group of pictures: the rest of the group is left out."""
    middle = next(n for n, p in enumerate(home.packets) if p.time >= 50 * SECOND) + 4

    def work(recorder):
        recorder.begin(home.formats)
        for number, packet in enumerate(home.packets):
            back = 10_000_000 if number >= middle else 0
            recorder.packet(dataclasses.replace(packet, pts=packet.pts - back, dts=packet.dts - back))

    record(work, file=1000)
    first, second = recordings.segments()
    assert second.start == 51 * SECOND
    assert [g.reason for g in recordings.gaps("yard", 0, 100 * SECOND)] == ["clock"]
    assert digests(recordings.folder / second.path) == [d for t, d in home.pictures if t >= 51]
    shown = digests(recordings.folder / first.path)
    assert shown[:500] == home.digests[:500]
    assert 500 < len(shown) < 510


def test_motion_is_recorded_with_what_came_before_and_after(home, record, recordings):
    def work(recorder):
        recorder.begin(home.formats)
        for packet in home.packets:
            recorder.packet(packet)
            if packet.time in (30 * SECOND, 90 * SECOND):
                recorder.motion(packet.time, True)
            if packet.time in (40 * SECOND, 91 * SECOND):
                recorder.motion(packet.time, False)
            if packet.time == 43 * SECOND:
                recorder.motion(packet.time, True)
                recorder.motion(packet.time, False)

    record(work, mode="motion", before=5, after=3, file=1000)
    assert recordings.spans("yard") == [(25 * SECOND, 47 * SECOND), (85 * SECOND, 95 * SECOND)]
    assert {g.reason for g in recordings.gaps("yard", 0, 100 * SECOND)} == {"no motion"}
    expected = [d for t, d in home.pictures if 25 <= t < 47 or 85 <= t < 95]
    assert [d for s in recordings.segments() for d in digests(recordings.folder / s.path)] == expected


def test_events_are_recorded_from_before_they_were_known(home, record, recordings):
    def work(recorder):
        recorder.begin(home.formats)
        for packet in home.packets:
            recorder.packet(packet)
            if packet.time == 80 * SECOND:
                recorder.hold("e1", 76 * SECOND, None)
            if packet.time == 90 * SECOND:
                recorder.release("e1", 95 * SECOND)
            if packet.time == 120 * SECOND:
                recorder.hold("e2", 115 * SECOND, 118 * SECOND)

    record(work, mode="event", before=10)
    first, second = recordings.spans("yard")
    assert first == (76 * SECOND, 96 * SECOND)
    assert second[0] == 115 * SECOND
    assert second[1] >= 118 * SECOND
    evidence = recordings.clip_evidence("e1", "yard", 76 * SECOND, 95 * SECOND)
    assert evidence["complete"] is True
    shown = digests(recordings.folder / "events/e1/clip.mp4")
    expected = [d for t, d in home.pictures if 76 <= t < 95]
    # a picture after the end on which the last ones hang may come along
    assert shown[: len(expected)] == expected
    assert len(shown) <= len(expected) + 3


def test_memory_is_bounded(home, record, recordings):
    def work(recorder):
        recorder.begin(home.formats)
        for packet in home.packets:
            until(lambda: recorder.status().waiting < 100_000)
            recorder.packet(packet)
        recorder.hold("e1", 0, home.end + SECOND)
        recorder.packet(dataclasses.replace(home.packets[-1], time=home.end + 100, pts=home.packets[-1].pts + 1))

    record(work, mode="event", before=300, memory=300_000)
    (span,) = recordings.spans("yard")
    assert span[0] > 100 * SECOND
    assert recordings.bytes() < 330_000


def test_off_records_nothing(home, record, recordings):
    assert record(home.play, mode="off").files == 0
    assert recordings.segments() == []


def test_what_the_disk_cannot_take_is_dropped_up_to_a_keyframe(tmp_path, home, zero, monkeypatch):
    go = threading.Event()
    packet_of = Session.packet
    monkeypatch.setattr(Session, "packet", lambda s, p: (go.wait(), packet_of(s, p))[1])
    recorder = Recorder(
        tmp_path, "yard", "a" * 32, RecordSettings.model_validate({"mode": "continuous", "memory": 200_000}), zero
    )
    recorder.begin(home.formats)
    half = next(n for n, p in enumerate(home.packets) if p.time >= 20 * SECOND)
    for packet in home.packets[:half]:
        recorder.packet(packet)
    assert recorder.status().dropped["overload"] > 0
    go.set()
    until(lambda: not recorder.status().waiting)
    for packet in home.packets[half : 2 * half]:
        until(lambda: recorder.status().waiting < 100_000)
        recorder.packet(packet)
    recorder.close()
    with Recordings(tmp_path) as recordings:
        first, second = recordings.spans("yard")
        assert [g.reason for g in recordings.gaps("yard", 0, second[1])] == ["overload"]
        sent = home.pictures
        for s in recordings.segments():
            shown = [d for t, d in sent if s.start <= round(t * 1e9) < s.end]
            assert digests(tmp_path / s.path) == shown
        assert first[0] == 0
        assert second[0] == 20 * SECOND


def test_what_cannot_be_written_ends_a_file_and_not_the_recording(street, record, recordings, monkeypatch):
    monkeypatch.setattr(session, "_RETRY", 0.0)
    wrong = next(n for n, p in enumerate(street.packets) if p.time > 12 * SECOND and p.stream == 1)

    def work(recorder):
        recorder.begin(street.formats)
        for number, packet in enumerate(street.packets):
            changed = {"pts": 1 << 70, "dts": 1 << 70} if number == wrong else {}
            recorder.packet(dataclasses.replace(packet, **changed))

    record(work, file=1000)
    first, second = recordings.segments()
    assert [g.reason for g in recordings.gaps("yard", 0, 30 * SECOND)] == ["error"]
    assert digests(recordings.folder / second.path) == [d for t, d in street.pictures if t >= 14.4]
    shown = digests(recordings.folder / first.path)
    assert shown == street.digests[: len(shown)]
    assert len(shown) >= 120


def test_a_camera_is_recorded_once(tmp_path, zero, home, record):
    def work(recorder):
        with pytest.raises(StoreBusy, match="already"):
            Recorder(tmp_path, "yard", "a" * 32, RecordSettings(mode="continuous"), zero)

    record(work)
    record(home.play)


@pytest.fixture
def disk(tmp_path):
    """Mount a disk of some size: ``disk("1m")``; skips where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("no disk can be mounted here")
        return folder

    yield mount
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_a_full_disk_pauses_the_recording_and_it_goes_on(disk, home, monkeypatch):
    folder = disk("1m")
    monkeypatch.setattr(session, "_RETRY", 0.0)
    values = {"mode": "continuous", "file": 10, "keep_free": 0, "when_full": "pause"}
    recorder = Recorder(folder, "yard", "a" * 32, RecordSettings.model_validate(values), time.time())
    with Recordings(folder) as recordings:
        try:
            recorder.begin(home.formats)
            packets = home.loop(2)
            for packet in packets:
                until(lambda: recorder.status().waiting < 100_000)
                recorder.packet(packet)
                if recorder.status().paused:
                    break
            assert recorder.status().paused == "disk full"
            held = recordings.segments()
            for segment in held:
                assert digests(folder / segment.path)
            recordings.retain(RecordSettings.model_validate({"bytes": 300_000}))
            for packet in packets:
                until(lambda: recorder.status().waiting < 10_000)
                recorder.packet(packet)
                if recordings.segments()[-1].start > held[-1].end:
                    break
            assert recorder.status().paused == ""
        finally:
            recorder.close()
        reasons = [g.reason for g in recordings.gaps("yard", 0, recordings.segments()[-1].end)]
        assert reasons == ["erased", "disk full"]
        assert [f.stat().st_size for f in files(folder)] == [s.bytes for s in recordings.segments()]


def test_a_full_disk_is_overwritten_from_its_oldest_end(disk, home):
    folder = disk("6m")
    values = {"mode": "continuous", "file": 5, "keep_free": 1_500_000, "memory": 1_000_000}
    recorder = Recorder(folder, "yard", "a" * 32, RecordSettings.model_validate(values), time.time())
    try:
        recorder.begin(home.formats)
        for packet in home.loop(3):
            until(lambda: recorder.status().waiting < 100_000)
            recorder.packet(packet)
    finally:
        recorder.close()
    with Recordings(folder) as recordings:
        end = recordings.segments()[-1].end
        assert end > 410 * SECOND
        assert [g.reason for g in recordings.gaps("yard", 0, end)] == ["erased"]
        assert len(recordings.spans("yard")) == 1
