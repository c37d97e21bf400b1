"""What an attacker would try on the wire: other hosts, oversized and malformed bodies, clients that say nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import ssl
import time

import httpx
import pytest

from api.served import PASSWORD, serving
from onlooker.api.middleware import _HEADERS


@pytest.fixture(scope="module")
def quick(master, tmp_path_factory):
    """A server whose patience is short."""
    import shutil

    own = shutil.copytree(master, tmp_path_factory.mktemp("quick") / "lib")
    with serving(own, head_seconds=0.6, body_seconds=0.6, stall_seconds=0.6, hosts=("cameras.example",)) as running:
        running.user("admin", ("*", "admin"))
        yield running


def wired(served, *parts: bytes, apart: float = 0.0, wait: float = 8.0) -> bytes:
    """What the server answers to bytes as they are, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=wait) as connection:
        for part in parts:
            with contextlib.suppress(OSError):  # it may have closed already, which is right
                connection.sendall(part)
            time.sleep(apart)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def until(holds, seconds: float = 30.0) -> None:
    """Wait for something that must come to hold."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)


def status(answer: bytes) -> int | None:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else None


# -- hosts, headers --


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost@evil"]
)
def test_a_foreign_name_is_not_answered(served, host):
    """A page whose name an attacker lets point here (DNS rebinding) gets nothing."""
    answer = httpx.get(f"{served.url}/health", headers={"Host": host})
    assert answer.status_code in (400, 421)


def test_own_names_are_answered(quick):
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8080", "cameras.example"):
        assert httpx.get(f"{quick.url}/health", headers={"Host": host}).status_code == 200


def test_two_hosts_or_none_are_refused(served):
    assert status(
        wired(served, b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n")
    ) in (400, 421)
    assert status(wired(served, b"GET /health HTTP/1.0\r\n\r\n")) in (400, 421)


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/sources", "/api/v1/nothing", "/static/page.js"])
def test_every_answer_has_the_headers_that_keep_pages_safe(served, path):
    answer = served.as_token().get(path)
    for name, value in _HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "server" not in answer.headers
    assert answer.headers["cache-control"] in ("no-store", "no-cache")
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_has_no_inline_script_or_style(served):
    page = served.as_token().get("/").text
    assert '<script type="module" src=' in page
    assert all(part not in page for part in ("<style", " style=", "onclick", "javascript:"))
    script = served.as_token().get("/static/page.js").text
    assert all(part not in script for part in ("innerHTML", "insertAdjacentHTML", "document.write", "eval("))


def test_preflights_of_other_sites_are_not_allowed(served):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = served.as_token().options("/api/v1/login", headers=headers)
    assert answer.status_code == 405
    assert not [h for h in answer.headers if h.startswith("access-control")]


# -- bodies --


def test_a_body_that_is_too_large_is_not_read(served):
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert status(wired(served, head + b"Content-Length: 99999999999\r\n\r\n{")) == 413
    assert status(wired(served, head + b"Content-Length: 99999999999999999999999999\r\n\r\n{")) in (400, 413)
    chunk = b"%x\r\n%s\r\n" % (1 << 16, b"x" * (1 << 16))
    many = wired(served, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40)
    assert status(many) == 413, "a length that nobody declared is counted"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"user": "x"}',
        b'{"user": ["x"], "password": 7}',
        b'{"user": "x", "password": "y", "role": "admin"}',
        b'{"user": "\\ud800", "password": "y"}',
        b'{"user": "x\\u0000", "password": "y"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"user": "' + b"x" * 900_000 + b'", "password": "y"}',
        b'{"user": 1e999999, "password": NaN}',
    ],
    ids=range(15),
)
def test_a_malformed_body_is_refused(served, body):
    answer = served.as_token().post("/api/v1/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 401, 422, 429)
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_not_json_is_not_taken_for_it(served):
    """A page of another site can send forms and plain text without being asked whether it may."""
    client, body = served.as_token(), json.dumps({"user": "admin", "password": PASSWORD})
    assert client.post("/api/v1/login", data={"user": "admin", "password": PASSWORD}).status_code == 422
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = client.post("/api/v1/login", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, "set-cookie" in answer.headers) in ((422, False), (400, False)), kind


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=range(10),
)
def test_malformed_requests_are_refused_and_the_server_goes_on(quick, head):
    answer = wired(quick, head)
    assert status(answer) in (None, 400, 404, 405, 421, 501), answer[:200]
    assert httpx.get(f"{quick.url}/health").status_code == 200


def test_a_second_request_cannot_be_smuggled_in(quick):
    """Content-Length and Transfer-Encoding that disagree: one answer at most, and the connection ends."""
    smuggled = (
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    answer = wired(quick, smuggled)
    assert (status(answer), answer.count(b"HTTP/1.1 ")) == (400, 1)


# -- slow clients --


def test_a_head_that_comes_by_drops_is_cut_off(quick):
    """Slowloris: a header now and then, never an end."""
    begun = time.monotonic()
    drops = [b"GET /health HTTP/1.1\r\nHost: localhost\r\n"] + [b"X-a: b\r\n"] * 12
    assert wired(quick, *drops, apart=0.1) == b""
    assert time.monotonic() - begun < 8
    assert wired(quick) == b"", "and who says nothing at all"


def test_a_second_head_on_a_kept_connection_is_cut_off_too(quick):
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = wired(quick, whole, b"GET /health HTTP/1.1\r\n", *[b"X: y\r\n"] * 12, apart=0.1)
    assert answer.count(b"HTTP/1.1 200") == 1


def test_a_body_that_comes_by_drops_is_cut_off(quick):
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    assert status(wired(quick, head, *[b"{"] * 15, apart=0.1)) == 408


def test_many_slow_clients_do_not_keep_others_out(quick):
    with contextlib.ExitStack() as held:
        for _ in range(150):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", quick.port)))
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert httpx.get(f"{quick.url}/health", timeout=10).status_code == 200


def test_a_reader_that_takes_nothing_is_cut_off(quick):
    """The answer is larger than what the system buffers; who does not read it must not hold it for ever."""
    folder = quick.context.folder / "media" / ("f" * 32)
    (folder / "large").write_bytes(b"x" * (64 << 20))
    head = f"GET /api/v1/files/media/{'f' * 32}/large HTTP/1.1\r\nHost: localhost\r\n"
    request = f"{head}Authorization: Bearer {quick.token('admin')}\r\n\r\n"
    connections = quick.server.server_state.connections
    with socket.create_connection(("127.0.0.1", quick.port)) as connection:
        connection.sendall(request.encode())
        until(lambda: len(connections) > 0)
        until(lambda: len(connections) == 0)


# -- logs, TLS, descriptions --


def test_no_secret_reaches_the_log(served, caplog):
    with caplog.at_level(logging.DEBUG):
        client = served.logged_in("admin")
        token = served.token("admin")
        served.as_token(token).get("/api/v1/search", params={"text": "privatewords"})
        client.post("/api/v1/jobs", json={"addresses": ["rtsp://me:camera-password@10.0.0.5/1"]})
        served.as_token().post("/api/v1/login", json={"user": "x", "password": "guessed guessed"})

        def said() -> str:
            return "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith(("http", "asyncio")))

        until(lambda: "POST /api/v1/login 401" in said())
    for secret in (PASSWORD, token, "privatewords", "camera-password", "guessed guessed", client.cookies["onlooker"]):
        assert secret not in said()


def test_over_tls_cookies_are_for_tls_alone(folder, tmp_path):
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with serving(folder, keys=(certificate, private), tls=True) as running:
        running.user("admin", ("*", "admin"))
        trusted = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=running.url, verify=trusted) as client:
            answer = client.post("/api/v1/login", json={"user": "admin", "password": PASSWORD})
            assert answer.headers["set-cookie"].startswith("__Host-onlooker=")
            assert "Secure" in answer.headers["set-cookie"]
            assert "max-age" in answer.headers["strict-transport-security"]
            assert client.get("/api/v1/me").json()["user"] == "admin"
        running.server.reload_tls()
        assert httpx.get(f"{running.url}/health", verify=trusted).status_code == 200


def test_the_description_tells_how_to_log_in_and_what_errors_are(served):
    told = json.loads(served.as_token().get("/api/openapi.json").content)
    assert told["paths"]["/api/v1/login"]["post"]["security"] == []
    assert {"token": []} in told["security"]
    assert "HTTPValidationError" not in json.dumps(told)
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            assert "application/problem+json" in route["responses"]["422"]["content"], (method, path)
