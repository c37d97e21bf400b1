"""Cuts the clips of events that have ended, once their packets are on the disk."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from onlooker.core.errors import OnlookerError
from onlooker.core.event import Event
from onlooker.events import Journal
from onlooker.recording import Recordings

__all__ = ["Clips"]

_log = logging.getLogger("onlooker.station")
_SECOND = 1_000_000_000
_PATIENCE = 30.0


@dataclass(slots=True)
class _Wanted:
    event: Event
    camera: str
    begin: int
    end: int
    until: float


class Clips:
    """A thread of its own, so that cutting holds up nothing.

    Args:
        recordings: of the library.
        journal: where clips are attached to their events.
    """

    def __init__(self, recordings: Recordings, journal: Journal) -> None:
        self._recordings, self._journal = recordings, journal
        self._wanted: list[_Wanted] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="onlooker-clips", daemon=True)
        self._thread.start()

    def ask(self, event: Event, camera: str) -> None:
        """Cut the clip of an event of a camera that has ended."""
        begin, end = (event.evidence.get(name) for name in ("from_seconds", "to_seconds"))
        if not isinstance(begin, int | float):
            begin = event.start / 1e9
        if not isinstance(end, int | float):
            end = (event.end or event.start) / 1e9
        wanted = _Wanted(
            event, camera, round(begin * 1e9), round(end * 1e9), time.monotonic() + _PATIENCE + end - begin
        )
        with self._changed:
            self._wanted.append(wanted)
            self._changed.notify()

    def stop(self, timeout: float = 10.0) -> None:
        """Cut what is recorded of those that wait, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._wanted and not self._stopping:
                    self._changed.wait()
                elif not self._stopping:
                    self._changed.wait(0.5)
                stopping, waiting = self._stopping, list(self._wanted)
            for wanted in waiting:
                if stopping or self._written(wanted) or time.monotonic() > wanted.until:
                    self._cut(wanted)
                    with self._changed:
                        self._wanted.remove(wanted)
            if stopping and not self._wanted:
                return

    def _written(self, wanted: _Wanted) -> bool:
        try:
            spans = self._recordings.spans(wanted.camera, wanted.begin, wanted.end)
        except OnlookerError:
            return False
        return bool(spans) and spans[-1][1] >= wanted.end - _SECOND // 4

    def _cut(self, wanted: _Wanted) -> None:
        event = wanted.event
        try:
            evidence = self._recordings.clip_evidence(event.id, wanted.camera, wanted.begin, wanted.end)
        except OnlookerError as error:
            _log.warning("no clip of the event %s of %s: %s", event.id, event.camera, error)
            evidence = {"clip": None, "complete": False}
        except Exception:
            _log.exception("no clip of the event %s of %s", event.id, event.camera)
            return
        try:
            self._journal.attach(event.id, evidence)
        except OnlookerError as error:
            _log.warning("the clip of the event %s was not noted: %s", event.id, error)
