"""The MQTT sink with a real broker: topics, retained states, discovery, and brokers that die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from events.making import ZERO, event, story, until
from events.receivers import Broker, Door, Listener, certificate, closed_port
from onlooker.events.failures import Unreachable
from onlooker.events.sink import SinkContext
from onlooker.events.sinks.mqtt import Mqtt, MqttSettings
from onlooker.events.trial import try_sink

QUICK = {"first": 0.02, "most": 0.1, "age": "1h"}


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    yield made
    made.end()


@pytest.fixture
def listener(broker):
    made = Listener(broker.port)
    yield made
    made.end()


def home(broker, **more):
    return {
        "mqtt": {"host": "127.0.0.1", "port": broker.port, "prefix": "cam", "timeout": "10s", **more},
        "retry": QUICK,
    }


def idle(delivery, *listeners):
    until(lambda: all(s.waiting == 0 for s in delivery.status()))
    for one in listeners:
        one.catch_up()


def test_states_go_out_in_the_shape_that_recorders_made_common(journal, broker, listener, deliver):
    delivery = deliver(home=home(broker))
    new, end = story()
    journal.take(new, ["home"])
    idle(delivery, listener)
    assert listener.last("cam/front/rules/door") == b"ON"
    assert listener.last("cam/front/person") == b"1"
    journal.take(event(start=5, rule="yard"), ["home"])
    journal.take(end, ["home"])
    idle(delivery, listener)
    told = [json.loads(m) for m in listener.of("cam/events")]
    assert [(t["type"], t["after"]["id"], t["before"]["state"]) for t in told] == [
        ("new", new.id, "new"),
        ("new", event(start=5, rule="yard").id, "new"),
        ("end", new.id, "new"),
    ]
    after = told[2]["after"]
    assert after["start_time"] == ZERO.timestamp()
    assert after["end_time"] == (ZERO + timedelta(seconds=2)).timestamp()
    assert (after["camera"], after["label"], after["has_clip"]) == ("front", "person", False)
    assert listener.last("cam/front/rules/door") == b"OFF"
    assert listener.last("cam/front/rules/yard") == b"ON"
    assert listener.last("cam/front/person") == b"1"
    assert json.loads(listener.last("cam/front/last_event") or b"")["state"] == "end"


def test_who_subscribes_later_learns_what_holds(journal, broker, deliver):
    delivery = deliver(home=home(broker))
    delivery.know({"front": ["door", "yard"]})
    journal.take(event(), ["home"])
    idle(delivery)
    late = Listener(broker.port)
    try:
        until(lambda: late.last("cam/front/last_event") is not None)
        assert late.last("cam/available") == b"online"
        assert late.last("cam/front/rules/door") == b"ON"
        assert late.last("cam/front/rules/yard") == b"OFF"
        assert late.last("cam/front/all") == b"1"
        assert late.of("cam/events") == []
    finally:
        late.end()


def test_an_event_of_a_moment_is_seen_to_begin_and_end(journal, broker, listener, deliver):
    for state in story():
        journal.take(state, ["home"])
    idle(deliver(home=home(broker)), listener)
    assert listener.of("cam/front/rules/door")[-2:] == [b"ON", b"OFF"]
    assert listener.of("cam/front/person") == [b"1", b"0"]


def test_home_assistant_finds_cameras_and_rules_and_forgets_those_that_are_gone(journal, broker, listener, deliver):
    delivery = deliver(home=home(broker, discovery="homeassistant"))
    delivery.know({"front door": ["somebody", "left thing"], "yard": ["somebody"]})
    until(lambda: sum(t.startswith("homeassistant/") for t, *_ in [*listener.heard]) >= 7)
    found = {t: json.loads(p) for t, p, _ in listener.heard if t.startswith("homeassistant/")}
    sorts = sorted(t.split("/")[1] for t in found)
    assert sorts == ["binary_sensor"] * 3 + ["camera"] * 2 + ["sensor"] * 2
    assert len({v["unique_id"] for v in found.values()}) == 7
    for topic, values in found.items():
        # what Home Assistant asks of a discovery topic
        _, _, node, object_id, last = topic.split("/")
        assert last == "config"
        assert all(c.isalnum() or c in "_-" for c in node + object_id)
        assert values["availability_topic"] == "cam/available"
        assert values["device"]["identifiers"]
    sensor = next(v for v in found.values() if v["name"] == "left thing")
    assert sensor["state_topic"] == "cam/front door/rules/left thing"
    assert listener.last(sensor["state_topic"]) == b"OFF"
    delivery.know({"yard": ["somebody"]})
    gone = [t for t in found if "/onlooker_yard/" not in t]
    until(lambda: all(listener.last(t) == b"" for t in gone))
    assert all(listener.last(t) for t in found if t not in gone)


def test_a_rule_that_nobody_told_of_is_announced_by_its_first_event(journal, broker, listener, deliver):
    delivery = deliver(home=home(broker, discovery="ha"))
    journal.take(event(), ["home"])
    idle(delivery, listener)
    assert listener.last("ha/binary_sensor/onlooker_front/rule_door/config")


def test_the_picture_of_an_event_is_retained(journal, broker, listener, deliver, tmp_path):
    picture = tmp_path / "lib" / "events" / "a" / "snapshot.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\xff\xd8 picture")
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    delivery = deliver(home=home(broker))
    journal.take(event(evidence={"snapshot": "events/a/snapshot.jpg"}), ["home"])
    journal.take(event(start=3, camera="back", evidence={"snapshot": "../outside.jpg"}), ["home"])
    idle(delivery, listener)
    assert listener.last("cam/front/snapshot") == b"\xff\xd8 picture"
    assert listener.last("cam/front/person/snapshot") == b"\xff\xd8 picture"
    assert listener.last("cam/back/snapshot") is None


def test_a_graceful_end_says_offline_and_so_does_the_broker_after_a_kill(broker, listener, tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from onlooker.events import Delivery, Journal, Sinks\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "mqtt = {'host': '127.0.0.1', 'port': int(sys.argv[2]), 'prefix': 'cam'}\n"
        "delivery = Delivery(journal, Sinks.model_validate({'home': {'mqtt': mqtt}}), Path(sys.argv[1]))\n"
        "delivery.start()\n"
        "if sys.stdin.readline(): delivery.stop()\n"
    )
    for kill, wanted in ((False, 1), (True, 2)):
        command = [sys.executable, "-c", script, str(tmp_path / "lib"), str(broker.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
            until(lambda: listener.last("cam/available") == b"online")
            if kill:
                child.send_signal(signal.SIGKILL)
            else:
                assert child.stdin is not None
                child.stdin.write(b"\n")
                child.stdin.flush()
            assert child.wait(30) == (-signal.SIGKILL if kill else 0)
        until(lambda: listener.last("cam/available") == b"offline")
        assert listener.of("cam/available").count(b"offline") == wanted


@pytest.fixture
def door(broker):
    made = Door(broker.port)
    yield made
    made.end()


def test_a_broker_that_is_killed_and_comes_back_misses_nothing(journal, broker, door, deliver):
    delivery = deliver(home=home(door))
    delivery.know({"front": ["door"]})
    journal.take(event(), ["home"])
    idle(delivery)
    for start in range(1, 4):
        door.open = False
        broker.end()
        for state in story(start=start):
            journal.take(state, ["home"])
        until(lambda: delivery.status()[0].last_error is not None)
        assert delivery.status()[0].waiting == 2
        broker.start()
        hear_again(broker, door, delivery, event(start=start).id)
    assert journal.dead() == []


def hear_again(broker, door, delivery, id):
    """What waited is told, and what holds is said again: the broker kept nothing."""
    heard = Listener(broker.port)
    door.open = True  # not before somebody listens, for events are not retained
    try:
        idle(delivery, heard)
        told = [(e["after"]["id"], e["type"]) for e in map(json.loads, heard.of("cam/events"))]
        assert sorted(set(told), key=told.index) == [(id, "new"), (id, "end")]
        until(lambda: heard.last("cam/available") == b"online")
        until(lambda: heard.last("cam/front/rules/door") == b"ON")
    finally:
        heard.end()


def test_a_broker_that_hangs_holds_up_nobody_and_misses_nothing(journal, broker, listener, deliver):
    delivery = deliver(home=home(broker, timeout="500ms"), log={"file": {"path": "log.jsonl"}})
    journal.take(event(), ["home", "log"])
    idle(delivery, listener)
    broker.process.send_signal(signal.SIGSTOP)
    try:
        for start in range(1, 4):
            journal.take(event(start=start), ["home", "log"])
        until(lambda: [s.waiting for s in delivery.status()] == [3, 0])
        until(lambda: "does not answer" in (delivery.status()[0].last_error or ""))
    finally:
        broker.process.send_signal(signal.SIGCONT)
    idle(delivery, listener)
    told = {json.loads(m)["after"]["start"] for m in listener.of("cam/events")}
    assert told == {0, 1, 2, 3}


def test_a_broker_that_comes_late_hears_everything(journal, tmp_path, deliver):
    late = Broker(tmp_path)
    late.end()
    delivery = deliver(home=home(late))
    journal.take(event(), ["home"])
    until(lambda: delivery.status()[0].last_error is not None)
    assert "cannot be reached" in (delivery.status()[0].last_error or "")
    late.start()
    try:
        idle(delivery)
        assert delivery.status()[0].delivered == 1
    finally:
        late.end()


def test_a_trial_beside_a_running_delivery_leaves_no_trace(journal, broker, listener, deliver, tmp_path):
    delivery = deliver(home=home(broker, discovery="homeassistant"))
    until(lambda: listener.last("cam/available") == b"online")
    section = delivery._sinks.sections["home"]
    assert try_sink("home", section, tmp_path) is None
    listener.catch_up()
    assert [json.loads(m)["type"] for m in listener.of("cam/events")] == ["new", "end"]
    assert {t for t, *_ in listener.heard if not t.startswith("mark/")} == {"cam/available", "cam/events"}
    assert listener.of("cam/available") == [b"online"]


def opened(port, folder, **more):
    settings = MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "timeout": "20s", **more})
    return Mqtt(settings, SinkContext("home", folder))


def test_login_and_tls(tmp_path):
    pem, key = certificate(tmp_path)
    passwords = tmp_path / "passwords"
    done = subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "me", "s3cret"], check=False)
    assert done.returncode == 0
    passwords.chmod(0o644)
    extra = f"allow_anonymous false\npassword_file {passwords}\ncertfile {pem}\nkeyfile {key}\nuser root"
    broker = Broker(tmp_path, extra)
    try:
        good = opened(broker.port, tmp_path, user="me", password="s3cret", tls=True, authority=pem)
        good.open()
        good.close()
        for wrong in (
            {"user": "me", "password": "wr0ng", "tls": True, "authority": pem},
            {"user": "me", "password": "s3cret", "tls": True},
        ):
            sink = opened(broker.port, tmp_path, **wrong)
            with pytest.raises(Unreachable) as raised:
                sink.open()
            assert "s3cret" not in str(raised.value)
            assert "wr0ng" not in str(raised.value)
            sink.close()
    finally:
        broker.end()


def test_what_is_no_broker_is_said(tmp_path, receiver):
    for port, wanted in ((closed_port(), "cannot be reached"), (receiver.port, "does not answer")):
        sink = opened(port, tmp_path, timeout="500ms")
        with pytest.raises(Unreachable, match=wanted):
            sink.open()
        sink.close()
