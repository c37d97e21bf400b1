"""What the guide of recording says is run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from onlooker.cli.main import main
from onlooker.core.event import Event
from onlooker.events import Journal
from onlooker.recording import Recorder, RecordSettings
from recording.conftest import SECOND

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "recording.md"


def test_commands(tmp_path, street, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    recorder = Recorder(tmp_path / "lib", "yard", "a" * 32, RecordSettings(mode="continuous", file=5), time.time() - 60)
    street.play(recorder)
    recorder.close()
    event = Event("ab" * 16, "door", "a" * 32, "yard", "end", 5 * SECOND, 9 * SECOND, "high")
    journal = Journal.open(tmp_path / "lib")
    journal.take(event)
    journal.close()
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8").replace("EVENT", event.id)
    lines = [line.strip() for line in text.splitlines() if re.match(r"\s*(onlooker|openssl) ", line)]
    assert len(lines) >= 12
    for line in lines:
        for command in line.split(" && "):
            words = shlex.split(command)
            if words[0] == "openssl":
                subprocess.run(words, check=True)
                continue
            with pytest.raises(SystemExit) as ended:
                main(words[1:])
            assert ended.value.code == 0, command


def test_settings():
    text = GUIDE.read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    RecordSettings.model_validate(yaml.safe_load(block[1])["cameras"]["yard"]["record"])
    named = {n for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for n in re.findall(r"`(\w+)`", row)}
    assert named == set(RecordSettings.model_fields)


def test_python():
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(GUIDE), "exec"), {})
