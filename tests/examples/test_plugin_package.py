"""The example package is installed as a user would and works through the command line, and its own tests pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onlooker-brightness"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(target), str(EXAMPLE)], check=True)
    return {**os.environ, "PYTHONPATH": str(target)}


def onlooker(environment, *arguments):
    command = [sys.executable, "-m", "onlooker", *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_its_analyzer_and_export_are_found_and_work(environment, data, tmp_path):
    found = json.loads(onlooker(environment, "plugins", "--json"))
    assert "brightness" in found["analyzers"]
    assert "brightness_table" in found["exports"]
    clip, library = str(data("shots/bikes.mp4")), str(tmp_path / "lib")
    report = json.loads(
        onlooker(
            environment, "analyze", clip, "--library", library, "--only", "brightness,shots", "--workers", "2", "--json"
        )
    )
    count = report["sources"][0]["counts"]["brightness"]
    table = onlooker(environment, "export", "--all", "--library", library, "--format", "brightness_table")
    lines = [line.split("\t") for line in table.splitlines()]
    assert len(lines) == count > 1
    assert {label for *_, label in lines} == {"bright", "dark"}
    assert float(lines[0][0]) == 0
    assert [a[1] for a in lines[:-1]] == [b[0] for b in lines[1:]]


def test_its_own_tests_pass(environment, data):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    environment = {**environment, "CLIP": str(data("clips/tv_whitehouse_performance.mp4"))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count(".") >= 10
