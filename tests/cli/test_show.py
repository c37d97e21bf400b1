"""``onlooker show`` tells what is known of a source, or all of an observation."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from cli.sample_library import OBJECTS, SHOTS, TEXT, frames, make_library, run
from onlooker.core.observation import Observation
from onlooker.core.store import Batch, Query
from onlooker.testing.store_values import SOURCE
from onlooker.timeline import open_store


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show") / "library"
    make_library(folder)
    return folder


def test_a_source(library, capsys):
    assert run("show", "街景 café.mp4", "--library", library, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["source"] == SOURCE
    assert shown["counts"] == {"object": 100, "keyframe": 2, "shot": 2, "text": 2, "track": 1}
    assert shown["failures"][0]["message"] == "3 frames are damaged"
    assert [s["transition"] for s in shown["shots"]] == ["cut", "fade"]
    assert [t["track"] for t in shown["tracks"]] == ["person-1"]
    states = {p["analyzer"]: (p["complete"], p["position_seconds"]) for p in shown["producers"]}
    assert states["shots"] == (True, 10.0)
    assert states["keyframes"] == (False, 7.04)


def test_a_source_for_people(library, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert run("show", SOURCE[:8], "--library", library) == 0
    said = capsys.readouterr().out
    for expected in ("街景 café.mp4", "h264 1920x1080", str(SHOTS), "stopped at 0:00:07.040", "3 frames are damaged"):
        assert expected in said


def test_an_observation_and_its_trace(library, capsys):
    store = open_store(library)
    wanted = next(iter(store.query(Query(kinds=("object",), min_score=0.42))))
    store.close()
    assert run("show", wanted.id[:10], "--library", library, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["id"] == wanted.id
    assert shown["exact"]["start"] == {"pts": 42, "time_base": "1/25"}
    assert shown["trace"]["bundle"] == OBJECTS.bundle
    assert shown["trace"]["complete"] is True
    assert run("show", wanted.id, "--library", library) == 0
    assert "0:00:01.680" in capsys.readouterr().out


def test_neither(library, capsys):
    assert run("show", "nothing.mp4", "--library", library) == 1
    assert "no source is called" in capsys.readouterr().err


def test_who_was_seen_and_what_was_said(tmp_path, capsys, monkeypatch):
    make_library(tmp_path / "library")
    made = [
        Observation(frames(0, 50), "speech", text="Good evening [bold]all[/bold]."),
        Observation(frames(0, 50), "speaker", label="speaker-1", track="speaker-1"),
        Observation(frames(0, 60), "face_track", track="face-1"),
        Observation(frames(0, 60), "identity", label="Ada", track="face-1", score=0.8),
        Observation(frames(0, 60), "fact", label="speaker_is_face", text="speaker-1 is Ada", score=0.9, track="face-1",
                    data={"speaker": "speaker-1", "person": "Ada", "senses": {"voice": 0.6, "lips": 0.4}}),
        Observation(frames(0, 250), "summary", text="Ada says good evening."),
        Observation(frames(0, 250), "topic", label="weather", score=0.5),
        Observation(frames(0, 20), "sound", label="applause", score=0.5),
    ]  # fmt: skip
    with closing(open_store(tmp_path / "library")) as store:
        store.commit(Batch(SOURCE, [o.of(SOURCE, TEXT, 5) for o in made]))
    assert run("show", SOURCE, "--library", tmp_path / "library", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(p["name"], p["seconds"], p["times"]) for p in shown["people"]] == [("Ada", 2.4, 1)]
    assert [(s["speaker"], s["text"]) for s in shown["transcript"]] == [("Ada", "Good evening [bold]all[/bold].")]
    assert shown["summary"] == "Ada says good evening."
    monkeypatch.setenv("COLUMNS", "160")
    assert run("show", SOURCE, "--library", tmp_path / "library") == 0
    said = capsys.readouterr().out
    for expected in (
        "Ada: Good evening [bold]all[/bold].", "Ada, 2.4 s", "speaker-1 is Ada (voice 60 %, lips 40 %)", "weather",
        "applause", "Ada says good evening.",
    ):  # fmt: skip
        assert expected in said
