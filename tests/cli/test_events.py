"""``onlooker events`` as users call it."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta

import pytest

from cli.sample_library import run
from events.making import ZERO, event, story
from events.receivers import Receiver, closed_port
from onlooker.events import Journal


@pytest.fixture
def lib(tmp_path):
    """Two ended events, one that goes on, and a dead letter."""
    with Journal.open(tmp_path / "lib") as journal:
        for state in [*story(rule="yard", severity="low"), *story(start=10, evidence={"snapshot": None})]:
            journal.take(state)
        journal.take(event(start=20, camera="back", data={"count": 2}), ["phone"])
        waiting = journal.outbox.next("phone", 2**62, 2**62)
        assert waiting is not None
        journal.outbox.known("phone", "webhook")
        journal.outbox.give_up("phone", [waiting], 1, "http://x answers 404")
    return tmp_path / "lib"


def printed(capsys, lib, *arguments):
    capsys.readouterr()
    assert run("events", *arguments, "--library", lib, "--json") == 0
    return json.loads(capsys.readouterr().out)


def said(capsys, lib, *arguments, code=0):
    capsys.readouterr()
    assert run("events", *arguments, "--library", lib) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_list(lib, capsys):
    found = printed(capsys, lib, "list")
    assert (found["count"], found["total"]) == (3, 3)
    assert [(e["camera"], e["rule"], e["state"], e["start"], e["end"]) for e in found["events"]] == [
        ("back", "door", "new", 20.0, None),
        ("front", "door", "end", 10.0, 12.0),
        ("front", "yard", "end", 0.0, 2.0),
    ]
    fields = {
        "id",
        "rule",
        "source",
        "camera",
        "state",
        "start",
        "end",
        "severity",
        "evidence",
        "wall_start",
        "wall_end",
    }
    assert fields <= set(found["events"][0])
    text = said(capsys, lib, "list", "--oldest-first")
    assert text.index("front: yard 2.0 s person") < text.index("back: door")
    assert text.endswith("3 of 3 events\n")


@pytest.mark.parametrize(
    ("options", "starts"),
    [
        (["--rule", "door"], [20.0, 10.0]),
        (["--camera", "front", "--limit", "1"], [10.0]),
        (["--camera", "front", "--offset", "1"], [0.0]),
        (["--severity", "high"], [20.0, 10.0]),
        (["--state", "end"], [10.0, 0.0]),
        (["--source", "back-source"], [20.0]),
        (["--from", (ZERO + timedelta(seconds=5)).isoformat(), "--state", "end"], [10.0]),
        (["--to", (ZERO + timedelta(seconds=5)).isoformat()], [0.0]),
        (["--to", "1000000000s"], []),
        (["--acknowledged"], []),
        (["--unacknowledged", "--rule", "yard"], [0.0]),
    ],
)
def test_filters(lib, capsys, options, starts):
    assert [e["start"] for e in printed(capsys, lib, "list", *options)["events"]] == starts


def test_wrong_use(lib, capsys):
    for options, hint in (
        (["list", "--state", "gone"], "one of new, update, end"),
        (["list", "--severity", "dreadful"], "one of info"),
        (["list", "--from", "yesterday"], "2026-05-01T08:00+02:00"),
        (["show", "ffffffff"], "onlooker events list"),
        (["feedback", event(start=20, camera="back").id, "maybe"], "right or wrong"),
        (["mute", "--for", "2h"], "--all alone"),
        (["mute", "--all", "--rule", "yard"], "--all alone"),
        (["mute", "--all", "--for", "2h", "--until", "2026-05-01"], "one of them"),
        (["unmute", "77"], "events mutes"),
        (["replay"], "--all"),
        (["replay", "1", "--all"], "--all"),
        (["export", "events.xml"], ".jsonl or .csv"),
    ):
        assert hint in said(capsys, lib, *options, code=1), options
    assert "holds no events" in said(capsys, lib.parent / "nothing", "list", code=1)


def test_show_acknowledge_and_judge(lib, capsys):
    id = event(start=10).id
    assert printed(capsys, lib, "ack", id[:8], "--by", "ann", "--note", "postman")["acknowledged"]["by"] == "ann"
    assert printed(capsys, lib, "feedback", id, "wrong", "--by", "ben")["feedback"][0]["verdict"] == "wrong"
    shown = printed(capsys, lib, "show", id)
    assert [s["state"] for s in shown["states"]] == ["new", "end"]
    assert shown["acknowledged"]["note"] == "postman"
    text = said(capsys, lib, "show", id[:10])
    assert "postman" in text
    assert "seen by ann, wrong" in said(capsys, lib, "list", "--verdict", "wrong")
    assert "you" not in said(capsys, lib, "ack", id)


def test_mutes(lib, capsys):
    made = printed(capsys, lib, "mute", "--rule", "yard", "--for", "2h", "--by", "ann")
    until = datetime.fromisoformat(made["until"])
    assert timedelta(hours=1) < until - datetime.now(UTC) <= timedelta(hours=2)
    assert "everything until" in said(capsys, lib, "mute", "--all", "--until", "2999-01-01T00:00+00:00")
    assert [m["rule"] for m in printed(capsys, lib, "mutes")["mutes"]] == ["yard", None]
    assert printed(capsys, lib, "unmute", made["number"])["ended"]
    assert "has ended" in said(capsys, lib, "unmute", "2")
    assert "nothing is muted" in said(capsys, lib, "mutes")


def test_export(lib, capsys, tmp_path):
    printed(capsys, lib, "feedback", event(start=10).id, "right", "--note", "=1+1")
    said(capsys, lib, "export", tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["start"] for r in rows] == ["0.0", "10.0", "20.0"]
    assert (rows[1]["verdict"], rows[1]["verdict_note"]) == ("right", "'=1+1")
    said(capsys, lib, "export", tmp_path / "some.jsonl", "--rule", "yard")
    (line,) = (tmp_path / "some.jsonl").read_text().splitlines()
    assert json.loads(line)["rule"] == "yard"
    assert said(capsys, lib, "export", "-").count("\n") == 3


def test_dead_letters_and_sinks(lib, capsys):
    (letter,) = printed(capsys, lib, "dead")["dead"]
    assert letter["event"]["camera"] == "back"
    assert "404" in said(capsys, lib, "dead", "--sink", "phone")
    (sink,) = printed(capsys, lib, "sinks")["sinks"]
    assert (sink["name"], sink["kind"], sink["dead"], sink["waiting"]) == ("phone", "webhook", 1, 0)
    assert printed(capsys, lib, "replay", letter["number"])["replayed"] == 1
    assert "1 waiting, 0 dead; last error" in said(capsys, lib, "sinks")
    assert "0 dead letters wait again" in said(capsys, lib, "replay", "--all")
    assert "0 dead letters" in said(capsys, lib, "dead")


def test_trying_a_sink(lib, capsys, tmp_path, monkeypatch):
    receiver = Receiver()
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    config = tmp_path / "home.yaml"
    config.write_text(
        "version: 1\ncameras: {front: {url: front.mp4}}\nsinks:\n"
        f"  phone: {{webhook: {{url: '{receiver.url}', secret: '${{HOOK_SECRET}}'}}}}\n"
        f"  nobody: {{webhook: {{url: 'http://127.0.0.1:{closed_port()}/t0ken'}}}}\n"
    )
    try:
        assert printed(capsys, lib, "test-sink", "phone", "--config", config)["good"]
        assert [json.loads(r.body)["type"] for r in receiver.received] == ["onlooker.event.new", "onlooker.event.end"]
        assert receiver.received[0].headers["Onlooker-Signature"]
        text = said(capsys, lib, "test-sink", "nobody", "--config", config, code=1)
        assert "cannot be reached" in text
        assert "t0ken" not in text
        assert "known: phone, nobody" in said(capsys, lib, "test-sink", "mail", "--config", config, code=1)
    finally:
        receiver.end()


def test_every_command_shows_an_example(capsys):
    import typer

    from onlooker.cli.commands.events import app

    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        assert f"onlooker events {name}" in (command.help or ""), name
