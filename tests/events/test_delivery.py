"""Delivery: at least once, in order for each event, and nobody waits for a sink that is dead."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.making import event, story, until
from events.receivers import Receiver, closed_port, settle
from onlooker.core.errors import StoreBusy, UsageError
from onlooker.events import Delivery, EventQuery, Journal, Sinks
from onlooker.events.sink import Sink, SinkContext
from onlooker.events.sinks.file import FileSettings
from onlooker.events.worker import Worker, delay

LATER = {"first": "1h", "most": "1h", "attempts": 3, "age": "1d"}


def hook(receiver, **section):
    return {"webhook": {"url": receiver.url, "timeout": "5s"}, **section}


def status_of(delivery, name):
    return next(s for s in delivery.status() if s.name == name)


def in_order(keys):
    """The numbers of each event never go back; the same one may come again."""
    seen: dict[str, int] = {}
    for key in keys:
        id, _, number = key.partition(":")
        if int(number) < seen.get(id, 0):
            return False
        seen[id] = int(number)
    return True


def test_all_states_are_told_in_order(journal, deliver, receiver):
    delivery = deliver(phone=hook(receiver))
    states = [s for pair in zip(story(1, start=1), story(1, start=2), strict=True) for s in pair]
    for state in states:
        journal.take(state, ["phone"])
        until(lambda: status_of(delivery, "phone").waiting == 0)
    assert receiver.keys == [f"{s.id}:{s.number}" for s in states]
    status = status_of(delivery, "phone")
    assert (status.kind, status.delivered, status.dead, status.working) == ("webhook", 6, 0, True)
    assert status.last_success is not None


def test_a_failing_sink_is_tried_again_and_order_is_kept(journal, deliver, receiver):
    receiver.answers.extend([503, "drop", 500, 204, 503])
    delivery = deliver(phone={**hook(receiver), "retry": {"first": 0.01, "most": 0.05, "attempts": 9}})
    for state in story():
        journal.take(state, ["phone"])
    until(lambda: status_of(delivery, "phone").waiting == 0)
    id = event().id
    assert receiver.keys == [f"{id}:0"] * 4 + [f"{id}:1"] * 2
    status = status_of(delivery, "phone")
    assert status.dead == 0
    assert "503" in (status.last_error or "")


def test_what_is_refused_is_a_dead_letter_that_can_be_replayed(journal, deliver, receiver):
    receiver.answer = 404
    deliver(phone=hook(receiver))
    journal.take(event(), ["phone"])
    until(lambda: len(journal.dead()) == 1)
    (letter,) = journal.dead("phone")
    assert (letter.event.id, letter.attempts) == (event().id, 1)
    assert "404" in letter.error
    assert journal.dead("other") == []
    receiver.answer = 200
    assert journal.replay([letter.number]) == 1
    until(lambda: journal.dead() == [] and journal.sinks()[0].waiting == 0)
    assert receiver.keys == [f"{event().id}:0"] * 2


def test_a_message_that_is_never_taken_is_given_up_and_does_not_hold_up_its_event(journal, deliver, receiver):
    receiver.answers.extend([500] * 3)
    deliver(phone=hook(receiver))
    for state in story():
        journal.take(state, ["phone"])
    until(lambda: len(receiver.received) == 4)
    assert [k.partition(":")[2] for k in receiver.keys] == ["0", "0", "0", "1"]
    until(lambda: journal.dead() != [])
    assert "after 3 attempts" in journal.dead()[0].error


def test_one_message_that_fails_does_not_hold_up_other_events(journal, deliver, receiver):
    receiver.answers.append((503, {"Retry-After": "3600"}))
    delivery = deliver(phone=hook(receiver))
    for start in range(3):
        for state in story(start=start):
            journal.take(state, ["phone"])
    until(lambda: status_of(delivery, "phone").waiting == 2)
    assert len(receiver.received) == 5
    assert [k for k in receiver.keys if k.startswith(event().id)] == [f"{event().id}:0"]


def test_a_dead_sink_holds_up_neither_the_others_nor_those_who_take_events(journal, deliver, receiver):
    stuck = Receiver()
    stuck.answer = "hang"
    nobody = {"webhook": {"url": f"http://127.0.0.1:{closed_port()}"}, "retry": LATER}
    delivery = deliver(stuck=hook(stuck), nobody=nobody, phone=hook(receiver))
    try:
        for start in range(20):
            journal.take(event(start=start), ["stuck", "nobody", "phone"])
        until(lambda: len(receiver.received) == 20)
        assert status_of(delivery, "nobody").waiting == 20
        assert status_of(delivery, "stuck").waiting == 20
        until(lambda: status_of(delivery, "nobody").last_error is not None)
        assert "cannot be reached" in (status_of(delivery, "nobody").last_error or "")
    finally:
        stuck.end()


def test_a_sink_that_cannot_be_reached_uses_up_no_attempts_until_it_is_too_late(journal, deliver):
    port = closed_port()
    section = {"webhook": {"url": f"http://127.0.0.1:{port}"}, "retry": {"first": 0.01, "most": 0.02, "attempts": 1}}
    delivery = deliver(phone=section)
    journal.take(event(), ["phone"])
    until(lambda: status_of(delivery, "phone").last_error is not None)
    assert settle(lambda: status_of(delivery, "phone").waiting == 1)
    late = Receiver(port)
    try:
        until(lambda: late.keys == [f"{event().id}:0"])
    finally:
        late.end()


def test_what_is_too_old_is_given_up(journal, deliver):
    section = {
        "webhook": {"url": f"http://127.0.0.1:{closed_port()}"},
        "retry": {"first": 0.01, "most": 0.02, "age": 0.05},
    }
    deliver(phone=section)
    journal.take(event(), ["phone"])
    until(lambda: len(journal.dead()) == 1)
    assert "cannot be reached" in journal.dead()[0].error


def test_stale_updates_are_left_out_but_never_a_beginning_or_an_end(journal, deliver, receiver):
    for state in story(updates=5):
        journal.take(state, ["phone"])
    delivery = deliver(phone=hook(receiver))
    until(lambda: status_of(delivery, "phone").waiting == 0)
    assert [k.partition(":")[2] for k in receiver.keys] == ["0", "6"]
    assert status_of(delivery, "phone").coalesced == 5


def test_a_digest_tells_of_many_events_in_one_message_under_one_key(journal, deliver, receiver):
    receiver.answers.append(503)
    for start in range(3):
        for state in story(start=start):
            journal.take(state, ["phone"])
    delivery = deliver(phone=hook(receiver, digest="200ms"))
    until(lambda: status_of(delivery, "phone").waiting == 0)
    first, second = receiver.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    told = json.loads(second.body)
    assert told["type"] == "onlooker.digest"
    assert [(e["start"], e["state"]) for e in told["data"]["events"]] == [(0, "end"), (1, "end"), (2, "end")]


def test_a_digest_waits_for_its_time(journal, deliver, receiver):
    delivery = deliver(phone=hook(receiver, digest="1h"))
    journal.take(event(), ["phone"])
    assert settle(lambda: status_of(delivery, "phone").waiting == 1)
    assert receiver.received == []


def test_evidence_that_came_meanwhile_is_told(journal, deliver, receiver):
    receiver.answers.append("wait and refuse")
    deliver(phone=hook(receiver))
    journal.take(event(), ["phone"])
    until(lambda: len(receiver.received) == 1)
    journal.attach(event().id, {"snapshot": "events/x/snapshot.jpg"})
    receiver.released.set()
    until(lambda: len(receiver.received) == 2)
    assert json.loads(receiver.received[1].body)["data"]["evidence"] == {"snapshot": "events/x/snapshot.jpg"}


def test_after_a_restart_it_goes_on_where_it_was(journal, tmp_path, receiver):
    sinks = Sinks.model_validate({"phone": hook(receiver)})
    for start in range(4):
        journal.take(event(start=start), ["phone"])
        delivery = Delivery(journal, sinks, tmp_path / "lib")
        delivery.start()
        until(lambda: journal.sinks()[0].waiting == 0)
        assert delivery.stop(15)
        with pytest.raises(UsageError, match="started already"):
            delivery.start()
    journal.take(event(start=9), ["phone"])
    assert settle(lambda: len(receiver.received) == 4)
    assert receiver.keys == [f"{event(start=start).id}:0" for start in range(4)]


def test_only_one_process_delivers(journal, deliver, receiver, tmp_path):
    deliver(phone=hook(receiver))
    second = Delivery(journal, Sinks(), tmp_path / "lib")
    with pytest.raises(StoreBusy, match="another process"):
        second.start()
    assert second.stop()


def test_what_waits_for_a_sink_that_is_gone_is_given_up_visibly(journal, deliver):
    journal.take(event(), ["gone"])
    deliver()
    (letter,) = journal.dead()
    assert letter.sink == "gone"
    assert "no sink is called gone" in letter.error


def test_another_configuration_changes_only_what_differs(journal, deliver, receiver, tmp_path):
    delivery = deliver(phone=hook(receiver), old={"file": {"path": "old.jsonl"}})
    before = delivery.status()
    same = {"phone": {"retry": {"first": 0.01, "most": 0.05, "attempts": 3, "age": "1h"}, **hook(receiver)}}
    changed = delivery.reload(Sinks.model_validate({**same, "log": {"file": {"path": "log.jsonl"}}}))
    assert sorted(changed) == ["log", "old"]
    assert [s.name for s in before] == ["old", "phone"]
    assert [(s.name, s.working) for s in delivery.status()] == [("log", True), ("phone", True)]
    journal.take(event(), ["log", "phone"])
    until(lambda: len(receiver.received) == 1 and all(s.waiting == 0 for s in delivery.status()))
    assert (tmp_path / "lib" / "log.jsonl").read_text().count("\n") == 1
    with pytest.raises(UsageError):
        delivery.start()


def test_a_journal_that_cannot_be_written_makes_nobody_be_told_again_and_again(tmp_path, receiver):
    with Journal.open(tmp_path, busy_seconds=0.05) as journal:
        journal.take(event(), ["phone"])
        delivery = Delivery(journal, Sinks.model_validate({"phone": hook(receiver)}), tmp_path)
        receiver.answer = "wait"
        delivery.start()
        until(lambda: len(receiver.received) == 1)
        other = apsw.Connection(str(tmp_path / "events.sqlite"))
        other.execute("BEGIN IMMEDIATE")
        receiver.released.set()
        assert settle(lambda: len(receiver.received) == 1, 1.5)
        other.execute("ROLLBACK")
        other.close()
        until(lambda: status_of(delivery, "phone").waiting == 0)
        assert len(receiver.received) == 1
        assert delivery.stop(15)


class Faulty(Sink):
    """Fails in ways that nobody foresaw."""

    kind = "faulty"
    settings = FileSettings

    def __init__(self, settings, context):
        self.told = []

    def deliver(self, message):
        self.told.append(message.key)
        raise KeyError("s3cret")

    def close(self):
        raise RuntimeError("s3cret")


def test_a_faulty_plug_in_harms_only_itself_and_its_words_are_not_repeated(tmp_path, journal, caplog):
    section = Sinks.model_validate(
        {"log": {"file": {"path": "x"}, "retry": {"first": 0.01, "most": 0.02, "attempts": 2}}}
    )
    sink = Faulty(None, SinkContext("log", tmp_path))
    worker = Worker("log", section.sections["log"], sink, journal)
    for start in range(2):
        journal.take(event(start=start), ["log"])
    worker.start()
    until(lambda: len(journal.dead()) == 2)
    worker.ask_to_stop()
    assert worker.join(15)
    assert sorted(sink.told) == sorted([f"{event(start=n).id}:0" for n in range(2)] * 2)
    assert "unexpected KeyError" in journal.dead()[0].error
    assert "s3cret" not in journal.dead()[0].error + caplog.text


def test_stopping_does_not_wait_for_ever(journal, tmp_path):
    stuck = Receiver()
    stuck.answer = "hang"
    delivery = Delivery(journal, Sinks.model_validate({"phone": hook(stuck)}), tmp_path / "lib")
    delivery.start()
    journal.take(event(), ["phone"])
    until(lambda: len(stuck.received) == 1)
    assert not delivery.stop(0.05)
    stuck.end()
    until(lambda: not delivery.status()[0].working)
    assert journal.sinks()[0].waiting == 1


def test_waiting_grows_with_failures_up_to_a_limit():
    retry = Sinks.model_validate({"a": {"file": {"path": "x"}, "retry": {"first": 1, "most": 60}}}).sections["a"].retry
    for failures in range(1, 80):
        full = min(60.0, 2.0 ** (failures - 1))
        assert full / 2 <= delay(failures, retry) <= full


# -- properties --


@given(
    updates=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    answers=st.lists(st.sampled_from([204, 500, 503, "drop"]), max_size=12),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_receiver_answers_ends_come_in_order(tmp_path_factory, updates, answers, seed):
    folder = tmp_path_factory.mktemp("lib")
    stories = [story(n, start=i) for i, n in enumerate(updates)]
    rng, turns = random.Random(seed), [i for i, s in enumerate(stories) for _ in s]
    rng.shuffle(turns)
    receiver = Receiver()
    receiver.answers.extend(answers)
    section = {**hook(receiver), "retry": {"first": 0.001, "most": 0.004, "attempts": 50}}
    try:
        with Journal.open(folder) as journal:
            delivery = Delivery(journal, Sinks.model_validate({"phone": section}), folder)
            delivery.start()
            places = [iter(s) for s in stories]
            for turn in turns:
                journal.take(next(places[turn]), ["phone"])
            until(lambda: journal.sinks()[0].waiting == 0)
            assert delivery.stop(15)
            assert journal.dead() == []
    finally:
        receiver.end()
    assert in_order(receiver.keys)
    for states in stories:
        told = {int(k.partition(":")[2]) for k in receiver.keys if k.startswith(states[0].id)}
        assert {0, len(states) - 1} <= told


# -- kills --

CHILD = """
import itertools, sys, time
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from events.making import story
from onlooker.events import Delivery, EventQuery, Journal, Sinks
folder, url, last = Path(sys.argv[1]), sys.argv[2], sys.argv[4] == "last"
journal = Journal.open(folder)
section = {"webhook": {"url": url}, "retry": {"first": 0.001, "most": 0.01, "attempts": 99}}
delivery = Delivery(journal, Sinks.model_validate({"phone": section}), folder)
delivery.start()
print("ready", flush=True)
known = journal.count(EventQuery())
for start in range(known) if last else itertools.count(max(0, known - 1)):
    for state in story(1, start=start):
        journal.take(state, ["phone"])
        print("taken", flush=True)
