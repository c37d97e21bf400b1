"""``onlooker watch``: one file as a camera, lines of JSON, the schema, what is wrong, SIGHUP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from analyzers.conftest import read_pictures, write_clip
from onlooker.cli.main import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["watch", *map(str, arguments)])
    out, err = capsys.readouterr()
    return done.value.code, out, err


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "still.yaml"
    path.write_text("name: still\nanalyzers: {motion: {}}\n")
    return path


def test_a_file_is_watched_to_its_end(capsys, tmp_path, data, profile):
    clip = write_clip(read_pictures(data("clips/carphone.mp4"), 3), tmp_path / "short.mp4")
    rules = tmp_path / "r.yaml"
    rules.write_text("version: 1\nrules: [{id: moving, when: {motion: {}}}]\n")
    folder = tmp_path / "lib"
    code, out, err = run(capsys, clip, "--library", folder, "--profile", profile, "--rules", rules, "--json")
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    (last,) = lines[-1]["end"]
    assert last["name"] == "short"
    assert (last["condition"], last["reason"]) == ("stopped", "ended")
    assert last["last_frame"] > 0
    assert "motion" in last["spent_seconds"]
    assert last["notes"] == []
    assert last["counted"] == {}
    events = [line["event"] for line in lines if "event" in line]
    assert {e["rule"] for e in events} <= {"moving"}
    assert [line for line in lines if "cameras" in line]

    path = tmp_path / "watch.yaml"
    path.write_text(f"version: 1\ncameras:\n  short: {{url: {clip}, loop: true}}\n")
    code, out, _ = run(capsys, path, "--library", folder, "--profile", profile, "--for", "3s")
    assert code == 0
    assert "short: watched for" in out


def test_what_cannot_be_watched_ends_with_3(capsys, tmp_path, profile):
    gone = tmp_path / "gone.mp4"
    code, out, _ = run(capsys, gone, "--library", tmp_path / "lib", "--profile", profile, "--for", "2s", "--json")
    assert code == 3
    (last,) = json.loads(out.splitlines()[-1])["end"]
    assert last["reason"] == "not_found"
    assert last["blind_seconds"] > 0


def test_the_schema_and_what_is_wrong(capsys, tmp_path):
    main_code, out, _ = run(capsys, "--schema")
    assert main_code == 0
    assert "cameras" in json.loads(out)["properties"]
    code, _, err = run(capsys)
    assert code == 1
    assert "nothing to watch" in err
    path = tmp_path / "watch.yaml"
    path.write_text("version: 1\ncameras:\n  a: {url: x.mp4, rat: 5}\n")
    code, _, err = run(capsys, path)
    assert code == 1
    assert f"{path}:3: cameras.a.rat: there is no such setting here" in err


def test_hup_reads_the_configuration_again_and_term_ends(tmp_path, data, profile):
    path = tmp_path / "watch.yaml"
    camera = f"{{url: {data('clips/carphone.mp4')}, loop: true}}"
    path.write_text(f"version: 1\nprofile: still.yaml\ncameras:\n  a: {camera}\n")
    command = [sys.executable, "-m", "onlooker", "watch", str(path), "--library", str(tmp_path / "lib"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)

        def until(found):
            return next(line for line in lines if found(line))

        until(lambda line: line.get("cameras") and line["cameras"][0]["analysed"] > 0)
        path.write_text(path.read_text() + f"  b: {camera}\n")
        process.send_signal(signal.SIGHUP)
        assert until(lambda line: "message" in line)["message"] == "read again: started b"
        until(lambda line: len(line.get("cameras", [])) == 2 and line["cameras"][1]["analysed"] > 0)
        path.write_text("cameras: {}\n")
        process.send_signal(signal.SIGHUP)
        assert "was not read again" in until(lambda line: "message" in line)["message"]
        process.send_signal(signal.SIGTERM)
        end = until(lambda line: "end" in line)["end"]
        assert [c["name"] for c in end] == ["a", "b"]
        assert process.wait(60) == 0
