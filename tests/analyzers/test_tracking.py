"""The tracker on scenes whose truth is known."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.analyzers._tracking import Tracker, grown_iou


def run(scene, times, **settings):
    """``scene(t)`` gives {true id: box}; returns, for each true id, the names of the tracks it was given."""
    tracker = Tracker(**settings)
    seen = []
    for t in times:
        truth = scene(t)
        boxes = np.array(list(truth.values()), float).reshape(-1, 4)
        tracks = tracker.update(t, boxes, np.full(len(boxes), 0.9), np.zeros(len(boxes), np.intp))
        seen += list(zip(truth, tracks, strict=True))
    tracker.finish()
    names = {}
    for true, track in seen:
        names.setdefault(true, []).append(track.name if track is not None else None)
    return names


def moving(x, y, vx, t, size=0.05):
    return [x + vx * t, y, x + vx * t + size, y + 2 * size]


def test_two_that_cross_keep_their_names():
    def scene(t):
        return {"a": moving(0.1, 0.3, 0.1, t), "b": moving(0.7, 0.36, -0.1, t)}

    names = run(scene, np.arange(0, 6, 0.2))
    assert {len(set(n)) for n in names.values()} == {1}
    assert names["a"][0] != names["b"][0]


def test_one_that_is_hidden_for_a_second_is_the_same_after():
    def scene(t):
        return {} if 2 < t < 3.1 else {"a": moving(0.1, 0.3, 0.08, t)}

    assert set(run(scene, np.arange(0, 6, 0.2))["a"]) == {"t1"}


def test_one_that_left_for_long_is_another():
    def scene(t):
        return {} if 2 < t < 8 else {"a": moving(0.1, 0.3, 0.0, t)}

    assert len(set(run(scene, np.arange(0, 12, 0.2))["a"])) == 2


def test_irregular_times_as_a_gate_leaves_them_make_no_difference():
    rng = np.random.default_rng(5)
    times = np.sort(rng.choice(np.arange(0, 10, 0.1), 45, replace=False))

    def scene(t):
        return {n: moving(0.05, 0.1 + 0.25 * n, 0.06 + 0.02 * n, t) for n in range(3)}

    names = run(scene, times)
    assert {len(set(n)) for n in names.values()} == {1}


def test_what_is_seen_once_is_no_track():
    def scene(t):
        return {"flicker": [0.5, 0.5, 0.6, 0.7]} if abs(t - 2) < 0.05 else {"a": moving(0.1, 0.1, 0.02, t)}

    assert run(scene, np.arange(0, 4, 0.2))["flicker"] == [None]


def test_groups_are_never_mixed():
    tracker = Tracker(groups=[0, 1])
    box = np.array([[0.4, 0.4, 0.5, 0.6]])
    named = []
    for step in range(12):
        (track,) = tracker.update(step / 5, box, np.array([0.9]), np.array([step // 6], np.intp))
        named.append(track)
    assert {id(t) for t in named[:6]}.isdisjoint({id(t) for t in named[6:]})


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_whatever_comes_each_detection_has_one_track_and_none_is_used_twice(seed):
    rng = np.random.default_rng(seed)
    tracker = Tracker()
    time = 0.0
    for _ in range(15):
        time += float(rng.uniform(0.05, 3))
        corner = rng.random((rng.integers(0, 8), 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0, 0.3, corner.shape)], 1)
        tracks = tracker.update(time, boxes, rng.random(len(boxes)), rng.integers(0, 3, len(boxes)))
        given_out = [id(t) for t in tracks if t is not None]
        assert len(tracks) == len(boxes)
        assert len(given_out) == len(set(given_out))
        assert all(np.isfinite(t.box).all() for t in tracker.tracks)


@given(margin=st.floats(0, 2))
def test_overlap_is_one_for_the_same_and_grows_with_the_margin(margin):
    a, b = np.array([[0.1, 0.1, 0.2, 0.3]]), np.array([[0.2, 0.1, 0.3, 0.3]])
    assert abs(grown_iou(a, a, margin)[0, 0] - 1) < 1e-9
    assert grown_iou(a, b, margin)[0, 0] <= grown_iou(a, b, margin + 0.1)[0, 0]
