"""Events do not depend on how observations arrive; their life, cool-down and schedule."""

from __future__ import annotations

import pickle
import random
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.core.errors import ConfigError
from onlooker.rules import Engine, backtest, backtest_apart, compare, explain, parse_rules
from onlooker.timeline import open_store
from rules.making import INFO, events, fact, moving, rules, signed, standing, walk

MANY = parse_rules("""
version: 1
zones: {left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
lines: {mid: {points: [[0.5, 0], [0.5, 1]]}}
rules:
  - {id: presence, when: {object: {label: person, zone: left, lasts: 1s}}, lasts: 500ms}
  - {id: count, when: {crosses: {line: mid}}, cooldown: 3s}
  - {id: crowd, when: {object: {at_least: 2, until_below: 1}}, update: 1s}
  - {id: absence, when: {not: {of: {object: {label: person}}, lasts: 4s}}, gap: 0s}
  - id: mixed
    when:
      all:
        of: [{sound: {label: shout}}, {any: [{object: {faster: 0.05 widths/s}}, {words: {any_of: help}}]}]
        within: 3s
  - {id: order, when: {sequence: {steps: [{sound: {}}, {object: {}}, {sound: {}}], within: 8s}}}
  - {id: thing, when: {left: {lasts: 3s, label: person, owner: dog}}}
""")


@st.composite
def scenes(draw):
    """Some walkers, sounds and sentences."""
    made = []
    for i in range(draw(st.integers(0, 4))):
        begin, length = draw(st.integers(0, 20)), draw(st.integers(1, 12))
        x, speed = draw(st.floats(0.05, 0.95)), draw(st.sampled_from([0.0, 0.03, 0.1, -0.1]))
        made += walk(
            f"t{i}", lambda t, x=x, v=speed, b=begin: (min(max(x + v * (t - b), 0), 1), 0.8), begin, begin + length
        )
    for kind, label, text in draw(
        st.lists(
            st.sampled_from([("sound", "shout", None), ("sound", "dog", None), ("speech", None, "help me")]), max_size=4
        )
    ):
        begin = draw(st.integers(0, 25))
        made.append(fact(kind, begin, begin + draw(st.integers(1, 5)), label=label, text=text, score=0.9))
    return signed(made)


def life(found):
    """Events without their updates' moments."""
    return sorted((e.id, e.state, e.start, e.end, e.tracks, str(sorted(e.data.items())), e.observations) for e in found)


@settings(deadline=None, max_examples=60)
@given(scenes(), st.integers(0, 2**32), st.integers(1, 7))
def test_the_order_and_time_of_arrival_change_nothing(scene, seed, parts):
    whole = events(MANY, scene, 40)
    chance = random.Random(seed)
    engine, made = Engine(MANY, INFO), []
    lateness = {kind: chance.randint(0, 12) for kind in ("object", "sound", "speech", "text")}
    given_already: set[int] = set()
    for step in range(0, 60, parts):
        due = [
            i for i, o in enumerate(scene) if o.span.start.seconds + lateness[o.kind] < step and i not in given_already
        ]
        chance.shuffle(due)
        given_already |= set(due)
        ends = {kind: max(0, step - late) * 1_000_000_000 for kind, late in lateness.items()}
        made += engine.take([scene[i] for i in due], ends)
    made += engine.take([o for i, o in enumerate(scene) if i not in given_already], {})
    made += engine.finish(40_000_000_000)
    assert life(made) == life(whole)


@settings(deadline=None, max_examples=60)
@given(scenes(), st.lists(st.integers(0, 40_000), max_size=30))
def test_a_moment_more_changes_nothing(scene, moments):
    whole = [e for e in events(MANY, scene, 40) if e.state != "update"]
    engine = Engine(MANY, INFO)
    engine.take(scene, {})
    made = []
    for gathering in engine.gatherings:
        for moment in sorted(m * 1_000_000 for m in moments):
            made += gathering.advance(moment)
            if gathering.world.now < moment:
                made += gathering.moment(moment)
        made += gathering.finish(40_000_000_000)
    assert life(e for e in made if e.state != "update") == life(whole)


@settings(deadline=None, max_examples=60)
@given(scenes())
def test_every_event_has_one_beginning_and_one_end(scene):
    made = events(MANY, scene, 40)
    for id in {e.id for e in made}:
        states = [e.state for e in made if e.id == id]
        assert states[0] == "new"
        assert states[-1] == "end"
        assert set(states[1:-1]) <= {"update"}


