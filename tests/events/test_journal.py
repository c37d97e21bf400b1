"""The journal: nothing taken is lost, nothing is taken twice, and everything is found again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.making import SECOND, ZERO, event, story
from onlooker.core.errors import StoreBusy, StoreError, StoreTooNew, UsageError
from onlooker.core.event import Event
from onlooker.core.observation import Box
from onlooker.core.time import Span
from onlooker.events import EventQuery, Journal
from onlooker.events.records import event_of, text_of


def test_a_state_is_taken_once_with_its_messages(journal):
    first = event()
    assert journal.take(first, ["phone", "mail"])
    assert not journal.take(first, ["phone", "mail", "other"])
    assert [(s.name, s.waiting) for s in journal.sinks()] == [("mail", 1), ("phone", 1)]
    assert journal.states_after(0, 10) == [(1, first)]
    assert journal.latest() == 1


def test_states_come_back_in_order_and_an_event_ends_once(journal):
    states = story(updates=2)
    assert [journal.take(s) for s in states] == [True] * 4
    assert not journal.take(event(7, "end"))
    assert not journal.take(event(8, "update"))
    assert journal.states(states[0].id) == states
    assert [(n, e.state) for n, e in journal.states_after(1, 2)] == [(2, "update"), (3, "update")]
    assert journal.get(states[0].id).event == states[-1]
    assert journal.get(states[0].id[:8]).as_dict()["wall_end"] == (ZERO + timedelta(seconds=4)).isoformat()
    assert journal.open_events() == []


def test_a_late_state_is_kept_but_does_not_become_the_latest(journal):
    journal.take(event(0))
    journal.take(event(2, "update"))
    assert journal.take(event(1, "update"))
    assert journal.get(event().id).event.number == 2
    assert [s.number for s in journal.states(event().id)] == [0, 1, 2]


def test_open_events_by_source(journal):
    journal.take(event(camera="front"))
    journal.take(event(camera="back", start=3))
    for state in story(camera="side"):
        journal.take(state)
    assert [r.event.camera for r in journal.open_events()] == ["front", "back"]
    assert [r.event.camera for r in journal.open_events("back-source")] == ["back"]


def test_queries(journal):
    for second, (rule, severity) in enumerate([("door", "low"), ("yard", "high"), ("door", "critical")]):
        for state in story(rule=rule, start=second * 10, severity=severity)[: 1 if second == 2 else 2]:
            journal.take(state)

    def found(**conditions):
        return [r.event.start // SECOND for r in journal.query(EventQuery(**conditions))]

    assert found() == [20, 10, 0]
    assert found(oldest_first=True, limit=2) == [0, 10]
    assert found(offset=1, limit=1) == [10]
    assert found(rules=("door",)) == [20, 0]
    assert found(cameras=("front",), states=("end",)) == [10, 0]
    assert found(severity="high") == [20, 10]
    assert found(since=ZERO + timedelta(seconds=11)) == [20, 10]
    assert found(since=ZERO + timedelta(seconds=12)) == [20]
    assert found(until=ZERO + timedelta(seconds=10)) == [0]
    assert found(span=Span.of_seconds(0, 10)) == [0]
    assert found(span=Span.of_seconds(25, 30)) == [20]
    assert found(sources=("elsewhere",)) == []
    assert journal.count(EventQuery(rules=("door",), limit=1)) == 2
    with pytest.raises(UsageError, match="severity"):
        found(severity="dreadful")


def test_what_people_say(journal):
    for state in story():
        journal.take(state)
    journal.take(event(start=9))
    id = event().id
    journal.acknowledge(id[:10], "ann", "seen it")
    journal.feedback(id, "right", "ann")
    journal.feedback(id, "wrong", "ben", "a cat")
    record = journal.get(id)
    assert record.acknowledged is not None
    assert (record.acknowledged.by, record.acknowledged.note) == ("ann", "seen it")
    assert [(f.verdict, f.by) for f in record.feedback] == [("right", "ann"), ("wrong", "ben")]
    assert [r.event.id for r in journal.query(EventQuery(acknowledged=True))] == [id]
    assert [r.event.start for r in journal.query(EventQuery(acknowledged=False))] == [9 * SECOND]
    assert [r.event.id for r in journal.query(EventQuery(verdict="wrong"))] == [id]
    assert journal.query(EventQuery(verdict="right")) == []
    for wrong in (lambda: journal.acknowledge("0" * 32, "ann"), lambda: journal.feedback(id, "maybe", "ann")):
        with pytest.raises(UsageError):
            wrong()


def test_ids_by_their_first_digits(journal):
    journal.take(event(id="a" * 31 + "0"))
    journal.take(event(id="a" * 31 + "1"))
    with pytest.raises(UsageError, match="several"):
        journal.get("a" * 12)
    with pytest.raises(UsageError, match="too short"):
        journal.get("aaaa")
    assert journal.get("a" * 31 + "1").event.id.endswith("1")


def test_attached_evidence_reaches_all_that_is_told_later(journal):
    new, end = story(evidence={"from_seconds": 1.0, "clip": None})
    journal.take(new)
    journal.attach(new.id, {"clip": "events/x/clip.mp4", "complete": True})
    journal.take(end)
    wanted = {"from_seconds": 1.0, "clip": "events/x/clip.mp4", "complete": True}
    assert journal.get(new.id).evidence == wanted
    assert [dict(e.evidence) for _, e in journal.states_after(0, 9)] == [wanted, wanted]
    with pytest.raises(UsageError):
        journal.attach("0" * 32, {})


def test_a_muted_event_stays_quiet_to_its_end_and_one_that_was_told_is_told_on(journal):
    told, hidden = story(), story(start=5)
    journal.take(told[0], ["phone"])
    mute = journal.mute(rule="door", camera="front", until=datetime.now(UTC) + timedelta(hours=1), by="ann")
    journal.take(hidden[0], ["phone"])
    journal.take(event(camera="back"), ["phone"])
    journal.take(told[1], ["phone"])
    journal.unmute(mute.number)
    journal.take(hidden[1], ["phone"])
    waiting = journal._database.fetch("SELECT event, ordinal FROM message ORDER BY number")
    assert waiting == [(told[0].id, 0), (event(camera="back").id, 0), (told[1].id, 1)]
    assert journal.get(hidden[0].id).muted
    assert not journal.get(told[0].id).muted
    assert journal.mutes() == []
    with pytest.raises(UsageError):
        journal.unmute(mute.number)


def test_a_mute_ends_by_itself(journal):
    journal.mute(until=datetime.now(UTC) - timedelta(seconds=1), by="ann")
    journal.take(event(), ["phone"])
    assert journal.sinks()[0].waiting == 1
    assert journal.mutes() == []
    assert len(journal.mutes(past=True)) == 1


def test_channels_of_a_rule_choose_among_the_sinks(journal):
    journal.take(event(channels=("mail",)), ["phone", "mail"])
    assert [(s.name, s.waiting) for s in journal.sinks()] == [("mail", 1)]


def test_retention_keeps_what_is_open_or_waits(journal):
    for start, sinks in ((0, ()), (10, ("phone",)), (86_400, ())):
        for state in story(start=start):
            journal.take(state, sinks)
    journal.take(event(start=20))
    journal.feedback(event().id, "right", "ann")
    assert journal.retain(None) == 0
    assert journal.retain(ZERO + timedelta(hours=1)) == 1
    assert sorted(r.event.start // SECOND for r in journal.query()) == [10, 20, 86_400]
    latest = journal.latest()
    journal.retain(ZERO + timedelta(days=9))
    assert journal.latest() == latest, "numbers of deleted states are not given again"


def test_waiting_for_a_state(journal):
    assert journal.wait(0, 0) == 0
    thread = threading.Thread(target=lambda: journal.take(event()))
    thread.start()
    assert journal.wait(0, 30) == 1
    thread.join()


def test_listeners_hear_of_changes_until_they_end_and_their_failures_are_their_own(journal):
    heard = []

    def failing():
        heard.append(1)
        raise RuntimeError("gone")

    end = journal.listen(failing)
    assert journal.take(event())
    journal.attach(event().id, {"clip": "c.mp4"})
    end()
    end()
    assert journal.take(event(1, "update"))
    assert heard == [1, 1]


def test_several_threads_and_processes_take_at_once(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from events.making import event; from onlooker.events import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "for n in range(40): journal.take(event(start=n), ['phone'])\n"
    )
    tests = str(Path(__file__).parents[1])
    started = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), tests]) for _ in range(2)]
    with Journal.open(tmp_path) as journal:
        threads = [
            threading.Thread(target=lambda: [journal.take(event(start=n), ["phone"]) for n in range(40)])
            for _ in range(3)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert [p.wait() for p in started] == [0, 0]
        assert journal.sinks()[0].waiting == 40
        assert [n for n, _ in journal.states_after(0, 99)] == [*range(1, 41)]


# -- the file --


def test_what_is_not_there_or_damaged_is_said_clearly(tmp_path):
    with pytest.raises(StoreError, match="holds no events"):
        Journal.open(tmp_path, create=False)
    with pytest.raises(StoreError, match="holds no events"):
        Journal.open(tmp_path, read_only=True)
    path = tmp_path / "events.sqlite"
    path.write_bytes(b"this is no database at all " * 100)
    for read_only in (False, True):
        with pytest.raises(StoreError, match="damaged") as raised:
            Journal.open(tmp_path, read_only=read_only)
        assert raised.value.hint
    path.unlink()
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE mine(a)")
    other.close()
    with pytest.raises(StoreError, match="no events of onlooker"):
        Journal.open(tmp_path)


def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path):
    Journal.open(tmp_path).close()
    path = tmp_path / "events.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreTooNew):
            Journal.open(tmp_path, read_only=read_only)
    assert path.read_bytes() == before


def test_damage_inside_is_an_error_of_the_store(tmp_path):
    with Journal.open(tmp_path) as journal:
        for n in range(300):
            journal.take(event(start=n))
    path = tmp_path / "events.sqlite"
    held = bytearray(path.read_bytes())
    held[8192:] = os.urandom(len(held) - 8192)
    path.write_bytes(held)
    with pytest.raises(StoreError, match="damaged"), Journal.open(tmp_path) as journal:
        journal.query(EventQuery(limit=None))


def test_reading_only(tmp_path):
    with Journal.open(tmp_path) as journal:
        journal.take(event())
        with Journal.open(tmp_path, read_only=True) as reader:
            journal.take(event(1, "update"))
            assert reader.get(event().id).event.state == "update"
            with pytest.raises(StoreError, match="reading only"):
                reader.take(event(2, "end"))
    with pytest.raises(StoreError, match="closed"):
        journal.take(event(start=3))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_reading_where_nobody_can_write(tmp_path):
    with Journal.open(tmp_path / "lib") as journal:
        journal.take(event())
    (tmp_path / "lib").chmod(0o500)
    try:
        with Journal.open(tmp_path / "lib", read_only=True) as reader:
            assert reader.get(event().id).event == event()
    finally:
        (tmp_path / "lib").chmod(0o700)


def test_a_file_that_another_process_holds_is_said_to_be_busy(tmp_path):
    with Journal.open(tmp_path, busy_seconds=0.05) as journal:
        other = apsw.Connection(str(tmp_path / "events.sqlite"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="held by another process"):
            journal.take(event())
        assert journal.query() == []
        other.execute("ROLLBACK")
        other.close()
        assert journal.take(event())


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_takes_nothing_by_halves(tmp_path):
    script = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from events.making import event; from onlooker.core.errors import StoreError\n"
        "from onlooker.events import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try:\n"
        "    for n in range(10_000): journal.take(event(start=n), ['phone'])\n"
        "except StoreError as error: print(n, error.hint)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, _, hint = done.stdout.strip().partition(" ")
    assert hint
    with Journal.open(tmp_path) as journal:
        assert journal.count(EventQuery()) == int(taken) > 0
        assert journal.sinks()[0].waiting == journal.latest() == int(taken)


# -- properties --

TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
WALLS = st.none() | st.datetimes(
    datetime(1990, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]),
    allow_imaginary=False,
)


@given(
    text=TEXT,
    start=st.integers(0, 2**62),
    length=st.none() | st.integers(0, 2**50),
    data=st.dictionaries(TEXT, JSON, max_size=3),
    wall=WALLS,
    box=st.none() | st.tuples(*[st.floats(0, 1)] * 4),
)
@settings(deadline=None, max_examples=60)
def test_events_become_text_and_back_to_the_nanosecond(text, start, length, data, wall, box):
    given_event = Event(
        id="a" * 32,
        rule=text,
        source=text,
        camera=text,
        state="new" if length is None else "end",
        start=start,
        end=None if length is None else start + length,
        severity="low",
        label=text,
        box=None if box is None else Box(*box),
        tracks=(text,),
        data=data,
        evidence=data,
        wall=wall,
        channels=(text,),
        number=3,
    )
    back = event_of(text_of(given_event))
    assert back == given_event
    if wall is not None:
        assert back.wall is not None
        assert (back.wall.utcoffset(), back.wall.tzinfo) == (wall.utcoffset(), wall.tzinfo)


STATES = [(subject, s) for subject in "abc" for s in story(updates=2, subject=subject)]


@given(st.lists(st.sampled_from(STATES), max_size=30))
@settings(deadline=None, max_examples=25)
def test_whatever_is_taken_again_and_in_whatever_order_is_there_once(taken):
    with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder)) as journal:
        kept, ended = [], set()
        for _, state in taken:
            fresh = (state.id, state.number) not in [(k.id, k.number) for k in kept] and state.id not in ended
            assert journal.take(state, ["phone"]) == fresh
            if fresh:
                kept.append(state)
                ended |= {state.id} if state.state == "end" else set()
        assert [e for _, e in journal.states_after(0, 100)] == kept
        assert sum(s.waiting for s in journal.sinks()) == len(kept)
        for id in {k.id for k in kept}:
            assert journal.get(id).event.number == max(k.number for k in kept if k.id == id)
