"""How long each analyzer works, added up over a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Spent", "Stopwatch"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Time in the calls of one analyzer, in this process.

    Args:
        seconds: by the clock on the wall; more than it needs where others want the processor too.
        cpu_seconds: of the calling thread; what a library does in threads of its own is not in it. A picture that
            several analyzers share counts for the one that asks first.
        opening_seconds: how much of ``seconds`` went into opening it, which is done once however long the source is.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    opening_seconds: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """The public JSON form."""
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "opening_seconds": round(self.opening_seconds, 3),
        }


class Stopwatch:
    """Adds up the time of each name, from any thread."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def of(self, name: str, *, opening: bool = False) -> Generator[None]:
        """Time what is done inside for ``name``, be it the opening of it."""
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            with self._lock:
                total = self._spent.setdefault(name, [0.0, 0.0, 0.0])
                total[0] += wall
                total[1] += cpu
                total[2] += wall if opening else 0.0

    @property
    def spent(self) -> Mapping[str, Spent]:
        """What was spent so far."""
        with self._lock:
            return {name: Spent(*total) for name, total in self._spent.items()}
