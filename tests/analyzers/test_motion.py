"""Motion is where and when something moves; noise, idleness and light are not motion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from onlooker.analyzers.motion.analyzer import BOX, GAIN, GRID, SHARE, compare


def test_idle_and_active_stretches_of_a_room(data, observe):
    made = observe("motion", data("clips/home_indoor_one_by_one_person.mp4"))
    active = [o for o in made if o.label == "active"]
    # seen by eye: the room is empty until the first person opens the door at about six seconds, and at 88-92 s
    assert active[0].span.start.seconds == pytest.approx(6, abs=0.7)
    assert not [o for o in active if o.span.start.seconds < 90 < o.span.end.seconds]
    for o in active:
        assert o.box is not None
        assert o.box.area > 0
        assert len(o.data["grid"]) == 8
        assert 0 < o.data["mean_share"] <= o.score <= 1


def test_long_activity_comes_in_pieces(data, observe):
    made = [o for o in observe("motion", data("clips/traffic_highway.avi"), longest_seconds=5) if o.label == "active"]
    assert len(made) >= 5
    assert all(o.span.duration <= 6 for o in made)
    assert all(a.span.end == b.span.start for a, b in itertools.pairwise(made))


def picture(rng):
    return rng.integers(40, 200, (18, 32)).repeat(5, 0).repeat(5, 1).astype(np.int16)


def test_box_and_grid_say_where():
    rng = np.random.default_rng(2)
    before = picture(rng)
    now = before.copy()
    now[45:60, 80:100] += 50
    values = compare(now, before, 12).astype(float)
    assert values[SHARE] == pytest.approx(300 / 14400, rel=0.02)
    assert values[BOX] == pytest.approx([80 / 160, 45 / 90, 100 / 160, 60 / 90], abs=0.01)
    grid = values[GRID].reshape(8, 8)
    assert grid[4, 4] > 0.3
    assert grid[0].sum() == 0


def test_noise_is_not_motion():
    rng = np.random.default_rng(3)
    before = picture(rng)
    now = before + rng.normal(0, 3.5, before.shape).astype(np.int16)
    assert compare(now, before, 12)[SHARE] == 0


def test_switched_light_is_light():
    before = picture(np.random.default_rng(4))
    values = compare(before + 25, before, 12)
    assert values[GAIN] == 25
    assert values[SHARE] == 0


def test_slow_change_of_light_is_nothing(data, observe, plant):
    path = plant("clips/home_indoor_one_by_one_person.mp4", lambda p, i, f: (f * (1 - i / 400)).astype(np.uint8), 0, 8)
    assert observe("motion", path) == []
