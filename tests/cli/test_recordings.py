"""``onlooker recordings``: what it prints and what it does."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from cli.sample_library import run
from onlooker.cli.commands.recordings import camera_time, wall_time
from onlooker.core.errors import UsageError
from onlooker.recording import Recorder, RecordSettings
from recording.camera import Camera, digests

SECOND = 1_000_000_000


@pytest.fixture
def library(tmp_path, data):
    """Two cameras; one was lost for a while."""
    clip = data("clips/sport_gym.mp4")
    for name in ("yard", "hall"):
        recorder = Recorder(tmp_path, name, "a" * 32, RecordSettings(mode="continuous", file=5), time.time() - 100)
        Camera(clip).play(recorder, lost="stalled")
        if name == "yard":
            Camera(clip, start=30 * SECOND).play(recorder)
        recorder.close()
    return tmp_path


def printed(capsys, *arguments):
    assert run("recordings", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_list_and_gaps(library, capsys):
    assert run("recordings", "list", "--library", library) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    found = printed(capsys, "list", "--camera", "yard", "--from", "0:20", "--library", library)
    assert [r["start"] for r in found["recordings"]] == [30.0, 38.341667]
    (gap,) = printed(capsys, "gaps", "yard", "--library", library)["gaps"]
    assert (gap["start"], gap["end"], gap["reason"]) == (10.01, 30.0, "stalled")
    assert run("recordings", "gaps", "yard", "--library", library) == 0
    assert "stalled" in capsys.readouterr().out
    assert run("recordings", "gaps", "cellar", "--library", library) == 1
    assert "see onlooker recordings list" in capsys.readouterr().err


def test_export(library, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    found = printed(capsys, "export", "yard", "--from", "9", "--to", "32", "-o", out, "--library", library)
    assert found["bytes"] == out.stat().st_size
    assert [g["reason"] for g in found["gaps"]] == ["stalled"]
    assert 50 + 60 <= len(digests(out)) <= 50 + 60 + 6
    assert run("recordings", "export", "yard", "-o", tmp_path / "out.avi", "--library", library) == 1
    assert "no MP4" in capsys.readouterr().err
    wall = datetime.fromtimestamp(time.time() - 1000, UTC).isoformat()
    assert run("recordings", "export", "yard", "--to", wall, "-o", out, "--library", library) == 1


def test_retain_and_recover(library, capsys):
    assert printed(capsys, "recover", "--library", library)["mended"] == 0
    assert printed(capsys, "retain", "--library", library)["files"] == 0
    assert printed(capsys, "retain", "--bytes", "600KB", "--camera", "yard", "--library", library)["files"] == 2
    assert run("recordings", "retain", "--days", "0.00001d", "--library", library) == 0
    assert "deleted 4 files" in capsys.readouterr().out
    assert run("recordings", "retain", "--bytes", "much", "--library", library) == 1
    assert run("recordings", "list", "--library", library) == 0
    assert "none" in capsys.readouterr().out


def test_no_library(tmp_path, capsys):
    assert run("recordings", "list", "--library", tmp_path / "none") == 1
    assert "nothing was recorded" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_times():
    zero = datetime(2026, 5, 1, 8, tzinfo=UTC).timestamp()
    assert camera_time("1:30", zero) == 90 * SECOND
    assert camera_time("2026-05-01T10:00:01.5+02:00", zero) == 1_500_000_000
    assert camera_time(wall_time(zero, 12_345_000_000), zero) == 12_345_000_000
    with pytest.raises(UsageError, match="no zone"):
        camera_time("2026-05-01T10:00:00", zero)
    with pytest.raises(UsageError, match="not a time"):
        camera_time("2026-05-01Tten", zero)
