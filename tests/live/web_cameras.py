"""Web servers that are cameras: a file, MJPEG, and a live HLS playlist that slides."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Generator[str]:
    """The address of a web server that answers each GET so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, data: bytes, kind: str, status: int = 200, **headers: str):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def mjpeg(path: Path, rate: int = 20, count: int = 1_000_000) -> Answer:
    """A camera that sends so many JPEG pictures, each as a part of one answer."""
    pictures: list[bytes] = []
    with av.open(str(path)) as container:
        for frame, _ in zip(container.decode(video=0), range(10), strict=False):
            file = io.BytesIO()
            frame.to_image().save(file, "JPEG")
            pictures.append(file.getvalue())

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        for number in range(count):
            data = pictures[number % len(pictures)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            handler.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(1 / rate)

    return answer


def hls(path: Path) -> Answer:
    """A live playlist over a clip whose key pictures lie on half seconds: segments of half a second, the last four."""
    begun = time.monotonic()

    def answer(handler):
        if handler.path.endswith(".m3u8"):
            newest = 4 + int((time.monotonic() - begun) / 0.5)
            lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{newest - 4}"]
            for number in range(newest - 4, newest):
                lines += ["#EXTINF:0.5,", f"{number}.ts"]
            send(handler, ("\n".join(lines) + "\n").encode(), "application/vnd.apple.mpegurl")
        else:
            number = int(handler.path.strip("/").removesuffix(".ts"))
            send(handler, _segment(path, number), "video/mp2t")

    return answer


def _segment(path: Path, number: int) -> bytes:
    """The clip's half second of that number, counted over the clip's end."""
    file = io.BytesIO()
    with av.open(str(path)) as source, av.open(file, "w", format="mpegts") as out:
        video = source.streams.video[0]
        made = out.add_stream_from_template(video)
        begin, base = number % 4 * 0.5, video.time_base
        assert base is not None
        for packet in source.demux(video):
            if packet.dts is None or packet.pts is None or not begin <= float(packet.pts * base) < begin + 0.5:
                continue
            moved = round((10 + number * 0.5 - begin) / base)
            packet.pts, packet.dts, packet.stream = packet.pts + moved, packet.dts + moved, made
            out.mux(packet)
    return file.getvalue()
