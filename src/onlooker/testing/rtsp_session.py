"""One client's connection to `onlooker.testing.rtsp.RtspServer`: requests (RFC 2326), authentication, and playing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import random
import re
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from onlooker.testing.rtp import Clip, Sender

if TYPE_CHECKING:
    from onlooker.testing.rtsp import RtspServer

__all__ = ["Connection"]

_REALM = "onlooker"
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
_STATUS = {
    200: "OK",
    400: "Bad Request",
    302: "Moved Temporarily",
    401: "Unauthorized",
    404: "Not Found",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    501: "Not Implemented",
    551: "Option not supported",
}
_REPORT_SECONDS = 5.0
_TRACK = re.compile(r"(.*?)/?trackID=(\d+)\Z")


class _Refused(Exception):
    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers


@dataclass
class _Request:
    method: str
    address: str
    headers: dict[str, str]

    @property
    def place(self) -> tuple[str, int | None]:
        """Path of the clip and number of the track, if the address names one."""
        path = urlsplit(self.address).path.strip("/")
        track = _TRACK.match(path)
        return (track[1].strip("/"), int(track[2])) if track else (path, None)


class _Channel:
    """Where the packets of one track go: interleaved with the answers, or two UDP ports."""

    def __init__(self, writer: asyncio.StreamWriter, interleaved: int | None = None) -> None:
        self._writer, self.interleaved = writer, interleaved
        self.sockets: list[socket.socket] = []
        self._targets: list[tuple[str, int]] = []

    @classmethod
    def udp(cls, writer: asyncio.StreamWriter, host: str, ports: tuple[int, int]) -> _Channel:
        channel = cls(writer)
        peer = writer.get_extra_info("peername")[0]
        channel._targets = [(peer, port) for port in ports]
        channel.sockets = _pair(host)
        return channel

    @property
    def ports(self) -> tuple[int, int]:
        first, second = (s.getsockname()[1] for s in self.sockets)
        return first, second

    def send(self, data: bytes, *, control: bool = False) -> None:
        if self.interleaved is not None:
            number = self.interleaved + control
            self._writer.write(b"$" + bytes([number]) + len(data).to_bytes(2, "big") + data)
        else:
            with contextlib.suppress(OSError):  # a full buffer loses it, as UDP does
                self.sockets[control].sendto(data, self._targets[control])

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def _pair(host: str) -> list[socket.socket]:
    """Two UDP sockets, on an even port and the next one (RFC 3550, section 11)."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        first.setblocking(False)
        second.setblocking(False)
        with contextlib.suppress(OSError):
            port = random.randrange(20_000, 60_000, 2)
            first.bind((host, port))
            second.bind((host, port + 1))
            return [first, second]
        first.close()
        second.close()


