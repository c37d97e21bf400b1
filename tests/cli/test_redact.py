"""``onlooker redact`` as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from cli.sample_library import run
from onlooker.cli.commands.redact import parse_zone
from onlooker.core.errors import UsageError
from onlooker.redaction.second import SecondDetector
from onlooker.sources import open_source
from redaction.conftest import Judge, Pictures, faces, frames_of, need, seen, write

__all__ = ["faces", "seen"]  # fixtures


@pytest.fixture(autouse=True)
def models() -> None:
    need("centerface", "face-full-range", "face-identity")


@pytest.fixture
def clip(faces: Pictures, tmp_path: Path) -> Path:
    return write(tmp_path / "car.mp4", faces[:8], sound=True)


def test_it_says_what_it_did(clip: Path, seen: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    out = clip.with_name("safe.mp4")
    assert run("redact", clip, "-o", out, "--style", "pixelate", "--mute", "--json") == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (said["path"], said["style"], said["frames"], said["sound"]) == (str(out), "pixelate", 8, "none")
    assert said["tracks"] == {"faces": 1}
    assert said["frames_hidden"] == 8
    assert said["unread"] == said["silent"] == []
    assert seen(out) == 0
    assert run("redact", clip, "-o", out, "--hide", "none", "--box", "0,0,88,72", "--style", "fill") == 0
    assert "hidden in 8 of 8 frames" in capsys.readouterr().out
    assert frames_of(out)[0].image()[:70, :86].max() < 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hide", "cats"], "cannot hide 'cats'"),
        (["--style", "black"], "no style is called 'black'"),
        (["--quality", "ultra"], "no quality"),
        (["--box", "1,2,3"], "not a box"),
        (["--box", "0.5,0,0.1,1"], "not a box"),
        (["--box", "0,0,999,10"], "not a box"),
        (["--box", "0,0,1,1@5-1"], "not a stretch"),
        (["--hide", "none"], "nothing is to be hidden"),
        (["--all-but", "Ann"], "no library"),
    ],
)
def test_errors_are_one_line(clip: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = clip.with_name("safe.mp4")
    assert run("redact", clip, "-o", out, *arguments, "--library", clip.with_name("nowhere")) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()
    assert list(clip.parent.iterdir()) == [clip]


def test_the_original_is_never_overwritten(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = clip.read_bytes()
    assert run("redact", clip, "-o", clip) == 1
    assert "original" in capsys.readouterr().err
    assert clip.read_bytes() == before


def test_what_is_no_video(clip: Path, data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = clip.with_name("safe.mp4")
    (clip.with_name("empty.mp4")).write_bytes(b"")
    sound = next(data("esc10/audio").glob("*"))
    for wrong in (clip.with_name("empty.mp4"), clip.with_name("missing.mp4"), sound):
        assert run("redact", wrong, "-o", out) == 1
        assert not out.exists()
    assert run("redact", clip, "-o", clip.with_name("safe.xyz")) == 1
    assert "suffix" in capsys.readouterr().err


def test_control_c_leaves_nothing(faces: Pictures, tmp_path: Path) -> None:
    clip, out = write(tmp_path / "long.mp4", list(faces) * 20), tmp_path / "out" / "safe.mp4"
    out.parent.mkdir()
    assert stopped([str(clip), "-o", str(out)], out) == 130
    assert not list(out.parent.iterdir())


def test_a_terminal_shows_how_far_it_is_and_commas_name_several_things(clip: Path, tmp_path: Path) -> None:
    need("ppocr-det", "nanodet-416")
    out = tmp_path / "safe.mp4"
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "onlooker", "redact", str(clip), "-o", str(out), "--hide", "plates,text,faces"]
    running = subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, text=True)
    os.close(theirs)
    seen_there = bytearray()
    # a terminal whose other side is closed cannot be read
    with contextlib.suppress(OSError):
        while part := os.read(mine, 4096):
            seen_there += part
    said, _ = running.communicate(timeout=120)
    os.close(mine)
    assert running.returncode == 0
    assert clip.name in seen_there.decode()
    assert "%" in seen_there.decode()
    assert "faces" in said
    assert "0 plates" in said
    assert "text" in said
    assert len(frames_of(out)) == 8


def test_control_c_leaves_nothing_of_a_video_whose_text_is_looked_for(faces: Pictures, tmp_path: Path) -> None:
    need("ppocr-det")
    clip, out = write(tmp_path / "long.mp4", list(faces) * 20), tmp_path / "out" / "safe.mp4"
    out.parent.mkdir()
    assert stopped([str(clip), "-o", str(out), "--hide", "text"], out) == 130
    assert not list(out.parent.iterdir())


def stopped(arguments: list[str], out: Path) -> int:
    """The exit code of a redaction that is interrupted when it has begun."""
    command = [sys.executable, "-m", "onlooker", "redact", *arguments]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not any(out.parent.iterdir()):
        time.sleep(0.05)
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert "nothing is written" in said
    return running.returncode


def test_zones_by_pixels_shares_and_time(clip: Path) -> None:
    video = open_source(str(clip)).info.video
    assert parse_zone("44,36,88,72", video).box == (0.25, 0.25, 0.5, 0.5)
    zone = parse_zone("0,0,0.5,1@0:01-1:02", video)
    assert zone.span is not None
    assert (zone.span.start.seconds, zone.span.end.seconds) == (1, 62)
    with pytest.raises(UsageError):
        parse_zone("a,b,c,d", video)


def test_everybody_but_one(data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two speakers side by side: the enrolled one stays visible, the other does not."""
    sides = [pictures_of(data(f"grid_av/{name}"), 12) for name in ("bbaf2n.mpg", "lrwp9a.mpg")]
    both = [np.concatenate(pair, axis=1) for pair in zip(*sides, strict=True)]
    clip = write(tmp_path / "two.mp4", both)
    # other words of the same two speakers are not in the sets, so later frames of the same ones are enrolled
    Image.fromarray(pictures_of(data("grid_av/bbaf2n.mpg"), 60)[-1]).save(tmp_path / "left.png")
    library = ("--library", tmp_path / "lib")
    assert run("people", "enroll", "Left", tmp_path / "left.png", *library) == 0
    out = tmp_path / "safe.mp4"
    assert run("redact", clip, "-o", out, "--all-but", "Left", *library) == 0
    assert "1 left visible" in capsys.readouterr().out
    judge = SecondDetector()
    for frame in frames_of(out):
        picture = frame.image()
        left, right = picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :]
        assert len(judge.detect(np.ascontiguousarray(left))) == 1
        assert len(judge.detect(np.ascontiguousarray(right))) == 0
    assert run("redact", clip, "-o", out, "--all-but", "Nobody", *library) == 1
    assert "enrolled: Left" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "lib")


def pictures_of(path: Path, count: int) -> list[np.ndarray]:
    with av.open(str(path)) as video:
        found: list[np.ndarray] = []
        for frame in video.decode(video=0):
            found.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if len(found) == count:
                break
    return found
