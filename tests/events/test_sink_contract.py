"""Every sink keeps the contract, and the suite finds those that do not."""

from __future__ import annotations

import sys
from typing import ClassVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink as Swallow
from pydantic import BaseModel, ConfigDict

from events.receivers import Broker, Receiver, closed_port
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.events.sink import Sink
from onlooker.testing.sink import check_sink


@pytest.fixture
def places(tmp_path):
    """Settings that reach a receiver, and settings that reach nothing, by kind."""
    receiver, broker = Receiver(), Broker(tmp_path)
    server = Controller(Swallow(), hostname="127.0.0.1", port=closed_port())
    server.start()
    mail = {"host": "127.0.0.1", "security": "none", "to": ["ann@example.org"], "password": "s3cret"}
    mqtt = {"host": "127.0.0.1", "discovery": "homeassistant", "user": "me", "password": "s3cret"}
    yield {
        "webhook": ({"url": receiver.url, "secret": "s3cret"}, {"url": f"http://me:s3cret@127.0.0.1:{closed_port()}"}),
        "mqtt": ({**mqtt, "port": broker.port}, {**mqtt, "port": closed_port()}),
        "email": ({**mail, "port": server.port}, {**mail, "port": closed_port()}),
        "command": ({"argv": [sys.executable, "-c", "import sys; sys.stdin.read()", "x{rule}"]}, None),
        "file": ({"path": "events.jsonl"}, None),
    }
    server.stop()
    broker.end()
    receiver.end()


@pytest.mark.parametrize("name", plugin_names("sinks"))
def test_sink(name, places, tmp_path):
    sink = load_plugin("sinks", name)
    assert sink.kind == name
    good, dead = places[name]
    folder = tmp_path / "lib"
    folder.mkdir()
    check_sink(sink, good, folder, dead=dead)


class Loose(BaseModel):
    """Takes anything."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fragile(Sink):
    kind: ClassVar[str] = "fragile"
    settings: ClassVar[type[BaseModel]] = Strict

    def __init__(self, settings, context):
        self.opened = False

    def open(self):
        assert not self.opened
        self.opened = True

    def deliver(self, message):
        message.event.rule.encode()

    def close(self):
        self.opened = False


class Careless(Fragile):
    settings: ClassVar[type[BaseModel]] = Loose

    def deliver(self, message):
        pass


class Silent(Careless):
    settings: ClassVar[type[BaseModel]] = Strict


@pytest.mark.parametrize(("broken", "dead"), [(Fragile, None), (Careless, None), (Silent, {})])
def test_the_suite_finds_what_is_wrong(broken, dead, tmp_path):
    with pytest.raises((AssertionError, UnicodeError)):
        check_sink(broken, {}, tmp_path, dead=dead)


def test_a_sink_that_takes_everything_passes(tmp_path):
    check_sink(Silent, {}, tmp_path)
