"""One pass over a container: demux once, give frames, packets, sound and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.error import ExitError, FFmpegError

from onlooker.core.media import Packet, ReadFailure, ReadItem, ReadRequest
from onlooker.core.time import Span, Timestamp
from onlooker.sources.container import Opened
from onlooker.sources.frame import DecodedFrame
from onlooker.sources.sound import Blocks
from onlooker.sources.timing import shown_frames

__all__ = ["read_items"]

_ZERO = Timestamp.of_seconds(Fraction(0))
# demuxers go on after a damaged stretch; one that gives nothing but errors is left
_PATIENCE = 50


class _Failures:
    """Joins what was lost between two good frames to one failure.

    A decoder tells of a loss some frames before or after it gives the frames around it, so losses are kept by their
    time until a frame that is shown later. A failure belongs to the request that its beginning lies in: stretches
    read apart tell it once.
    """

    def __init__(self, request: ReadRequest) -> None:
        self._start, self._end = request.start, request.end
        self._lost: list[tuple[Timestamp, str]] = []

    def note(self, at: Timestamp, message: str) -> None:
        """What is shown at ``at`` is lost."""
        self._lost.append((at, message))

    def until(
        self, moment: Timestamp, last: Timestamp | None, since: Timestamp, *, at_end: bool = False
    ) -> list[ReadItem]:
        """Reading works at ``moment``; the last good frame was shown at ``last`` and ended at ``since``."""
        if not self._lost:
            return []
        passed = sorted((item for item in self._lost if item[0] <= moment), key=lambda item: item[0])
        self._lost = [item for item in self._lost if item[0] > moment]
        missing = [item for item in passed if (last is None or item[0] > last) and (at_end or item[0] < moment)]
        if not missing:
            return []  # the pictures are there, so what was lost was not shown
        begin = min(since if last is not None else missing[0][0], moment)
        if (self._start is not None and begin < self._start) or (self._end is not None and begin >= self._end):
            return []
        return [ReadFailure(Span(begin, moment), missing[0][1])]

    def rest(self, since: Timestamp, end: Timestamp, last: Timestamp | None) -> list[ReadItem]:
        """The stream has ended at ``end``."""
        latest = max((at for at, _ in self._lost), default=end)
        return self.until(max(end, latest), last, since, at_end=True)


def read_items(opened: Opened, request: ReadRequest) -> Iterator[ReadItem]:
    """All that ``request`` asks for, from a container that was opened for this call; closes it in the end.

    The container stands at its beginning or at a keyframe from which everything after the request's start decodes as
    in a whole read.
    """
    try:
        yield from _Pass(opened, request).items()
    finally:
        opened.close()


class _Pass:
    def __init__(self, opened: Opened, request: ReadRequest) -> None:
        self._opened = opened
        self._request = request
        self._video: Any = opened.video if request.frames != "none" or request.packets else None
        self._decode = request.frames != "none" and bool(opened.video)
        self._blocks: Blocks | None = None
        if request.audio_rate is not None and opened.audio:
            self._blocks = Blocks(opened.audio_stream(request.audio_track), opened, request)
        self._failures = _Failures(request)
        self._side: list[ReadItem] = []
        self._default = opened.frame_duration
        self._count = 0  # frames given by the decoder
        self._coded = 0  # packets that were counted
        self._last: Timestamp | None = None  # when the last good frame given by the decoder is shown
        self._good = _ZERO  # and when it ends
        self._shift = Fraction(0)
        self._packets_end = _ZERO
        self._frames_done = not self._decode
        self._packets_done = not (request.packets and self._video is not None)
        self._whole = False
        # FFmpeg's own choice of keyframes depends on what was decoded before, so each is decoded by itself
        self._alone = request.frames == "key" and not opened.by_order
        if self._decode and self._video is not None:
            context = self._video.codec_context
            context.skip_frame = "NONREF" if request.frames == "reference" and not opened.by_order else "DEFAULT"
            context.thread_type = "AUTO"
            context.thread_count = request.threads

    def items(self) -> Iterator[ReadItem]:
        """Everything the request asks for."""
        request = self._request
        before, after = request.start, request.end
        only_key = self._opened.by_order and request.frames == "key"
        rotation = self._opened.rotation
        for shown in shown_frames(self._decoded()):
            if self._side:
                side, self._side = self._side, []
                yield from side
            if shown is None:
                continue
            picture, time, duration = shown
            if after is not None and time >= after:
                self._frames_done = True
                continue
            if (before is not None and time < before) or (only_key and not picture.key_frame):
                continue
            yield DecodedFrame(picture, time, duration or self._own_duration(picture), rotation)
        yield from self._side
        if self._blocks is not None:
            yield from self._blocks.rest(whole=self._whole)
        if self._whole and self._video is not None:
            yield from self._tail()

    def _own_duration(self, picture: Any) -> Fraction:
        own = picture.duration
        return own * self._opened.video.time_base if own and not self._opened.by_order else self._default

    def _tail(self) -> list[ReadItem]:
        """What is missing at the end: the container promises more than there was."""
        promised = self._opened.video_end
        by_frames = self._decode and self._request.frames != "key"
        reached = self._good if by_frames else self._packets_end
        slack = max(Fraction(1, 2), 3 * self._default)
        if promised is not None and promised - reached.value > slack:
            end = Timestamp.of_seconds(promised)
            self._failures.note(end, "the file ends or breaks off before the length that it states")
            return self._failures.rest(reached, end, reached)
        return self._failures.rest(reached, max(reached, self._packets_end), self._last)

    def _finished(self) -> bool:
        """Whether nothing before the end of the request is missing any more."""
        end = self._request.end
        if end is None:
            return False
        return self._frames_done and self._packets_done and (self._blocks is None or self._blocks.time >= end)

    def _decoded(self) -> Iterator[tuple[Any, Timestamp] | None]:
        """PyAV frames in the order shown; a None now and then lets side items out."""
        streams = [s for s in (self._video, self._blocks.stream if self._blocks else None) if s is not None]
        if not streams:
            return
        errors = 0
        packets = self._opened.container.demux(streams)
        while not self._finished():
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                self._whole = True
                return
            except FFmpegError as error:
                errors += 1
                self._failures.note(max(self._good, self._packets_end), f"cannot be read: {error.strerror or error}")
                if isinstance(error, ExitError) or errors >= _PATIENCE:
                    self._whole = True
                    return
                packets = self._opened.container.demux(streams)
                continue
            errors = 0
            if self._blocks is not None and packet.stream is self._blocks.stream:
                self._side += self._blocks.take(packet)
            else:
                yield from self._video_packet(packet)
            if self._side:
                yield None

    def _video_packet(self, packet: Any) -> Iterator[tuple[Any, Timestamp] | None]:
        timed = packet.pts is not None or packet.dts is not None
        if packet.size and (timed or self._opened.numbered is not None):
            self._count_packet(packet)
        if self._frames_done or (self._alone and not (packet.size and packet.is_keyframe)):
            return
        try:
            frames = self._keyframe(packet) if self._alone else self._pictures(packet)
        except FFmpegError as error:
            at = self._good - self._default / 2
            if packet.pts is not None and not self._opened.by_order:
                at = self._opened.clock.at(packet.pts)
            self._failures.note(at, f"cannot be decoded: {error.strerror or error}")
            return
        for frame in frames:
            time = self._time_of(frame)
            self._count += 1
            if frame.is_corrupt:
                self._failures.note(time, "damaged pictures")
                continue
            self._side += self._failures.until(time, self._last, self._good)
            self._last, self._good = time, time + self._own_duration(frame)
            yield frame, time

    def _pictures(self, packet: Any) -> list[Any]:
        if self._opened.numbered is not None and packet.is_discard:
            # an edit list leaves out what is shown before it begins, by times that are none; the copy lies in FFmpeg's
            # own memory, since a decoder's thread that frees Python's waits for ever
            shown = av.Packet(packet.size)
            shown.update(bytes(packet))
            return self._opened.video.codec_context.decode(shown)
        return packet.decode()

    def _keyframe(self, packet: Any) -> list[Any]:
        context = self._opened.video.codec_context
        try:
            return [*packet.decode(), *context.decode(None)]
        finally:
            context.flush_buffers()

    def _time_of(self, frame: Any) -> Timestamp:
        if self._opened.by_order:
            return self._numbered(self._count)
        if frame.pts is None:
            return self._good
        time = self._opened.clock.at(frame.pts) + self._shift
        if self._last is not None and time < self._last - 1 and not self._opened.can_seek:
            # a sender that begins anew, or streams put one behind the other: time goes on where it was
            self._shift += self._good - time
            time = self._good
        return time

    def _numbered(self, number: int) -> Timestamp:
        time = Timestamp(number * self._default.numerator, Fraction(1, self._default.denominator))
        begin = self._opened.first_shown
        return time + begin if begin else time

    def _packet_times(self, packet: Any) -> tuple[Timestamp, Timestamp | None, Fraction]:
        """When a packet is shown and decoded, and for how long; numbered ones count as they are coded."""
        if self._opened.numbered is not None:
            self._coded += 1
            time = self._numbered(self._coded - 1)
            return time, time, self._default
        clock = self._opened.clock
        length = packet.duration * packet.time_base if packet.duration else self._default
        shown = clock.at(packet.pts if packet.pts is not None else packet.dts)
        return shown, None if packet.dts is None else clock.at(packet.dts), length

    def _count_packet(self, packet: Any) -> None:
        request = self._request
        time, decoded, length = self._packet_times(packet)
        self._packets_end = max(self._packets_end, time + length)
        if self._packets_done:
            return
        if request.end is not None and decoded is not None and decoded >= request.end:
            self._packets_done = True  # nothing is shown before it is decoded
        elif (request.start is None or time >= request.start) and (request.end is None or time < request.end):
            self._side.append(Packet(time, length, packet.size, bool(packet.is_keyframe)))
