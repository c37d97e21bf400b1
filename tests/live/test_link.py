"""A link over real connections: what comes, what it says when something goes wrong, and how it recovers."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from live.receiving import Running, linked, until
from onlooker.core.errors import SourceError, UsageError
from onlooker.live.settings import LinkSettings
from onlooker.sources import open_source
from onlooker.sources.policy import AddressPolicy
from onlooker.testing.rtsp import RtspServer


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_gives_pictures_packets_and_sound(walk_clip, transport):
    with (
        RtspServer({"front": walk_clip}) as server,
        Running(server.url("front"), transport=transport, audio_rate=8000) as (link, taker),
    ):
        until(lambda: len(taker.frames) > 50 and len(taker.blocks) > 2)
        assert link.condition == "watching"
    assert [c[:2] for c in taker.conditions] == [("connecting", ""), ("watching", ""), ("stopped", "")]
    assert np.all(np.diff(taker.frames) > 0)
    assert (taker.newest.width, taker.newest.height) == (320, 180)
    kinds = [(f.kind, f.codec) for f in taker.connections[0][1]]
    assert kinds == [("video", "h264"), ("audio", "aac")]
    times = [b.time.value for b in taker.blocks]
    assert times == sorted(set(times))
    assert all(t.denominator == 1 for t in times), "blocks lie on whole seconds"
    loud = [float(np.abs(b.samples).max()) for b in taker.blocks]
    assert max(loud) > 0.2
    assert any(p.keyframe and p.stream == 0 for p in taker.packets)
    assert taker.connections[-1] == ("lost", "stopped")


def test_times_are_wall_time_since_zero(walk_clip):
    zero = time.time() - 1000
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front"), zero=zero) as (link, taker):
        until(lambda: len(taker.frames) > 10)
        now = (time.time() - zero) * 1e9
        assert link.last_frame is not None
        assert 999e9 < taker.frames[0] < link.last_frame <= now


@pytest.mark.parametrize("authentication", ["basic", "digest"])
def test_user_and_password_are_given_and_never_shown(walk_clip, authentication, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "s3cr:t@/pass"
    with RtspServer({"front": walk_clip}, user="me", password=secret, authentication=authentication) as server:
        with Running(server.url("front")) as (_, taker):
            until(lambda: taker.frames)
        wrong, unheard = linked(server.url("front", password="wr0ng"))
        wrong.start()
        until(lambda: unheard.said("blind", "refused"))
        wrong.stop()
        missing, taker = linked(server.url("back"))
        missing.start()
        until(lambda: taker.said("blind", "not_found"))
        missing.stop()
    shown = " ".join([caplog.text, wrong.message, missing.message, repr(wrong.settings), str(unheard.conditions)])
    assert "check the user and the password" in wrong.message
    assert "wr0ng" not in shown
    assert "s3cr" not in shown


def test_a_server_that_is_gone_is_blind_until_it_is_back(walk_clip):
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front")) as (link, taker):
        until(lambda: len(taker.frames) > 5)
        server.refuse()
        until(lambda: taker.said("blind", "closed") and taker.said("blind", "unreachable"))
        before = len(taker.frames)
        server.accept()
        until(lambda: len(taker.frames) > before + 5)
        assert link.reconnects >= 1
    said = [c[:2] for c in taker.conditions]
    assert said[:4] == [("connecting", ""), ("watching", ""), ("blind", "closed"), ("blind", "unreachable")]
    assert said[-2:] == [("watching", ""), ("stopped", "")]
    assert np.all(np.diff(taker.frames) > 0)
    assert np.all(np.diff([at for _, _, at in taker.conditions]) >= 0)
    assert [kind for kind, _ in taker.connections] == ["begin", "lost"] * (len(taker.connections) // 2)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_silent_camera_is_stalled_since_its_last_picture(walk_clip, transport):
    with (
        RtspServer({"front": walk_clip}) as server,
        Running(server.url("front"), transport=transport, stall=0.6) as (_, taker),
    ):
        until(lambda: len(taker.frames) > 5)
        server.trouble.stall = True
        until(lambda: taker.said("blind", "stalled"))
        assert taker.conditions[2] == ("blind", "stalled", taker.frames[-1])
        before = len(taker.frames)
        server.trouble.stall = False
        until(lambda: len(taker.frames) > before + 5)
    assert np.all(np.diff(taker.frames) > 0)


def test_a_sender_whose_clock_jumps_goes_on(walk_clip):
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front")) as (link, taker):
        until(lambda: len(taker.frames) > 10)
        for jump in (-3000.0, 5000.0):
            server.trouble.jump = jump
            before = len(taker.frames)
            until(lambda before=before: len(taker.frames) > before + 20)
            ahead = taker.frames[-1] - link.clock.now()
            assert -2e9 < ahead <= 0
    assert np.all(np.diff(taker.frames) > 0)


def test_an_rtp_clock_that_wraps_is_no_jump(walk_clip):
    with (
        RtspServer({"front": walk_clip}, origin=(1 << 32) - 90_000) as server,
        Running(server.url("front")) as (link, taker),
    ):
        until(lambda: len(taker.frames) > 45)
        assert link.reconnects == 0
    steps = np.diff(taker.frames) / 1e9
    assert np.all((steps > 0.02) & (steps < 0.2)), "evenly, over the wrap after a second and the clip's end after two"


def test_damaged_packets_are_survived(walk_clip):
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front"), stall=20.0) as (link, taker):
        until(lambda: len(taker.frames) > 10)
        server.trouble.damage = 0.3
        until(lambda: len(taker.packets) > 150)
        server.trouble.damage = 0.0
        before = len(taker.frames)
        until(lambda: len(taker.frames) > before + 20)
        assert not taker.said("blind", "failed")
        assert link.drops["damaged"] > 0


def test_lost_packets_are_survived_over_udp(walk_clip):
    with (
        RtspServer({"front": walk_clip}) as server,
        Running(server.url("front"), transport="udp", stall=20.0) as (link, taker),
    ):
        server.trouble.lose = 0.05
        until(lambda: len(taker.frames) > 40)
        assert link.condition == "watching"


def test_packets_alone_need_no_decoding(walk_clip):
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front"), decode=False) as (link, taker):
        until(lambda: link.arrived > 20)
        assert link.condition == "watching"
    assert not taker.frames
    assert len(taker.packets) >= 20


def test_what_is_decoded_can_be_limited_to_key_pictures(walk_clip):
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front")) as (link, taker):
        until(lambda: len(taker.frames) > 10)
        link.selection = "key"
        time.sleep(0.2)
        frames, packets = len(taker.frames), sum(p.stream == 0 for p in taker.packets)
        until(lambda: len(taker.frames) > frames + 3)
        seen = sum(p.stream == 0 for p in taker.packets) - packets
        assert seen >= 3 * (len(taker.frames) - frames), "one picture in ten is a key picture"


def test_a_file_is_played_at_its_own_speed_and_over_and_over(walk):
    with Running(str(walk), loop=True) as (link, taker):
        until(lambda: len(taker.frames) > 50)
        assert link.condition == "watching"
    steps = np.diff(taker.frames[:50]) / 1e9
    assert np.all(steps > 0)
    assert 0.03 < np.median(steps) < 0.07, "twenty pictures a second"
    stamps = [p.dts for p in taker.packets if p.stream == 0 and p.dts is not None]
    assert stamps == sorted(set(stamps)), "timestamps grow over the file's end"


def test_a_file_ends(walk):
    link, taker = linked(str(walk), realtime=False)
    link.start()
    assert link.wait(30)
    assert len(taker.frames) == 40
    assert taker.conditions[-1][:2] == ("stopped", "ended")
    assert np.allclose(np.diff(taker.frames), 50e6, atol=1e6), "the file's own times"
    assert taker.conditions[-1][2] >= taker.frames[-1]


@pytest.mark.parametrize("loop", [False, True])
def test_pictures_that_are_coded_out_of_order_come_in_order_to_the_last(data, loop):
    link, taker = linked(str(data("clips/carphone.mp4")), realtime=False, loop=loop)
    link.start()
    until(lambda: len(taker.frames) > 300 if loop else link.wait(0))
    link.stop()
    assert loop or len(taker.frames) == 120
    assert np.allclose(np.diff(taker.frames), 1001 / 30 * 1e6, atol=1e6)


def test_the_policy_is_asked_at_each_connection(walk, walk_clip):
    with RtspServer({"front": walk_clip}) as server:
        link, taker = linked(server.url("front"), policy=AddressPolicy(private=False))
        link.start()
        until(lambda: taker.said("blind", "forbidden"))
        link.stop()
        assert not server.requests
    for address in (str(walk), "webcam:0"):
        link, taker = linked(address, policy=AddressPolicy(files=False))
        link.start()
        until(lambda taker=taker: taker.said("blind", "forbidden"))
        link.stop()
        assert not taker.frames


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_policy_with_limits_lets_through_what_it_allows(walk_clip, transport):
    policy = AddressPolicy(public=False)
    with RtspServer({"front": walk_clip}, user="me", password="secret") as server:
        link, taker = linked(server.url("front"), policy=policy, transport=transport, stall=0.6)
        link.start()
        until(lambda: len(taker.frames) > 10)
        server.trouble.stall = True
        until(lambda: taker.said("blind", "stalled"))
        server.trouble.stall = False
        before = len(taker.frames)
        until(lambda: len(taker.frames) > before + 3)
        link.stop()
        wrong, taker = linked(server.url("front", password="no"), policy=policy)
        wrong.start()
        until(lambda: taker.said("blind", "refused"))
        wrong.stop()
        until(lambda: not [t for t in threading.enumerate() if t.name == "rtsp relay"])


def test_a_server_may_not_lead_around_the_policy(walk_clip):
    with RtspServer({"front": walk_clip}) as inside, RtspServer({"front": walk_clip}) as server:
        server.trouble.redirect = inside.url("front")
        link, taker = linked(server.url("front"), policy=AddressPolicy(public=False))
        link.start()
        until(lambda: taker.said("blind", "forbidden"))
        link.stop()
        with pytest.raises(SourceError) as refused:
            open_source(server.url("front"), policy=AddressPolicy(public=False))
        assert server.url("front") in str(refused.value)
        assert not inside.requests
        assert server.requests
        free, taker = linked(server.url("front"))
        free.start()
        until(lambda: taker.frames)
        free.stop()
        assert inside.requests, "without limits it is followed"


def test_reasons_are_told_apart(tmp_path, data):
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    cases = {
        "rtsp://127.0.0.1:1/front": "unreachable",
        str(tmp_path / "missing.mp4"): "not_found",
        "webcam:99": "not_found",
        str(text): "unsupported",
        "gopher://127.0.0.1/x": "unsupported",
    }
    for address, reason in cases.items():
        link, taker = linked(address)
        link.start()
        until(lambda taker=taker, reason=reason: taker.said("blind", reason))
        link.stop()


def test_a_link_that_hangs_can_be_stopped(walk_clip):
    with RtspServer({"front": walk_clip}) as server:
        link, taker = linked(server.url("front"), stall=60.0)
        link.start()
        until(lambda: len(taker.frames) > 3)
        server.trouble.stall = True
        link.stop(timeout=10)
        assert link.wait(0), "it did not wait for the read"
        server.trouble.stall = False
        given = len(taker.frames)
        time.sleep(0.3)
        assert len(taker.frames) == given, "nothing is given after stop"


def test_a_machine_that_is_too_slow_stays_near_the_present(walk_clip):
    """Each picture takes four times as long as it lasts; what would queue up is left undecoded."""
    with RtspServer({"front": walk_clip}) as server:
        link, taker = linked(server.url("front"), stall=20.0)
        ages, remember = [], taker.frame

        def slow(frame):
            ages.append(link.clock.now() - frame.time.nanoseconds)
            remember(frame)
            time.sleep(0.2)

        taker.frame = slow
        link.start()
        until(lambda: link.arrived + link.drops["late"] > 140)
        link.stop()
    assert link.drops["late"] > 20
    assert max(ages[-10:]) < 2.5e9, "without, it would be more than 4 s behind by now"


def test_many_reconnects_leave_nothing_behind(walk_clip):
    with RtspServer({"front": walk_clip}) as server, Running(server.url("front")) as (link, taker):

        def again():
            watched = sum(c[0] == "watching" for c in taker.conditions)
            server.drop()
            until(lambda: sum(c[0] == "watching" for c in taker.conditions) > watched)

        until(lambda: taker.frames)
        again()
        files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(8):
            again()
        assert link.reconnects >= 9
        until(lambda: len(os.listdir("/proc/self/fd")) <= files and threading.active_count() <= threads)


def test_settings_are_checked():
    wrong: dict[str, Any]
    for wrong in ({"timeout": 0.0}, {"stall": -1.0}, {"jitter": 2.0}, {"first_wait": 5.0, "most_wait": 1.0}):
        with pytest.raises(UsageError):
            LinkSettings("rtsp://camera/1", **wrong)
    with pytest.raises(UsageError):
        LinkSettings("")
    assert "secret" not in repr(LinkSettings("rtsp://me:secret@camera/1"))
