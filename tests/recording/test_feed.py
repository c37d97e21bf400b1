"""The live view: every viewer gets playable video from a keyframe on, and nobody holds up the camera."""

from __future__ import annotations

import dataclasses
import io
import threading
from fractions import Fraction

import pytest

from onlooker.core.errors import SourceError
from onlooker.core.live import StreamFormat
from onlooker.recording import Feed
from recording.camera import Camera, pictures


def shown(subscription, parts):
    return [d for _, d in pictures(io.BytesIO(subscription.initial + b"".join(parts)))]


@pytest.fixture(scope="module")
def sent(street):
    return street.digests


@pytest.mark.parametrize("low_latency", [True, False])
def test_viewers_come_when_they_like(street, sent, low_latency):
    feed = Feed(low_latency=low_latency)
    feed.begin(street.formats)
    third = len(street.packets) // 3
    for packet in street.packets[:third]:
        feed.packet(packet)
    first = feed.subscribe()
    assert first.codecs == "avc1.428016,mp4a.40.2"
    parts = first.take()
    for packet in street.packets[third : 2 * third]:
        feed.packet(packet)
    second = feed.subscribe()
    assert feed.viewers == 2
    for packet in street.packets[2 * third :]:
        feed.packet(packet)
    feed.lost("closed")
    # to the very last picture, and from a keyframe: 25, 60 and so on pictures before the end
    for viewer, got in ((first, shown(first, parts + first.take())), (second, shown(second, second.take()))):
        assert got == sent[-len(got) :]
        assert viewer.closed == "ended"
        assert viewer.get(0) is None
    with pytest.raises(SourceError, match="no pictures now"):
        feed.subscribe(wait=0)


def test_each_frame_is_there_at_once(street):
    feed = Feed()
    feed.begin(street.formats)
    feed.packet(street.packets[0])
    viewer = feed.subscribe()
    assert len(viewer.take()) == 1
    for packet in street.packets[1:50]:
        feed.packet(packet)
        assert len(viewer.take()) == 1


def test_times_of_pictures_and_sound_are_kept(data):
    camera = Camera(data("clips/tv_whitehouse_performance.mp4"))
    feed = Feed()
    feed.begin(camera.formats)
    first = next(n for n, p in enumerate(camera.packets) if p.stream == 0 and p.keyframe)
    feed.packet(camera.packets[first])
    viewer = feed.subscribe()
    for packet in camera.packets[first + 1 :]:
        feed.packet(packet)
    got = pictures(io.BytesIO(viewer.initial + b"".join(viewer.take())))
    expected = camera.pictures
    assert [d for _, d in got] == [d for _, d in expected]
    assert all(abs(a - b + expected[0][0]) < 1e-3 for (a, _), (b, _) in zip(got, expected, strict=True))


def test_a_slow_viewer_is_dropped_and_told_and_the_others_go_on(street, sent):
    feed = Feed(queue=200_000)
    feed.begin(street.formats)
    feed.packet(street.packets[0])
    slow, quick = feed.subscribe(), feed.subscribe()
    parts = quick.take()
    for packet in street.packets[1:]:
        feed.packet(packet)
        parts += quick.take()
    assert slow.closed == "slow"
    assert slow.get(0) is None
    assert feed.viewers == 1
    assert shown(quick, parts) == sent


def test_a_viewer_waits_for_the_camera_in_its_own_thread(street, sent):
    feed = Feed()
    got: list[bytes] = []
    woken = threading.Event()

    def view():
        viewer = feed.subscribe(wait=20, wake=woken.set)
        got.append(viewer.initial)
        got.extend(viewer)

    thread = threading.Thread(target=view)
    thread.start()
    feed.begin(street.formats)
    feed.packet(street.packets[0])
    while not feed.viewers:
        woken.wait(0.001)
    for packet in street.packets[1:]:
        feed.packet(packet)
    feed.lost("closed")
    thread.join(20)
    assert woken.is_set()
    assert [d for _, d in pictures(io.BytesIO(b"".join(got)))] == sent


def test_nothing_is_made_while_nobody_looks(street):
    feed = Feed()
    feed.begin(street.formats)
    for packet in street.packets[:100]:
        feed.packet(packet)
    assert feed._muxer is None
    viewer = feed.subscribe()
    assert feed._muxer is not None
    viewer.close()
    viewer.close()
    assert (viewer.closed, feed.viewers, feed._muxer) == ("left", 0, None)


def test_parameters_that_come_with_the_packets(data):
    camera = Camera(data("clips/sport_gym.mp4"), annex_b=True, parameters=False)
    feed = Feed()
    feed.begin(camera.formats)
    for packet in camera.packets[:60]:
        feed.packet(packet)
    viewer = feed.subscribe()
    assert viewer.codecs == "avc1.640015"
    assert len(shown(viewer, viewer.take())) == 60


def test_a_camera_that_cannot_be_shown_says_so():
    feed = Feed()
    feed.begin([StreamFormat(0, "video", "rawvideo", Fraction(1, 25))])
    with pytest.raises(SourceError, match="rawvideo"):
        feed.subscribe(wait=0)


def test_what_cannot_be_put_together_ends_the_view_and_not_the_camera(street):
    feed = Feed()
    feed.begin(street.formats)
    feed.packet(street.packets[0])
    viewer = feed.subscribe()
    feed.packet(dataclasses.replace(street.packets[1], pts=1 << 80))
    assert viewer.closed == "ended"
    feed.begin(street.formats)
    feed.packet(street.packets[0])
    assert feed.subscribe().take()
