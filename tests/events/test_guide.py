"""What the guide says is so."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from events.making import event
from onlooker.cli.main import main
from onlooker.events import Journal
from onlooker.events.sinks.webhook import signature
from onlooker.station.config import load_watch

TEXT = (Path(__file__).parents[2] / "docs" / "guides" / "events.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_configuration_is_good(tmp_path):
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "sinks:" in b]
    path = tmp_path / "sinks.watch.yaml"
    path.write_text(block)
    sinks = load_watch(path).sinks.sections
    assert {s.kind for s in sinks.values()} == {"webhook", "mqtt", "email", "file", "command"}


def test_the_check_of_the_signature():
    (block,) = [b for b in PYTHON if "is_genuine" in b]
    names: dict = {}
    exec(block, names)
    genuine, now = names["is_genuine"], int(time.time())
    assert genuine(signature("s3cret", now, b"{}"), b"{}", "s3cret")
    for header, body, secret in (
        (signature("s3cret", now, b"{}"), b"{ }", "s3cret"),
        (signature("s3cret", now, b"{}"), b"{}", "other"),
        (signature("s3cret", now - 4000, b"{}"), b"{}", "s3cret"),
        (signature("s3cret", now, b"{}").replace(f"t={now}", f"t={now - 1}"), b"{}", "s3cret"),
        ("", b"{}", "s3cret"),
        ("t=now,v1=", b"{}", "s3cret"),
    ):
        assert not genuine(header, body, secret)


def test_the_python_runs(tmp_path):
    (block,) = [b for b in PYTHON if "Journal" in b]
    with Journal.open(tmp_path / "lib") as journal:
        journal.take(event(rule="yard"))
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert event(rule="yard").id in done.stdout


def test_every_command_in_it_exists(capsys):
    lines = [line.split() for line in re.findall(r"^    onlooker (events .*)$", TEXT, re.MULTILINE)]
    assert len(lines) >= 9
    for words in lines:
        with pytest.raises(SystemExit) as stopped:
            main([*words[:2], "--help"])
        assert not stopped.value.code
        text = capsys.readouterr().out
        assert all(word in text for word in words if word.startswith("--")), words
