"""The frame of the command line, and the small commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from onlooker.pipeline.profile import load_profile, profile_names


def onlooker(*arguments, **options):
    command = [sys.executable, "-m", "onlooker", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_version_and_help():
    assert onlooker("--version").stdout.startswith("onlooker 0.")
    shown = onlooker("--help").stdout
    for name in ("analyze", "search", "show", "report", "export", "clip", "highlights", "probe", "models", "doctor"):
        assert f" {name} " in shown


def test_an_error_is_one_line_that_says_what_to_do(tmp_path):
    done = onlooker("show", "x", "--library", tmp_path / "none")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("onlooker: ")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" in onlooker("--debug", "show", "x", "--library", tmp_path / "none").stderr
    assert onlooker("nothing").returncode == 1
    assert "No such command" in onlooker("nothing").stderr


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m onlooker models list --json | head -c 10"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_doctor_says_what_works(tmp_path):
    done = onlooker("doctor", "--json", "--library", tmp_path / "lib")
    report = json.loads(done.stdout)
    states = {c["name"]: c["state"] for c in report["checks"]}
    assert done.returncode == 0
    assert report["good"]
    assert {states[n] for n in ("python", "decoding", "openvino", "onnxruntime", "store")} == {"good"}
    environment = {**os.environ, "ONLOOKER_CACHE": str(tmp_path / "cache")}
    shown = onlooker("doctor", "--library", tmp_path / "lib", env=environment).stdout
    assert "missing nanodet-416" in shown
    assert "onlooker models pull nanodet-416" in shown


def test_plugins_are_listed():
    found = json.loads(onlooker("plugins", "--json").stdout)
    assert {"shots", "objects"} <= set(found["analyzers"])
    assert {"file", "web", "images", "stream", "webcam"} <= set(found["sources"])


@pytest.mark.parametrize("name", ["default", "surveillance", "home", "classroom", "road", "media"])
def test_shipped_profiles_configure(name):
    assert name in profile_names()
    assert load_profile(name).description
    done = onlooker("profiles", "show", name)
    assert done.returncode == 0, done.stderr
    assert f"name: {name}" in done.stdout


def test_the_schema_of_profiles_is_a_schema():
    schema = json.loads(onlooker("profiles", "schema").stdout)
    assert set(schema["properties"]) == {"name", "description", "quality", "analyzers", "privacy"}


def test_probe_tells_streams_and_trouble(data, tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"junk" * 1000)
    done = onlooker("probe", data("clips/talking_face_aoc_512.mp4"), tmp_path / "x.mp4", "--json")
    assert done.returncode == 2
    good, bad = json.loads(done.stdout)
    assert (good["video"]["width"], good["video"]["frames"], good["audio"][0]["codec"]) == (512, 200, "aac")
    assert good["keyframes"]["even"]
    assert "cannot open" in bad["error"]
