"""Which frames an analyzer with a rate is called with."""

from __future__ import annotations

from fractions import Fraction

from onlooker.core.time import Timestamp

__all__ = ["is_due", "warm_margin"]


def is_due(time: Timestamp, previous: Timestamp | None, rate: Fraction | None) -> bool:
    """Whether the frame at ``time`` is the first at or after a tick of 1/``rate``.

    It depends only on this frame's time and that of the frame before it, so that any segment of a file picks the
    same frames as the whole.

    >>> t = Timestamp.of_seconds
    >>> [is_due(t(b), t(a), Fraction(2)) for a, b in [(0.4, 0.44), (0.48, 0.52)]]
    [False, True]
    """
    if rate is None or previous is None:
        return True
    return time.tick(rate) > previous.tick(rate)


def warm_margin(look_back: Fraction, rate: Fraction | None) -> Fraction:
    """Seconds before a segment's start from which frames must be seen so that sampling and ``warm`` agree with an
    undivided run.
    """
    return look_back + max(Fraction(2), Fraction(2) / rate if rate else Fraction(0))
