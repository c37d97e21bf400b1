"""What the documents say is run."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import onlooker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(data, tmp_path_factory):
    """A folder with clips under the names that the documents use."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(data("clips/tv_whitehouse_performance.mp4"), folder / "talk.mp4")
    (folder / "footage").mkdir()
    shutil.copy(data("clips/preview_classroom.mp4"), folder / "footage" / "a.mp4")
    shutil.copy(next(data("coco128").rglob("*.jpg")), folder / "photo.jpg")
    for page in (ROOT / "docs" / "guides").glob("*.md"):
        for block in re.findall(
            r"^```yaml\n(# \S+\.yaml\n.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            (folder / block.split()[1]).write_text(block, encoding="utf-8")
    return folder


def shell_lines(name):
    """Commands in the document's indented or fenced blocks."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```|((?:^    [^\n]*\n)+)", text, re.DOTALL | re.MULTILINE)
    lines = [line.split("  #")[0].strip() for pair in blocks for block in pair for line in block.splitlines()]
    return [line for line in lines if line.startswith("onlooker ")]


@pytest.mark.timeout(1200)  # all analyzers over a clip, then many commands
@pytest.mark.parametrize(
    "name",
    ["README.md", "docs/guides/getting-started.md", "docs/guides/people-text-sound.md", "docs/guides/privacy.md"],
)
def test_the_commands_in_the_documents_work(name, place):
    lines = shell_lines(name)
    assert len(lines) >= 5
    for line in lines:
        words = shlex.split(line)
        done = subprocess.run([sys.executable, "-m", *words], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", ["README.md", "docs/guides/python-api.md"])
def test_the_python_in_the_documents_runs(name, place):
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_examples_in_docstrings_hold(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tried = 0
    for found in pkgutil.walk_packages(onlooker.__path__, "onlooker."):
        if found.name.endswith("__main__"):
            continue
        result = doctest.testmod(importlib.import_module(found.name), optionflags=doctest.ELLIPSIS)
        assert not result.failed, found.name
        tried += result.attempted
    assert tried > 20


def test_the_page_of_commands_is_what_the_help_says():
    spec = importlib.util.spec_from_file_location("cli_docs", ROOT / "scripts" / "cli_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == module.build(), "run python scripts/cli_docs.py"


def test_links_between_documents_lead_somewhere():
    for path in [ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_nothing_in_the_repository_names_a_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    marks = [os.sep + "work" + os.sep + "main", os.sep + "root" + os.sep + "."]
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".jpg"):
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not any(mark in text for mark in marks), name
