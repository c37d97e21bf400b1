"""Sound as blocks of one length on a grid that begins at the source's zero."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from numpy.typing import NDArray

from onlooker.core.media import AudioBlock, ReadRequest
from onlooker.core.time import Timestamp

__all__ = ["Blocks"]


class Blocks:
    """Decodes, mixes and resamples one audio stream and cuts it into blocks.

    Gaps and a late start are filled with silence, so that a sample's place is its time. Decoding always begins at
    the start of the stream, whatever the request's start: the resampler then gives the same samples.
    """

    def __init__(self, stream: Any, opened: Any, request: ReadRequest) -> None:
        assert request.audio_rate is not None
        self.stream = stream
        self._clock = opened.clock_of(stream)
        self._rate = request.audio_rate
        self._size = int(request.audio_block * request.audio_rate)
        self._channels = request.audio_channels
        self._start, self._end = request.start, request.end
        layout = "mono" if request.audio_channels == 1 else "stereo"
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=request.audio_rate)
        self._held: list[NDArray[np.float32]] = []
        self._count = 0
        self._given = 0
        self._seen: int | None = None

    @property
    def time(self) -> Timestamp:
        """The moment up to which blocks were cut."""
        return Timestamp(self._given, Fraction(1, self._rate))

    def take(self, packet: Any) -> list[AudioBlock]:
        """The blocks that became complete with this packet."""
        try:
            frames = packet.decode()
        except FFmpegError:
            # the samples that are missing become silence at the next good packet
            return []
        for frame in frames:
            self._place(frame)
            frame.pts = None
            for part in self._resampler.resample(frame):
                self._append(np.ascontiguousarray(part.to_ndarray().T, np.float32))
        return self._cut(last=False)

    def rest(self, *, whole: bool) -> Iterator[AudioBlock]:
        """The last blocks; the final one may be short.

        Args:
            whole: whether the stream was read to its end; if not, there is more to come that was not asked for.
        """
        if not whole:
            return
        if self._seen is not None:
            for part in self._resampler.resample(None):
                self._append(np.ascontiguousarray(part.to_ndarray().T, np.float32))
        yield from self._cut(last=True)

    def _place(self, frame: Any) -> None:
        """Fill up with silence to where this frame belongs, if that is more than a few samples ahead."""
        if frame.pts is not None:
            at = round(self._clock.at(frame.pts).value * self._rate)
            gap = at - self._position()
            if self._seen is None and gap < 0:
                self._skip = -gap
            elif gap > self._rate // 20:
                self._append(np.zeros((gap, self._channels), np.float32))
        self._seen = (self._seen or 0) + frame.samples

    _skip = 0

    def _position(self) -> int:
        return self._given + self._count

    def _append(self, samples: NDArray[np.float32]) -> None:
        if self._skip:
            dropped = min(self._skip, len(samples))
            self._skip -= dropped
            samples = samples[dropped:]
        if len(samples):
            self._held.append(samples.astype(np.float32, copy=False))
            self._count += len(samples)

    def _cut(self, *, last: bool) -> list[AudioBlock]:
        blocks: list[AudioBlock] = []
        if self._count < self._size and not (last and self._count):
            return blocks
        samples = np.concatenate(self._held)
        at = 0
        while len(samples) - at >= self._size or (last and at < len(samples)):
            part = samples[at : at + self._size]
            at += len(part)
            time = self.time
            self._given += len(part)
            if (self._start is None or time >= self._start) and (self._end is None or time < self._end):
                blocks.append(AudioBlock(time, part, self._rate))
        rest = samples[at:]
        self._held, self._count = ([rest] if len(rest) else []), len(rest)
        return blocks
