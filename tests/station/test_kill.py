"""Killed in the middle: nothing that was told is told twice or under two ids, every event ends, all time is known."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import closing

from onlooker.live.ledger import ledger_report
from onlooker.timeline import open_store
from station.conftest import retold, told


def watch(path, folder, *more):
    command = [sys.executable, "-m", "onlooker", "watch", str(path), "--library", str(folder), "--json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def until_event(process, rule):
    """Read lines until an event of the rule begins; its id."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line).get("event")
        if event is not None and event["rule"] == rule and event["state"] == "new":
            return event["id"]
    raise AssertionError("it ended before")


def test_after_a_kill_events_are_those_of_a_test_of_the_rules(scene, tmp_path):
    path, folder = scene(), tmp_path / "lib"
    path.write_text(path.read_text() + f"sinks: {{log: {{file: {{path: {tmp_path / 'log.jsonl'}}}}}}}\n")
    chance = random.Random(7)
    begun = []
    for _ in range(2):
        process = watch(path, folder)
        begun.append(until_event(process, "each"))
        time.sleep(chance.uniform(0.0, 1.0))
        process.kill()
        process.communicate()
    last = watch(path, folder, "--for", "4s")
    output, _ = last.communicate()
    assert last.returncode == 0, output

    states = told(folder)
    assert states == retold(folder, tmp_path / "yard.rules.yaml")
    by_id = {}
    for _, _, id, number, state, *_ in states:
        by_id.setdefault(id, []).append((number, state))
    assert set(begun) <= set(by_id)
    for life in by_id.values():
        assert [number for number, _ in sorted(life)] == list(range(len(life)))
        assert sorted(life)[0][1] == "new"
        assert [state for _, state in sorted(life)].index("end") == len(life) - 1

    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    # an update may be left out where a later state waits already
    keys = {e["key"] for e in log}
    assert {f"{e[2]}:{e[3]}" for e in states if e[4] != "update"} <= keys <= {f"{e[2]}:{e[3]}" for e in states}

    with closing(open_store(folder, read_only=True)) as store:
        (source,) = store.sources()
        report = ledger_report(store, source.info.id)
    assert report.watched + sum(report.blind.values()) == report.spans[-1].end
    assert [s.reason for s in report.spans].count("not_running") == 3
    assert all(a.end == b.start for a, b in zip(report.spans, report.spans[1:], strict=False))


def test_ctrl_c_ends_in_order(scene, tmp_path):
    process = watch(scene("    record: {mode: continuous}\n"), tmp_path / "lib")
    until_event(process, "each")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    last = [json.loads(line) for line in output.splitlines()]
    (camera,) = last[-1]["end"]
    assert (camera["condition"], camera["recording"]) == ("stopped", False)
    assert any(line.get("event", {}).get("state") == "end" for line in last)
    states = told(tmp_path / "lib")
    assert states == retold(tmp_path / "lib", tmp_path / "yard.rules.yaml")
