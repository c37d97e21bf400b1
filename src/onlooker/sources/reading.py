"""One pass over a container: demux once, give frames, packets, sound and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.error import FFmpegError

from onlooker.core.media import Packet, ReadFailure, ReadItem, ReadRequest
from onlooker.core.time import Span, Timestamp
from onlooker.sources.container import Opened
from onlooker.sources.frame import DecodedFrame
from onlooker.sources.sound import Blocks
from onlooker.sources.timing import shown_frames

__all__ = ["read_items"]

_SKIP = {"all": "DEFAULT", "reference": "NONREF", "key": "NONKEY"}


class _Failures:
    """Joins errors that follow each other to one failure with the span in which nothing was decoded."""

    def __init__(self) -> None:
        self._open: tuple[Timestamp, str] | None = None

    def note(self, since: Timestamp, message: str) -> None:
        if self._open is None:
            self._open = (since, message)

    def close(self, until: Timestamp) -> ReadFailure | None:
        if self._open is None:
            return None
        since, message = self._open
        self._open = None
        return ReadFailure(Span(min(since, until), until), message)


def read_items(opened: Opened, request: ReadRequest) -> Iterator[ReadItem]:
    """All that ``request`` asks for, from a container that was opened for this call; closes it in the end."""
    try:
        yield from _Pass(opened, request).items()
    finally:
        opened.close()


class _Pass:
    def __init__(self, opened: Opened, request: ReadRequest) -> None:
        self._opened = opened
        self._request = request
        video = opened.video if request.frames != "none" or request.packets else None
        self._video = video
        self._blocks: Blocks | None = None
        if request.audio_rate is not None and opened.audio:
            track = opened.audio_stream(request.audio_track)
            self._blocks = Blocks(track, opened, request)
        self._failures = _Failures()
        self._last_end = request.start or Timestamp.of_seconds(Fraction(0))
        self._side: list[ReadItem] = []
        by_order = opened.by_order
        frames = "all" if by_order and request.frames != "none" else request.frames
        if video is not None and frames in _SKIP:
            context = video.codec_context
            context.skip_frame = _SKIP[frames]
            context.thread_type = "AUTO"
            context.thread_count = request.threads
        self._sought = bool(video is not None and request.start and request.audio_rate is None and self._seek())

    def _seek(self) -> bool:
        """Go to a keyframe one group of pictures before the start, so that an open group decodes as in a whole read."""
        assert self._request.start is not None
        return self._opened.seek_before(self._request.start)

    def items(self) -> Iterator[ReadItem]:
        opened, request = self._opened, self._request
        before, after = request.start, request.end
        default = opened.frame_duration
        for item, time, duration in shown_frames(self._decoded(), opened.clock, default, by_order=opened.by_order):
            while self._side:
                yield self._side.pop(0)
            if not isinstance(item, av.VideoFrame):
                continue
            failure = self._failures.close(time)
            if failure is not None and (before is None or failure.span.end > before):
                yield failure
            self._last_end = time + duration
            if after is not None and time >= after:
                break
            if before is not None and time < before:
                continue
            if opened.by_order and request.frames == "key" and not item.key_frame:
                continue
            yield DecodedFrame(item, time, duration, opened.rotation)
        yield from self._side
        if self._blocks is not None:
            yield from self._blocks.rest()
        if after is None and self._video is not None and request.frames != "none":
            yield from self._tail()

    def _tail(self) -> Iterator[ReadItem]:
        """What is missing at the end: the container promises more than could be decoded."""
        promised = self._opened.video_end
        slack = max(Fraction(1, 2), 3 * self._opened.frame_duration)
        if promised is not None and promised - self._last_end.value > slack and self._request.frames == "all":
            message = "the file ends or breaks off before the length that it states"
            yield ReadFailure(Span(self._last_end, Timestamp.of_seconds(promised)), message)
        else:
            failure = self._failures.close(self._last_end)
            if failure is not None:
                yield failure

    def _decoded(self) -> Iterator[Any]:
        """PyAV frames in the order shown; a None now and then lets side items out."""
        streams = [s for s in (self._video, self._blocks.stream if self._blocks else None) if s is not None]
        if not streams:
            return
        packets = self._opened.container.demux(streams)
        end = self._request.end
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                break
            except FFmpegError as error:
                self._failures.note(self._last_end, f"cannot be read: {error.strerror or error}")
                break
            if self._blocks is not None and packet.stream is self._blocks.stream:
                self._side += self._blocks.take(packet)
                if end is not None and self._video is None and self._blocks.time >= end:
                    break
                if self._side:
                    yield None
                continue
            yield from self._video_packet(packet)

    def _video_packet(self, packet: Any) -> Iterator[Any]:
        request = self._request
        if request.packets and packet.size and (packet.pts is not None or packet.dts is not None):
            time = self._opened.clock.at(packet.pts if packet.pts is not None else packet.dts)
            length = packet.duration * packet.time_base if packet.duration else self._opened.frame_duration
            inside = (request.start is None or time >= request.start) and (request.end is None or time < request.end)
            if inside:
                self._side.append(Packet(time, length, packet.size, bool(packet.is_keyframe)))
                yield None
        if request.frames == "none":
            return
        try:
            frames = packet.decode()
        except FFmpegError as error:
            self._failures.note(self._last_end, f"cannot be decoded: {error.strerror or error}")
            return
        for frame in frames:
            if frame.is_corrupt:
                self._failures.note(self._last_end, "damaged pictures")
                continue
            yield frame
