"""The guide's example is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onlooker.bundles import load_bundle
from onlooker.bundles.manifest import Head, State
from onlooker.cli.main import main

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "bundles.md").read_text()


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def onlooker(words):
    with pytest.raises(SystemExit) as code:
        main(words)
    assert code.value.code == 0, words


def test_the_example_of_the_guide(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.mp4").symlink_to(data("clips/talking_face_aoc_512.mp4"))
    (tmp_path / "bright.yaml").write_text(blocks("yaml")[0])
    (script,) = blocks("python")
    exec(compile(script, "bundles.md", "exec"), {})
    assert capsys.readouterr().out == "True\n"
    assert load_bundle("bright").manifest.name == "bright_side"
    (tmp_path / "bright").rename("by-python")
    commands = [line for line in blocks("")[1].splitlines() if line.startswith("onlooker ")]
    assert len(commands) == 4
    for line in commands:
        onlooker(line.removeprefix("onlooker ").split())
    assert re.search(r"\b(left|right)\b", capsys.readouterr().out)


def test_the_facts_in_the_guide_are_valid():
    import json

    import yaml

    _, head, _, _, state = (yaml.safe_load(text) for text in blocks("yaml"))
    Head.model_validate_json(json.dumps(head["head"]))
    State.model_validate_json(json.dumps(state["state"]))
