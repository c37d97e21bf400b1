"""``onlooker serve`` and ``onlooker users`` as processes: first start, graceful end, reload, kill -9 and after."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import httpx
import pytest

from onlooker.cli.main import main
from onlooker.client import Client
from onlooker.core.errors import UsageError

PASSWORD = "correct horse battery"


def onlooker(*words: object, expect: int = 0) -> str:
    """A command in this process: what it says, to standard error where it is expected to fail."""
    out, log = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(log), pytest.raises(SystemExit) as ended:
        main([str(w) for w in words])
    assert (ended.value.code or 0) == expect, f"{words}\n{out.getvalue()}\n{log.getvalue()}"
    return out.getvalue() if expect == 0 else log.getvalue()


@contextmanager
def serving(*words: object, port: int = 0, environment: dict[str, str] | None = None):
    """The process, what it said first, and its lines of log as they come."""
    command = [sys.executable, "-m", "onlooker", "serve", "--json", "--log", "json", "--port", port, *words]
    process = subprocess.Popen(
        [str(w) for w in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    out, log = process.stdout, process.stderr
    assert out is not None
    assert log is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(log.readline, "")), daemon=True)
    reader.start()
    try:
        first = out.readline()
        assert first, lines
        yield process, json.loads(first), lines
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        out.close()
        log.close()


def until(holds, seconds: float = 60.0):
    limit = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < limit
        time.sleep(0.1)
    return found


def test_first_start_link_login_and_graceful_end(folder):
    with serving("--library", folder) as (process, told, lines):
        link = told["link"]
        assert link.startswith(told["address"] + "/#link=")
        assert told["address"].startswith("http://127.0.0.1:")
        with Client(told["address"]) as client:
            me = client.use_link(link.split("=", 1)[1], PASSWORD)
            assert me.user == "admin"
            ends: list[object] = []
            asked: list[None] = []
            # asked once before the stream is opened, and again when it has begun
            stream = client.stream(reconnect=False, stop=lambda: bool(asked.append(None)))
            waiting = threading.Thread(target=lambda: ends.extend(stream))
            waiting.start()
            until(lambda: len(asked) > 1 and any('"/api/v1/link"' in line for line in lines))
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, "an open stream does not hold it up"
            waiting.join(10)
            assert not waiting.is_alive()
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(json.loads(line))
    assert oct(os.stat(folder / "server.sqlite").st_mode & 0o777) == "0o600"
    secret = link.split("=", 1)[1]
    assert secret not in "".join(lines)
    assert PASSWORD not in "".join(lines)
    with serving("--library", folder) as (_, told, _):
        assert told["link"] is None, "only until a password is set"


def test_killed_at_any_moment_it_comes_back_with_what_it_had(folder, data):
    """kill -9 while an analysis runs: sessions, tokens and passwords are good, the job is interrupted and can go on."""
    onlooker("users", "add", "ann", "--role", "admin", "--library", folder)
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/x.mp4"
    options = ("--library", folder, "--allow-private-sources")
    with serving(*options) as (process, told, _):
        port = int(told["address"].rsplit(":", 1)[1])
        client = Client(told["address"])
        client.use_link(told["link"].split("=", 1)[1], PASSWORD)
        token = onlooker("users", "token", "ann", "--role", "operator", "--library", folder).strip()
        with Client(told["address"], token=token) as other:
            running = other.start_job(addresses=[address], only=["shots"])
            waiting = other.start_job(addresses=[address], only=["shots"])
            until(lambda: other.job(running.id).state == "running")
            children = until(lambda: _children(process.pid))
            process.kill()
            process.wait()
    silent.close()
    until(lambda: not any(_alive(c) for c in children))
    with serving(*options, port=port) as (_, told, _):
        assert told["link"] is None
        assert client.me().user == "ann", "the session goes on"
        client.close()
        with Client(told["address"], token=token) as other:
            stopped = other.job(running.id)
            assert (stopped.state, bool(stopped.error)) == ("interrupted", True)
            until(lambda: other.job(waiting.id).over)
            assert other.job(waiting.id).state == "failed", "what waited was run, and nothing answers there any more"
            onlooker("users", "revoke", token.split("_")[1], "--library", folder)
            with pytest.raises(UsageError):
                other.jobs()


def _children(parent: int) -> list[int]:
    """Processes whose parent it is, from /proc."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    if int(stat.read().rsplit(")", 1)[1].split()[1]) == parent:
                        found.append(int(name))
            except OSError:
                continue
    return found