def assert_same(some, others):
    assert {(e.id, e.number): e for e in some} == {(e.id, e.number): e for e in others}


def test_rules_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(MANY)) == MANY


def test_stored_observations_give_the_events_of_live(data, tmp_path):
    from onlooker.core.store import Batch, RunState

    scene = signed(
        walk("t1", moving(0.2, 0.1), 0, 6)
        + walk("t2", moving(0.9, -0.1), 3, 9)
        + [fact("sound", 4, 6, label="shout", score=0.9)]
    )
    store = open_store(tmp_path / "lib")
    store.add_source(INFO)
    producers = {o.producer for o in scene if o.producer}
    store.commit(Batch(INFO.id, scene, states=[RunState(p, None, True) for p in producers]))
    stored = [*backtest(store, MANY, [INFO])]
    store.close()
    assert life(stored) == life(events(MANY, scene, 60))
    # and the same where the rules are shared out over processes
    opener = partial(open_store, tmp_path / "lib", create=False, read_only=True)
    assert_same(backtest_apart(opener, MANY, [INFO], workers=2), stored)


def test_gaps_are_bridged_and_cooldown_keeps_quiet():
    twice = walk("t1", standing(0.3), 0, 3) + walk("t1", standing(0.3), 6, 9)
    assert len([e for e in events(rules("{object: {}}", gap="2s"), twice) if e.state == "end"]) == 2
    assert len([e for e in events(rules("{object: {}}", gap="4s"), twice) if e.state == "end"]) == 1
    assert len([e for e in events(rules("{object: {}}", gap="1s", cooldown="1m"), twice) if e.state == "end"]) == 1
    other = twice + walk("t2", standing(0.7), 6, 9)
    rule = rules("{object: {}}", gap="1s", cooldown="1m")
    assert [e.tracks for e in events(rule, other) if e.state == "end"] == [("t1",), ("t2",)]
    rule = rules("{object: {}}", gap="1s", cooldown="1m", per="camera")
    assert len([e for e in events(rule, other) if e.state == "end"]) == 1


def test_a_rule_that_must_last():
    seen = walk("t1", standing(0.3), 0, 4)
    assert len([e for e in events(rules("{object: {}}", lasts="3s"), seen) if e.state == "new"]) == 1
    assert events(rules("{object: {}}", lasts="8s"), seen) == []


def test_news_is_told_and_sameness_is_not():
    alone = walk("t1", standing(0.3), 0, 30)
    assert [e.state for e in events(rules("{object: {}}", per="camera", update="1s"), alone)] == ["new", "end"]
    more = alone + walk("t2", standing(0.6), 10, 12)
    made = events(rules("{object: {}}", per="camera", update="1s"), more)
    assert [e.state for e in made] == ["new", "update", "end"]
    assert made[1].tracks == ("t1", "t2")
    assert len({e.id for e in made}) == 1


def test_an_event_rests_on_the_latest_and_a_moment_more_does_not_bring_back_an_older_one():
    once = walk("t5", lambda t: (0.1, 0.8), 1.0, 1.1)
    others = [walk(f"t{i}", lambda t, i=i: (0.2 * i, 0.8), 0.6, 2.0) for i in range(1, 5)]
    scene = signed(sorted([*once, *(o for walked in others for o in walked)], key=lambda o: o.span.start))
    crowd = rules("{object: {label: person, at_least: 4}}")
    latest = [o.id for o in scene if o.track != "t5"][-16:]
    for moments in ([], [1_900_000_000], [1_900_000_000, 2_000_000_000]):
        engine = Engine(crowd, INFO)
        engine.take(scene, {"object": 1_900_000_000})
        made = [event for moment in moments for event in engine.moment(moment)]
        made += engine.finish(2_100_000_000)
        (end,) = (e for e in made if e.state == "end")
        assert sorted(end.observations) == sorted(latest)
        assert "t5" in end.tracks


def test_evidence_says_what_to_keep():
    (new, end) = events(rules("{object: {}}", before="3s", after="4s"), walk("t1", standing(0.3), 10, 20))
    assert new.evidence == {"from_seconds": 7.0, "to_seconds": None, "snapshot_seconds": 10.0}
    assert end.evidence["to_seconds"] == pytest.approx(23.8)
    assert end.observations


BERLIN = ZoneInfo("Europe/Berlin")


