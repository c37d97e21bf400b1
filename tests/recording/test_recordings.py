"""The index, what is kept, and what is left after a kill."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import av.error
import pytest

from onlooker.core.errors import SourceError, StoreBusy, StoreTooNew, UsageError
from onlooker.recording import Recorder, Recordings, RecordSettings
from onlooker.recording.index import Index
from onlooker.recording.places import CameraLock, event_folder
from onlooker.recording.retention import erase
from recording.camera import Camera, digests, files, pictures
from recording.conftest import SECOND

DAY = 86_400


def kept(**values):
    return RecordSettings.model_validate({"days": None, "event_days": None, **values})


def test_old_files_go_and_what_events_hold_stays_longer(home, record, recordings, zero):
    def work(recorder):
        home.play(recorder)
        recorder.hold("e1", 31 * SECOND, 42 * SECOND)
        recorder.hold("e2", 75 * SECOND, None)

    record(work, file=10)
    before = recordings.segments()
    later = zero + 8 * DAY
    done = recordings.retain(kept(days=7, event_days=30), now=later)
    assert [s.start // SECOND for s in recordings.segments()] == [30, 40, *range(70, 140, 10)]
    assert done.files == len(before) - 9
    assert done.bytes == sum(s.bytes for s in before) - recordings.bytes()
    assert {g.reason for g in recordings.gaps("yard", 0, 130 * SECOND)} == {"erased"}
    recordings.retain(kept(days=7, event_days=30), now=zero + 31 * DAY)
    assert [s.start // SECOND for s in recordings.segments()] == [*range(70, 140, 10)]
    assert [g.as_dict() for g in recordings.gaps("yard", 0, 70 * SECOND)] == [
        {"camera": "yard", "start": 0.0, "end": 70.0, "reason": "erased"}
    ]
    assert [f.as_posix() for f in files(recordings.folder)] == [
        str(recordings.folder / s.path) for s in recordings.segments()
    ]


def plays(path: Path) -> int:
    """How many pictures a player shows that stops at damage: a kill may cut a write short until `recover` mends it."""
    shown = 0
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        for _ in container.decode(video=0):
            shown += 1
    return shown


def test_an_event_that_was_open_at_a_crash_holds_until_the_last_picture(home, record, recordings, zero):
    record(lambda r: (home.play(r), r.hold("e1", 75 * SECOND, None)), file=10)
    record(lambda r: None)
    (hold,) = Index(recordings.folder).holds()
    assert hold.end is not None
    assert (hold.start // SECOND, hold.end // SECOND) == (75, 139)


def test_clips_go_when_their_events_do(home, record, recordings, zero):
    record(home.play, file=10)
    clip = recordings.clip("abc123", "yard", 20 * SECOND, 30 * SECOND)
    assert digests(clip)
    assert recordings.retain(kept(event_days=30), now=zero + 29 * DAY).clips == 0
    assert recordings.retain(kept(event_days=30), now=zero + 31 * DAY).clips == 1
    assert not clip.exists()


def test_the_oldest_go_when_there_are_too_many_bytes(home, record, recordings):
    record(home.play, file=10)
    most = recordings.bytes() // 2
    recordings.retain(kept(bytes=most))
    assert most - 400_000 < recordings.bytes() <= most
    assert recordings.segments()[-1].end > 139 * SECOND
    assert len(recordings.spans("yard")) == 1


def test_the_camera_keeps_to_its_own_settings_by_itself(home, record, recordings):
    record(home.play, file=5, bytes=1_000_000)
    assert recordings.bytes() < 1_200_000
    assert recordings.retain().files <= 1
    assert recordings.bytes() <= 1_000_000


def test_the_open_file_is_never_deleted(tmp_path, home, recordings, zero):
    recorder = Recorder(tmp_path, "yard", "a" * 32, RecordSettings(mode="continuous"), zero)
    try:
        recorder.begin(home.formats)
        for packet in home.packets:
            recorder.packet(packet)
        while not recordings.segments():
            time.sleep(0.001)
        recordings.retain(kept(bytes=1, days=0.0001), now=zero + 9 * DAY)
        (segment, *_) = [s for s in recordings.segments() if s.open]
        assert (tmp_path / segment.path).exists()
        assert recordings.recover().busy == ("yard",)
    finally:
        recorder.close()
    assert digests(tmp_path / recordings.segments()[-1].path)


def test_index_is_made_again_from_the_files_alone(home, tmp_path, record, zero):
    again = Camera(home.path, start=200 * SECOND)
    record(lambda r: (home.play(r, lost="stalled"), again.play(r)), file=50)
    with Recordings(tmp_path) as recordings:
        before = recordings.segments()
        gaps = recordings.gaps("yard", 0, before[-1].end)
    for name in tmp_path.glob("recordings.sqlite*"):
        name.unlink()
    with Recordings(tmp_path) as recordings:
        assert recordings.segments() == []
        assert recordings.recover().found == len(before)
        after = recordings.segments()
        assert [(s.path, s.start, s.bytes, s.cause, s.zero) for s in after] == [
            (s.path, s.start, s.bytes, s.cause, s.zero) for s in before
        ]
        assert all(abs(a.end - b.end) <= 200_000_000 for a, b in zip(after, before, strict=True))
        assert recordings.gaps("yard", 0, before[-1].end) == gaps
        assert recordings.recover().as_dict() == {
            "mended": 0, "found": 0, "removed": 0, "foreign": 0, "missing": 0, "busy": [],
        }  # fmt: skip


def test_a_torn_end_is_cut_off(home, tmp_path, record, recordings):
    record(home.play, file=1000)
    (segment,) = recordings.segments()
    path = tmp_path / segment.path
    whole = digests(path)
    with path.open("r+b") as file:
        file.truncate(segment.bytes - 1000)
    assert plays(path) >= len(whole) - 30
    assert recordings.recover().mended == 1
    (mended,) = recordings.segments()
    assert mended.bytes == path.stat().st_size
    shown = digests(path)
    assert shown == whole[: len(shown)]
    assert len(whole) - 30 < len(shown) < len(whole)
    assert abs(mended.end / SECOND - len(shown) / 10) < 0.2


def test_recovering_leaves_alone_what_is_not_ours(home, tmp_path, record, recordings, data):
    record(home.play, file=1000)
    day = files(tmp_path)[0].parent
    shutil.copyfile(data("clips/sport_gym.mp4"), day / "holiday.mp4")
    (day / "notes.mp4").write_text("not a video")
    (day / "half.part").write_bytes(b"x")
    files(tmp_path)[0].rename(day / "other.mp4")
    done = recordings.recover()
    assert (done.foreign, done.found, done.missing) == (2, 1, 1)
    assert (day / "holiday.mp4").read_bytes() == data("clips/sport_gym.mp4").read_bytes()
    assert not (day / "half.part").exists()


def test_a_deletion_that_was_cut_short_is_finished(home, tmp_path, record, recordings):
    record(home.play, file=20)
    first, second, *_ = recordings.segments()
    index = Index(tmp_path)
    index.erasing([first, second])
    (tmp_path / first.path).unlink()
    index.close()
    assert first.path not in [s.path for s in recordings.segments()]
    recordings.recover()
    assert not (tmp_path / second.path).exists()
    assert [g.reason for g in recordings.gaps("yard", 0, 40 * SECOND)] == ["erased"]


def test_nothing_is_left_unplayable_by_kills(tmp_path, street, zero):
    rng, library = random.Random(7), tmp_path / "library"
    writer = Path(__file__).with_name("writer.py")
    sizes: dict[Path, int] = {}
    start = 0
    for _ in range(12):
        command = [sys.executable, str(writer), str(library), str(street.path), str(zero), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
            process.wait()
        touched = [path for path in files(library) if sizes.get(path) != path.stat().st_size]
        for path in touched:
            assert plays(path)
        with Recordings(library) as recordings:
            recordings.recover()
            segments = recordings.segments()
            assert [str(library / s.path) for s in segments] == [str(p) for p in files(library)]
            for segment in segments:
                assert not segment.open
                assert (library / segment.path).stat().st_size == segment.bytes
            assert list(library.glob("recordings/*/*/*.part")) == []
            assert all(digests(path) for path in touched if path.exists())
            sizes = {path: path.stat().st_size for path in files(library)}
            start = max((s.end for s in segments), default=start) + 10 * SECOND
            assert all(a.end <= b.start for a, b in itertools.pairwise(segments))
    with Recordings(library) as recordings:
        assert {g.reason for g in recordings.gaps("yard", 0, start)} <= {"erased", "not running"}


def test_export_over_files_and_gaps(home, tmp_path, record, recordings):
    again = Camera(home.path, start=200 * SECOND)
    record(lambda r: (home.play(r, lost="stalled"), again.play(r)), file=25)
    out = recordings.export("yard", 130 * SECOND + 500_000_000, 205 * SECOND, tmp_path / "out.mp4")
    source = home.digests
    shown = digests(out)
    # from the keyframe before the start, then across the gap at once
    assert shown[: len(source) - 1300] == source[1300:]
    assert shown[len(source) - 1300 :][:50] == source[:50]
    assert [g.reason for g in recordings.gaps("yard", 130 * SECOND, 205 * SECOND)] == ["stalled"]
    pieces = recordings.export_pieces("yard", 130 * SECOND, 205 * SECOND, out)
    assert [(p.start // SECOND, p.joins) for p in pieces] == [(130, False), (200, False)]


def test_export_of_files_that_overlap_in_wall_time(home, tmp_path, record, recordings):
    """A camera's place in wall time is found better while it runs: the same pictures come at the same distances."""

    def work(recorder):
        recorder.begin(home.formats)
        for packet in home.packets:
            early = 300_000_000 if packet.time >= 15 * SECOND else 0
            recorder.packet(replace(packet, time=packet.time - early))
        recorder.lost("closed")
        again = Camera(home.path, start=home.end - 200_000_000)
        again.play(recorder)

    record(work, file=10)
    segments = recordings.segments()
    assert segments[2].start < segments[1].end
    shown = pictures(recordings.export("yard", 0, 300 * SECOND, tmp_path / "out.mp4"))
    assert [d for _, d in shown] == home.digests * 2
    assert all(abs(b[0] - a[0] - 0.1) < 1e-3 for a, b in itertools.pairwise(shown[: len(home.digests)]))