def _alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_cameras_are_watched_and_the_configuration_is_read_again(tmp_path, data):
    clip = data("mot_pets09_s2l1/video.mp4")
    (tmp_path / "light.yaml").write_text("name: light\nquality: fast\nanalyzers:\n  motion: {}\n")
    config = tmp_path / "watch.yaml"
    head = "version: 1\nlibrary: lib\nprofile: light.yaml\ncameras:\n"
    line = "  {}: {{url: {}, loop: true, rate: 2}}\n"
    config.write_text(head + line.format("front", clip))
    with serving("--config", config) as (process, told, lines):
        onlooker("users", "add", "ann", "--library", tmp_path / "lib")
        token = onlooker("users", "token", "ann", "--library", tmp_path / "lib").strip()
        with Client(told["address"], token=token) as client:

            def states():
                return {c.name: c.condition for c in client.cameras() if c.watched}

            until(lambda: states() == {"front": "watching"})
            since = client.cameras()[0].since
            config.write_text(head + line.format("front", clip) + line.format("yard", clip))
            process.send_signal(signal.SIGHUP)
            until(lambda: states() == {"front": "watching", "yard": "watching"})
            assert client.cameras()[0].since == since, "the camera that was left as it is goes on"
            config.write_text(head + "  front: {url: ''}\n")
            process.send_signal(signal.SIGHUP)
            until(lambda: any("was not read again" in text for text in lines))
            assert set(states()) == {"front", "yard"}
        process.send_signal(signal.SIGINT)
        assert process.wait(40) in (0, 130)


def test_users_by_command(folder):
    onlooker("users", "add", "admin", "--role", "admin", "--library", folder)
    door = ("--camera", "front", "--zone", "door")
    made = json.loads(onlooker("users", "add", "bob", *door, "--library", folder, "--json"))
    assert made["roles"] == [{"camera": "front", "role": "viewer", "zones": ["door"]}]
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/#link=[\w-]{43}", made["link"])
    onlooker("users", "role", "bob", "--role", "operator", "--camera", "yard", "--library", folder)
    token = json.loads(onlooker("users", "token", "bob", "--expires", "12h", "--library", folder, "--json"))
    assert 43_000 < token["expires"] - token["created"] < 43_300
    listed = onlooker("users", "list", "--library", folder)
    assert "bob: operator on yard; no password yet" in listed
    assert token["token"] not in listed
    assert "good" in listed
    assert "#link=" in onlooker("users", "reset-link", "bob", "--url", "https://cams", "--library", folder)
    assert "1 tokens" in onlooker("users", "revoke", "bob", "--library", folder)
    onlooker("users", "remove", "bob", "--library", folder)
    said = onlooker("users", "remove", "admin", "--library", folder, expect=1)
    assert "nobody would be left" in said
    for words, said in (
        (("add", "x y"), "not a user's name"),
        (("add", "eve", "--role", "king"), "no role is called"),
        (("add", "eve", "--zone", "door"), "--zone needs --camera"),
        (("role", "nobody", "--role", "viewer"), "no user is called"),
        (("token", "admin", "--expires", "soon"), "soon"),
    ):
        assert said in onlooker("users", *words, "--library", folder, expect=1)


def test_what_cannot_be_served_is_told_in_one_line(tmp_path, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = onlooker("serve", "--library", folder, "--port", taken.getsockname()[1], expect=1)
    assert "cannot listen on 127.0.0.1" in said
    assert "go together" in onlooker("serve", "--library", folder, "--tls-cert", "x.pem", expect=1)
    assert "expected text or json" in onlooker("serve", "--library", folder, "--log", "xml", expect=1)


def test_it_warns_where_passwords_could_be_read_on_the_way(folder):
    with serving("--library", folder, "--host", "0.0.0.0") as (_, told, lines):
        assert httpx.get(f"{told['address']}/health").status_code == 200
        until(lambda: any("without TLS" in text for text in lines))


def test_traces_go_to_a_collector_where_one_is_named(folder):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    got = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever, daemon=True)
    thread.start()
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    try:
        with serving("--library", folder, environment=environment) as (_, told, _):
            httpx.get(f"{told['address']}/api/v1/sources?text=privatewords")
            found = until(lambda: [body for path, body in got if path == "/v1/traces" and b"sources" in body])
    finally:
        collector.shutdown()
        collector.server_close()
        thread.join()
    assert b"GET /api/v1/sources" in found[0]
    assert b"privatewords" not in b"".join(body for _, body in got)


def test_help_loads_no_server():
    code = (
        "import sys; from onlooker.cli.main import main\n"
        "try:\n  main(['{}', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('fastapi', 'uvicorn', 'argon2', 'httpx', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    for name in ("serve", "users"):
        done = subprocess.run([sys.executable, "-c", code.format(name)], capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]", done.stderr
