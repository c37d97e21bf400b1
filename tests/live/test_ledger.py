"""The ledger: watched and blind are together all of the time, whatever happens to the process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.core.media import SourceInfo
from onlooker.live.ledger import Ledger, LedgerSpan, ledger_report
from onlooker.timeline import open_store

S = 1_000_000_000
CAMERA = "c" * 32
STEPS = ("watching", "closed", "stalled", "heartbeat", "end", "kill")
WRITER = """
import sys
from onlooker.live.ledger import Ledger
from onlooker.timeline import open_store

store = open_store(sys.argv[1])
ledger = Ledger(store, sys.argv[2], 0.0)
at = ledger.begin(int(sys.argv[3]))
print("begun", flush=True)
step = 0
while True:
    step += 1
    now = at + step * 30_000_000  # by the machine's clock a fast disk saw nothing watched
    if step % 7 == 0:
        ledger.blind(now - 20_000_000, "stalled")
    elif step % 7 == 3:
        ledger.blind(now, "closed")
    elif step % 7 == 5:
        ledger.watching(now)
    ledger.heartbeat(now)
    if step % 7 >= 5:
        print(now, flush=True)  # watched up to here, and durable
"""


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "library")
    made = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    opened.add_source(SourceInfo(CAMERA, "front", "live", None, None, None, (), True, {"creation_time": made}))
    yield opened
    opened.close()


def whole(report, until):
    """The spans of a report, after a check that they cover all of the time and add up."""
    at = 0
    for span in report.spans:
        assert span.start == at
        assert span.end > span.start
        at = span.end
    assert at == until
    assert report.watched + sum(report.blind.values()) == until
    return list(report.spans)


def test_a_day_of_a_camera(store):
    ledger = Ledger(store, CAMERA, 0.0)
    assert ledger.begin(0) == 0
    ledger.watching(2 * S)
    ledger.heartbeat(5 * S)
    ledger.heartbeat(8 * S)
    ledger.blind(6 * S, "stalled")  # noticed late
    ledger.heartbeat(9 * S)
    ledger.blind(10 * S, "unreachable")
    ledger.watching(12 * S)
    ledger.end(15 * S)
    assert ledger.totals(15 * S) == (7.0, {"connecting": 2.0, "stalled": 4.0, "unreachable": 2.0})
    assert whole(ledger_report(store, CAMERA), 15 * S) == [
        LedgerSpan(0, 2 * S, "connecting"),
        LedgerSpan(2 * S, 6 * S, None),
        LedgerSpan(6 * S, 10 * S, "stalled"),
        LedgerSpan(10 * S, 12 * S, "unreachable"),
        LedgerSpan(12 * S, 15 * S, None),
    ]
    again = Ledger(store, CAMERA, 0.0)
    assert again.position == 15 * S
    assert again.begin(20 * S) == 20 * S
    again.watching(20 * S)
    again.heartbeat(21 * S)
    report = ledger_report(store, CAMERA, until=30 * S)
    assert whole(report, 30 * S)[5:] == [
        LedgerSpan(15 * S, 20 * S, "not_running"),
        LedgerSpan(20 * S, 21 * S, None),
        LedgerSpan(21 * S, 30 * S, "not_running"),
    ]


def test_a_clock_that_was_set_back_makes_no_time_twice(store):
    first = Ledger(store, CAMERA, 0.0)
    first.begin(0)
    first.watching(S)
    first.end(100 * S)
    second = Ledger(store, CAMERA, 0.0)
    assert second.begin(40 * S) == 100 * S
    second.watching(50 * S)
    second.heartbeat(101 * S)
    assert [s.reason for s in whole(ledger_report(store, CAMERA), 101 * S)] == ["connecting", None]


def test_a_blind_span_that_lasts_is_one_observation(store):
    ledger = Ledger(store, CAMERA, 0.0)
    ledger.begin(0)
    ledger.blind(S, "unreachable")
    for second in range(2, 300):
        ledger.heartbeat(second * S)
    assert store.counts(CAMERA)["blind"] == 2
    assert ledger.position >= 289 * S
    whole(ledger_report(store, CAMERA), ledger.position)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(-3, 9)), max_size=25))
def test_whatever_happens_it_is_whole(tmp_path_factory, steps):
    store = open_store(tmp_path_factory.mktemp("ledger"))
    store.add_source(SourceInfo(CAMERA, "front", "live", None, None, None, (), True))
    ledger = Ledger(store, CAMERA, 0.0)
    now = ledger.begin(0)
    for what, passed in steps:
        now = max(0, now + passed * S)
        if what == "watching":
            ledger.watching(now)
        elif what == "heartbeat":
            ledger.heartbeat(now)
        elif what in ("end", "kill"):
            if what == "end":
                ledger.end(now)
            ledger = Ledger(store, CAMERA, 0.0)
            ledger.begin(now)
        else:
            ledger.blind(now, what)
        if ledger.position:
            whole(ledger_report(store, CAMERA), ledger.position)
    store.close()


def test_after_kills_at_any_moment_it_is_whole(store):
    chance, begin, reasons = random.Random(7), 0, set[str | None]()
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.folder), CAMERA, str(begin)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline() == "begun\n"
            lines = [process.stdout.readline() for _ in range(chance.randrange(30))]
            time.sleep(chance.random() * 0.01)
            os.kill(process.pid, signal.SIGKILL)
            lines += process.stdout.read().splitlines(keepends=True)
        told = [int(line) for line in lines if line.endswith("\n")]
        position = Ledger(store, CAMERA, 0.0).position
        assert position >= max([begin, *told])
        report = ledger_report(store, CAMERA)
        whole(report, position)
        if begin:
            assert any(s.reason == "not_running" and s.end == begin for s in report.spans)
        reasons |= {s.reason for s in report.spans}
        begin = position + 5 * S
    assert reasons == {None, "connecting", "stalled", "closed", "not_running"}
