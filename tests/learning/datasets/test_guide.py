"""The guide's commands work, and its tables are complete."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from cli.sample_library import run
from learning.datasets._series import series_folder
from onlooker.learning.datasets.formats import format_names

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "guides" / "datasets.md").read_text(encoding="utf-8")


def test_the_commands_of_the_guide_work(fight_folder, data, tmp_path, monkeypatch):
    shutil.copytree(fight_folder, tmp_path / "clips")
    series_folder(tmp_path / "walks", data("shots/bikes.mp4"), train=3, other=0)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 10
    for line in lines:
        words = shlex.split(line)[1:]
        assert run(*words, *(["--workers", "0"] if words[1] == "prepare" else [])) == 0, line
    assert (tmp_path / "fights.html").stat().st_size > 100_000
    assert "pulse" in (tmp_path / "walks.html").read_text(encoding="utf-8")
    assert "series_mean" in (tmp_path / "walks-20" / "dataset.yaml").read_text(encoding="utf-8")


def test_the_table_of_formats_is_complete():
    rows = re.findall(r"^\| ([a-z, -]+) \|", GUIDE, re.MULTILINE)
    named = {name.strip() for row in rows for name in row.split(",")}
    assert set(format_names()) <= named