class Connection:
    """Serves one client until it leaves.

    Args:
        server: whose clips and rules hold.
        reader, writer: the client.
    """

    def __init__(self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._nonce = secrets.token_hex(16)
        self._session = ""
        self._path = ""
        self._channels: dict[int, _Channel] = {}
        self._senders: dict[int, Sender] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def playing(self) -> bool:
        """Whether packets are being sent."""
        return self._task is not None and not self._task.done()

    async def serve(self) -> None:
        """Answer requests until the client leaves."""
        try:
            while True:
                request = await self._read()
                if request is None or not await self._answer(request):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            await self._end()
            self._writer.close()

    async def abort(self) -> None:
        """Break the connection at once."""
        await self._end()
        self._writer.transport.abort()

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await self._task
        for channel in self._channels.values():
            channel.close()

    async def _read(self) -> _Request | None:
        """The next request; interleaved packets of the client (receiver reports) are passed over."""
        while (first := await self._reader.readexactly(1)) == b"$":
            head = await self._reader.readexactly(3)
            await self._reader.readexactly(int.from_bytes(head[1:], "big"))
        text = (first + await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
        lines = text.strip().split("\r\n")
        method, _, rest = lines[0].partition(" ")
        address, _, version = rest.partition(" ")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if version != "RTSP/1.0" or "cseq" not in headers:
            self._write(400, headers.get("cseq", "0"), {})
            return None
        await self._reader.readexactly(int(headers.get("content-length", "0")))
        return _Request(method, address, headers)

    async def _answer(self, request: _Request) -> bool:
        """Answer a request; returns whether the connection goes on."""
        sequence = request.headers["cseq"]
        try:
            headers, body = self._handle(request)
        except _Refused as refused:
            self._server.requests.append((request.method, request.address, refused.status))
            self._write(refused.status, sequence, {n.replace("_", "-"): v for n, v in refused.headers.items()})
            await self._writer.drain()
            return True
        self._server.requests.append((request.method, request.address, 200))
        self._write(200, sequence, headers, body)
        await self._writer.drain()
        if request.method == "PLAY" and not self.playing:
            self._task = asyncio.create_task(self._play(self._server.clips[self._path]))
        if request.method == "PAUSE" and self._task is not None:
            self._task.cancel()
        return request.method != "TEARDOWN"

    def _write(self, status: int, sequence: str, headers: dict[str, str], body: str = "") -> None:
        lines = [f"RTSP/1.0 {status} {_STATUS[status]}", f"CSeq: {sequence}", "Server: onlooker"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body.encode())}"]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _handle(self, request: _Request) -> tuple[dict[str, str], str]:
        if "require" in request.headers:
            raise _Refused(551, Unsupported=request.headers["require"])
        if request.method == "OPTIONS":
            return {"Public": _METHODS}, ""
        if request.method not in _METHODS.split(", "):
            raise _Refused(501)
        self._authenticate(request)
        path, track = request.place
        if path not in self._server.clips:
            raise _Refused(404)
        if request.method == "DESCRIBE" and self._server.trouble.redirect:
            raise _Refused(302, Location=self._server.trouble.redirect)
        if request.method == "DESCRIBE":
            return {"Content-Base": request.address.rstrip("/") + "/"}, _sdp(
                self._server.clips[path], self._server.host
            )
        if request.method == "SETUP":
            return self._setup(request, path, track), ""
        given = request.headers.get("session", "").partition(";")[0]
        if given != self._session or not self._session:
            if request.method in ("GET_PARAMETER", "SET_PARAMETER") and not given:
                return {}, ""
            raise _Refused(454)
        if request.method == "PLAY":
            return {"Session": self._session, "RTP-Info": self._start(request), "Range": "npt=now-"}, ""
        return {"Session": self._session}, ""

    def _authenticate(self, request: _Request) -> None:
        server = self._server
        if server.user is None:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if server.authentication == "basic":
            right = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
            if kind.lower() == "basic" and hmac.compare_digest(given.strip().encode(), right.encode()):
                return
            raise _Refused(401, WWW_Authenticate=f'Basic realm="{_REALM}"')
        fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
        if kind.lower() == "digest" and fields.get("nonce") == self._nonce and fields.get("uri") == request.address:
            secret = _md5(f"{server.user}:{_REALM}:{server.password}")
            right = _md5(f"{secret}:{self._nonce}:{_md5(f'{request.method}:{request.address}')}")
            if fields.get("username") == server.user and hmac.compare_digest(fields.get("response", ""), right):
                return
        raise _Refused(401, WWW_Authenticate=f'Digest realm="{_REALM}", nonce="{self._nonce}"')

    def _setup(self, request: _Request, path: str, track: int | None) -> dict[str, str]:
        clip = self._server.clips[path]
        if track is None and len(clip.tracks) > 1:
            raise _Refused(459)
        number = track or 0
        if number >= len(clip.tracks):
            raise _Refused(404)
        if self.playing or (self._path and self._path != path):
            raise _Refused(455)
        channel, transport = self._channel(request.headers.get("transport", ""), number)
        self._path, self._channels[number] = path, channel
        origin = random.getrandbits(32) if self._server.origin is None else self._server.origin
        self._senders[number] = Sender(clip.tracks[number], random.getrandbits(32), random.randrange(1 << 16), origin)
        self._session = self._session or secrets.token_hex(8)
        return {"Transport": transport, "Session": f"{self._session};timeout=60"}

    def _channel(self, wanted: str, number: int) -> tuple[_Channel, str]:
        for offer in wanted.split(","):
            fields = offer.strip().split(";")
            values: dict[str, str] = {}
            for name, _, value in (f.partition("=") for f in fields[1:]):
                values[name] = value
            if fields[0] == "RTP/AVP/TCP" and "tcp" in self._server.transports:
                first = int(values.get("interleaved", f"{2 * number}").partition("-")[0])
                channel = _Channel(self._writer, first)
                return channel, f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
            if fields[0] in ("RTP/AVP", "RTP/AVP/UDP") and "client_port" in values and "udp" in self._server.transports:
                first = int(values["client_port"].partition("-")[0])
                channel = _Channel.udp(self._writer, self._server.host, (first, first + 1))
                own = channel.ports
                ports = f"client_port={first}-{first + 1};server_port={own[0]}-{own[1]}"
                return channel, f"RTP/AVP;unicast;{ports}"
        raise _Refused(461)

    def _start(self, request: _Request) -> str:
        base = request.address.rstrip("/")
        return ",".join(
            f"url={base}/trackID={n};seq={s.sequence & 0xFFFF};rtptime={s.ticks(0)}" for n, s in self._senders.items()
        )

    async def _play(self, clip: Clip) -> None:
        loop, trouble = asyncio.get_running_loop(), self._server.trouble
        begun, past, reported = loop.time(), 0.0, -_REPORT_SECONDS
        units = [u for u in clip.units if u.track in self._senders]
        while True:
            for unit in units:
                while trouble.stall:
                    # what is held back follows later, with later timestamps
                    held = loop.time()
                    await asyncio.sleep(0.02)
                    past += loop.time() - held
                due = past + unit.sent
                await asyncio.sleep(max(0.0, begun + due - loop.time()))
                if due - reported >= _REPORT_SECONDS:
                    reported = due
                    for number, sender in self._senders.items():
                        self._channels[number].send(sender.report(due + trouble.jump), control=True)
                stamp = self._server.stamp and unit.track == 0
                self._send(
                    unit.track, self._senders[unit.track].packets(unit, past + unit.shown + trouble.jump, stamp=stamp)
                )
                await self._writer.drain()
            past += clip.seconds

    def _send(self, track: int, packets: list[bytes]) -> None:
        trouble = self._server.trouble
        for packet in packets:
            if trouble.lose and trouble.random.random() < trouble.lose:
                continue
            sent = packet
            if trouble.damage and trouble.random.random() < trouble.damage:
                at = trouble.random.randrange(12, len(packet))
                sent = packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1 :]
            self._channels[track].send(sent)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sdp(clip: Clip, host: str) -> str:
    lines = [
        "v=0",
        f"o=- 0 0 IN IP4 {host}",
        "s=onlooker",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
    ]
    for number, track in enumerate(clip.tracks):
        lines += [
            f"m={track.kind} 0 RTP/AVP {track.payload}",
            f"a=rtpmap:{track.payload} {track.encoding}",
            f"a=fmtp:{track.payload} {track.format}",
            f"a=control:trackID={number}",
        ]
    return "\r\n".join(lines) + "\r\n"
