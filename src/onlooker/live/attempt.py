"""One connection of a link, in a thread of its own: opened, read and decoded until it fails, hangs or is left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from av.error import FFmpegError

from onlooker.core.live import CodedPacket
from onlooker.core.time import NANOSECONDS, Timestamp
from onlooker.live.clock import FreeClock, StreamClock
from onlooker.live.sound import LiveSound
from onlooker.sources.frame import DecodedFrame
from onlooker.sources.live import LiveConnection, LiveFailure, Selection, is_end, nanoseconds, open_live

if TYPE_CHECKING:
    from onlooker.live.link import Link

__all__ = ["Attempt", "Selection"]

_log = logging.getLogger(__name__)
_MILLISECOND = 1_000_000
_BEHIND = 400 * _MILLISECOND
_WAITED = 0.001  # seconds: a read that takes longer had to wait, so nothing is queued before it
_PATIENCE = 1.0  # seconds in which decoding may catch up by itself
_BURST = 0.005
_BURST_MOST = 1.0
_KEY_PICTURE = 20.0  # seconds within which a key picture is expected


class _Left(Exception):
    """The link no longer listens."""


class Attempt:
    """Opens a link's camera once and gives on what comes.

    Args:
        link: whose; its counts are kept here.
        lock: held while anything is given, so that nothing is given after `leave`.
        after: times of pictures that are given are later.
        heard: times of sound that are given are not before this.
    """

    def __init__(self, link: Link, lock: threading.RLock, after: int, heard: int) -> None:
        self._link, self._lock = link, lock
        self._settings = link.settings
        self.after, self.heard = after, heard
        self.done = threading.Event()
        self.failure: LiveFailure | None = None
        self.stood = False
        self.seen = 0
        self._left = threading.Event()
        self._begun = time.monotonic()
        self._opened: float | None = None
        self._good = self._begun
        self._packet = self._begun
        self._skipping = False
        self._caught_up = self._begun
        self._finite = False

    @property
    def lasted(self) -> float:
        """Seconds for which pictures came."""
        return self._good - self._opened if self._opened is not None and self.seen else 0.0

    def leave(self) -> None:
        """Nothing is given any more; call it with the lock held."""
        self._left.set()

    def overdue(self) -> str:
        """Why it should be left behind now, or an empty text."""
        now, settings = time.monotonic(), self._settings
        if self._opened is None:
            # opening and looking at the streams have their own time-outs; looking up a name has none
            return "unreachable" if now - self._begun > 2 * settings.timeout + 1 else ""
        if self._finite:
            return ""
        if now - self._packet > settings.stall:
            return "stalled"
        often = self.seen and self._link.selection != "key"
        patience = settings.stall if often else max(settings.stall, _KEY_PICTURE)
        # packets that ceased too are a stall that is not over yet
        return "decode" if now - self._good > patience and now - self._packet < settings.stall / 2 else ""

    def run(self) -> None:
        """The thread's work."""
        settings = self._settings
        try:
            connection = open_live(
                settings.address,
                policy=self._link.policy,
                transport=settings.transport,
                timeout=settings.timeout,
                stall=settings.stall,
                realtime=settings.realtime,
                loop=settings.loop,
            )
            try:
                self._play(connection)
            finally:
                connection.close()
        except LiveFailure as failure:
            self.failure = failure
        except _Left:
            pass
        except Exception as error:
            _log.exception("camera %s: reading failed", self._link.name)
            self.failure = LiveFailure(f"reading failed: {type(error).__name__}", reason="failed")
        finally:
            self.done.set()

    def _play(self, connection: LiveConnection) -> None:
        link = self._link
        now = link.clock.now()
        self._opened = self._good = self._packet = self._caught_up = time.monotonic()
        self._finite = connection.finite
        free = connection.finite and not connection.paced
        self._clock = FreeClock(max(now, self.after), self.after) if free else StreamClock(self.after)
        self._sound_clock = FreeClock(max(now, self.after)) if free else StreamClock()
        self._sound = None
        if self._settings.audio_rate is not None:
            self._sound = LiveSound(self._settings.audio_rate, self._settings.audio_block, self.heard)
        self._duration = connection.frame_duration
        with self._given():
            link.formats = connection.formats
            self.stood = True
            for taker in link.takers:
                taker.begin(link.formats)
        for packet, stamp, arrival, waited in self._timed(connection):
            self._packet = time.monotonic()
            if packet.stream is connection.video:
                self._video(connection, packet, stamp, arrival, waited)
            else:
                self._audio(packet, stamp, arrival)

    def _given(self) -> _Given:
        return _Given(self._lock, self._left)

    def _timed(self, connection: LiveConnection) -> Iterator[tuple[Any, int | None, int, float]]:
        """Packets with their timestamp, arrival (camera time) and the seconds for which the read waited.

        What a connection brings at once when it begins is queued before the first packet is given, so that the clocks
        know the true offset, which the latest of them shows.
        """
        queue: list[tuple[Any, int | None, int, float]] = []
        begun = None if connection.paced or connection.finite else time.monotonic()
        at = time.perf_counter()
        for packet in connection.packets(self._left):
            waited = time.perf_counter() - at
            stamp, arrival = connection.stamp(packet), self._link.clock.now()
            video = packet.stream is connection.video
            (self._clock if video else self._sound_clock).arrived(stamp, arrival)
            queue.append((packet, stamp, arrival, waited))
            settled = begun is None or (len(queue) > 1 and waited > _BURST)
            if settled or (begun is not None and time.monotonic() - begun > _BURST_MOST):
                if begun is not None:
                    begun = None
                    self._clock.settle()
                    self._sound_clock.settle()
                    queue = _stamped(queue, connection)
                yield from queue
                queue = []
            at = time.perf_counter()

    def _video(self, connection: LiveConnection, packet: Any, stamp: int | None, arrival: int, waited: float) -> None:
        end = is_end(packet)
        if not end:
            self._packets(connection.video.index, packet, self._clock.at(stamp, arrival))
        if not self._settings.decode:
            if not end:
                self._came(self._clock.next(stamp, arrival))
            return
        if not end and self._behind(packet, waited):
            self._link.dropped("late")
            return
        connection.select(self._link.selection)
        damaged = connection.damaged
        pictures = connection.decode(packet)
        if connection.damaged > damaged:
            self._link.dropped("damaged", connection.damaged - damaged)
        for picture, own in pictures:
            time_ns = self._clock.next(own, arrival)
            frame = DecodedFrame(picture, Timestamp(time_ns, NANOSECONDS), self._duration, connection.rotation)
            self._came(time_ns, frame)

    def _behind(self, packet: Any, waited: float) -> bool:
        """Whether to leave a packet undecoded: packets queue up because the machine is too slow to decode all.

        It goes on with a key picture, which needs none of those that were left out.
        """
        now, late = time.monotonic(), self._clock.lateness > _BEHIND
        if self._skipping:
            self._skipping = late or not packet.is_keyframe
        elif not late or waited > _WAITED:
            self._caught_up = now  # nothing queues, or it is soon decoded
        else:
            self._skipping = now - self._caught_up > _PATIENCE
        return self._skipping

    def _came(self, time_ns: int, frame: DecodedFrame | None = None) -> None:
        link = self._link
        self._good = time.monotonic()
        with self._given():
            self.after = time_ns
            self.seen += 1
            link.arrived += 1
            link.last_frame = time_ns
            if self.seen == 1:
                link.watching(time_ns)
            if frame is not None:
                link.taker.frame(frame)

    def _packets(self, index: int, packet: Any, time_ns: int) -> None:
        if not self._link.takers:
            return
        coded = CodedPacket(
            index, bytes(packet), packet.pts, packet.dts, packet.duration or 0, bool(packet.is_keyframe), time_ns
        )
        with self._given():
            for taker in self._link.takers:
                taker.packet(coded)

    def _audio(self, packet: Any, stamp: int | None, arrival: int) -> None:
        if is_end(packet):
            return
        at = self._sound_clock.at(stamp, arrival)
        self._packets(packet.stream.index, packet, at)
        if self._sound is None:
            return
        try:
            frames = packet.decode()
        except FFmpegError:
            return  # what is missing becomes silence
        for frame in frames:
            own = at if frame.pts is None else self._sound_clock.at(nanoseconds(frame.pts, frame.time_base), arrival)
            for block in self._sound.take(frame, own):
                with self._given():
                    self.heard = self._sound.after
                    self._link.taker.sound(block)


class _Given:
    """Holds the lock while something is given.

    Raises:
        _Left: the link no longer listens.
    """

    def __init__(self, lock: threading.RLock, left: threading.Event) -> None:
        self._lock, self._left = lock, left

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._left.is_set():
            self._lock.release()
            raise _Left

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _stamped(
    queue: list[tuple[Any, int | None, int, float]], connection: LiveConnection
) -> list[tuple[Any, int | None, int, float]]:
    """The first packets of a connection with the timestamps that the sender left out, from those that follow."""
    made = list(queue)
    following: int | None = None
    for number in reversed(range(len(made))):
        packet, _, arrival, waited = made[number]
        if packet.stream is not connection.video:
            continue
        if packet.pts is None and packet.dts is None and following is not None:
            packet.pts = packet.dts = following - round(connection.frame_duration / packet.time_base)
            made[number] = packet, connection.stamp(packet), arrival, waited
        following = packet.pts
    return made
