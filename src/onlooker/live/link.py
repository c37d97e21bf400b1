"""A link to one camera: connects, reads, decodes, notices silence, and connects anew for as long as it runs."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from onlooker.core.live import Condition, PacketTaker, StreamFormat
from onlooker.core.media import AudioBlock, Frame
from onlooker.live.attempt import Attempt, Selection
from onlooker.live.clock import CameraTime
from onlooker.live.settings import LinkSettings
from onlooker.sources.policy import AddressPolicy

__all__ = ["Link", "LinkTaker"]

_log = logging.getLogger(__name__)
_TICK = 0.1
_HUNG = 3
_STEADY = 10.0


class LinkTaker(Protocol):
    """Gets what a camera shows, in the link's thread: must return at once and raise nothing."""

    def frame(self, frame: Frame) -> None:
        """The next picture; ``frame.time`` is camera time and grows strictly, over reconnects too."""
        ...

    def sound(self, block: AudioBlock) -> None:
        """The next block of sound, in camera time, on multiples of its length."""
        ...

    def condition(self, condition: Condition, reason: str, at: int) -> None:
        """The condition changed at ``at`` nanoseconds of the camera, which may lie in the past.

        ``connecting`` at the start; ``watching`` from the first picture on; ``blind`` with a reason since the last
        picture; ``stopped`` with ``ended`` for a file that was played, else without a reason.
        """
        ...


class Link:
    """Keeps one camera connected, in threads of its own.

    Reasons of ``blind``: ``stalled``, ``closed``, ``refused`` (user or password), ``not_found``, ``unreachable``,
    ``unsupported``, ``forbidden`` (by the policy), ``decode`` (packets come, but no picture), ``failed`` (a defect).

    Args:
        name: of the camera, for logs.
        settings: how to connect.
        policy: which addresses are allowed; asked at each connection.
        zero: wall time of the camera's zero in Unix seconds.
        takers: get the coded packets.
        taker: gets pictures, sound and conditions.
        after: nanoseconds since zero; all times that are given are later. `Ledger.begin` says it.
        clock: the camera's time, where others have it already.
    """

    def __init__(
        self,
        name: str,
        settings: LinkSettings,
        policy: AddressPolicy,
        zero: float,
        takers: Sequence[PacketTaker],
        taker: LinkTaker,
        *,
        after: int = 0,
        clock: CameraTime | None = None,
    ) -> None:
        self.name, self.settings, self.policy = name, settings, policy
        self.takers, self.taker = tuple(takers), taker
        self.clock = clock or CameraTime(zero, after)
        self.after = after
        self.reconnects = 0
        """How often it connected anew since the start."""
        self.arrived = 0
        """Pictures (without decoding: packets of video) that came since the start."""
        self.last_frame: int | None = None
        """Camera time of the newest picture in nanoseconds."""
        self.formats: tuple[StreamFormat, ...] = ()
        """The streams of the connection that stands, or stood last."""
        self.message = ""
        """What went wrong last, without credentials."""
        self.selection: Selection = "all"
        """Which pictures are decoded: ``all``, ``reference`` (that others build on) or ``key``. May be set at any time.
        """
        self.condition: Condition = "connecting"
        self.reason = ""
        self._drops: Counter[str] = Counter()
        self._heard = after
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._hung: list[Attempt] = []
        self._random = random.Random()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._run, name=f"link {self.name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; after it returns nothing is given any more. A second call does nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, as at the end of a file; returns whether it has."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    @property
    def drops(self) -> Counter[str]:
        """Pictures that were not handed over so far: ``late`` (the machine is behind), ``damaged``; a copy."""
        return self._drops.copy()

    def dropped(self, cause: str, count: int = 1) -> None:
        """Pictures were not handed over; for the thread that reads."""
        self._drops[cause] += count

    def watching(self, at: int) -> None:
        """The first picture of a connection came; for the thread that reads."""
        self._say("watching", "", at)

    def _run(self) -> None:
        settings = self.settings
        self._say("connecting", "", self.clock.now())
        wait = settings.first_wait
        while not self._stop.is_set():
            attempt = Attempt(self, self._lock, self.after, self._heard)
            reason = self._oversee(attempt)
            self.after, self._heard = max(self.after, attempt.after), attempt.heard
            if self._stop.is_set() or reason == "ended":
                break
            _log.info("camera %s: %s: %s", self.name, reason, self.message)
            at = self.clock.now() if self.last_frame is None or not attempt.seen else self.last_frame
            self._say("blind", reason, at)
            if attempt.lasted > _STEADY:
                wait = settings.first_wait
            self._stop.wait(wait * (1 - settings.jitter * self._random.random()))
            wait = min(wait * 2, settings.most_wait)
            self.reconnects += 1
        self._say("stopped", "" if self._stop.is_set() else "ended", max(self.clock.now(), self.last_frame or 0))

    def _oversee(self, attempt: Attempt) -> str:
        """Run one attempt; returns why it ended. One that hangs is left behind in its thread."""
        self._hung = [a for a in self._hung if not a.done.is_set()]
        while len(self._hung) >= _HUNG and not self._stop.wait(_TICK):
            self._hung = [a for a in self._hung if not a.done.is_set()]
        threading.Thread(target=attempt.run, name=f"read {self.name}", daemon=True).start()
        overdue = ""
        while not attempt.done.wait(_TICK) and not overdue and not self._stop.is_set():
            overdue = attempt.overdue()
        with self._lock:
            left = not attempt.done.is_set()
            attempt.leave()
        if left:
            self._hung.append(attempt)
        failure = attempt.failure
        reason = overdue or (failure.reason if failure is not None else "closed")
        self.message = f"nothing came from {self.settings.shown!r}" if overdue or failure is None else str(failure)
        if attempt.stood:
            for taker in self.takers:
                taker.lost("stopped" if self._stop.is_set() else reason)
        return reason

    def _say(self, condition: Condition, reason: str, at: int) -> None:
        with self._lock:
            if (condition, reason) == (self.condition, self.reason) and condition != "connecting":
                return
            self.condition, self.reason = condition, reason
            self.taker.condition(condition, reason, at)
