"""Named and unknown faces at a station, with the real networks: told in sight, and as of a test of the rules."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing

import av
import pytest

from onlooker.core.errors import ModelMissing
from onlooker.core.store import Query
from onlooker.events import EventQuery
from onlooker.models import model_path
from onlooker.people import People
from onlooker.station import Station, load_watch
from onlooker.timeline import open_store
from station.conftest import retold, told

# nothing that could be compared is kept, and nobody is numbered
PROFILE = """
name: door
quality: fast
privacy: {keep_embeddings: false}
analyzers:
  faces: {}
  identity: {unknown: false}
"""
RULES = """
version: 1
rules:
  - {id: ann, when: {face: {who: [Ann]}}}
  - {id: bob, when: {face: {who: [Bob]}}}
  - {id: known, when: {face: {who: known}}}
  - {id: stranger, when: {face: {who: unknown}}}
"""


@pytest.fixture(autouse=True)
def models():
    try:
        return [model_path(name) for name in ("centerface", "face-identity")]
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def picture(clip, at, target):
    with av.open(str(clip)) as opened:
        next(f for f in opened.decode(video=0) if f.time >= at).to_image().save(target)
    return target


def test_the_enrolled_are_named_in_sight_and_others_are_unknown_until_they_are_enrolled(data, tmp_path):
    suit, blue = data("clips/talking_face_man_suit.mp4"), data("clips/talking_face_signer_blue.mp4")
    (tmp_path / "door.yaml").write_text(PROFILE)
    (tmp_path / "door.rules.yaml").write_text(RULES)
    cameras = "".join(f"  {n}: {{url: {c}, rate: 4, loop: true}}\n" for n, c in (("front", suit), ("back", blue)))
    watch = tmp_path / "watch.yaml"
    watch.write_text(f"version: 1\nprofile: door.yaml\nrules: [door.rules.yaml]\ncameras:\n{cameras}")
    folder = tmp_path / "lib"

    with closing(open_store(folder)) as store:
        People(store).enroll("Ann", [picture(suit, 5.0, tmp_path / "ann.png")])
        with closing(Station(load_watch(watch), folder, store=store, deliver=False)) as station:
            station.start()

            def wait_for(rule):
                until = time.monotonic() + 150
                while not station.journal.query(EventQuery(rules=(rule,))):
                    assert time.monotonic() < until, (rule, station.notes())
                    threading.Event().wait(0.1)

            for rule in ("ann", "known", "stranger"):
                wait_for(rule)
            # those who are in sight for ever were told before they left
            first = {e.rule: e for _, e in reversed(station.journal.states_after(0, 1000)) if e.state == "new"}
            assert all(event.end is None for event in first.values())
            assert {(e.rule, e.camera) for e in first.values()} == {
                ("ann", "front"),
                ("known", "front"),
                ("stranger", "back"),
            }
            # another process enrols
            with closing(open_store(folder)) as other:
                People(other).enroll("Bob", [picture(blue, 0.5, tmp_path / "bob.png")])
            wait_for("bob")
            assert station.notes() == {"front": [], "back": []}
        assert told(folder) == retold(folder, tmp_path / "door.rules.yaml")
        assert {(e[0], e[6]) for e in told(folder)} == {
            ("ann", "front"),
            ("known", "front"),
            ("stranger", "back"),
            ("bob", "back"),
            ("known", "back"),
        }
        assert {o.label for o in store.query(Query(kinds=("identity",)))} == {"Ann", "Bob", "unknown"}
        vectors = list(store.query(Query(kinds=("embedding",))))
        assert vectors
        assert all(o.vector is None and "so_far" not in o.data for o in vectors)
        assert not store.records("people.unknown")
