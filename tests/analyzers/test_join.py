"""Rows and tracked boxes meet whatever the order of their arrival."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onlooker.analyzers._join import Joined, TrackEnd, TrackJoin
from onlooker.core.analyzer import Window
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span, Timestamp

TICK = Fraction(1, 5)


def moment(n):
    return Timestamp(n, TICK)


def scene(seed, frames=20):
    """Measurements, faces and ends of tracks a (0..9), b (5..14) and an untracked box now and then."""
    rng = np.random.default_rng(seed)
    measurements, faces, ends = [], [], []
    for n in range(frames):
        span = Span(moment(n), moment(n + 1))
        boxes = [(t, Box(*np.sort(rng.random(2)), *(1 + np.sort(rng.random(2))))) for t in ("a", "b", None)]
        shown = [
            (t, b)
            for t, b in boxes
            if (t == "a" and n < 10) or (t == "b" and 5 <= n < 15) or (t is None and n % 3 == 0)
        ]
        if rng.random() < 0.8:
            rows = np.array([[*b, n, i] for i, (_, b) in enumerate(shown)], np.float32).reshape(-1, 6)
            measurements.append(Measurement(moment(n), TICK, rows))
        for t, b in shown:
            box = Box(*(float(v) for v in np.array(b, np.float32)))
            faces.append(Observation(span, "face", box=box, track=t))
    for t, first, last in (("a", 0, 10), ("b", 5, 15)):
        ends.append(Observation(Span(moment(first), moment(last)), "face_track", track=t))
    return measurements, faces, ends


def run(windows):
    join = TrackJoin("face", "face_track")
    made = [p for w in windows for p in join.take(w)] + list(join.take(None))
    rows = {}
    ended = []
    for part in made:
        if isinstance(part, Joined):
            assert part.track not in ended
            rows.setdefault(part.track, []).append((part.span.start.pts, part.row.tolist()))
        else:
            assert isinstance(part, TrackEnd)
            ended.append(part.track)
    return rows, sorted(ended)


@given(st.integers(0, 50), st.integers(1, 7), st.integers(0, 6), st.booleans())
def test_the_order_of_arrival_changes_nothing(seed, step, delay, stored):
    measurements, faces, ends = scene(seed)
    expected = run([Window(measurements, [*faces, *ends], moment(20))])
    windows = []
    for at in range(0, 30, step):
        until = at + step
        own = [m for m in measurements if at <= m.time.pts < until]
        seen = [f for f in faces if at <= f.span.start.pts + delay < until]
        if stored:  # out of the store: by their start, ahead of the rows
            seen = [
                f for f in faces if at <= f.span.start.pts - delay < until or (at == 0 and f.span.start.pts < delay)
            ]
            seen += [e for e in ends if at <= e.span.start.pts < until]
        else:
            seen += [e for e in ends if at <= e.span.end.pts + delay < until]
        windows.append(Window(own, seen, moment(until)))
    if stored:
        assert run(windows)[0] == expected[0]
    else:
        assert run(windows) == expected


def test_every_row_of_a_tracked_box_is_given_in_order():
    measurements, faces, ends = scene(1)
    rows, ended = run([Window(measurements, [*faces, *ends], moment(20))])
    measured = {m.time.pts for m in measurements}
    assert [n for n, _ in rows["a"]] == [n for n in range(10) if n in measured]
    assert [n for n, _ in rows["b"]] == [n for n in range(5, 15) if n in measured]
    assert ended == ["a", "b"]
