"""``onlooker dataset`` from a folder of clips to a prepared, checked and exported dataset."""

from __future__ import annotations

import json
import shutil

import pytest

from cli.sample_library import run
from onlooker.core.event import Event, event_id
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Batch
from onlooker.core.time import Span
from onlooker.events import Journal
from onlooker.sources import open_source
from onlooker.timeline.stores.embedded import EmbeddedStore


@pytest.fixture(scope="module")
def clips(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for label in ("fight", "noFight"):
        (folder / label).mkdir()
        for clip in sorted(data(f"fight_surv/{label}").glob("*.mp4"))[:5]:
            shutil.copy(clip, folder / label / clip.name)
    return folder


@pytest.fixture
def fights(clips, tmp_path, capsys):
    assert run("dataset", "import", "folders", clips, "--into", tmp_path / "fights", "--set", "task=action") == 0
    capsys.readouterr()
    return tmp_path / "fights"


def said(capsys):
    return json.loads(capsys.readouterr().out)


def test_from_clips_to_a_prepared_dataset(fights, tmp_path, capsys):
    assert run("dataset", "split", fights, "train=0.6", "val=0.4", "--json") == 0
    parts = said(capsys)
    assert sum(parts["splits"].values()) == 10
    assert run("dataset", "check", fights, "--json") == 0
    assert said(capsys)["good"] is True
    assert run("dataset", "stats", fights, "--picture", tmp_path / "balance.png", "--json") == 0
    facts = said(capsys)
    assert facts["tasks"]["action"]["classes"]["fight"]
    assert (tmp_path / "balance.png").read_bytes().startswith(b"\x89PNG")
    assert run("dataset", "show", fights, "-o", tmp_path / "page.html", "--limit", "3", "--json") == 0
    assert said(capsys)["shown"] == 3
    assert "data:image/jpeg;base64," in (tmp_path / "page.html").read_text()
    ready = tmp_path / "ready"
    options = ["--set", "pictures.frames=4", "--set", "pictures.width=32", "--set", "pictures.height=32"]
    assert (
        run("dataset", "prepare", fights, "--into", ready, *options, "--workers", "0", "--cache", "64MB", "--json") == 0
    )
    made = said(capsys)
    assert (made["decoded"], made["in_cache"], len(made["normalise"]["mean"])) == (10, 10, 3)
    assert run("dataset", "export", ready, "csv", tmp_path / "out.csv", "--json") == 0
    assert said(capsys)["samples"] == 10
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 11


def test_check_fails_where_there_is_an_error(clips, tmp_path, capsys):
    assert run("dataset", "import", "folders", clips, "--into", tmp_path / "own", "--copy") == 0
    victim = next((tmp_path / "own" / "media" / "fight").iterdir())
    victim.write_bytes(b"gone")
    capsys.readouterr()
    assert run("dataset", "check", tmp_path / "own", "--no-near") == 1
    told = capsys.readouterr().out
    assert "broken-file" in told
    assert "not good" in told


def test_strict_fails_for_warnings(fights, tmp_path, capsys):
    assert run("dataset", "create", tmp_path / "empty", "--task", "t=class:a,b") == 0
    assert run("dataset", "check", tmp_path / "empty") == 0
    assert run("dataset", "check", tmp_path / "empty", "--strict") == 1


def test_groups_folds_and_labels_of_a_table(data, tmp_path, capsys):
    fields = ["--set", "media=audio/{file}", "--label", "sound=label", "--group", r"source=file~^\d-(\d+)-"]
    more = ["--split", "fold{fold}", "--into", tmp_path / "esc", "--json"]
    assert run("dataset", "import", "csv", data("esc10/labels.csv"), *fields, *more) == 0
    assert said(capsys)["new"] == 320
    assert run("dataset", "split", tmp_path / "esc", "--folds", "4", "--by", "source", "--no-near", "--json") == 0
    assert all(n == pytest.approx(80, abs=3) for n in said(capsys)["splits"].values())
    rows = [json.loads(line) for line in (tmp_path / "esc" / "samples.jsonl").read_text().splitlines()]
    sides = {row["groups"]["source"]: row["split"] for row in rows}
    assert len(sides) > 100
    assert all(sides[row["groups"]["source"]] == row["split"] for row in rows)


def test_a_column_of_a_table_says_the_split(tmp_path, capsys):
    """A column that is called ``split``, beside labels that are named."""
    (tmp_path / "words.csv").write_text("text,mood,split\nlovely,good,train\nawful,bad,test\n")
    fields = ["--set", "media=", "--label", "mood=mood", "--split", "{split}", "--into", tmp_path / "words", "--json"]
    assert run("dataset", "import", "csv", tmp_path / "words.csv", *fields) == 0
    rows = [json.loads(line) for line in (tmp_path / "words" / "samples.jsonl").read_text().splitlines()]
    assert {row["text"]: row["split"] for row in rows} == {"lovely": "train", "awful": "test"}


def test_an_import_tells_the_kinds_of_its_tasks(tmp_path, capsys):
    """Numbers may be measures or names of classes: what they were taken for is told."""
    (tmp_path / "words.csv").write_text("text,mood\nlovely,1\nawful,0\n")
    fields = ["--set", "media=", "--label", "size=mood", "--label", "mood=mood:class"]
    assert run("dataset", "import", "csv", tmp_path / "words.csv", *fields, "--into", tmp_path / "a", "--json") == 0
    assert said(capsys)["tasks"] == {"size": "regression", "mood": "class"}
    assert run("dataset", "import", "csv", tmp_path / "words.csv", *fields, "--into", tmp_path / "b") == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["size: regression", "mood: class, 2 classes"]


def test_a_library_becomes_tasks_and_events_labels(data, tmp_path, capsys):
    shutil.copy(data("ucsd_ped2/test/Test001.mp4"), tmp_path / "walk.mp4")
    info = open_source(str(tmp_path / "walk.mp4")).info
    with EmbeddedStore(tmp_path / "lib") as store:
        store.add_source(info)
        made = [
            Observation(Span.of_seconds(n, n + 0.1), "object", score=0.45, label="person", box=Box(0.1, 0.1, 0.5, 0.5))
            .of(info.id, Producer("objects", "1", "c" * 32), 0)
            for n in (1, 5)
        ]  # fmt: skip
        store.commit(Batch(info.id, made))
    with Journal.open(tmp_path / "lib") as journal:
        event = Event(event_id("door", info.id, 0, ""), "door", info.id, "cam", "new", 0, None, "high")
        journal.take(event)
        journal.feedback(event.id, "right", "anna")
        journal.feedback(event.id, "wrong", "anna", "a cat")
    arguments = ["--into", tmp_path / "set", "--uncertain", "0.3..0.6", "--json"]
    assert run("dataset", "from-library", tmp_path / "lib", *arguments) == 0
    report = said(capsys)
    assert report["taken"] == {"uncertain": 2, "said to be wrong": 1}
    target = tmp_path / "tasks.json"
    assert run("dataset", "export", tmp_path / "set", "label-studio", target, "--proposed", "--json") == 0
    assert said(capsys)["samples"] == 2
    assert run("dataset", "import", "label-studio", target, "--into", tmp_path / "set", "--json") == 0
    assert said(capsys)["replaced"] == 2
    arguments = ["--into", tmp_path / "other", "--kind", "objects", "--no-events"]
    assert run("dataset", "from-library", tmp_path / "lib", *arguments) == 0
    assert "the library has no observation of kind objects; it has object" in capsys.readouterr().out


def test_a_library_that_hides_people_is_asked_about(tmp_path, capsys):
    with EmbeddedStore(tmp_path / "lib") as store:
        store.put_records("privacy", {"policy": {"hide": ["faces"]}})
    assert run("dataset", "from-library", tmp_path / "lib", "--into", tmp_path / "set") == 1
    assert "the library hides faces" in capsys.readouterr().err
    assert run("dataset", "from-library", tmp_path / "lib", "--into", tmp_path / "set", "--with-hidden") == 0


@pytest.mark.parametrize("what", ["dataset", "sample", "preparation"])
def test_schemas_are_printed(what, capsys):
    assert run("dataset", "schema", what) == 0
    assert said(capsys)["type"] == "object"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["import", "nothing", "x", "--into", "NEW"], "no dataset format is called 'nothing'"),
        (["import", "csv", "missing.csv", "--into", "NEW"], "cannot read missing.csv"),
        (["import", "csv", "missing.csv", "--into", "NEW", "--set", "x"], "expected NAME=VALUE"),
        (["split", "SET"], "say how to split"),
        (["split", "SET", "train=x", "val=1"], "not shares"),
        (["split", "SET", "a/b=0.5", "c=0.5"], "the split 'a/b' is no name"),
        (["split", "SET", "a+b=0.5", "c=0.5"], "the split 'a+b' is no name"),
        (["prepare", "SET", "--into", "NEW", "--set", "pictures.frames=0"], "pictures.frames"),
        (["prepare", "SET", "--into", "NEW", "--cache", "many"], "not a size"),
        (["export", "SET", "ucf", "out"], "ucf is read only"),
        (["export", "SET", "coco", "out.json"], "there is no task of kind boxes"),
        (["create", "NEW", "--task", "t=klass"], "--task: 'klass'"),
        (["check", "NEW"], "holds no dataset"),
        (["schema", "x"], "there is no schema of 'x'"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(fights, tmp_path, capsys, arguments, expected):
    new = tmp_path / "new"
    words = [{"NEW": str(new), "SET": str(fights)}.get(a, a) for a in arguments]
    assert run("dataset", *words) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not (new / "dataset.yaml").exists()
    assert run("dataset", "stats", fights) == 0
