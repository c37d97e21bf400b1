"""The ``sinks`` section: who is told of what, and what is said of a wrong one."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from events.making import ZERO, event
from onlooker.events import Sinks

FILE = {"file": {"path": "x.jsonl"}}
MAIL = {"email": {"host": "h", "to": ["a@example.org"]}}


def told(*states, **section):
    sinks = Sinks.model_validate({"log": {**FILE, **section}})
    return [sinks.names_for(s) == ("log",) for s in states]


def test_rules_cameras_severity_and_states():
    one, other = event(rule="yard-1", camera="front"), event(rule="door", camera="back", severity="low")
    assert told(one, other) == [True, True]
    assert told(one, other, rules=["yard*"]) == [True, False]
    assert told(one, other, cameras=["back", "side"]) == [False, True]
    assert told(one, other, severity="medium") == [True, False]
    assert told(event(), event(1, "update"), event(2, "end"), states=["new", "end"]) == [True, False, True]


def test_channels_of_the_rule_go_first():
    sinks = Sinks.model_validate({"log": FILE, "mail": MAIL})
    assert sinks.names_for(event()) == ("log", "mail")
    assert sinks.names_for(event(channels=("mail",))) == ("mail",)
    assert sinks.names_for(event(channels=("nobody",))) == ()


def test_mail_is_told_of_beginnings_unless_it_says_otherwise():
    sinks = Sinks.model_validate({"all": {**MAIL, "states": ["new", "end"]}, "mail": MAIL})
    assert [sinks.names_for(event(n, s)) for n, s in enumerate(("new", "update", "end"))] == [
        ("all", "mail"),
        (),
        ("all",),
    ]


def test_a_schedule_goes_by_the_beginning_so_that_an_end_is_told_to_whom_the_beginning_was():
    # 08:00 UTC is 10:00 in Berlin
    night = {"schedule": {"inside": [{"from": "20:00", "to": "10:00"}]}}
    before, after = timedelta(minutes=-1), timedelta(minutes=1)
    states = [event(wall=ZERO + before), event(1, "end", wall=ZERO + before), event(wall=ZERO + after)]
    assert told(*states, **night) == [True, True, True]
    assert told(*states, **night, time_zone="Europe/Berlin") == [True, True, False]
    berlin = [event(wall=(ZERO + d).astimezone(ZoneInfo("Europe/Berlin"))) for d in (before, after)]
    assert told(*berlin, **night) == [True, False]


def test_the_section_of_the_contract():
    sinks = Sinks.model_validate(
        {
            "phone": {"webhook": {"url": "https://example.org/x", "secret": "s"}, "rules": ["yard"], "digest": "15m"},
            "home": {"mqtt": {"host": "127.0.0.1", "port": 1883, "prefix": "onlooker", "discovery": "homeassistant"}},
            "mail": {"email": {"host": "h", "to": ["a@example.org"]}, "states": ["new", "end"]},
            "log": {"file": {"path": "events.jsonl"}, "severity": "low"},
            "bell": {"command": {"argv": ["/usr/bin/notify", "{rule}"]}, "cameras": ["front"]},
        }
    )
    assert [s.kind for s in sinks.sections.values()] == ["webhook", "mqtt", "email", "file", "command"]
    assert sinks.sections["phone"].digest == 900
    assert {"webhook", "digest", "rules"} <= set(Sinks.model_json_schema()["$defs"]["SinkSection"]["properties"])


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "exactly one of command, email, file, mqtt, webhook"),
        ({**FILE, **MAIL}, "exactly one of"),
        ({**FILE, "pigeon": {}}, "pigeon"),
        ({"file": {"path": "x", "mode": "w"}}, "file.mode"),
        ({**FILE, "digest": "5m"}, "cannot be told a digest"),
        ({**FILE, "severity": "dreadful"}, "severity"),
        ({**FILE, "time_zone": "Mars/North"}, "no time zone"),
        ({**FILE, "schedule": {"inside": [{"from": 830}]}}, "time of day in quotes"),
        ({**FILE, "retry": {"attempts": 0}}, "retry.attempts"),
    ],
)
def test_what_is_wrong_is_named(section, words):
    with pytest.raises(ValidationError) as raised:
        Sinks.model_validate({"log": section})
    assert words in str(raised.value)


def test_secrets_are_not_shown():
    sinks = Sinks.model_validate(
        {
            "a": {"webhook": {"url": "https://u:pw1@h/t0ken", "secret": "s3cret", "headers": {"X": "h3ader"}}},
            "b": {"mqtt": {"host": "h", "password": "pw2"}},
            "c": {"email": {"host": "h", "to": ["a@example.org"], "password": "pw3"}},
            "d": {"command": {"argv": ["/x"], "environment": {"K": "k3y"}}},
        }
    )
    shown = repr(sinks) + sinks.model_dump_json()
    for secret in ("pw1", "t0ken", "s3cret", "h3ader", "pw2", "pw3", "k3y"):
        assert secret not in shown
