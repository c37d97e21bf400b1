"""Real receivers on loopback: an HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Received:
    """One request."""

    def __init__(self, headers, body):
        self.headers, self.body = headers, body


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append(Received(self.headers, body))
        answer = self.server.answers.popleft() if self.server.answers else self.server.answer
        if answer == "hang":
            self.server.released.wait(30)
            return
        if answer == "drip":
            while not self.server.released.wait(0.05):
                try:
                    self.wfile.write(b"H")
                except OSError:
                    return
            return
        if answer == "drop":
            self.close_connection = True
            return
        code, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Receiver(ThreadingHTTPServer):
    """Answers ``answers`` one after the other, then ``answer`` for good: a status, (status, headers), ``hang``,
    ``drip`` or ``drop``.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.received: list[Received] = []
        self.answers: deque = deque()
        self.answer: object = 204
        self.released = threading.Event()
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def handle_error(self, *_):
        pass

    def end(self):
        self.released.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    @property
    def keys(self):
        return [r.headers["Idempotency-Key"] for r in self.received]


def closed_port():
    """A port of loopback at which nothing listens."""
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def settle(check, seconds=0.3):
    """Whether something goes on to hold for a while."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not check():
            return False
        time.sleep(0.01)
    return True
