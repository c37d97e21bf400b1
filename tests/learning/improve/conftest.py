"""What the tests of improving share: a cache of their own, and real footage whose tint says what it is."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.conftest import read_pictures, write_clip

TINTS = {"red": (1.0, 0.45, 0.45), "green": (0.45, 1.0, 0.45), "blue": (0.45, 0.45, 1.0), "plain": (0.8, 0.8, 0.8)}


def tinted(picture, tint):
    return np.clip(picture * np.array(TINTS[tint], np.float32), 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shown(data):
    """Twelve seconds of real footage, at 25 pictures a second."""
    return read_pictures(data("shots/bikes.mp4"), 12, width=64, height=48)


@pytest.fixture
def striped(shown, tmp_path):
    """``striped("red", "green", ...)``: a clip at 5 pictures a second, three seconds of each tint."""

    def made(*tints, name="striped.mp4"):
        rows = [tinted(shown[(15 * n + k) * 4 % len(shown)], tint) for n, tint in enumerate(tints) for k in range(15)]
        return write_clip(rows, tmp_path / name, rate=5, crf=10)

    return made
