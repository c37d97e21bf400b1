"""The arithmetic of angles, targets, eyes and drowsiness."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from onlooker.analyzers.attention.config import AttentionConfig
from onlooker.analyzers.attention.drowsiness import Drowsiness
from onlooker.analyzers.attention.geometry import (
    angles,
    between,
    direction,
    fit,
    gaze_of,
    shape,
    target_direction,
    turn,
    yaw_pitch,
)
from onlooker.analyzers.attention.states import OpenEyes
from onlooker.core.time import Timestamp

TURNS = st.tuples(st.floats(-80, 80), st.floats(-80, 80), st.floats(-170, 170))


@given(TURNS)
def test_angles_undo_a_turn(turned):
    assert np.allclose(angles(turn(*turned)), turned, atol=1e-6)


@given(TURNS, st.floats(0.1, 500), st.integers(0, 2**31))
def test_the_fit_finds_a_turned_and_scaled_shape_under_noise(turned, scale, seed):
    noise = np.random.default_rng(seed).normal(0, 0.02, (468, 3))
    rotation, found = fit((shape() + noise) @ turn(*turned).T * scale + 100)
    assert found == pytest.approx(scale, rel=0.02)
    assert between(rotation[:, 2], turn(*turned)[:, 2]) < 1


def test_signs():
    assert direction(30, 0)[0] > 0  # to the picture's right
    assert direction(0, 30)[1] < 0  # up: y goes down
    top = turn(0, 0, 20) @ np.array([0.0, -1.0, 0.0])
    assert top[0] > 0  # clockwise as seen: the top of the head goes to the right
    assert shape()[1, 2] > shape()[33, 2]  # the nose is nearer to the camera than the eyes


@given(st.floats(-60, 60), st.floats(-60, 60))
def test_a_direction_has_its_yaw_and_pitch(yaw, pitch):
    assert np.allclose(yaw_pitch(direction(yaw, pitch) * 7), (yaw, pitch), atol=1e-6)


def test_eyes_that_stay_on_the_camera_while_the_head_turns():
    # the iris stays between camera and eyeball, the corners go with the head
    for yaw in (-30, 0, 30):
        rotation = turn(yaw, 0)
        offset = -(rotation @ np.array([0.0, 1.4, 6.0]))[:2]
        assert np.allclose(gaze_of(offset, rotation), (0, 0), atol=1e-6)


def test_the_direction_of_a_place_depends_on_where_the_face_is():
    def seen(point, middle=(0.5, 0.5), unit=0.05):
        return yaw_pitch(target_direction(point, middle, unit, 60.0, 16 / 9))

    assert np.allclose(seen((0, 0, 0)), (0, 0), atol=1e-6)
    assert np.allclose(seen((0, 0, 0), (0.9, 0.2)), (0, 0), atol=1e-6)  # the camera itself, from anywhere
    yaw, pitch = seen((0.5, 0, 0))
    assert yaw > 5
    assert abs(pitch) < 1e-6
    assert seen((0.5, 0, 0), unit=0.1)[0] > yaw  # nearer
    assert seen((0, -0.5, 0))[1] > 5  # above
    # 90 mm across 0.05 of the picture at 60 degrees: 1.5588 m away
    assert yaw == pytest.approx(np.degrees(np.arctan(0.5 / 1.5588)), abs=0.05)


def test_openness_is_against_the_persons_own_eyes():
    narrow, wide = OpenEyes(), OpenEyes()
    for _ in range(100):
        assert narrow.take(0.18) > 0.5
        assert wide.take(0.38) > 0.9
    assert narrow.take(0.18) == pytest.approx(1)
    assert wide.take(0.18) < 0.5
    assert narrow.take(0.05) < 0.3
    for _ in range(2000):
        assert wide.take(0.09) < 0.3  # asleep for long
    assert wide.take(0.38) == pytest.approx(1)


def judged(moments, rate=10, **settings):
    """Drowsy stretches of (seconds, closed) runs."""
    drowsiness, made, at, since = Drowsiness(AttentionConfig(**settings)), [], 0, None
    for seconds, closed in moments:
        for _ in range(round(seconds * rate)):
            time = Timestamp(at, Fraction(1, rate))
            since = (since or time) if closed else None
            made += drowsiness.take(time, closed, time - since if since else Fraction(0), 0)
            at += 1
    return made + drowsiness.finish(Timestamp(at, Fraction(1, rate)))


def test_blinks_alone_make_nobody_drowsy_but_their_share_does():
    assert not judged([(3.8, False), (0.2, True)] * 30)
    (stretch, *_) = judged([(0.9, False), (0.4, True)] * 60)
    found = Drowsiness.reasons(stretch)
    assert found["reasons"] == ["perclos"]
    assert found["perclos"] > 0.15
    # a share is not judged before a third of its minute was seen
    assert stretch.start.seconds >= 20


def test_a_long_closure_counts_for_a_minute():
    (stretch, *_) = judged([(30, False), (2, True), (90, False)])
    assert stretch.start.seconds == pytest.approx(31.5, abs=0.2)
    assert 55 < float(judged([(30, False), (2, True), (90, False)])[-1].end - stretch.start) < 65


def test_closures_shorter_than_blinks_are_refused():
    with pytest.raises(ValidationError, match="closure_seconds"):
        AttentionConfig(closure_seconds=0.4)
