"""Worker processes that end with their parent and stop when they are told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Event
from typing import Any

__all__ = ["make_pool", "new_stop_event", "report_queue", "stop_event"]

_state: dict[str, Any] = {}


def new_stop_event() -> Event:
    """An event that the parent and its workers share."""
    return multiprocessing.get_context("spawn").Event()


def make_pool(workers: int, stop: Event, reports: Any = None) -> ProcessPoolExecutor:
    """A pool of spawned processes; ``stop`` and ``reports`` (a queue) can be had in them by the functions here."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare, initargs=(stop, reports))


def stop_event() -> Event | None:
    """In a worker: the parent's stop event."""
    return _state.get("stop")


def report_queue() -> Any:
    """In a worker: the queue for progress, or None."""
    return _state.get("reports")


def _prepare(stop: Event, reports: Any) -> None:
    # Ctrl-C reaches the whole process group: the parent alone decides, by the event
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _state.update(stop=stop, reports=reports)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
