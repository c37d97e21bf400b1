# pyright: reportOptionalMemberAccess=false
"""A candidate looks on at a real camera over RTSP: what it sees is recorded apart, and nobody else is told."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from learning.improve._material import colours, seen, told
from onlooker.bundles import added
from onlooker.core.errors import ConfigError
from onlooker.core.store import Query
from onlooker.events import EventQuery
from onlooker.shadow.candidate import pair_of
from onlooker.shadow.live import recorded
from onlooker.shadow.record import failure_line, folder_of, observation_line, sitting_line
from onlooker.station import Station, load_watch
from onlooker.testing.rtsp import RtspServer
from onlooker.timeline import open_store

RULES = """
version: 1
rules:
  - {id: red, when: {observed: {kind: colour, label: red}}, per: camera}
  - {id: blue, when: {observed: {kind: colour, label: blue}}, per: camera}
"""


def wait_for(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        threading.Event().wait(0.05)


def written(folder, address, shadow):
    (folder / "profile.yaml").write_text("name: p\nanalyzers:\n  colours: {longest_seconds: 1}\n")
    (folder / "rules.yaml").write_text(RULES)
    path = folder / "watch.yaml"
    path.write_text(
        "version: 1\nprofile: profile.yaml\nrules: [rules.yaml]\n"
        f"shadow: {{colours: {shadow}}}\ncameras:\n  yard: {{url: '{address}', gate: false, rate: 5, audio: false}}\n"
    )
    return path


def test_it_sees_the_same_frames_and_tells_nobody(striped, tmp_path):
    clip = striped("red", "red")
    added.add(colours(tmp_path, "used").folder)
    # it takes red for blue, so that a rule would fire if anybody heard of it
    turned = added.add(colours(tmp_path, "turned", labels=["blue", "green", "red"]).folder, "colours", use=False)
    library = tmp_path / "lib"
    with RtspServer({"yard": clip}) as server, closing(open_store(library)) as store:
        config = load_watch(written(tmp_path, server.url("yard"), turned.bundle.digest[:12]))
        station = Station(config, library, store=store)
        station.start()
        try:
            wait_for(lambda: station.events().get("yard", 0) >= 1)
            folder = library / "shadow" / "colours"
            wait_for(lambda: any("candidate" in f.read_text() for f in folder.glob("*/*.jsonl")))
        finally:
            station.stop()
        events = station.journal.query(EventQuery())
        station.close()
        assert {e.event.rule for e in events} == {"red"}
        found = list(store.query(Query(kinds=("colour",))))
        assert {(o.label, o.producer.analyzer) for o in found} == {("red", "colours")}
        states = [s for status in store.sources() for s in store.states(status.info.id)]
        assert {s.producer.analyzer for s in states} == {"colours", "watch"}
    made = told("shadow", "colours", turned.bundle.digest, "--library", library, "--live", "--out", tmp_path / "out")
    assert made["live"]
    assert made["sources"][0]["path"] == "yard"
    pairs = [(d["used"]["label"], d["candidate"]["label"]) for d in made["differences"] if d["sort"] == "label"]
    assert pairs
    assert set(pairs) == {("red", "blue")}
    # of one decode: both told the same stretches
    counts = made["counts"]["colour"]
    assert counts["used"] == counts["candidate"] > 0
    assert made["agreement"]["colour"] == 0
    assert "data:image/jpeg" in (tmp_path / "out" / "shadow.html").read_text()


def test_a_candidate_that_is_none_is_refused_before_watching(striped, tmp_path):
    added.add(colours(tmp_path, "used").folder)
    with closing(open_store(tmp_path / "lib")) as store:
        config = load_watch(written(tmp_path, "yard.mp4", "abcdef12"))
        with pytest.raises(ConfigError, match="there is no candidate"):
            Station(config, tmp_path / "lib", store=store)
        other = config.model_copy(update={"shadow": {"shots": "abcdef12"}})
        with pytest.raises(ConfigError, match="does not run shots"):
            Station(other, tmp_path / "lib", store=store)


def test_a_candidate_that_cannot_look_is_no_difference(striped, tmp_path):
    added.add(colours(tmp_path, "used").folder)
    other = added.add(colours(tmp_path, "turned", labels=["blue", "green", "red"]).folder, "colours", use=False).bundle
    library = tmp_path / "lib"
    with RtspServer({"yard": striped("red", "red")}) as server, closing(open_store(library)) as store:
        station = Station(load_watch(written(tmp_path, server.url("yard"), other.digest[:12])), library, store=store)
        # its network is spoilt when the camera opens it
        network = other.path(other.manifest.networks[0].file)
        network.write_bytes(bytes(network.stat().st_size))
        station.start()
        try:
            folder = library / "shadow" / "colours"
            wait_for(lambda: any('"kind": "colour"' in f.read_text() for f in folder.glob("*/*.jsonl")))
        finally:
            station.stop()
        station.close()
    made = told("shadow", "colours", other.digest, "--library", library, "--live", "--out", tmp_path / "out", code=2)
    assert made["differences"] == made["sources"] == []
    assert {f["analyzer"] for f in made["failures"]} == {f"colours@{other.digest[:16]}"}
    assert all(f["start_seconds"] <= f["end_seconds"] for f in made["failures"])
    assert "Could not look" in (tmp_path / "out" / "shadow.html").read_text()


def test_stretches_in_which_one_could_not_look_are_left_out(tmp_path):
    added.add(colours(tmp_path, "used").folder)
    added.add(colours(tmp_path, "other", threshold=0.6).folder, "colours", use=False)
    other = next(v.digest for v in added.versions("colours")[0] if v.digest != added.versions("colours")[1])
    library, pair = tmp_path / "lib", pair_of("colours", other)
    open_store(library).close()

    def red(since, until):
        return seen(since, until, "red", kind="colour")

    second = 10**9
    lines = [
        sitting_line("open", 0),
        observation_line("used", red(1, 3)), observation_line("candidate", red(1, 3)),
        failure_line("candidate", "out of memory", 5 * second),
        observation_line("used", red(4, 8)), observation_line("used", red(12, 14)),
        # the process was killed
        sitting_line("open", 20 * second),
        observation_line("used", red(21, 24)),
        sitting_line("end", 30 * second),
        sitting_line("open", 31 * second),
        failure_line("used", "gone", 31 * second),
        observation_line("candidate", red(32, 34)),
    ]  # fmt: skip
    file = folder_of(library, pair) / "yard.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")
    found = recorded(pair, library)
    assert [(d.sort, d.start) for d in found.whole.differences] == [("only used", 21)]
    assert found.whole.counts["colour"] == {"used": 2, "candidate": 1, "paired": 1}
    told_of = [(f.analyzer, f.message, f.span.start.seconds, f.span.end.seconds) for f in found.failures]
    assert told_of == [(pair.other, "out of memory", 5, 20), ("colours", "gone", 31, 34)]