def test_export_over_a_change_of_the_encoder(home, tmp_path, record, recordings, street):
    """Both are 768 x 432, of different encoders: one has sound, and pictures out of order."""
    other = Camera(street.path, start=200 * SECOND)
    record(lambda r: (home.play(r), other.play(r)))
    shown = digests(recordings.export("yard", 130 * SECOND, 204 * SECOND, tmp_path / "out.mp4"))
    source = home.digests[1300:]
    assert shown[: len(source)] == source
    assert shown[len(source) :] == street.digests[: len(shown) - len(source)]
    assert len(shown) - len(source) == 50


def test_export_says_what_is_wrong(home, tmp_path, record, recordings, data):
    small = Camera(data("clips/sport_gym.mp4"), start=200 * SECOND)
    record(lambda r: (home.play(r), small.play(r)))
    with pytest.raises(UsageError, match="changed its codec or size"):
        recordings.export("yard", 130 * SECOND, 204 * SECOND, tmp_path / "out.mp4")
    with pytest.raises(UsageError, match="no camera called"):
        recordings.export("other", 0, SECOND, tmp_path / "out.mp4")
    with pytest.raises(UsageError, match="not after"):
        recordings.export("yard", SECOND, SECOND, tmp_path / "out.mp4")
    with pytest.raises(SourceError, match="nothing is recorded"):
        recordings.export("yard", 150 * SECOND, 160 * SECOND, tmp_path / "out.mp4")
    with pytest.raises(UsageError, match="not the id"):
        recordings.clip("../up", "yard", 0, SECOND)
    assert not (tmp_path / "out.mp4").exists()
    assert list(tmp_path.glob(".out*")) == []


def test_names_of_cameras_stay_in_their_folder(tmp_path):
    for name in ("..", "../../up", "a/b", ".", "ü" * 20):
        lock = CameraLock(tmp_path, name)
        assert [p.name for p in tmp_path.iterdir()] == ["recordings"]
        with pytest.raises(StoreBusy):
            CameraLock(tmp_path, name)
        lock.release()
    with pytest.raises(UsageError):
        CameraLock(tmp_path, "")
    with pytest.raises(UsageError):
        event_folder(tmp_path, "..")


def test_a_newer_index_is_not_touched(tmp_path):
    index = Index(tmp_path)
    index._db.pragma("user_version", 99)
    index.close()
    with pytest.raises(StoreTooNew):
        Recordings(tmp_path)


def test_erasing_nothing_does_nothing(tmp_path):
    index = Index(tmp_path)
    assert erase(index, []).files == 0
    index.close()


def test_yaml_off_is_off():
    assert RecordSettings.model_validate({"mode": False}).mode == "off"
