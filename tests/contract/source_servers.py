"""Small servers on the loopback for sources: files and redirects over HTTP, a stream over UDP, a camera over RTSP."""

# PyAV's stubs do not tell the sorts of streams and items apart
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalOperand=false

from __future__ import annotations

import base64
import socketserver
import struct
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av


@contextmanager
def serve_http(pages: dict[str, tuple[str, bytes]], redirects: dict[str, str]) -> Generator[tuple[int, list[str]]]:
    """Serve ``pages`` (path to type and content, with ranges); gives the port and the list of paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path in redirects:
                self._answer(302, "text/plain", b"", {"Location": redirects[self.path]})
                return
            if self.path not in pages:
                self._answer(404, "text/plain", b"", {})
                return
            kind, content = pages[self.path]
            given = self.headers.get("Range", "")
            if not given.startswith("bytes="):
                self._answer(200, kind, content, {"Accept-Ranges": "bytes"})
                return
            first, _, last = given[6:].partition("-")
            begin, end = int(first), int(last or len(content) - 1)
            where = {"Content-Range": f"bytes {begin}-{end}/{len(content)}"}
            self._answer(206, kind, content[begin : end + 1], where)

        def _answer(self, code: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that go away in the middle are usual."""

    with _running(Server(("127.0.0.1", 0), Handler)) as port:
        yield port, asked


@contextmanager
def _running(server: Any) -> Generator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Camera:
    """A clip as a camera gives it: H.264 in RTP, over and over.

    Args:
        path: an MP4 file with H.264 and B-frames or not.
    """

    def __init__(self, path: str) -> None:
        with av.open(path) as container:
            stream = container.streams.video[0]
            self.parameters = _parameter_sets(stream.codec_context.extradata)
            self.packets = [
                (float(p.dts * p.time_base), float(p.pts * p.time_base), p.is_keyframe, _units(bytes(p)))
                for p in container.demux(stream)
                if p.dts is not None
            ]
        self.length = self.packets[-1][0] + 0.04

    def rtp(self) -> Iterator[tuple[float, bytes]]:
        """(seconds from the start, RTP packet) without end."""
        number, base = 0, 0.0
        while True:
            for decoded, shown, key, units in self.packets:
                sent = [*self.parameters, *units] if key else units
                for at, unit in enumerate(sent):
                    for payload, last in _fragments(unit):
                        mark = 0x80 if last and at == len(sent) - 1 else 0
                        ticks = int((base + shown) * 90000) & 0xFFFFFFFF
                        yield (
                            base + decoded,
                            struct.pack("!BBHII", 0x80, 96 | mark, number & 0xFFFF, ticks, 7) + payload,
                        )
                        number += 1
            base += self.length

    def description(self) -> str:
        """The session in SDP (RFC 8866, RFC 6184)."""
        sets = ",".join(base64.b64encode(p).decode() for p in self.parameters)
        profile = self.parameters[0][1:4].hex()
        lines = (
            *("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "m=video 0 RTP/AVP 96"),
            "a=rtpmap:96 H264/90000",
            f"a=fmtp:96 packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}",
            "a=control:track1",
        )
        return "\r\n".join(lines) + "\r\n"


def _parameter_sets(extradata: bytes) -> list[bytes]:
    """SPS and PPS out of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15)."""
    found, at = [], 5
    for mask in (31, 255):
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            found.append(extradata[at + 2 : at + 2 + size])
            at += 2 + size
    return found


def _units(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _fragments(unit: bytes, size: int = 1400) -> Iterator[tuple[bytes, bool]]:
    if len(unit) <= size:
        yield unit, True
        return
    head, body = unit[0], unit[1:]
    for at in range(0, len(body), size):
        first, last = at == 0, at + size >= len(body)
        yield bytes([(head & 0xE0) | 28, first << 7 | last << 6 | (head & 31)]) + body[at : at + size], last


@contextmanager
def serve_rtsp(camera: Camera) -> Generator[int]:
    """Serve one camera over RTSP with RTP interleaved in the connection (RFC 2326); gives the port."""
    stop = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline().decode("latin-1").strip():
                method, url, _ = line.split()
                headers: dict[str, str] = {}
                while field := self.rfile.readline().decode("latin-1").strip():
                    name, _, value = field.partition(":")
                    headers[name.lower()] = value.strip()
                answer, body = {"CSeq": headers["cseq"]}, ""
                if method == "OPTIONS":
                    answer["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
                elif method == "DESCRIBE":
                    body = camera.description()
                    answer |= {"Content-Base": f"{url}/", "Content-Type": "application/sdp"}
                elif method == "SETUP":
                    answer |= {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": "1;timeout=60"}
                elif method == "PLAY":
                    answer["Session"] = "1"
                answer["Content-Length"] = str(len(body))
                text = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
                self.wfile.write(f"RTSP/1.0 200 OK\r\n{text}\r\n{body}".encode())
                if method == "PLAY":
                    self._play()
                if method in ("PLAY", "TEARDOWN"):
                    return

        def _play(self) -> None:
            begun = time.monotonic()
            try:
                for due, packet in camera.rtp():
                    if stop.wait(max(0.0, begun + due - time.monotonic())):
                        return
                    self.wfile.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
            except ConnectionError:
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that go away in the middle are usual."""

    with _running(Server(("127.0.0.1", 0), Handler)) as port:
        try:
            yield port
        finally:
            stop.set()
