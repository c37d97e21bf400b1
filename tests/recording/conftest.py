"""A camera's library, and what was recorded into it."""

from __future__ import annotations

import time

import pytest

from onlooker.recording import Recorder, Recordings, RecordSettings
from recording.camera import Camera

SECOND = 1_000_000_000


def until(true):
    """Wait for something to be true."""
    for _ in range(20_000):
        if true():
            return
        time.sleep(0.001)
    raise AssertionError("it never came true")


@pytest.fixture
def zero():
    """Wall time of the camera's zero, some minutes ago."""
    return time.time() - 600


@pytest.fixture
def record(tmp_path, zero):
    """Record something with the given settings: ``record(work, mode=...)`` calls ``work(recorder)`` and closes it."""

    def go(work, **settings):
        values = {"mode": "continuous", "file": 5, **settings}
        recorder = Recorder(tmp_path, "yard", "a" * 32, RecordSettings.model_validate(values), zero)
        try:
            work(recorder)
        finally:
            recorder.close()
        return recorder.status()

    return go


@pytest.fixture
def recordings(tmp_path):
    """The library's recordings."""
    with Recordings(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def street(data):
    """30 s with sound, a keyframe every 4.8 s, no pictures out of order."""
    return Camera(data("clips/traffic_car_overhead.mp4"))


@pytest.fixture(scope="session")
def home(data):
    """139 s without sound, a keyframe every second, pictures out of order."""
    return Camera(data("clips/home_indoor_one_by_one_person.mp4"))
