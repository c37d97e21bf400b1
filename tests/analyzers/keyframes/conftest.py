"""A short film with shots of all lengths."""

from __future__ import annotations

import pytest

from analyzers.shots.conftest import write
from onlooker.analyzers.keyframes.analyzer import Keyframes
from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.shots.analyzer import Shots
from onlooker.analyzers.shots.config import ShotsConfig

__all__ = ["make", "write"]


@pytest.fixture(scope="session")
def make():
    """New analyzers: ``make(rate=1)`` gives shots and keyframes."""

    def both(**config):
        return [Shots(ShotsConfig()), Keyframes(KeyframesConfig(**config))]

    return both
