"""Analyses: started, followed, cancelled; and the addresses that nobody may make this server open."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from api.conftest import FRONT, YARD
from api.served import serving
from onlooker.client.sse import messages


@pytest.fixture
def fresh(folder):
    with serving(folder) as running:
        running.user("admin", ("*", "admin"))
        running.user("operator", ("*", "operator"), password=None)
        running.user("viewer", ("*", "viewer"), password=None)
        yield running


def wait(client, job, seconds=60):
    """The job once it has ended."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = client.get(f"/api/v1/jobs/{job}").json()
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


@contextlib.contextmanager
def answering(handler):
    """The port of a web server on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def clip_of(client, name="overhead"):
    return next(s for s in client.get("/api/v1/sources").json()["sources"] if name in s["path"])


def test_a_known_source_is_analysed_anew_and_followed_to_its_end(fresh):
    client = fresh.of("operator")
    source = clip_of(client)
    body = {"sources": [source["id"]], "only": ["duplicates"]}
    started = client.post("/api/v1/jobs", json=body)
    assert (started.status_code, started.json()["owner"]) == (202, "operator")
    job, states = started.json()["id"], []
    with client.stream("GET", f"/api/v1/jobs/{job}/progress", timeout=60) as answer:
        for told in messages(answer.iter_lines()):
            states.append(json.loads(told.data)["state"])
    assert states[-1] == "done"
    found = client.get(f"/api/v1/jobs/{job}").json()
    assert found["result"]["sources"][0]["source"] == source["id"]
    assert found["result"]["exit_code"] == 0
    assert "duplicates" in clip_of(client)["analyzers"]
    assert client.get("/api/v1/jobs").json()["jobs"][0]["id"] == job
    assert client.delete(f"/api/v1/jobs/{job}").status_code == 409


def test_files_of_the_given_folders_alone_may_be_named(folder, data, tmp_path):
    allowed = tmp_path / "videos"
    allowed.mkdir()
    clip = allowed / "clip.mp4"
    os.link(data("clips/carphone.mp4"), clip) if os.stat(data("clips/carphone.mp4")).st_dev == os.stat(
        allowed
    ).st_dev else clip.write_bytes(data("clips/carphone.mp4").read_bytes())
    (allowed / "link.mp4").symlink_to(data("clips/traffic_car_overhead.mp4"))
    with serving(folder, files=(allowed,)) as running:
        running.user("operator", ("*", "operator"), password=None)
        client = running.of("operator")
        job = client.post("/api/v1/jobs", json={"addresses": [str(clip)], "only": ["shots"]})
        assert job.status_code == 202, job.text
        assert wait(client, job.json()["id"])["state"] == "done"
        outside = [
            str(allowed / "link.mp4"),
            str(data("clips/traffic_car_overhead.mp4")),
            str(allowed / ".." / "lib" / "server.sqlite"),
            "/etc/passwd",
            "/dev/video0",
            "clip.mp4",
            str(allowed / "%d.png"),
        ]
        for path in outside:
            answer = client.post("/api/v1/jobs", json={"addresses": [path]})
            assert answer.status_code in (400, 403), path
        missing = client.post("/api/v1/jobs", json={"addresses": [str(allowed / "none.mp4")]})
        assert missing.status_code == 400


FORBIDDEN = [
    "http://127.0.0.1/x.mp4",
    "http://localhost/x.mp4",
    "http://LOCALHOST./x.mp4",
    "http://2130706433/x.mp4",
    "http://0x7f000001/x.mp4",
    "http://0177.0.0.1/x.mp4",
    "http://127.1/x.mp4",
    "http://0/x.mp4",
    "http://[::1]/x.mp4",
    "http://[::]/x.mp4",
    "http://[::ffff:127.0.0.1]/x.mp4",
    "http://[::ffff:7f00:1]/x.mp4",
    "http://[64:ff9b::7f00:1]/x.mp4",
    "http://[2002:7f00:1::]/x.mp4",
    "http://[::127.0.0.1]/x.mp4",
    "http://[fe80::1]/x.mp4",
    "http://[fd00::1]/x.mp4",
    "http://10.0.0.1/x.mp4",
    "http://172.16.0.1/x.mp4",
    "http://192.168.1.1/x.mp4",
    "http://100.64.0.1/x.mp4",
    "http://169.254.169.254/latest/meta-data/",
    "http://224.0.0.1/x.mp4",
    "http://1.1.1.1@127.0.0.1/x.mp4",
    "http://127.0.0.1#@1.1.1.1/x.mp4",
    "http://127.0.0.1\\@1.1.1.1/x.mp4",
    "rtsp://127.0.0.1:8554/cam",
    "rtsp://user:password@192.168.1.1/cam",
    "RTSP://127.0.0.1/cam",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "concat:/etc/passwd|/etc/hosts",
    "subfile,,start,0,end,0,,:/etc/passwd",
    "data:video/mp4;base64,AAAA",
    "gopher://127.0.0.1:25/x",
    "ftp://127.0.0.1/x",
    "tcp://127.0.0.1:22",
    "udp://0.0.0.0:1234",
    "unix:///var/run/docker.sock",
    "pipe:0",
    "async:file:/etc/passwd",
    "http:///x.mp4",
    "http://",
    "://x",
    "http://127.0.0.1:99999999/x",
    "http://[::1/x",
    "webcam:0",
    "-i",
    "\thttp://127.0.0.1/",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_address_leads_into_this_machine_or_its_networks(served, address):
    answer = served.of("operator").post("/api/v1/jobs", json={"addresses": [address]})
    assert answer.status_code in (400, 403), answer.text
    assert "password@" not in answer.text


def test_a_name_that_leads_to_loopback_is_refused(served, monkeypatch):
    """Whatever the name is: what it resolves to decides, all of it."""
    real = socket.getaddrinfo

    def resolved(host, *rest, **more):
        if host == "camera.example":
            public = real("1.1.1.1", *rest, **more)
            return public + real("127.0.0.1", *rest, **more)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    for scheme in ("http", "rtsp"):
        answer = served.of("operator").post("/api/v1/jobs", json={"addresses": [f"{scheme}://camera.example/x"]})
        assert (answer.status_code, answer.json()["type"]) == (403, "ForbiddenAddress")


@pytest.fixture
def web(data):
    """A web server that gives clips, and redirects to whatever it is told."""
    asked, folder = [], data("clips")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to/"))
                self.end_headers()
                return
            path = folder / self.path.partition("?")[0].lstrip("/")
            whole = path.read_bytes()
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            part = whole[int(first) : int(last) + 1 if last else None]
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(part)

        def log_message(self, *_):
            pass

    with answering(Handler) as port:
        yield SimpleNamespace(server_port=port, asked=asked)


def test_redirects_go_nowhere_else(folder, web):
    """The source is allowed as private here; where it redirects to is another host of this machine, and is not."""
    secret = []

    class Inner(BaseHTTPRequestHandler):
        def do_GET(self):
            secret.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with answering(Inner) as port, serving(folder, private_sources=True) as running:
        base, hidden = f"http://127.0.0.1:{web.server_port}", f"http://127.0.0.1:{port}/secret"
        running.user("operator", ("*", "operator"), password=None)
        client = running.of("operator")
        targets = [hidden, "file:///etc/passwd", hidden.replace("127.0.0.1", "[::ffff:127.0.0.1]")]
        body = {"addresses": [f"{base}/to/{t}" for t in targets], "only": ["shots"]}
        job = client.post("/api/v1/jobs", json=body).json()["id"]
        ended = wait(client, job)
    assert ended["state"] == "failed"
    assert len(web.asked) == len(targets)
    assert secret == []
    messages_ = [f["message"] for s in ended["result"]["sources"] for f in s["failures"]]
    assert all("refused" in m or "not allowed" in m for m in messages_), messages_


def test_a_web_address_is_analysed_where_it_is_allowed(folder, web):
    with serving(folder, private_sources=True) as running:
        running.user("operator", ("*", "operator"), password=None)
        client = running.of("operator")
        address = f"http://me:hidden@127.0.0.1:{web.server_port}/carphone.mp4?key=hidden"
        job = client.post("/api/v1/jobs", json={"addresses": [address], "only": ["shots"]}).json()
        ended = wait(client, job["id"])
        assert ended["state"] == "done", json.dumps(ended)
        assert "hidden" not in json.dumps(ended)
        assert b"hidden" not in (folder / "server.sqlite").read_bytes()


def test_what_the_body_may_name_is_bounded(served):
    client = served.of("operator")
    assert client.post("/api/v1/jobs", json={}).status_code == 400
    for profile in ("/etc/passwd", "../profiles/default.yaml", "nothing"):
        answer = client.post("/api/v1/jobs", json={"sources": [FRONT], "profile": profile})
        assert answer.status_code in (400, 422)
    assert client.post("/api/v1/jobs", json={"sources": [FRONT], "only": ["nothing"]}).status_code == 400
    assert client.post("/api/v1/jobs", json={"sources": [FRONT]}).status_code == 400, "a camera"
    assert client.post("/api/v1/jobs", json={"sources": [FRONT], "settings": {"x": 1}}).status_code == 422
    yard = served.of("yard")
    assert yard.post("/api/v1/jobs", json={"addresses": ["http://1.1.1.1/x.mp4"]}).status_code == 403
    assert yard.post("/api/v1/jobs", json={"sources": [FRONT]}).status_code == 404
    assert yard.post("/api/v1/jobs", json={"sources": [YARD]}).status_code == 400


@contextlib.contextmanager
def endless():
    """The address of a video that never ends."""
    over, frame = threading.Event(), b"FRAME\n" + bytes(64 * 48 * 3 // 2)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n" + 50 * frame)
                while not over.wait(0.04):
                    self.wfile.write(frame)

        def log_message(self, format, *args):
            pass

    with answering(Answer) as port:
        try:
            yield f"http://127.0.0.1:{port}/x.y4m"
        finally:
            over.set()


def test_a_job_is_cancelled_whether_it_waits_or_runs(folder, tmp_path):
    """The second waits for the first, which lasts as long as the server does."""
    with serving(folder, private_sources=True) as running:
        running.user("operator", ("*", "operator"), password=None)
        client = running.of("operator")
        with endless() as address:
            first, second = (
                client.post("/api/v1/jobs", json={"addresses": [address], "only": ["shots"]}).json()["id"]
                for _ in range(2)
            )
            assert client.delete(f"/api/v1/jobs/{second}").status_code == 200
            assert client.get(f"/api/v1/jobs/{second}").json()["state"] == "cancelled"
            while (found := client.get(f"/api/v1/jobs/{first}").json())["state"] == "queued":
                time.sleep(0.05)
            assert found["state"] == "running", found
            assert client.delete(f"/api/v1/jobs/{first}").status_code == 200, client.get(f"/api/v1/jobs/{first}").text
            assert wait(client, first)["state"] == "cancelled"
