"""``onlooker analyze`` as a user and a script see it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from onlooker.core.errors import StoreError
from onlooker.timeline import open_store

CLIP = "clips/tv_whitehouse_performance.mp4"


def onlooker(*arguments, **options):
    command = [sys.executable, "-m", "onlooker", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


UNHURRIED = """
import sys, time
from onlooker.cli.main import main
from onlooker.pipeline import run_source as module
read = module._read
def unhurried(*given):
    for step in read(*given):
        time.sleep(0.2)
        yield step
module._read = unhurried
main(sys.argv[1:])
"""


def unhurried(*arguments, **options):
    """The command, begun; however fast the machine is, it takes some seconds."""
    return subprocess.Popen([sys.executable, "-c", UNHURRIED, *map(str, arguments)], **options)


def test_the_json_is_one_object_with_the_promised_fields(data, tmp_path):
    done = onlooker("analyze", data(CLIP), "--library", tmp_path / "lib", "--only", "shots,motion", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    (source,) = report["sources"]
    assert {"source", "path", "duration_seconds", "frames", "counts", "failures", "elapsed_seconds"} <= set(source)
    assert source["frames"] == 275
    assert source["counts"]["shot"] == 4
    assert set(source["analyzers"]) == {"shots", "motion"}
    for spent in source["analyzers"].values():
        assert 0 < spent["cpu_seconds"] < 60
        assert 0 < spent["seconds"] <= report["elapsed_seconds"]
    assert source["duration_seconds"] == pytest.approx(10.02, abs=0.05)
    told = onlooker("export", source["source"], "--library", tmp_path / "lib", "--format", "jsonl").stdout
    lines = told.splitlines()
    rows = [json.loads(line) for line in lines]
    fields = {"source", "kind", "start_seconds", "end_seconds", "score", "label", "box", "track", "text", "producer"}
    assert all(fields <= set(row) for row in rows)
    shots = [r for r in rows if r["kind"] == "shot"]
    assert [s["transition"] for s in shots] == [None, "cut", "cut", "cut"]
    assert [s["first_frame"] for s in shots] == [0, 20, 82, 211]
    assert shots[0]["start_seconds"] == pytest.approx(0.839, abs=0.01)  # the sound begins before the picture
    assert all(a["end_seconds"] == b["start_seconds"] for a, b in pairwise(shots))


def test_exit_codes(data, tmp_path):
    good, broken = data(CLIP), tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 500)
    options = ("--library", tmp_path / "lib", "--only", "shots")
    assert onlooker("analyze", good, *options).returncode == 0
    assert onlooker("analyze", good, broken, *options).returncode == 2
    done = onlooker("analyze", broken, *options, "--json")
    assert done.returncode == 3
    (failure,) = json.loads(done.stdout)["sources"][0]["failures"]
    assert "damaged" in failure["message"]
    for wrong in (
        ["--only", "shotz"],
        ["--profile", "none"],
        ["--quality", "great"],
        ["--set", "shots.level"],
        ["--set", "shots.levl=fast"],
        ["--workers", "0"],
    ):
        done = onlooker("analyze", good, "--library", tmp_path / "other", *wrong)
        assert (done.returncode, done.stdout) == (1, ""), wrong
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_plan_is_printed_and_nothing_is_done(data, tmp_path):
    options = ("--library", tmp_path / "lib", "--plan")
    done = onlooker("analyze", data(CLIP), *options)
    assert done.returncode == 0
    assert "decode once: all frames" in done.stdout
    assert "convert once: 160xauto gray for quality, motion" in done.stdout
    plan = json.loads(onlooker("analyze", data(CLIP), *options, "--json").stdout)["sources"][0]
    assert {s["name"] for s in plan["stages"]} >= {"shots", "objects", "keyframes"}
    assert not (tmp_path / "lib").exists()


def test_a_setting_overrides_the_profile(data, tmp_path):
    only = ("--only", "shots", "--plan", "--json")
    plans = [
        json.loads(onlooker("analyze", data(CLIP), "--library", tmp_path / "lib", *only, *more).stdout)
        for more in ([], ["--set", "shots.level=index"], ["--quality", "fast"])
    ]
    assert [p["sources"][0]["decode"]["frames"] for p in plans] == ["all", "key", "reference"]


def test_a_missing_model_stops_only_its_analyzer(data, tmp_path):
    environment = {**os.environ, "ONLOOKER_CACHE": str(tmp_path / "cache")}
    options = ("--library", tmp_path / "lib", "--only", "shots,objects", "--json")
    done = onlooker("analyze", data(CLIP), *options, env=environment)
    assert done.returncode == 2
    (source,) = json.loads(done.stdout)["sources"]
    assert source["counts"]["shot"] == 4
    (failure,) = source["failures"]
    assert failure["analyzer"] == "objects"
    assert "onlooker models pull nanodet-416" in failure["message"]


@pytest.fixture(scope="module")
def long_clip(data, tmp_path_factory):
    """A clip of minutes, by copying the packets of a short one."""
    import av

    base, path = data("clips/home_indoor_one_by_one_person.mp4"), tmp_path_factory.mktemp("long") / "long.mp4"
    with av.open(str(path), "w") as out, av.open(str(base)) as first:
        length = first.streams.video[0].duration or 0
        stream = out.add_stream_from_template(first.streams.video[0])
        for turn in range(3):
            with av.open(str(base)) as source:
                for packet in source.demux(video=0):
                    if packet.dts is not None and packet.pts is not None:
                        packet.dts += turn * length
                        packet.pts += turn * length
                        packet.stream = stream
                        out.mux(packet)
    return path


STAGES = ("--only", "shots,motion,keyframes", "--workers", "1")


@pytest.fixture(scope="module")
def rows_of_a_whole_run(long_clip, tmp_path_factory):
    library = tmp_path_factory.mktemp("whole") / "lib"
    assert onlooker("analyze", long_clip, "--library", library, *STAGES).returncode == 0
    return exported(library)


def has_begun(library):
    """Whether something of a run is stored, to go on from."""
    try:
        store = open_store(library, create=False, read_only=True)
    except StoreError:
        return False
    states = [state for source in store.sources() for state in source.states]
    store.close()
    return any(state.frames for state in states)


def exported(library):
    return sorted(onlooker("export", "--all", "--library", library).stdout.splitlines())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_and_ends_with_the_same_rows(long_clip, rows_of_a_whole_run, tmp_path, sent):
    library = tmp_path / "lib"
    asked = ("analyze", long_clip, "--library", library, *STAGES)
    process = unhurried(*asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not has_begun(library):
        time.sleep(0.1)
    process.send_signal(sent)
    _, told = process.communicate(timeout=240)
    assert process.returncode == 130, told
    assert "the same command will go on" in told
    assert onlooker(*asked).returncode == 0
    assert exported(library) == rows_of_a_whole_run
    assert len(rows_of_a_whole_run) > 20


def test_a_terminal_sees_speed_and_a_pipe_sees_nothing(data, tmp_path):
    clip = data("clips/home_indoor_one_by_one_person.mp4")
    piped = onlooker("analyze", clip, "--library", tmp_path / "a", "--only", "motion")
    assert (piped.returncode, piped.stderr) == (0, "")
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    asked = ("analyze", clip, "--library", tmp_path / "b", "--only", "motion")
    process = unhurried(*asked, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    process.wait()
    os.close(master)
    assert b"x real time" in shown
    assert b"%" in shown
