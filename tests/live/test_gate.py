"""The motion gate on real footage, and the place for the newest frame."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from onlooker.core.media import Frame, ReadRequest
from onlooker.core.time import Timestamp
from onlooker.live.gate import MotionGate
from onlooker.live.settings import GateSettings
from onlooker.live.slot import LatestFrame
from onlooker.sources import open_source
from onlooker.sources.frame import DecodedFrame

EMPTY = [(0, 6), (46, 50), (71, 74), (88, 92)]
"""Seconds of the clip in which nobody is in the room, by eye."""
WALKING = [(6, 11), (18, 21), (23, 26), (43, 46), (50, 53), (67, 71)]


def made(seconds: float, pixels) -> DecodedFrame:
    """A made-up picture."""
    return DecodedFrame(av.VideoFrame.from_ndarray(pixels, "gray"), Timestamp.of_seconds(seconds), Fraction(0))


@pytest.fixture(scope="module")
def room(data):
    """Second -> what the gate said of each picture, at 5 a second."""
    gate = MotionGate(GateSettings(hold=0, glance=0))
    said: dict[int, list[bool]] = {}
    last = -1.0
    for frame in open_source(str(data("clips/home_indoor_one_by_one_person.mp4"))).read(ReadRequest()):
        assert isinstance(frame, Frame)
        now = frame.time.seconds
        if now - last > 0.19:
            last = now
            said.setdefault(int(now), []).append(gate.moving(frame))
    return said


def test_an_empty_room_is_quiet(room):
    # someone who has just left is still in the picture that is compared with
    seen = [m for a, b in EMPTY for s in range(a, b) for m in room[s][0 if a == 0 else 3 :] if s > a or a == 0]
    assert len(seen) > 40
    assert sum(seen) == 1, "only the first picture of all"


def test_people_who_walk_open_it(room):
    for begin, end in WALKING:
        assert all(any(room[s]) for s in range(begin, end)), (begin, end)


def pictures(pixels, rate=5):
    return [made(n / rate, p) for n, p in enumerate(pixels)]


def test_noise_and_light_are_no_motion():
    chance = np.random.default_rng(1)
    scene = chance.integers(40, 200, (90, 160))
    noisy = [np.clip(scene + chance.normal(0, 2.5, scene.shape), 0, 255).astype(np.uint8) for _ in range(50)]
    brighter = [np.clip(scene + 30, 0, 255).astype(np.uint8)] * 10
    gate = MotionGate(GateSettings(glance=0))
    said = [gate.moving(f) for f in pictures([*noisy, *brighter])]
    assert said == [True] + [False] * 59
    assert not gate.motion


def test_it_holds_and_glances():
    still = np.full((90, 160), 100, np.uint8)
    moved = still.copy()
    moved[20:40, 20:40] = 200
    gate = MotionGate(GateSettings(hold=2, glance=4))
    frames = pictures([still] * 10 + [moved] * 50, rate=5)
    opened = [f.time.seconds for f in frames if gate.moving(f)]
    # the change at 2 s is seen until the compared picture is taken anew, then held for 2 s
    assert opened[:1] == [0.0]
    moving = [t for t in opened if 2 <= t < 5]
    assert moving[0] == 2.0
    assert moving == [n / 5 for n in range(10, 10 + len(moving))]
    later = [t for t in opened if t >= 5]
    assert np.allclose(np.diff(later), 4.0)
    assert len(later) >= 1


def test_after_a_reconnect_nothing_is_compared():
    gate = MotionGate(GateSettings(hold=0, glance=0))
    dark, bright = (np.full((90, 160), v, np.uint8) for v in (0, 255))
    bright[:, :40] = 0
    gate.moving(made(0, dark))
    gate.restart()
    assert not gate.moving(made(1, bright))


def test_the_newest_frame_is_taken_once_and_others_are_counted():
    told = []
    slot = LatestFrame(lambda: told.append(slot.waiting))
    frames = pictures([np.zeros((90, 160), np.uint8)] * 4)
    for frame in frames:
        slot.put(frame)
    assert slot.take() is frames[3]
    assert slot.take() is None
    assert not slot.waiting
    slot.dropped("gate", 2)
    assert slot.drops == {"superseded": 3, "gate": 2}
    assert told == [True] * 4