while journal.sinks()[0].waiting:
    time.sleep(0.02)
delivery.stop()
"""


def test_killed_at_any_moment_every_end_is_told_under_one_key(tmp_path, receiver):
    rng = random.Random(5)
    receiver.answers.extend(rng.choices([204, 204, 204, 503, "drop"], k=300))
    command = [sys.executable, "-c", CHILD, str(tmp_path), receiver.url, str(Path(__file__).parents[1])]
    for _ in range(10):
        with subprocess.Popen([*command, "on"], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            # counted, for a slow disk takes few in any time
            assert all(child.stdout.readline() == b"taken\n" for _ in range(rng.randrange(30)))
            threading.Event().wait(rng.random() * 0.02)
            assert child.poll() is None
            child.send_signal(signal.SIGKILL)
    assert subprocess.run([*command, "last"], stdout=subprocess.DEVNULL, timeout=250, check=False).returncode == 0
    with Journal.open(tmp_path) as journal:
        events = [r.event for r in journal.query(EventQuery(limit=None))]
        assert journal.open_events() == []
        assert journal.dead() == []
    assert len(events) > 20
    assert {f"{e.id}:{e.number}" for e in events} <= set(receiver.keys)
    assert {k.partition(":")[0] for k in receiver.keys} == {e.id for e in events}
    assert {e.id for e in events} == {story(start=n)[0].id for n in range(len(events))}
    assert in_order(receiver.keys)
