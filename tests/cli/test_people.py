"""``onlooker people`` and the options of ``search`` for people."""

from __future__ import annotations

import io
import json

import pytest

from cli.sample_library import run
from onlooker.timeline import open_store
from people.made_up import add_source


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    with open_store(folder) as store:  # type: ignore[attr-defined]
        for number in range(2):
            add_source(store, number, [1, 2, 3])
    return folder


@pytest.fixture
def call(library, capsys):
    def made(*arguments, code=0):
        assert run(*arguments, "--library", library, "--json") == code
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 else told.err

    return made


def test_the_commands_tell_what_they_did(call):
    assert [p["name"] for p in call("people", "list")["people"]] == ["unknown-1", "unknown-2", "unknown-3"]
    named = call("people", "name", "unknown-2", "Ann Lee")
    assert (named["tracks_decided"], named["tracks_changed"]) == (6, 2)
    shown = call("people", "show", "Ann Lee")
    assert shown["tracks"] == 2
    assert {a["track"] for a in shown["appearances"]} == {"face-2"}
    assert shown["appearances"][0]["decided_by"] == "correction"
    assert call("people", "not", "Ann Lee", "0.mp4@face-2")["tracks_changed"] == 1
    assert call("people", "merge", "Ann Lee", "unknown-1")["merged"] == "unknown-1"
    assert call("people", "split", "Ann Lee", "1.mp4@face-1")["split"].startswith("unknown-")
    assert call("people", "decide")["tracks_changed"] == 0
    gone = call("people", "forget", "Ann Lee")
    assert gone["tracks"] == 2
    assert "Ann Lee" not in [p["name"] for p in call("people", "list")["people"]]


def test_one_clear_error(call, tmp_path):
    assert "nobody is called 'Bob'" in call("people", "show", "Bob", code=1)
    assert "no file" in call("people", "enroll", "Bob", tmp_path / "gone.jpg", code=1)
    assert "nobody is called 'Bob'" in call("search", "--person", "Bob", code=1)
    assert "no file" in call("search", "--face", tmp_path / "gone.jpg", code=1)


def test_searching_for_a_person(call):
    call("people", "name", "unknown-1", "Ann")
    found = call("search", "--person", "Ann")
    assert found["count"] == 2
    assert {(h["kind"], h["label"], h["track"]) for h in found["hits"]} == {("identity", "Ann", "face-1")}
    assert found["query"]["people"] == ["Ann"]
    # what is there while she is
    there = call("search", "--person", "Ann", "--kind", "face_track", "--source", "1.mp4")
    assert [h["track"] for h in there["hits"]] == ["face-1"]
    assert call("search", "--person", "Ann", "--limit", "1")["count"] == 1


def test_forgetting_asks_first(library, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("people", "forget", "unknown-1", "--library", library) == 130
    assert run("people", "forget", "unknown-1", "--yes", "--library", library) == 0
    assert "was removed: 2 tracks" in capsys.readouterr().out
