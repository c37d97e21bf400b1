"""``onlooker evaluate`` on the command line."""

from __future__ import annotations

import json

import pytest

from cli.sample_library import run
from learning.evaluate._made import fights, motion_bundle


@pytest.fixture(scope="module")
def given(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    return motion_bundle(folder, "good").folder, fights(data, folder, 4).folder


def test_json_report_and_limits(given, tmp_path, capsys):
    bundle, dataset = given
    report = tmp_path / "report.html"
    assert run("evaluate", bundle, dataset, "--json", "--report", report, "--draws", "200") == 0
    found = json.loads(capsys.readouterr().out)["tasks"]["action"]
    assert found["metric"] == "accuracy"
    assert len(found["ci95"]) == 2
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    value = found["value"]
    assert run("evaluate", bundle, dataset, "--draws", "200", "--at-least", f"action={value}") == 0
    assert "accuracy" in capsys.readouterr().out
    assert run("evaluate", bundle, dataset, "--draws", "200", "--at-least", f"action={value + 0.01}") == 1
    assert "action is worse than" in capsys.readouterr().err


def test_bad_use_is_one_line(given, capsys):
    bundle, dataset = given
    assert run("evaluate", "nowhere", dataset) == 1
    assert "there is no bundle" in capsys.readouterr().err
    assert run("evaluate", bundle, dataset, "--at-least", "action=much") == 1
    assert "not a number" in capsys.readouterr().err
    assert run("evaluate", bundle, dataset, "--task", "action=mood") == 1
    assert "no task 'mood'" in capsys.readouterr().err
