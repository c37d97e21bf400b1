"""Cameras that are web addresses."""

from __future__ import annotations

import base64
import hashlib
import re
import threading

import numpy as np
import pytest

from live.receiving import Running, linked, until
from live.web_cameras import hls, mjpeg, send, serving


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_a_live_playlist(walk):
    with serving(hls(walk)) as address, Running(address + "/live.m3u8", stall=5.0) as (link, taker):
        until(lambda: len(taker.frames) > 45)
        assert link.condition == "watching"
    assert np.all(np.diff(taker.frames) > 0)
    assert taker.newest.width == 320


def test_pictures_without_times(walk):
    with serving(mjpeg(walk)) as address, Running(address + "/video") as (link, taker):
        until(lambda: len(taker.frames) > 40)
        assert link.condition == "watching"
        assert 0 <= link.clock.now() - taker.frames[-1] < 5e9
    steps = np.diff(taker.frames) / 1e9
    assert np.all(steps > 0)
    assert 0.02 < np.median(steps[5:]) < 0.15


def test_a_file_of_the_web_is_played_at_its_own_speed(walk):
    with serving(lambda h: send(h, walk.read_bytes(), "video/mp4")) as address:
        link, taker = linked(address + "/walk.mp4")
        link.start()
        assert link.wait(30)
    assert taker.conditions[-1][:2] == ("stopped", "ended")
    assert len(taker.frames) == 40
    assert taker.frames[-1] - taker.frames[0] > 1.8e9


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
def test_a_web_camera_asks_for_a_password_and_ends_now_and_then(walk, kind):
    challenge = f'{kind} realm="camera"' + (', nonce="0123456789abcdef"' if kind == "Digest" else "")
    pictures = mjpeg(walk, count=10)

    def answer(handler):
        given = handler.headers.get("Authorization", "")
        right = given == "Basic " + base64.b64encode(b"me:s3cret").decode()
        if kind == "Digest":
            fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
            wanted = md5(f"{md5('me:camera:s3cret')}:0123456789abcdef:{md5('GET:/video')}")
            right = given.startswith("Digest ") and fields.get("response") == wanted
        if right:
            pictures(handler)
        else:
            send(handler, b"who are you?", "text/plain", 401, WWW_Authenticate=challenge)

    with serving(answer) as address:
        with Running(address.replace("://", "://me:s3cret@") + "/video") as (link, taker):
            until(lambda: taker.said("blind", "closed"))
            before = len(taker.frames)
            until(lambda: len(taker.frames) > before + 3)
        assert "s3cret" not in link.message
        for login in ("", "me:wrong@"):
            stranger, unheard = linked(address.replace("://", f"://{login}") + "/video")
            stranger.start()
            until(lambda unheard=unheard: unheard.said("blind", "refused"))
            stranger.stop()
            assert not unheard.frames


def test_a_playlist_may_not_lead_elsewhere():
    asked = threading.Event()

    def elsewhere(handler):
        asked.set()
        send(handler, b"", "video/mp2t")

    with serving(elsewhere) as inside:
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:1,\n{inside}/1.ts\n"
        with serving(lambda h: send(h, text.encode(), "application/vnd.apple.mpegurl")) as address:
            link, taker = linked(address + "/live.m3u8")
            link.start()
            until(lambda: taker.said("blind", "forbidden"))
            link.stop()
    assert not asked.is_set()
    assert not taker.frames
