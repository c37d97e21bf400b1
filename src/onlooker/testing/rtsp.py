"""A small RTSP server (RFC 2326) for tests and demonstrations: plays files in real time, over and over.

RTP over TCP (interleaved) and over UDP, several paths, Basic and Digest authentication (RFC 2617), and what goes wrong
with real cameras: stalls, dropped connections, refusals, restarts, jumping clocks, damaged and lost packets.

    python -m onlooker.testing.rtsp front=yard.mp4 --port 8554 --user me --password secret
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from onlooker.testing.rtp import Clip
from onlooker.testing.rtsp_session import Connection

__all__ = ["RtspServer", "Trouble"]


@dataclass
class Trouble:
    """What goes wrong, for all that is sent; may be changed at any time.

    Args:
        stall: send nothing, but keep connections.
        damage: share of packets, 0..1, of which a byte is changed.
        lose: share of packets, 0..1, that are not sent.
        jump: seconds by which timestamps are ahead.
        redirect: address to which each DESCRIBE is sent on, or an empty text.
    """

    stall: bool = False
    damage: float = 0.0
    lose: float = 0.0
    jump: float = 0.0
    redirect: str = ""
    random: random.Random = field(default_factory=lambda: random.Random(1))


class RtspServer:
    """Serves clips on loopback, in a thread of its own; a context manager.

    Args:
        clips: path of the address -> file with H.264, and AAC if it has sound.
        user, password: what a client must give; None: nothing.
        authentication: how it must give them.
        transports: what SETUP may ask for.
        host, port: where to listen; port 0 takes a free one.
        origin: RTP time at which each session begins; None: at random, as the standard asks for.
        stamp: whether each picture carries the moment at which it was sent; see `onlooker.testing.rtp.stamp_of`.
    """

    def __init__(
        self,
        clips: Mapping[str, Path | Clip],
        *,
        user: str | None = None,
        password: str = "",
        authentication: Literal["digest", "basic"] = "digest",
        transports: Sequence[Literal["tcp", "udp"]] = ("tcp", "udp"),
        host: str = "127.0.0.1",
        port: int = 0,
        origin: int | None = None,
        stamp: bool = False,
    ) -> None:
        self.clips = {name.strip("/"): c if isinstance(c, Clip) else Clip.load(c) for name, c in clips.items()}
        self.user, self.password, self.authentication = user, password, authentication
        self.transports, self.host, self.port, self.stamp = tuple(transports), host, port, stamp
        self.origin = origin
        self.trouble = Trouble()
        self.requests: list[tuple[str, str, int]] = []
        """Method, address and status of each request so far."""
        self.connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtsp server", daemon=True)

    def start(self) -> RtspServer:
        """Listen; returns when clients can come."""
        self._thread.start()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        """Drop all and end."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> RtspServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def url(self, path: str, *, password: str | None = None) -> str:
        """The address of a clip, with user and password if the server asks for them.

        Args:
            path: of the clip.
            password: another one than the right one.
        """
        login = ""
        if self.user is not None:
            secret = self.password if password is None else password
            login = f"{quote(self.user, safe='')}:{quote(secret, safe='')}@"
        return f"rtsp://{login}{self.host}:{self.port}/{path.strip('/')}"

    def drop(self) -> None:
        """Break all connections, as a camera that loses its power does; new ones are taken."""
        self._run(self._drop())

    def refuse(self) -> None:
        """Break all connections and take no new ones until `accept`."""
        self._run(self._close())

    def accept(self) -> None:
        """Take connections again, on the same port."""
        self._run(self._listen())

    def playing(self) -> int:
        """How many clients are being sent to."""
        return sum(c.playing for c in tuple(self.connections))

    def _run(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)

    async def _drop(self) -> None:
        for connection in tuple(self.connections):
            await connection.abort()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._drop()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m onlooker.testing.rtsp", description="Play files as cameras.")
    parser.add_argument("clips", nargs="+", metavar="NAME=FILE", help="what to serve, and under which path")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--basic", action="store_true", help="Basic instead of Digest authentication")
    parser.add_argument("--stamp", action="store_true", help="put the moment of sending into each picture")
    given = parser.parse_args()
    clips = {name: Path(file) for name, _, file in (text.rpartition("=") for text in given.clips)}
    server = RtspServer(
        clips,
        user=given.user,
        password=given.password,
        authentication="basic" if given.basic else "digest",
        host=given.host,
        port=given.port,
        stamp=given.stamp,
    )
    with server, contextlib.suppress(KeyboardInterrupt):
        for name in server.clips:
            print(f"rtsp://{server.host}:{server.port}/{name}", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