def at_night(begin, seen, when="{inside: [{from: '22:00', to: '06:00'}]}", end=7200.0):
    file = rules("{object: {}}", schedule=when).model_copy(update={"time_zone": "Europe/Berlin"})
    engine = Engine(file, INFO, begin)
    made = engine.take(signed(seen), {})
    return [e for e in [*made, *engine.finish(round(end * 1e9))] if e.state == "end"]


def test_a_schedule_is_read_in_its_time_zone():
    seen = walk("t1", standing(0.3), 0, 600)
    assert at_night(datetime(2026, 5, 1, 12, 0, tzinfo=BERLIN), seen) == []
    (whole,) = at_night(datetime(2026, 5, 1, 23, 0, tzinfo=BERLIN), seen)
    assert whole.start == 0
    # ten minutes around 22:00: in force from the fifth
    (late,) = at_night(datetime(2026, 5, 1, 19, 55, tzinfo=ZoneInfo("UTC")), seen)
    assert late.start / 1e9 == pytest.approx(300)
    (early,) = at_night(datetime(2026, 5, 2, 5, 55, tzinfo=BERLIN), seen)
    assert (early.end or 0) / 1e9 == pytest.approx(299.8, abs=0.5)
    assert at_night(datetime(2026, 5, 1, 23, 0, tzinfo=BERLIN), seen, "{inside: [{days: [sat, sun]}]}") == []
    assert len(at_night(datetime(2026, 5, 1, 23, 0, tzinfo=BERLIN), seen, "{outside: [{days: [sat, sun]}]}")) == 1


def test_a_night_over_the_change_of_clocks_is_an_hour_shorter():
    begin = datetime(2026, 3, 28, 22, 0, tzinfo=BERLIN)  # clocks go forward at 2:00
    seen = [fact("posture", 0, 12 * 3600, label="standing", score=0.9)]
    file = rules("{observed: {kind: posture}}", schedule="{inside: [{from: '22:00', to: '06:00'}]}")
    engine = Engine(file.model_copy(update={"time_zone": "Europe/Berlin"}), INFO, begin)
    made = engine.take(seen, {}) + engine.finish(12 * 3600 * 10**9)
    (end,) = [e for e in made if e.state == "end"]
    told = [e for e in made if e.state == "new"]
    assert told[0].wall == begin.astimezone(BERLIN)
    run = engine.runs[0]
    clock = run.subject.clock
    assert run.rule.schedule is not None
    _, edge = run.rule.schedule.state(clock.at(0))
    assert edge.timestamp() - begin.timestamp() == timedelta(hours=7).total_seconds()
    assert end.start == 0


def test_a_schedule_without_wall_time_is_refused():
    with pytest.raises(ConfigError, match=r"r has a schedule.*door\.mp4.*--clock"):
        Engine(rules("{object: {}}", schedule="{inside: [{days: [mon]}]}"), INFO)


def test_explain_names_what_kept_a_rule_from_firing(tmp_path):
    from onlooker.core.store import Batch, RunState

    scene = signed(walk("t1", standing(0.3), 2, 6))
    store = open_store(tmp_path / "lib")
    store.add_source(INFO)
    store.commit(
        Batch(INFO.id, scene, states=[RunState(p, None, True) for p in {o.producer for o in scene if o.producer}])
    )
    file = rules("{all: [{object: {label: person}}, {not: {of: {object: {zone: left}}}}, {sound: {label: shout}}]}")
    (found,) = explain(store, file, INFO, 4_000_000_000)
    assert not found.going_on
    assert [k.split(":")[0] for k in found.kept_by] == ["when.all[1].not", "when.all[2].sound"]
    (found,) = explain(store, rules("{object: {}}"), INFO, 4_000_000_000)
    assert found.going_on[0].start == 2_000_000_000
    assert found.kept_by == ()
    store.close()


def test_compare_pairs_events():
    seen = walk("t1", standing(0.3), 0, 8) + walk("t2", standing(0.8), 2, 5)
    old = events(rules("{object: {zone: left}}"), seen)
    new = events(rules("{object: {lasts: 1s}}"), seen)
    assert [(c.sort, (c.old or c.new).tracks) for c in compare(old, new)] == [("moved", ("t1",)), ("added", ("t2",))]  # pyright: ignore[reportOptionalMemberAccess]
    assert {c.sort for c in compare(old, old)} == {"same"}
