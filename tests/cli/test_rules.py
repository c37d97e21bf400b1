"""``onlooker rules`` as users call it, over a stored library; the guide's rule files are good."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.sample_library import run
from onlooker.core.store import Batch, RunState
from onlooker.timeline import open_store
from rules.making import INFO, fact, moving, signed, standing, walk

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "rules.md"
FILE = """
version: 1
zones: {left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
lines: {mid: {points: [[0.5, 0], [0.5, 1]], inside: [0.9, 0.5]}}
rules:
  - {id: entries, when: {crosses: {line: mid, label: person}}}
  - {id: stays, when: {object: {label: person, zone: left, lasts: 2s}}}
  - {id: shouts, when: {all: [{sound: {label: shout}}, {object: {label: person, zone: left}}]}}
"""


@pytest.fixture
def lib(tmp_path):
    scene = walk("t1", moving(0.2, 0.1), 0, 6) + walk("t2", standing(0.3), 10, 14)
    scene = signed([*scene, fact("sound", 12, 13, label="shout", score=0.9)])
    store = open_store(tmp_path / "lib")
    store.add_source(INFO)
    producers = {o.producer for o in scene if o.producer}
    store.commit(Batch(INFO.id, scene, states=[RunState(p, None, True) for p in producers]))
    store.close()
    (tmp_path / "yard.yaml").write_text(FILE)
    return tmp_path


def printed(capsys, *arguments):
    capsys.readouterr()
    assert run("rules", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_events_of_what_is_stored(lib, capsys):
    found = printed(capsys, "test", lib / "yard.yaml", "--library", lib / "lib")
    assert [(e["rule"], e["start"], e["end"]) for e in found["events"]] == [
        ("stays", 2.0, pytest.approx(3.0, abs=0.21)),
        ("entries", pytest.approx(3.2), pytest.approx(3.2)),
        ("shouts", 12.0, 13.0),
        ("stays", 12.0, 13.8),
    ]
    event = found["events"][1]
    assert set(event) >= {"id", "rule", "source", "state", "start", "end", "severity", "evidence", "path"}
    assert event["data"]["direction"] == "in"
    part = printed(capsys, "test", lib / "yard.yaml", "--library", lib / "lib", "--from", "9", "--to", "13")
    assert [e["rule"] for e in part["events"]] == ["stays", "shouts"]
    assert run("rules", "test", lib / "yard.yaml", "--library", lib / "lib", "--states") == 0
    assert "new    medium   entries person t1 [door.mp4]" in capsys.readouterr().out


def test_explain_and_diff(lib, capsys):
    found = printed(capsys, "explain", lib / "yard.yaml", "--library", lib / "lib", "--at", "11", "--rule", "shouts")
    (rule,) = found["rules"]
    assert not rule["fires"]
    assert rule["kept_by"] == ["when.all[0].sound: no sound that fits so far"]
    assert run("rules", "explain", lib / "yard.yaml", "--library", lib / "lib", "--at", "12.5") == 0
    assert "shouts fires" in capsys.readouterr().out
    (lib / "new.yaml").write_text(FILE.replace("lasts: 2s", "lasts: 3.5s"))
    changed = printed(capsys, "diff", lib / "yard.yaml", lib / "new.yaml", "--library", lib / "lib")
    assert (changed["same"], changed["moved"], changed["gone"], changed["added"]) == (2, 1, 1, 0)


def test_check_names_what_is_wrong(lib, capsys):
    (lib / "bad.yaml").write_text(FILE.replace("line: mid", "line: end"))
    assert run("rules", "check", lib / "yard.yaml", lib / "bad.yaml") == 1
    out = capsys.readouterr().out
    assert "yard.yaml: good, 3 rules" in out
    assert "bad.yaml:6: rules.0: no line is called 'end' (known: mid)" in out
    assert run("rules", "test", lib / "bad.yaml", "--library", lib / "lib") == 1
    assert run("rules", "test", lib / "yard.yaml", "--library", lib / "lib", "--clock", "noon") == 1
    assert "not a wall time" in capsys.readouterr().err


def test_the_files_of_the_guide_are_good(tmp_path, capsys):
    blocks = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for i, block in enumerate(blocks):
        (tmp_path / f"{i}.yaml").write_text(block)
        assert run("rules", "check", tmp_path / f"{i}.yaml") == 0, capsys.readouterr().out


def test_schema_and_conditions_are_printed(capsys):
    assert run("rules", "schema") == 0
    assert "crosses" in json.loads(capsys.readouterr().out)["$defs"]["Condition"]["properties"]
    assert run("rules", "conditions") == 0
    assert "words" in capsys.readouterr().out
