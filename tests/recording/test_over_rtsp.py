"""A real camera connection: what arrives over RTSP is in the files, over a lost connection too."""

from __future__ import annotations

import itertools
import time

import pytest

from onlooker.live.link import Link
from onlooker.live.settings import LinkSettings
from onlooker.recording import Feed, Recorder, Recordings, RecordSettings
from onlooker.sources.policy import AddressPolicy
from onlooker.testing.rtsp import RtspServer
from recording.camera import digests, pictures
from recording.conftest import until


class Nobody:
    """Takes pictures that are not decoded."""

    def frame(self, frame):
        pass

    def sound(self, block):
        pass

    def condition(self, condition, reason, at):
        pass


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_what_a_camera_sends_is_recorded_and_shown(tmp_path, data, transport):
    clip = data("clips/traffic_car_overhead.mp4")
    zero = time.time()
    recorder = Recorder(tmp_path, "yard", "a" * 32, RecordSettings(mode="continuous", file=2), zero)
    feed = Feed()
    policy = AddressPolicy()
    with RtspServer({"yard": clip}) as server, Recordings(tmp_path) as recordings:
        settings = LinkSettings(server.url("yard"), transport=transport, decode=False, first_wait=0.1, most_wait=0.2)
        link = Link("yard", settings, policy, zero, [recorder, feed], Nobody())
        link.start()
        try:
            viewer = feed.subscribe(wait=20)
            until(lambda: sum(s.end - s.start for s in recordings.segments()) > 3_000_000_000)
            server.refuse()
            until(lambda: viewer.closed)
            time.sleep(0.3)
            server.accept()
            until(lambda: len(recordings.spans("yard")) > 1)
            assert viewer.closed == "ended"
            assert feed.subscribe(wait=20).codecs == viewer.codecs == "avc1.428016,mp4a.40.2"
        finally:
            link.stop(10)
            recorder.close()
        sent = digests(clip)
        segments = recordings.segments()
        assert "closed" in [g.reason for g in recordings.gaps("yard", 0, segments[-1].end)]
        first = [s for s in segments if s.end <= recordings.spans("yard")[0][1]]
        shown = [d for s in first for d in digests(tmp_path / s.path)]
        start = sent.index(shown[0])
        assert shown == sent[start : start + len(shown)]
        assert len(shown) > 30
        joined = pictures(recordings.export("yard", 0, segments[-1].end, tmp_path / "out.mp4"))
        assert [d for _, d in joined[: len(shown)]] == shown
        times = [t for t, _ in joined[: len(shown)]]
        assert all(abs(b - a - 0.08) < 0.002 for a, b in itertools.pairwise(times))
