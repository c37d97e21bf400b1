"""How long one look of a bundle takes on this machine."""

from __future__ import annotations

import statistics
import time

from onlooker.bundles import Bundle, Player, noise

__all__ = ["look_milliseconds"]

_WARM = 5


def look_milliseconds(bundle: Bundle, *, looks: int = 50) -> float:
    """Median milliseconds of one look, networks and head, on one thread, once it is warm.

    Preprocessing counts, decoding and loading do not.

    Args:
        bundle: which; it runs in the engine that it prefers.
        looks: how many are timed.
    """
    player = Player(bundle, noise(bundle.manifest, steps=1))
    try:
        times: list[float] = []
        for _ in range(_WARM + looks):
            began = time.perf_counter()
            player.step(0)
            times.append(time.perf_counter() - began)
    finally:
        player.close()
    return statistics.median(times[_WARM:]) * 1e3
