"""Sound of a camera: blocks on a grid of its time, over gaps, reconnects and a clock that drifts."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.live.sound import LiveSound

S = 1_000_000_000
RATE = 8000


def piece(samples):
    """A frame as a decoder gives it."""
    frame = av.AudioFrame.from_ndarray(np.asarray(samples, np.float32)[None], "fltp", "mono")
    frame.sample_rate = RATE
    return frame


def heard(blocks):
    """Seconds of each click in the blocks."""
    return [
        (b.time.value * RATE + int(at)) / RATE for b in blocks for at in np.flatnonzero(np.abs(b.samples[:, 0]) > 0.5)
    ]


def clicks(length, every):
    made = np.zeros(length, np.float32)
    made[::every] = 1
    return made


def test_a_click_is_heard_at_its_time():
    sound, blocks = LiveSound(RATE, Fraction(1)), []
    signal = clicks(RATE * 10, RATE)
    for at in range(0, len(signal), 200):
        blocks += sound.take(piece(signal[at : at + 200]), 5 * S // 2 + at * S // RATE)
    assert [b.time.value for b in blocks] == list(range(2, 12))
    assert all(b.samples.shape == (RATE, 1) and b.rate == RATE for b in blocks)
    assert np.allclose([float(c) for c in heard(blocks)], np.arange(10) + 2.5, atol=1e-3)


def test_a_clock_that_drifts_stays_in_place():
    """An hour of a sender that is 500 parts in a million fast: uncorrected, it would be 1.8 s off."""
    sound, blocks = LiveSound(RATE, Fraction(1)), []
    signal = np.roll(clicks(RATE, RATE), RATE // 2)
    for second in range(3600):
        blocks += sound.take(piece(signal), int(second * S * (1 - 500e-6)))
    found = [float(c) for c in heard(blocks)]
    wanted = np.arange(len(found)) * (1 - 500e-6) + 0.5
    assert len(found) > 3590
    assert np.max(np.abs(np.array(found) - wanted)) < 0.06


def test_after_a_gap_it_begins_anew_without_hours_of_silence():
    sound = LiveSound(RATE, Fraction(1))
    first = [b for n in range(15) for b in sound.take(piece(clicks(800, 800)), n * S // 10)]
    later = [b for n in range(15) for b in sound.take(piece(clicks(800, 800)), 7200 * S + S // 2 + n * S // 10)]
    times = [b.time.value for b in first + later]
    assert times == [0, 1, 7200, 7201]
    assert np.allclose([float(c) for c in heard(later[1:])], 7200.5 + np.arange(15) / 10, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2, 5), st.integers(1, 3000)), min_size=1, max_size=40),
    st.integers(0, 10 * S),
)
def test_whatever_comes_blocks_are_on_the_grid_and_grow(pieces, after):
    sound = LiveSound(RATE, Fraction(1, 2), after)
    now, last = after, Fraction(-1)
    for gap, samples in pieces:
        now = max(0, now + gap * S // 4)
        for block in sound.take(piece(np.ones(samples)), now):
            assert block.time.value > last
            assert block.time.value * 2 == int(block.time.value * 2)
            assert block.time.nanoseconds >= after
            assert len(block.samples) == RATE // 2
            last = block.time.value
        now += samples * S // RATE
    assert sound.after >= last * S
