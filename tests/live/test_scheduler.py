"""Turns are shared by weight, nobody is starved, and a camera is in one worker at a time."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.live.scheduler import FairQueue, Scheduler


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0.01, 0.5)), min_size=2, max_size=6),
    st.integers(1, 3),
)
def test_use_is_shared_by_weight(cameras, workers):
    queue, used = FairQueue(), {}
    weights = {f"c{i}": float(w) for i, (w, _) in enumerate(cameras)}
    costs = {f"c{i}": cost for i, (_, cost) in enumerate(cameras)}
    for name, weight in weights.items():
        queue.add(name, weight)
        queue.ready(name)
        used[name] = 0.0
    now, busy = 0.0, []
    while now < 300:
        while len(busy) < workers and (name := queue.take()) is not None:
            busy.append((now + costs[name], name))
        busy.sort()
        now, name = busy.pop(0)
        used[name] += costs[name]
        queue.done(name, costs[name], more=True)
    # a camera can use one worker at most: only those that are held back by others are compared
    held = [n for n in used if used[n] < 0.95 * now]
    shares = [used[n] / weights[n] for n in held]
    if len(held) > 1:
        most = max(costs.values()) / min(weights.values())
        assert max(shares) - min(shares) <= 2 * most + 0.02 * max(shares)
    assert min(used.values()) > 0


def test_who_was_away_has_saved_nothing_up():
    queue = FairQueue()
    queue.add("a")
    queue.add("b")
    for _ in range(100):
        queue.ready("a")
        assert queue.take() == "a"
        queue.done("a", 1.0)
    turns = []
    for _ in range(10):
        queue.ready("a")
        queue.ready("b")
        turns.append(queue.take())
        queue.done(turns[-1], 1.0)
    assert 4 <= turns.count("a") <= 6


def test_a_camera_is_in_one_worker_at_a_time_and_work_that_came_meanwhile_is_done():
    queue = FairQueue()
    queue.add("a")
    queue.ready("a")
    assert queue.take() == "a"
    queue.ready("a")
    assert queue.take() is None
    queue.done("a", 0.1)
    assert queue.take() == "a"


def test_who_is_taken_out_gets_no_more_turns():
    queue = FairQueue()
    queue.add("a")
    queue.ready("a")
    assert queue.take() == "a"
    queue.remove("a")
    queue.ready("a")
    queue.done("a", 0.1, more=True)
    assert queue.take() is None
    queue.add("a")
    queue.ready("a")
    assert queue.take() == "a"
    with pytest.raises(ValueError, match="weight"):
        queue.add("b", 0)


def test_workers_do_all_turns_one_at_a_time_for_each_camera():
    scheduler = Scheduler(workers=3)
    inside, most, left, done = {}, {}, {f"c{i}": 50 for i in range(5)}, threading.Event()
    lock = threading.Lock()

    def work(name):
        with lock:
            inside[name] = inside.get(name, 0) + 1
            most[name] = max(most.get(name, 0), inside[name])
        with lock:
            inside[name] -= 1
            left[name] -= 1
            if not any(left.values()):
                done.set()
            return left[name] > 0

    for name in left:
        scheduler.add(name, lambda n=name: work(n))
    scheduler.start()
    for name in list(left):
        scheduler.wake(name)
    assert done.wait(30)
    scheduler.stop()
    assert set(most.values()) == {1}
    assert set(left.values()) == {0}
    assert set(scheduler.busy()) == set(left)


def test_a_turn_that_fails_ends_neither_the_worker_nor_the_camera(caplog):
    scheduler = Scheduler(workers=1)
    turns, done = [], threading.Event()

    def work():
        turns.append(1)
        if len(turns) == 1:
            raise RuntimeError("broken")
        done.set()
        return False

    scheduler.add("a", work)
    scheduler.start()
    scheduler.wake("a")
    while not turns:
        threading.Event().wait(0.01)
    scheduler.wake("a")
    assert done.wait(30)
    assert scheduler.remove("a")
    scheduler.stop()
    assert "a turn of the camera a failed" in caplog.text
