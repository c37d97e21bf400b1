"""A live connection: packets as they come, decoded one by one, and failures that say why.

Unlike `onlooker.core.media.Source`, which gives items on a source's own time line, this gives what one connection
brings, with the sender's timestamps.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.client import HTTPException
from typing import Any, Literal
from urllib.parse import urlsplit

from av.error import FFmpegError

from onlooker.core.errors import ForbiddenAddress, SourceError, UnsupportedMedia
from onlooker.core.live import StreamFormat
from onlooker.sources.container import Opened, connect
from onlooker.sources.openers.file import file_address
from onlooker.sources.openers.stream import PROTOCOLS
from onlooker.sources.policy import AddressPolicy, HttpAnswer, without_credentials
from onlooker.sources.relay import Relay, confined

__all__ = ["LiveConnection", "LiveFailure", "Selection", "is_end", "nanoseconds", "open_live"]

Selection = Literal["all", "reference", "key"]
_SKIP = {"all": "DEFAULT", "reference": "NONREF", "key": "NONKEY"}
_WEBCAM = re.compile(r"(?:webcam:|/dev/video)(\d{1,3})\Z")
# opening waits until the size of the pictures is known, which the first key picture tells, and not for the frame rate
_LOOK = {"analyzeduration": "10000000", "probesize": "20000000", "fpsprobesize": "0"}
# formats whose timestamps are the demuxer's own counting
_UNTIMED = ("mpjpeg", "mjpeg", "mjpeg_2000")
_REASONS = {
    "HTTPUnauthorizedError": "refused",
    "HTTPForbiddenError": "refused",
    "PermissionError": "refused",
    "HTTPNotFoundError": "not_found",
    "FileNotFoundError": "not_found",
    "InvalidDataError": "unsupported",
    "ProtocolNotFoundError": "unsupported",
    "HTTPOtherClientError": "unsupported",
    "HTTPBadRequestError": "unsupported",
    "EOFError": "closed",
    "BrokenPipeError": "closed",
    "ConnectionResetError": "closed",
}
_HINTS = {
    "refused": "check the user and the password",
    "not_found": "check the path of the address",
    "unsupported": "check the address and the transport",
    "unreachable": "check the address and the network",
    "closed": "the sender ended it",
    "stalled": "the sender is silent",
}


class LiveFailure(SourceError):
    """A connection cannot be made, or ended.

    Args:
        reason: ``refused`` (user or password), ``forbidden`` (by the policy), ``not_found``, ``unreachable``,
            ``unsupported``, ``closed``, ``stalled``, ``decode`` or ``ended`` (a file was played).
    """

    def __init__(self, message: str, *, hint: str | None = None, reason: str = "closed") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def open_live(
    address: str,
    *,
    policy: AddressPolicy,
    transport: str = "tcp",
    timeout: float = 10.0,
    stall: float = 10.0,
    realtime: bool = True,
    loop: bool = False,
) -> LiveConnection:
    """Connect to a camera, a stream, an address or a file.

    Args:
        address: see `onlooker.live.settings.LinkSettings`.
        policy: which addresses are allowed; checked now, so at each connection.
        transport: ``tcp`` or ``udp`` for RTSP.
        timeout: seconds for opening.
        stall: seconds for each read.
        realtime: whether what has an end, such as a file, is played at its own speed.
        loop: whether a file is played over and over.

    Raises:
        LiveFailure: it cannot be opened.
    """
    shown = without_credentials(address)
    try:
        container, file, relay = _open(address, policy, transport, (timeout, stall))
    except LiveFailure:
        raise
    except ForbiddenAddress as error:
        raise LiveFailure(error.message, hint=error.hint, reason="forbidden") from None
    except HttpAnswer as error:
        reason = {401: "refused", 403: "refused", 404: "not_found"}.get(error.code, "unreachable")
        raise LiveFailure(error.message, hint=_HINTS[reason], reason=reason) from None
    except SourceError as error:
        raise LiveFailure(
            error.message, hint=error.hint, reason="unreachable" if "://" in address else "not_found"
        ) from None
    except (FFmpegError, OSError, ValueError) as error:
        reason = _REASONS.get(type(error).__name__, "unreachable")
        what = getattr(error, "strerror", None) or type(error).__name__
        raise LiveFailure(f"cannot open {shown!r}: {what}", hint=_HINTS[reason], reason=reason) from None
    try:
        opened = Opened(container, shown)
        if opened.video is None:
            raise UnsupportedMedia(f"{shown!r} holds no video that can be decoded")
    except UnsupportedMedia as error:
        container.close()
        if relay is not None:
            relay.close()
        raise LiveFailure(error.message, hint="a camera needs pictures", reason="unsupported") from None
    finite = file or (container.duration is not None and address.lower().startswith(("http://", "https://")))
    paced = finite and realtime
    return LiveConnection(opened, shown, stall, paced=paced, finite=finite, loop=loop and file, relay=relay)


def _open(
    address: str, policy: AddressPolicy, transport: str, timeouts: tuple[float, float]
) -> tuple[Any, bool, Relay | None]:
    """A PyAV container, whether it is a file, and what stands between."""
    scheme = urlsplit(address).scheme.lower() if "://" in address else ""
    webcam = _WEBCAM.match(address)
    if webcam:
        policy.check_local(address)
        device = f"/dev/video{webcam[1]}"
        found = connect(device, protocols="file", timeouts=timeouts, container_format="video4linux2", indirect=True)
        return found, False, None
    if scheme in PROTOCOLS:
        return _open_stream(address, scheme, policy, transport, timeouts)
    if scheme in ("http", "https"):
        settled, playlist = policy.settle(address, timeouts[0])
        options = {"max_redirects": "0", "live_start_index": "-1", "http_persistent": "0", "http_multiple": "0"}
        guard = policy.guard(settled, timeouts[0]) if playlist else None
        protocols = "http,https,tcp,tls,crypto"
        found = connect(
            settled, protocols=protocols, timeouts=timeouts, options=_LOOK | options, guard=guard, indirect=playlist
        )
        return found, False, None
    if scheme and scheme != "file":
        raise LiveFailure(f"nothing here opens {scheme}://", hint="see the guide of cameras", reason="unsupported")
    policy.check_local(address)
    return connect(file_address(address.removeprefix("file://")), protocols="file", timeouts=timeouts), True, None


def _open_stream(
    address: str, scheme: str, policy: AddressPolicy, transport: str, timeouts: tuple[float, float]
) -> tuple[Any, bool, Relay | None]:
    place, relay = confined(address, policy, timeouts[0])
    if relay is not None:
        # over UDP a server may name any address that packets are to be sent to
        scheme, transport = "rtsp", "tcp"
    options = dict(_LOOK)
    if scheme.startswith("rtsp"):
        # a camera's third stream (ONVIF metadata) would make opening wait for it
        options |= {"rtsp_transport": transport, "allowed_media_types": "video+audio", "user_agent": "onlooker"}
        options |= {"max_delay": "200000", "buffer_size": "1048576"} if transport == "udp" else {}
    protocols, indirect = PROTOCOLS[scheme], scheme.startswith("rt")
    try:
        found = connect(place, protocols=protocols, timeouts=timeouts, options=options, indirect=indirect)
    except BaseException:
        if relay is not None:
            relay.close()
            relay.check()
        raise
    return found, False, relay


class LiveConnection:
    """An open connection; serves one reader in one thread.

    Args:
        opened: the container.
        shown: its address without credentials.
        stall: seconds for each read.
        paced: whether packets are held back until they are due.
        finite: whether it has an end that is no failure.
        loop: whether it begins anew after its end.
        relay: closed with it.
    """

    def __init__(
        self,
        opened: Opened,
        shown: str,
        stall: float,
        *,
        paced: bool,
        finite: bool,
        loop: bool,
        relay: Relay | None = None,
    ) -> None:
        self._opened, self._stall = opened, stall
        self.shown, self.paced, self.finite = shown, paced, finite
        self._loop, self._relay = loop, relay
        self.video: Any = opened.video
        self.audio: Any = opened.audio[0] if opened.audio else None
        self.timed = not any(n in _UNTIMED for n in opened.container.format.name.split(","))
        self.damaged = 0
        """Packets and pictures that could not be decoded."""
        self._stamp: int | None = None
        self._rotation: int | None = None
        self._selection: Selection = "all"
        # a frame thread would hold back a frame each
        self.video.codec_context.thread_count = 1
        self.video.thread_type = "NONE"

    @property
    def formats(self) -> tuple[StreamFormat, ...]:
        """What the connection carries: the video, and the sound if there is some."""
        made = [_format(self.video, "video")]
        return tuple(made) if self.audio is None else (*made, _format(self.audio, "audio"))

    @property
    def frame_duration(self) -> Fraction:
        """Seconds of one picture by the average rate; 1/25 where nothing is known."""
        return self._opened.frame_duration

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which pictures are turned for display."""
        return self._rotation or 0

    def select(self, selection: Selection) -> None:
        """Which pictures `decode` makes from the next packet on: all, those that others build on, or key pictures."""
        if selection != self._selection:
            self._selection = selection
            self.video.codec_context.skip_frame = _SKIP[selection]

    def packets(self, stop: threading.Event) -> Iterator[Any]:
        """PyAV packets of video and sound in the order in which they come, until ``stop``.

        At a file's end an empty one of each stream lets out what its decoder holds.

        Raises:
            LiveFailure: it ended (``closed``, ``stalled``, or ``ended`` for what has an end).
        """
        streams = [s for s in (self.video, self.audio) if s is not None]
        pace = _Pace(stop) if self.paced else None
        shift, begin, end = Fraction(0), None, Fraction(0)
        while True:
            for packet in self._demux(streams, stop):
                if shift:
                    ticks = round(shift / packet.time_base)
                    packet.pts = None if packet.pts is None else packet.pts + ticks
                    packet.dts = None if packet.dts is None else packet.dts + ticks
                stamp = packet.dts if packet.dts is not None else packet.pts
                if stamp is not None:
                    begin = stamp * packet.time_base if begin is None else begin
                    end = max(end, (stamp + (packet.duration or 0)) * packet.time_base)
                    if pace is not None:
                        pace.wait(float(stamp * packet.time_base))
                if stop.is_set():
                    return
                yield packet
            if not self._loop:
                reason = "ended" if self.finite else "closed"
                raise LiveFailure(f"{self.shown!r} has ended", hint=_HINTS["closed"], reason=reason)
            shift = end - (begin or 0)
            self._opened.container.seek(0)

    def _demux(self, streams: list[Any], stop: threading.Event) -> Iterator[Any]:
        packets = self._opened.container.demux(streams)
        while not stop.is_set():
            begun = time.monotonic()
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                silent = type(error).__name__ in ("ExitError", "TimeoutError")
                reason = "stalled" if silent else "closed"
                what = "nothing came" if silent else error.strerror or type(error).__name__
                raise LiveFailure(f"{self.shown!r}: {what}", hint=_HINTS[reason], reason=reason) from None
            except ForbiddenAddress as error:
                raise LiveFailure(error.message, hint=error.hint, reason="forbidden") from None
            except (OSError, ValueError, HTTPException) as error:  # of a playlist's entries
                raise LiveFailure(f"{self.shown!r}: {type(error).__name__}", hint=_HINTS["closed"]) from None
            if packet is None or (is_end(packet) and not self.finite):
                return
            # the first read that times out still gives what the parser holds; only the next one would fail
            if not self.finite and time.monotonic() - begun >= self._stall:
                raise LiveFailure(f"{self.shown!r}: nothing came", hint=_HINTS["stalled"], reason="stalled")
            yield packet

    def decode(self, packet: Any) -> list[tuple[Any, int | None]]:
        """PyAV video frames that became complete, each with its timestamp in nanoseconds of the sender.

        What is damaged is counted and left out.
        """
        try:
            frames = packet.decode()
        except FFmpegError:
            self.damaged += 1
            return []
        made: list[tuple[Any, int | None]] = []
        for frame in frames:
            if frame.is_corrupt:
                self.damaged += 1
                continue
            if self._rotation is None:
                self._rotation = round(-float(frame.rotation or 0) / 90) * 90 % 360
            made.append((frame, self._stamp_of(frame)))
        return made

    def _stamp_of(self, frame: Any) -> int | None:
        if not self.timed:
            return None
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is not None and frame.time_base:
            self._stamp = nanoseconds(ticks, frame.time_base)
        elif self._stamp is not None:
            self._stamp += int(self.frame_duration * 1_000_000_000)
        return self._stamp

    def stamp(self, packet: Any) -> int | None:
        """A packet's timestamp in nanoseconds of the sender, or None where it says nothing."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        return None if ticks is None or not self.timed else nanoseconds(ticks, packet.time_base)

    def close(self) -> None:
        """Close the connection."""
        self._opened.close()
        if self._relay is not None:
            self._relay.close()


class _Pace:
    """Holds packets of a file back until they are due."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._begun: float | None = None

    def wait(self, stamp: float) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = now - stamp
        self._stop.wait(max(0.0, self._begun + stamp - now))


def is_end(packet: Any) -> bool:
    """Whether a PyAV packet is the empty one at a stream's end."""
    return packet.size == 0 and packet.dts is None


def nanoseconds(ticks: int, time_base: Fraction) -> int:
    """Whole nanoseconds of so many ticks."""
    return ticks * time_base.numerator * 1_000_000_000 // time_base.denominator


def _format(stream: Any, kind: Literal["video", "audio"]) -> StreamFormat:
    context = stream.codec_context
    return StreamFormat(
        index=stream.index,
        kind=kind,
        codec=context.codec.canonical_name,
        time_base=Fraction(stream.time_base),
        extradata=bytes(context.extradata or b""),
        width=context.width if kind == "video" else 0,
        height=context.height if kind == "video" else 0,
        rate=context.sample_rate if kind == "audio" else 0,
        channels=context.channels if kind == "audio" else 0,
    )
