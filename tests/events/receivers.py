"""Real receivers on loopback: an HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from events.making import until


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
        if answer in ("wait", "wait and refuse"):
            self.server.released.wait(30)
            answer = 204 if answer == "wait" else 503
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
    ``wait`` (until released), ``wait and refuse``, ``drip`` or ``drop``.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.received: list[Received] = []
        self.answers: deque[Any] = deque()
        self.answer: Any = 204
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
    """A port of loopback at which nothing listens; nobody else is given it, and a server may listen there later."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    held.detach()  # it stays bound as long as this process lives
    return port


def settle(check, seconds=0.3):
    """Whether something goes on to hold for a while."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not check():
            return False
        time.sleep(0.01)
    return True


# -- MQTT --


def mosquitto():
    """The broker's program; without it tests fail in CI and skip elsewhere."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        message = "the MQTT broker mosquitto is not installed: apt install mosquitto"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


class Broker:
    """A real mosquitto on a port of loopback; it forgets everything when it ends."""

    def __init__(self, folder, extra="allow_anonymous true"):
        self.program, self.folder, self.extra = mosquitto(), folder, extra
        self.port = closed_port()
        self.process = None
        self.start()

    def start(self):
        path = self.folder / f"mosquitto-{self.port}.conf"
        path.write_text(f"listener {self.port} 127.0.0.1\npersistence false\n{self.extra}\n")
        command = [self.program, "-c", str(path)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self):
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Door(socketserver.ThreadingTCPServer):
    """A port that leads to another one while it is open; who comes while it is closed is sent away."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind, self.open, self.port = behind, True, self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def handle_error(self, *_):
        pass

    def end(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Passing(socketserver.BaseRequestHandler):
    server: Door

    def handle(self):
        if self.server.open:
            with socket.create_connection(("127.0.0.1", self.server.behind)) as other:
                back = threading.Thread(target=_pass, args=(other, self.request))
                back.start()
                _pass(self.request, other)
                back.join()


def _pass(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Listener:
    """Subscribes to everything and keeps what comes, in order."""

    def __init__(self, port, **login):
        client: Any = importlib.import_module("paho.mqtt.client")

        self.heard = []
        self._ready = threading.Event()
        self.client: Any = client.Client(client.CallbackAPIVersion.VERSION2)
        if login:
            self.client.username_pw_set(**login)
        self.client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = lambda _c, _d, m: self.heard.append((m.topic, bytes(m.payload), m.retain))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(100)

    def catch_up(self):
        """Wait until all that the broker has taken by now is here."""
        mark = f"mark/{uuid.uuid4().hex}"
        self.client.publish(mark, b"", qos=1)
        until(lambda: self.of(mark) != [])

    def of(self, topic):
        return [payload for t, payload, _ in [*self.heard] if t == topic]

    def last(self, topic):
        found = self.of(topic)
        return found[-1] if found else None

    def end(self):
        self.client.disconnect()  # its thread ends by itself, which takes it up to a second


# -- certificates --


def certificate(folder):
    """A certificate of 127.0.0.1 and localhost, signed by itself: (PEM file, key file)."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret
