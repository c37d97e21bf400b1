"""Clocks: properties over jitter, drift and jumps, with simulated time."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.live.clock import CameraTime, StreamClock

MS, S = 1_000_000, 1_000_000_000


def stream(clock, stamps, arrivals):
    """Camera times that a clock gives to items that come with these timestamps at these moments."""
    made = []
    for stamp, arrival in zip(stamps, arrivals, strict=True):
        clock.arrived(stamp, arrival)
        made.append(clock.next(stamp, arrival))
    return made


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(-(2**62), 2**62)), st.integers(0, 5 * S)), max_size=60),
    st.integers(0, 10 * S),
)
def test_whatever_a_sender_says_times_grow_and_are_not_ahead(items, after):
    clock = StreamClock(after)
    arrival, last = 0, after
    for stamp, pause in items:
        arrival += pause
        clock.arrived(stamp, arrival)
        time = clock.next(stamp, arrival)
        assert time > last
        assert time <= max(arrival, last + 1000), "ahead of its arrival only by what growing needs"
        last = time


@settings(max_examples=30, deadline=None)
@given(
    st.floats(-300e-6, 300e-6),
    st.integers(1, 60),
    st.integers(-(2**50), 2**50),
    st.integers(0, 2**32),
)
def test_jitter_and_drift_are_followed(drift, jitter, offset, seed):
    """Ten minutes of 10 pictures a second: each is placed near the moment at which it was taken."""
    clock, chance = StreamClock(), random.Random(seed)
    taken = [n * 100 * MS for n in range(1, 6000)]
    arrivals, last = [], 0
    for moment in taken:
        last = max(last, moment + 5 * MS + int(chance.random() * jitter * MS))
        arrivals.append(last)
    times = stream(clock, [offset + int(m * (1 + drift)) for m in taken], arrivals)
    assert clock.jumps == 0
    late = [t - m for t, m in zip(times[300:], taken[300:], strict=True)]
    # the window of a minute may hold an offset that is older by its drift
    assert min(late) >= -25 * MS
    assert max(late) <= 5 * MS + jitter * MS


def test_a_clock_that_runs_fast_or_slow_stays_right_for_a_day():
    for drift in (200e-6, -200e-6):
        clock, chance = StreamClock(), random.Random(1)
        worst = 0
        for n in range(1, 24 * 3600 * 2):
            taken = n * S // 2
            arrival = taken + 5 * MS + int(chance.random() ** 3 * 80 * MS)
            clock.arrived(int(taken * (1 + drift)), arrival)
            time = clock.next(int(taken * (1 + drift)), arrival)
            if n > 120:
                worst = max(worst, abs(time - taken))
        assert clock.jumps == 0
        assert worst < 40 * MS


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.integers(-(2**40), -2), st.integers(4, 2**40)).map(lambda s: s * S))
def test_a_jump_is_seen_and_times_go_on(jump):
    clock = StreamClock()
    moments = [n * 40 * MS for n in range(1, 500)]
    stamps = [m if n < 250 else m + jump for n, m in enumerate(moments)]
    times = stream(clock, stamps, [m + 10 * MS for m in moments])
    assert clock.jumps == 1
    assert all(abs(t - m) <= 10 * MS for t, m in zip(times, moments, strict=True))


def test_what_comes_late_has_the_time_at_which_it_was_taken():
    """A network that stood still for 1.5 s gives all at once what was taken meanwhile."""
    clock = StreamClock()
    taken = [n * 40 * MS for n in range(1, 300)]
    arrivals = [m if not 4 * S <= m < 5.5 * S else int(5.5 * S) for m in taken]
    times = stream(clock, [7 * S + m for m in taken], arrivals)
    assert clock.jumps == 0
    assert max(abs(t - m) for t, m in zip(times, taken, strict=True)) <= MS
    assert clock.lateness == 0


def test_a_delay_that_lasts_becomes_the_rule():
    clock = StreamClock()
    moments = [n * 40 * MS for n in range(1, 1000)]
    arrivals = [m if m < 4 * S else m + 10 * S for m in moments]
    times = stream(clock, moments, arrivals)
    assert clock.jumps == 1
    assert times[-1] == arrivals[-1]


def test_settling_takes_the_promptest_of_a_burst():
    clock = StreamClock()
    stamps = [n * 40 * MS for n in range(20)]
    for stamp in stamps:
        clock.arrived(stamp, S)
    clock.settle()
    times = [clock.next(stamp, S) for stamp in stamps]
    assert times == [S - 760 * MS + stamp for stamp in stamps]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10 * S), st.integers(-100 * S, 100 * S)), max_size=40),
    st.integers(0, 50 * S),
)
def test_a_cameras_time_never_goes_back(steps, after):
    wall, steady = [1000 * S], [0]
    camera = CameraTime(1000.0, after, wall=lambda: wall[0], steady=lambda: steady[0])
    last = camera.now()
    assert last == max(after, 0)
    for passed, moved in steps:
        steady[0] += passed
        wall[0] += passed + moved
        now = camera.now()
        assert now >= last
        assert now >= wall[0] - 1000 * S
        last = now


def test_a_wall_clock_that_was_set_back_is_met_again():
    wall, steady = [1000 * S], [0]
    camera = CameraTime(0.0, wall=lambda: wall[0], steady=lambda: steady[0])
    assert camera.now() == 1000 * S
    wall[0] -= 60 * S
    ahead = []
    for _ in range(700):
        wall[0] += S
        steady[0] += S
        ahead.append(camera.now() - wall[0])
    assert ahead == sorted(ahead, reverse=True)
    assert ahead[-1] == 0
