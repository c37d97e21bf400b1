"""Rules over a live source: time in which nobody watched, and observations that came late."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from onlooker.core.store import Batch, RunState
from onlooker.core.time import NANOSECONDS, Timestamp
from onlooker.rules import Engine, backtest, parse_rules
from onlooker.timeline import open_store
from rules.making import INFO, fact, signed, standing, walk

LIVE = replace(INFO, live=True, duration=None)
RULES = parse_rules("""
version: 1
rules:
  - {id: somebody, when: {object: {label: person}}, gap: 60s}
  - {id: nobody, when: {not: {of: {object: {label: person}}, lasts: 2s}}, gap: 0s}
  - {id: noise, when: {sound: {}}}
""")
SECOND = 1_000_000_000


def off(start, end):
    return fact("blind", start, end, label="not_running")


def life(events):
    return sorted((e.rule, e.state, e.start, e.end) for e in events)


def test_time_in_which_nobody_watched_ends_events_and_begins_anew():
    seen = signed([*walk("a", standing(0.3), 0, 5), off(12, 20), *walk("b", standing(0.3), 21, 23)])
    engine = Engine(RULES, LIVE)
    made = [*engine.take(seen, dict.fromkeys(engine.kinds, 30 * SECOND)), *engine.finish(30 * SECOND)]
    somebody = [(e.start / SECOND, (e.end or 0) / SECOND) for e in made if e.rule == "somebody" and e.state == "end"]
    assert somebody[0][0] == 0
    assert somebody[0][1] <= 8
    assert somebody[1][0] == 21
    nobody = [(e.start / SECOND, (e.end or 0) / SECOND) for e in made if e.rule == "nobody" and e.state == "end"]
    assert nobody[0][1] == 12
    assert all(not 12 < start < 20 for start, _ in nobody)


def test_parts_give_the_events_of_the_whole_and_of_the_library(tmp_path):
    first, second = walk("a", standing(0.3), 0, 5), walk("b", standing(0.3), 21, 23)
    late = replace(fact("sound", 3, 4, label="bang", score=0.9), data={"told_ns": 6 * SECOND})
    scene = signed([*first, late, off(8, 20), *second])
    live = Engine(RULES, LIVE)
    kinds = {"object", "sound"}
    made = live.take(signed(first), {"object": 6 * SECOND, "sound": 6 * SECOND})
    made += live.take([late], dict.fromkeys(kinds, 7 * SECOND))
    made += live.finish(8 * SECOND)
    again = Engine(RULES, LIVE, start=20 * SECOND)
    made += again.take(signed(second), dict.fromkeys(kinds, 24 * SECOND))
    made += again.finish(25 * SECOND)
    assert [e.start for e in made if e.rule == "noise"] == [6 * SECOND] * 2

    with closing(open_store(tmp_path / "lib")) as store:
        store.add_source(LIVE)
        producers = {o.producer for o in scene if o.producer}
        end = Timestamp(25 * SECOND, NANOSECONDS)
        store.commit(Batch(LIVE.id, scene, states=[RunState(p, end) for p in producers]))
        assert life(backtest(store, RULES, [LIVE])) == life(made)


def test_connecting_is_no_trouble_of_the_camera_and_a_stall_is():
    rules = parse_rules("version: 1\nrules: [{id: trouble, when: {camera: {}}}]")
    seen = signed([fact("blind", 0, 2, label="connecting"), fact("blind", 10, 15, label="stalled")])
    engine = Engine(rules, LIVE)
    made = [*engine.take(seen, dict.fromkeys(engine.kinds, 30 * SECOND)), *engine.finish(30 * SECOND)]
    assert [(e.start, e.end) for e in made if e.state == "end"] == [(10 * SECOND, 15 * SECOND)]
