"""What the guide of cameras says holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from onlooker.station.config import load_watch

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "cameras.md").read_text(encoding="utf-8")


def test_its_file_of_cameras_is_valid(tmp_path, monkeypatch):
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    monkeypatch.setenv("FRONT_PASSWORD", "s3cret")
    config = load_watch(path)
    assert set(config.cameras) == {"front", "yard"}
    assert config.cameras["front"].address == "rtsp://10.0.0.5/main"
    assert "s3cret" not in repr(config)
    settings = config.cameras["yard"].gate_settings
    assert settings is not None
    assert (settings.hold, settings.glance) == (10, 30)


@pytest.mark.parametrize("setting", ["timeout", "stall", "rate"])
def test_defaults_are_those_of_the_code(tmp_path, setting):
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras: {front: {url: rtsp://127.0.0.1/1}}")
    (stated,) = re.findall(rf"^\| `{setting}` \| ([\d.]+)", GUIDE, re.MULTILINE)
    assert getattr(load_watch(path).cameras["front"], setting) == float(stated)


def test_its_python_runs(data):
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    block = block.replace('"talk.mp4"', repr(str(data("clips/tv_whitehouse_performance.mp4"))))
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "watching" in done.stdout
    assert "640 360" in done.stdout
