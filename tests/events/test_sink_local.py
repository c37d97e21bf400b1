"""The sinks of this machine: programs and files."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from events.making import event, story, until
from onlooker.events.failures import NotTaken, Refused
from onlooker.events.sink import Message, SinkContext
from onlooker.events.sinks.command import Command, CommandSettings
from onlooker.events.sinks.file import FileSettings, FileSink

KEEP = (
    "import json, os, sys\nopen(sys.argv[1], 'w').write(json.dumps([sys.argv[2:], sys.stdin.read(), dict(os.environ)]))"
)


def told(*events, digest=False):
    key = "digest:x:1" if digest else f"{events[0].id}:{events[0].number}"
    return Message(key, events, None, datetime.now(UTC), digest=digest)


def command(folder, *argv, **more):
    settings = CommandSettings.model_validate({"argv": [sys.executable, *argv], **more})
    return Command(settings, SinkContext("bell", folder))


# -- programs --


def test_a_program_gets_the_event_and_values_stay_within_their_arguments(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    out = tmp_path / "out.json"
    hostile = "$(touch /tmp/x); `reboot` {camera} \"'"
    sink = command(tmp_path, "-c", KEEP, str(out), "{rule}", "on {camera}: {state}{label}", environment={"MINE": "1"})
    sink.deliver(told(event(rule=hostile, label=None)))
    arguments, given, environment = json.loads(out.read_text())
    assert arguments == [hostile, "on front: new"]
    assert json.loads(given)["rule"] == hostile
    assert json.loads(given)["key"].endswith(":0")
    assert environment["MINE"] == "1"
    assert "HOOK_SECRET" not in environment


def test_a_digest_is_one_start_of_the_program(tmp_path):
    out = tmp_path / "out.json"
    command(tmp_path, "-c", KEEP, str(out)).deliver(told(*story(), digest=True))
    assert [e["state"] for e in json.loads(json.loads(out.read_text())[1])["events"]] == ["new", "end"]


def test_a_value_cannot_become_an_option(tmp_path):
    with pytest.raises(Refused, match="begins with '-'"):
        command(tmp_path, "-c", KEEP, str(tmp_path / "out"), "{rule}").deliver(told(event(rule="--delete-all")))
    assert not (tmp_path / "out").exists()


def test_a_program_that_fails_says_why(tmp_path):
    failing = command(tmp_path, "-c", "import sys; sys.exit('no bell here')")
    with pytest.raises(NotTaken, match="ended with 1: no bell here"):
        failing.deliver(told(event()))
    missing = Command(CommandSettings(argv=("/no/such/program",)), SinkContext("bell", tmp_path))
    with pytest.raises(NotTaken, match="cannot be started"):
        missing.deliver(told(event()))


def test_a_program_that_hangs_is_killed_with_what_it_started(tmp_path):
    mark = tmp_path / "pid"
    # a shell starts at once where Python may take longer than the time that it has
    argv = ("/bin/sh", "-c", f"sleep 60 & echo $! > '{mark}'; sleep 60")
    hanging = Command(CommandSettings.model_validate({"argv": argv, "timeout": "3s"}), SinkContext("bell", tmp_path))
    with pytest.raises(NotTaken, match="was killed"):
        hanging.deliver(told(event()))
    pid = int(mark.read_text())

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # killed, and waiting for init to take note
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split()[2] == "Z"

    until(gone)


def test_a_program_need_not_read(tmp_path):
    big = event(data={"words": "x" * 1_000_000})
    command(tmp_path, "-c", "pass").deliver(told(big))


@pytest.mark.parametrize("argv", [[], ["notify"], ["./notify"], ["/usr/bin/{rule}"], ["/bin/echo", "{nothing}"]])
def test_wrong_programs(argv):
    with pytest.raises(ValidationError):
        CommandSettings.model_validate({"argv": argv})


# -- files --


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def file(folder, **more):
    settings = FileSettings.model_validate({"path": "log/events.jsonl", **more})
    return FileSink(settings, SinkContext("log", folder)), folder / "log" / "events.jsonl"


def test_one_line_for_each_state(tmp_path):
    sink, path = file(tmp_path)
    for state in story(1):
        sink.deliver(told(state))
    assert [(x["event"]["state"], x["key"]) for x in lines(path)] == [
        ("new", f"{event().id}:0"),
        ("update", f"{event().id}:1"),
        ("end", f"{event().id}:2"),
    ]


@pytest.mark.parametrize("torn", [b'{"key": "torn', b"x" * 200_000])
def test_what_a_kill_left_of_a_line_is_cut_off(tmp_path, torn):
    sink, path = file(tmp_path)
    sink.deliver(told(event()))
    with path.open("ab") as out:
        out.write(torn)
    sink.deliver(told(event(1, "update")))
    assert [x["event"]["number"] for x in lines(path)] == [0, 1]
    path.write_bytes(torn)
    sink.deliver(told(event()))
    assert len(lines(path)) == 1


def test_files_are_changed_by_size_and_the_oldest_goes(tmp_path):
    sink, path = file(tmp_path, bytes=2000, keep=2)
    for n in range(20):
        sink.deliver(told(event(start=n)))
    assert sorted(p.name for p in path.parent.iterdir()) == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    starts = [x["event"]["start"] for name in (".2", ".1", "") for x in lines(path.with_name(path.name + name))]
    assert starts == [float(n) for n in range(20)][-len(starts) :]
    assert all(p.stat().st_size <= 2000 for p in path.parent.iterdir())
    sink, path = file(tmp_path / "other", bytes=2000, keep=0)
    for n in range(20):
        sink.deliver(told(event(start=n)))
    assert [p.name for p in path.parent.iterdir()] == ["events.jsonl"]


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path):
    (tmp_path / "log").write_text("not a folder")
    with pytest.raises(NotTaken, match="cannot be written"):
        file(tmp_path)[0].deliver(told(event()))
