"""A camera's live view as fragmented MP4, for Media Source Extensions."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from onlooker.core.errors import SourceError
from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.recording.boxes import begins_with_keyframe, codec_string
from onlooker.recording.muxing import Muxer
from onlooker.recording.seed import Parameters, recordable

__all__ = ["Feed", "Subscription"]

_LOG = logging.getLogger(__name__)
_GROUP_BYTES = 32_000_000


class Subscription:
    """What one viewer gets: ``initial`` first, then fragments. Iterate over it, or call `get` or `take`.

    Attributes:
        codecs: for ``MediaSource.addSourceBuffer('video/mp4; codecs="..."')``.
        initial: bytes that a player needs first.
    """

    def __init__(
        self, initial: bytes, most: int, wake: Callable[[], None] | None, leave: Callable[[Subscription], None]
    ) -> None:
        self.initial = initial
        self.codecs = codec_string(initial)
        self._most = most
        self._wake = wake
        self._leave = leave
        self._ready = threading.Condition()
        self._parts: deque[bytes] = deque()
        self._bytes = 0
        self._closed = ""

    @property
    def closed(self) -> str:
        """Why no more comes: ``slow`` (fell behind), ``ended`` (subscribe again) or ``left``; empty while it lasts."""
        return self._closed

    def put(self, part: bytes) -> bool:
        """Give it a fragment; False if it is too far behind, and so ends here."""
        with self._ready:
            if self._closed:
                return False
            if self._bytes + len(part) > self._most and self._parts:
                self._parts.clear()
                self._end("slow")
                return False
            self._parts.append(part)
            self._bytes += len(part)
            self._ready.notify_all()
        if self._wake is not None:
            self._wake()
        return True

    def end(self, reason: str) -> None:
        """No more comes."""
        with self._ready:
            self._end(reason)

    def _end(self, reason: str) -> None:
        self._closed = self._closed or reason
        self._ready.notify_all()
        if self._wake is not None:
            self._wake()

    def take(self) -> list[bytes]:
        """The fragments that are there, without waiting."""
        with self._ready:
            parts = list(self._parts)
            self._parts.clear()
            self._bytes = 0
            return parts

    def get(self, timeout: float | None = None) -> bytes | None:
        """The next fragment; None if none came within ``timeout`` seconds, or no more comes (see ``closed``)."""
        with self._ready:
            self._ready.wait_for(lambda: self._parts or self._closed, timeout)
            if not self._parts:
                return None
            part = self._parts.popleft()
            self._bytes -= len(part)
            return part

    def __iter__(self) -> Iterator[bytes]:
        while (part := self.get()) is not None:
            yield part

    def close(self) -> None:
        """The viewer is gone."""
        self.end("left")
        self._leave(self)


class Feed:
    """A `PacketTaker` that gives viewers what a camera sends, without coding it anew.

    Packets are put into fragments only while somebody looks. A viewer who comes gets all since the last keyframe. One
    who falls behind by ``queue`` bytes is dropped: its ``closed`` becomes ``slow``. At a new connection of the camera
    all subscriptions end with ``ended``, since its format may be another: subscribe again.

    Args:
        low_latency: a fragment for each frame instead of one for each group of pictures.
        queue: bytes that wait for one viewer at most.
    """

    def __init__(self, *, low_latency: bool = True, queue: int = 16_000_000) -> None:
        self._low_latency = low_latency
        self._queue = queue
        self._lock = threading.Condition()
        self._parameters = Parameters(())
        self._streams: set[int] = set()
        self._video = -1
        self._group: list[CodedPacket] = []
        self._group_bytes = 0
        self._muxer: Muxer | None = None
        self._since_key: list[bytes] = []
        self._viewers: list[Subscription] = []
        self._problem = ""

    def begin(self, formats: Sequence[StreamFormat]) -> None:
        """A connection stands; its packets follow."""
        self.lost("ended")
        taken, left = recordable(formats)
        with self._lock:
            self._parameters = Parameters(taken)
            self._streams = {f.index for f in taken}
            self._video = next((f.index for f in taken if f.kind == "video"), -1)
            self._problem = "" if self._video >= 0 else f"no pictures that can be shown: {'; '.join(left)}"
            self._lock.notify_all()

    def packet(self, packet: CodedPacket) -> None:
        """The next packet in the order in which they came."""
        if packet.stream not in self._streams or self._video < 0:
            return
        with self._lock:
            version = self._parameters.version
            self._parameters.look(packet)
            if self._parameters.version != version and self._muxer is not None:
                self._end()
            if packet.keyframe and packet.stream == self._video:
                self._group, self._group_bytes = [], 0
                self._lock.notify_all()
            elif not self._group:
                return
            self._group.append(packet)
            self._group_bytes += len(packet.data)
            if self._group_bytes > _GROUP_BYTES:
                self._group, self._group_bytes = [], 0
            if self._muxer is not None and packet.stream in self._muxer.streams:
                try:
                    self._spread(self._muxer.write(packet))
                except Exception as error:
                    # whatever a camera sends, its connection is not held up by those who look
                    _LOG.warning("the live view ends: %s: %s", type(error).__name__, error)
                    self._end()
                if not self._viewers:
                    self._rest()

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        with self._lock:
            if self._muxer is not None:
                self._spread(self._muxer.finish())
            self._end()

    def _end(self) -> None:
        for viewer in self._viewers:
            viewer.end("ended")
        self._viewers, self._group, self._group_bytes = [], [], 0
        self._rest()

    def subscribe(self, *, wait: float = 10.0, wake: Callable[[], None] | None = None) -> Subscription:
        """A new viewer.

        Args:
            wait: seconds to wait for a keyframe.
            wake: called, in the camera's thread, whenever there is something to `take`; for event loops.

        Raises:
            SourceError: the camera sends nothing that can be shown.
        """
        with self._lock:
            self._lock.wait_for(self._can_start, wait)
            if not self._can_start():
                message = self._problem or "the camera sends no pictures now"
                raise SourceError(message, hint="try again when it is watched, or use the pictures")
            if self._muxer is None:
                self._start()
            assert self._muxer is not None
            viewer = Subscription(self._muxer.initial, self._queue, wake, self._gone)
            self._viewers.append(viewer)
            for part in self._since_key:
                viewer.put(part)
            return viewer

    @property
    def viewers(self) -> int:
        """How many look now."""
        return len(self._viewers)

    def _can_start(self) -> bool:
        known = self._parameters.known
        return self._muxer is not None or bool(self._group and known and known[0].index == self._video)

    def _start(self) -> None:
        self._muxer = Muxer(self._parameters.known, self._group[0], longest=2.0, every_frame=self._low_latency)
        self._since_key = []
        for packet in self._group:
            if packet.stream in self._muxer.streams:
                self._spread(self._muxer.write(packet))

    def _spread(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            if begins_with_keyframe(part):
                self._since_key = []
            self._since_key.append(part)
            self._viewers = [v for v in self._viewers if v.put(part)]

    def _rest(self) -> None:
        self._muxer, self._since_key = None, []

    def _gone(self, viewer: Subscription) -> None:
        with self._lock, suppress(ValueError):
            self._viewers.remove(viewer)
            if not self._viewers:
                self._rest()
