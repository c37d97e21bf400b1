"""The client against a running server: errors, pages, streams over lost connections, downloads that resume."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import httpx
import pytest

from api.conftest import FRONT, YARD, folder, master, quick_hashes, served
from api.routes import events_of
from api.served import PASSWORD, serving
from onlooker.client import (
    ApiError,
    Client,
    NotAllowed,
    NotFound,
    NotLoggedIn,
    ServerUnreachable,
    TooManyRequests,
)
from onlooker.client.transport import Transport
from onlooker.core.errors import OnlookerError, SourceError, UsageError
from onlooker.events import Journal

__all__ = ["folder", "master", "quick_hashes", "served"]


@pytest.fixture
def client(served):
    with Client(served.url, token=served.token("admin")) as made:
        yield made


def test_sources_observations_and_search_are_typed(client):
    sources = {s.path: s for s in client.sources()}
    assert (sources["front"].live, sources["front"].begins.year) == (True, 2026)
    assert client.source(FRONT).counts["object"] == 2
    observations = list(client.observations(source=FRONT, kind=["object", "text"], page=1))
    assert [o.kind for o in observations] == ["object", "text", "object"]
    assert observations[0].box == [0.1, 0.5, 0.2, 0.9]
    assert len(list(client.observations(source=FRONT, limit=2, page=1))) == 2
    assert client.observation(observations[0].id) == observations[0]
    (hit,) = client.search("secret", source=YARD, meaning=False)
    assert (hit.text, hit.score_search > 0) == ("secret of yard", True)


def test_errors_are_of_the_one_tree(served, client):
    with pytest.raises(NotFound) as missing:
        client.source("0" * 32)
    assert isinstance(missing.value, UsageError)
    assert (missing.value.status, missing.value.problem["title"]) == (404, "Not found")
    with Client(served.url, token="olk_0_0") as nobody, pytest.raises(NotLoggedIn):
        nobody.sources()
    with Client(served.url, token=served.token("front")) as front, pytest.raises(NotAllowed, match="operator"):
        front.start_job(addresses=["http://1.1.1.1/"])
    with pytest.raises(ApiError, match=r"query\.limit"):
        client.search("x", limit=0)
    with Client("http://127.0.0.1:9", timeout=2) as gone, pytest.raises(ServerUnreachable) as lost:
        gone.sources()
    assert isinstance(lost.value, SourceError)
    assert isinstance(lost.value, OnlookerError)


def test_a_session_logs_in_acts_and_logs_out(folder):
    with serving(folder) as running, Client(running.url) as session:
        running.user("admin", ("*", "admin"))
        assert session.login("admin", PASSWORD).roles[0]["role"] == "admin"
        (identity, _) = events_of(running, FRONT, "front")
        seen = session.acknowledge(identity, "seen").acknowledged
        assert (seen or {})["by"] == "admin"
        assert session.feedback(identity, "wrong").feedback[0]["verdict"] == "wrong"
        assert [e.id for e in session.events(acknowledged=True)] == [identity]
        assert [e.number for e in session.events(limit=1)] == [0]
        session.logout()
        with pytest.raises(NotLoggedIn):
            session.me()
        for _ in range(5):
            with pytest.raises(NotLoggedIn):
                session.login("admin", "wrong")
        with pytest.raises(TooManyRequests) as waiting:
            session.login("admin", PASSWORD)
        assert waiting.value.retry_after > 60


def test_a_stream_goes_on_over_a_restart_of_the_server_and_tells_each_state_once(folder):
    """What happens while the server is down is told when it is back."""
    got, done = [], threading.Event()
    with serving(folder) as first:
        first.user("admin", ("*", "admin"), password=None)
        token, port = first.token("admin"), first.port
        before = events_of(first, FRONT, "front", 2)
        reader = Client(first.url, token=token)

        def follow():
            for event in reader.stream(after=0):
                got.append((event.id, event.sequence))
                if len(got) == 5:
                    done.set()
                    return

        thread = threading.Thread(target=follow)
        thread.start()
        limit = time.monotonic() + 20
        while len(got) < 2 and time.monotonic() < limit:
            time.sleep(0.05)
        assert [i for i, _ in got] == before
    with Journal.open(folder) as journal:
        nobody_serves = SimpleNamespace(context=SimpleNamespace(folder=folder, journal=journal))
        missed = events_of(nobody_serves, YARD, "yard", 2)
    with serving(folder, port=port) as second:
        later = events_of(second, "d" * 32, "gone", 1)
        assert done.wait(30)
    thread.join(10)
    reader.close()
    assert [i for i, _ in got] == [*before, *missed, *later]
    assert [s for _, s in got] == [1, 2, 3, 4, 5]


def test_a_stream_ends_when_asked_and_when_its_token_is_void(served):
    token = served.token("admin")
    with Client(served.url, token=token) as reader:
        assert list(reader.stream(after=10**6, stop=lambda: True)) == []
        served.context.credentials.revoke(token.split("_")[1])
        with pytest.raises(NotLoggedIn):
            next(reader.stream())


def test_a_download_goes_on_where_it_broke_off(served, client, tmp_path):
    (identity, _) = events_of(served, FRONT, "front")
    path = f"events/{identity}/clip.mp4"
    data = (served.context.folder / path).read_bytes()
    out = tmp_path / "clip.mp4"
    assert client.download(path, out).read_bytes() == data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4"]
    # as a process that was killed in the middle leaves it
    tag = httpx.head(
        f"{served.url}/api/v1/files/{path}", headers={"Authorization": f"Bearer {served.token('admin')}"}
    ).headers["etag"]
    out.with_name("clip.mp4.part").write_bytes(data[:4000])
    out.with_name("clip.mp4.tag").write_text(tag)
    out.unlink()
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        real = Transport.streaming
        patch.setattr(Transport, "streaming", lambda self, p, h: (asked.append(h), real(self, p, h))[1])
        assert client.download(path, out).read_bytes() == data
    assert asked == [{"Range": "bytes=4000-", "If-Range": tag}]
    # one that was changed since is fetched anew
    out.with_name("clip.mp4.part").write_bytes(b"other")
    out.with_name("clip.mp4.tag").write_text('"old"')
    assert client.download(path, out).read_bytes() == data
    with pytest.raises(NotFound):
        client.download("server.sqlite", tmp_path / "stolen")


def test_a_job_is_followed_to_its_end(client):
    source = next(s for s in client.sources() if "carphone" in s.path)
    job = client.start_job(sources=[source.id], only=["duplicates"])
    states = [j.state for j in client.follow_job(job.id)]
    assert states[-1] == "done"
    assert client.job(job.id).over
    assert client.jobs()[0].id == job.id
    with pytest.raises(ApiError):
        client.cancel_job(job.id)
    assert {c.name: c.watched for c in client.cameras()} == {"front": False, "yard": False}


def test_it_imports_nothing_else_of_onlooker():
    import subprocess
    import sys

    code = (
        "import sys, onlooker.client\n"
        "own = {m for m in sys.modules if m.startswith('onlooker.') and not m.startswith('onlooker.client')}\n"
        "print(sorted(own - {'onlooker.core', 'onlooker.core.errors', 'onlooker.library'}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(part in told for part in ("analyzers", "sources", "timeline", "api", "cli")), told
