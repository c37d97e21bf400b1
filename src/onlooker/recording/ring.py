"""Packets in memory: put in the order of their times, and kept a while for what came before motion."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from fractions import Fraction

from onlooker.core.live import CodedPacket, StreamFormat

__all__ = ["Interleaver", "Ring"]

_PATIENCE = 0.5


class Interleaver:
    """Puts the packets of several streams in the order in which they are shown, stream by stream as they came.

    A packet waits until every other stream has passed it, or half a second of its own stream has.
    """

    def __init__(self, formats: Mapping[int, StreamFormat]) -> None:
        self._bases = {n: float(f.time_base) for n, f in formats.items()}
        self._video = {n for n, f in formats.items() if f.kind == "video"}
        self._lag = dict.fromkeys(formats, 0.0)
        self._reached = dict.fromkeys(formats, float("-inf"))
        self._waiting: list[tuple[float, int, CodedPacket]] = []
        self._count = 0

    def knows(self, stream: int) -> bool:
        """Whether it is one of its streams."""
        return stream in self._bases

    def put(self, packet: CodedPacket) -> list[CodedPacket]:
        """Take one; returns those whose turn has come."""
        stream, base = packet.stream, self._bases[packet.stream]
        dts = packet.dts if packet.dts is not None else packet.pts
        if packet.keyframe and stream in self._video and packet.pts is not None and packet.dts is not None:
            self._lag[stream] = max(0.0, (packet.pts - packet.dts) * base)
        key = self._reached[stream] if dts is None else dts * base + self._lag[stream]
        key = max(key, self._reached[stream])
        self._reached[stream] = key
        self._count += 1
        heapq.heappush(self._waiting, (key, self._count, packet))
        until = max(min(self._reached.values()), max(self._reached.values()) - _PATIENCE)
        out: list[CodedPacket] = []
        while self._waiting and self._waiting[0][0] <= until:
            out.append(heapq.heappop(self._waiting)[2])
        return out

    def flush(self) -> list[CodedPacket]:
        """All that still wait, in order."""
        out = [heapq.heappop(self._waiting)[2] for _ in range(len(self._waiting))]
        self._reached = dict.fromkeys(self._reached, float("-inf"))
        return out


class Ring:
    """The latest packets, from a keyframe on, bounded in time and in bytes.

    Args:
        seconds: how far back it reaches at least, once it is full.
        most: bytes that it holds at most; whole groups of pictures go.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = Fraction(seconds)
        self._most = most
        self._groups: deque[list[CodedPacket]] = deque()
        self._sizes: deque[int] = deque()
        self.bytes = 0

    def put(self, packet: CodedPacket, *, begins: bool) -> None:
        """Keep one; ``begins``: it is a keyframe of the picture."""
        if begins:
            self._groups.append([])
            self._sizes.append(0)
        elif not self._groups:
            return
        self._groups[-1].append(packet)
        self._sizes[-1] += len(packet.data)
        self.bytes += len(packet.data)
        if begins:
            edge = packet.time - int(self._seconds * 1_000_000_000)
            while len(self._groups) > 1 and self._groups[1][0].time <= edge:
                self._drop()
        while self.bytes > self._most:
            self._drop()

    def _drop(self) -> None:
        self._groups.popleft()
        self.bytes -= self._sizes.popleft()

    def since(self, time: int) -> Sequence[CodedPacket]:
        """From the last keyframe at or before ``time`` on, or from the first there is."""
        first = 0
        for number, group in enumerate(self._groups):
            if group[0].time <= time:
                first = number
        return [packet for group in list(self._groups)[first:] for packet in group]

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()
        self._sizes.clear()
        self.bytes = 0
