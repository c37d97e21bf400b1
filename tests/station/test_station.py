"""Stations on real clips with real analyzers: events as of a test of the rules, clips, reloading, bad cameras."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import av
import pytest

from onlooker.core.errors import UsageError
from onlooker.core.store import Query
from onlooker.events import EventQuery
from onlooker.live.ledger import ledger_report
from onlooker.station import Station, load_watch
from onlooker.testing.rtsp import RtspServer
from onlooker.timeline import open_store
from station.conftest import retold, told


@pytest.fixture
def store(tmp_path):
    with closing(open_store(tmp_path / "lib")) as opened:
        yield opened


def wait_for(condition, seconds=150.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        threading.Event().wait(0.05)


def test_live_events_are_those_of_a_test_of_the_rules(scene, store, tmp_path):
    config = load_watch(scene("    record: {mode: event}\n"))
    station = Station(config, tmp_path / "lib", store=store)
    station.start()
    try:
        wait_for(lambda: {r.event.rule for r in station.journal.query(EventQuery())} >= {"somebody", "each", "moving"})
        wait_for(lambda: station.events().get("yard", 0) >= 4)
        wait_for(lambda: station.status()[0].watched_seconds > 4)
        picture = station.picture("yard", 320)
        with pytest.raises(UsageError, match="no camera is called"):
            station.picture("garden")
    finally:
        station.stop()
    (status,) = station.status()
    assert (status.condition, status.width, status.height) == ("stopped", 768, 576)
    assert status.drops["rate"] > 0
    assert picture is not None
    assert picture[:2] == b"\xff\xd8"

    live = told(tmp_path / "lib")
    assert live == retold(tmp_path / "lib", tmp_path / "yard.rules.yaml")
    assert {"somebody", "each", "moving"} <= {e[0] for e in live}
    # all of the time is accounted for
    report = ledger_report(store, status.source)
    assert report.watched + sum(report.blind.values()) == report.spans[-1].end
    assert list(store.query(Query(kinds=("object",))))

    events = station.journal.query(EventQuery(rules=("somebody",)))
    station.close()
    assert events
    for event in events:
        snapshot = tmp_path / "lib" / str(event.evidence["snapshot"])
        assert snapshot.read_bytes()[:2] == b"\xff\xd8"
        with av.open(str(tmp_path / "lib" / str(event.evidence["clip"]))) as clip:
            assert next(clip.decode(video=0)).width == 768


def test_a_reload_leaves_others_alone(scene, store, tmp_path, data):
    clip = data("clips/carphone.mp4")
    other = f"  phone: {{url: {clip}, loop: true, rate: 2}}\n"
    config = load_watch(scene("", other))
    with closing(Station(config, tmp_path / "lib", store=store, deliver=False)) as station:
        station.start()
        wait_for(lambda: all(c.analysed > 0 for c in station.status()))
        yard, phone = station._cameras["yard"], station._cameras["phone"]
        assert not station.reload(config).restarted

        changes = station.reload(load_watch(scene("", other.replace("rate: 2", "rate: 3"))))
        assert (changes.restarted, changes.kept, changes.rules) == (("phone",), ("yard",), False)
        assert station._cameras["yard"] is yard
        assert station._cameras["phone"] is not phone

        rules = tmp_path / "yard.rules.yaml"
        rules.write_text(rules.read_text().replace("at_least: 4", "at_least: 2"))
        changes = station.reload(load_watch(scene()))
        assert (changes.stopped, changes.kept, changes.rules) == (("phone",), ("yard",), True)
        assert station._cameras["yard"] is yard
        assert [c.name for c in station.status()] == ["yard"]
        wait_for(lambda: yard.analysis.looked > 3)


def test_a_camera_that_cannot_be_reached_is_blind_and_told(scene, store, tmp_path):
    path = scene("", "  gone: {url: /nowhere/clip.mp4}\n  private: {url: 'http://127.0.0.1:1/x.mp4'}\n")
    path.write_text(path.read_text() + "policy: {private: false}\n")
    with closing(Station(load_watch(path), tmp_path / "lib", store=store, deliver=False)) as station:
        station.start()
        wait_for(lambda: [c.condition for c in station.status()] == ["watching", "blind", "blind"])
        assert [c.reason for c in station.status()] == ["", "not_found", "forbidden"]
        wait_for(lambda: station.events().get("gone", 0) >= 1, 20)
        gone = station.status()[1]
    blind = [o for o in store.query(Query(kinds=("blind",))) if o.source == gone.source]
    assert {"not_found"} <= {o.label for o in blind}


def test_time_goes_on_in_the_same_source_over_runs(scene, store, tmp_path):
    config = load_watch(scene())
    for _ in range(2):
        with closing(Station(config, tmp_path / "lib", store=store, deliver=False)) as station:
            station.start()
            wait_for(lambda s=station: s._cameras["yard"].analysis.looked >= 3)
    (source,) = store.sources()
    assert source.info.live
    assert source.info.path == "yard"
    report = ledger_report(store, source.info.id)
    assert [s.reason for s in report.spans].count("not_running") == 2
    starts = [o.span.start for o in store.query(Query(kinds=("object", "track")))]
    assert starts == sorted(starts)
    assert told(tmp_path / "lib") == retold(tmp_path / "lib", tmp_path / "yard.rules.yaml")


def test_two_processes_do_not_watch_one_camera(scene, store, tmp_path):
    config = load_watch(scene())
    with (
        closing(Station(config, tmp_path / "lib", store=store, deliver=False)) as first,
        closing(Station(config, tmp_path / "lib", store=store, deliver=False)) as second,
    ):
        first.start()
        second.start()
        assert [c.name for c in first.status()] == ["yard"]
        assert second.status() == []
        assert "another process watches the camera yard" in second.notes()["yard"][0]


def test_a_smaller_stream_is_analysed_and_the_large_one_recorded(scene, store, tmp_path, data):
    clips = {"main": data("mot_pets09_s2l1/video.mp4"), "sub": data("clips/preview_people-detection.mp4")}
    with RtspServer(clips, user="me", password="hunter2") as server:
        main, sub = server.url("main"), server.url("sub")
        path = scene()
        path.write_text(
            "version: 1\nprofile: people.yaml\ncameras:\n  gate:\n"
            f"    url: '{main}'\n    analyse: '{sub}'\n    record: {{mode: continuous}}\n"
        )
        with closing(Station(load_watch(path), tmp_path / "lib", store=store, deliver=False)) as station:
            station.start()
            wait_for(lambda: station._cameras["gate"].analysis.looked >= 3 and station.status()[0].recording)
            (status,) = station.status()
            station.stop()
            (file, *_) = (tmp_path / "lib" / "recordings" / "gate").rglob("*.mp4")
            with av.open(str(file)) as recorded, av.open(str(clips["main"])) as whole:
                wide = whole.streams.video[0].width
                assert next(recorded.decode(video=0)).width == wide
            assert status.width != wide
            assert "hunter2" not in status.address
