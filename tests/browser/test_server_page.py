"""The server's status page in a real browser: one-time link, cameras, live view, events; nothing from outside runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from api.served import serving
from onlooker.api.app import watching
from onlooker.core.event import Event, event_id
from onlooker.testing.rtsp import RtspServer

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def watched(data, tmp_path):
    """A server that watches one camera, on a fresh library."""
    (tmp_path / "light.yaml").write_text("name: light\nquality: fast\nanalyzers:\n  motion: {}\n")
    config = tmp_path / "watch.yaml"
    with RtspServer({"front": data("mot_pets09_s2l1/video.mp4")}) as camera:
        url = camera.url("front")
        config.write_text(
            f"version: 1\nlibrary: lib\nprofile: light.yaml\ncameras:\n  front: {{url: '{url}', rate: 2}}\n"
        )
        with watching(config) as station, serving(station.folder, station, config) as running:
            yield running


def until(page, expression: str, seconds: float = 60.0) -> None:
    """The page's policy forbids what playwright waits with."""
    limit = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < limit, expression
        page.wait_for_timeout(100)


def test_from_the_link_to_the_live_view(chromium, watched):
    trouble: list[str] = []
    page = chromium.new_context().new_page()
    page.on("console", lambda said: trouble.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    name, secret = watched.context.accounts.first()
    page.goto(f"{watched.url}/#link={secret}")
    page.fill("#link [name=password]", "correct horse battery")
    page.click("#link button")
    page.wait_for_selector(".camera .state.watching", timeout=60_000)
    assert page.url == f"{watched.url}/", "the secret does not stay in the address"
    assert name in page.inner_text("#who")
    until(page, "document.querySelector('.camera img').naturalWidth > 0")

    source = watched.context.station.status()[0].source
    event = Event(
        event_id("door", source, 1, ""),
        HOSTILE,
        source,
        "front",
        "new",
        10**9,
        None,
        "high",
        label=HOSTILE,
        wall=datetime.now(UTC),
    )
    watched.context.journal.take(event)
    page.wait_for_selector("#events li", timeout=30_000)
    assert HOSTILE in page.inner_text("#events li"), "shown as text"
    page.click("#events li button:has-text('Acknowledge')")
    page.wait_for_selector("#events li button:has-text('Seen')")

    page.click(".camera button")
    until(page, "document.querySelector('#viewer video')?.currentTime > 0.5")
    page.click("#viewer form button")
    page.click("#logout")
    page.wait_for_selector("#login")
    assert watched.as_token().get("/api/v1/me").status_code == 401
    assert [t for t in trouble if "401" not in t] == []
    page.context.close()
