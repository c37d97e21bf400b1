"""What every sink must do, whoever wrote it. A plug-in author runs it in one test:

    from onlooker.testing.sink import check_sink

    def test_my_sink(tmp_path):
        check_sink(MySink, {"url": address_of_a_receiver}, tmp_path, dead={"url": address_where_nothing_is})

The receiver is the author's: a real one, on loopback. The events are made here, with what real rules make and with
what breaks formats.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from onlooker.core.errors import SinkError
from onlooker.core.event import Event, event_id
from onlooker.core.observation import Box
from onlooker.events.failures import Refused, Unreachable
from onlooker.events.sink import Message, Sink, SinkContext

__all__ = ["check_sink", "message", "sample_events"]

HOSTILE = (
    "yard",
    "两个男人 在街上",
    "a/b+c#d",
    "line\nbreak\r\nBcc: all@example.org",
    "<script>alert(1)</script> & 'quotes\"",
    "$(reboot) `reboot` ; reboot {rule}",
    "half \ud800 surrogate \x00 zero",
    "x" * 3000,
)
"""Texts that break formats and addresses, as names of rules, cameras and labels."""


def sample_events() -> list[Event]:
    """Whole events, from ``new`` to ``end``, with hostile names; the last without wall time, label and box."""
    made: list[Event] = []
    zero = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
    for n, text in enumerate(HOSTILE):
        start = n * 10_000_000_000 + 1
        new = Event(
            id=event_id(text.encode("utf-8", "replace").decode(), "s", start, ""),
            rule=text,
            source="ab" * 16,
            camera=text,
            state="new",
            start=start,
            end=None,
            severity=("info", "low", "medium", "high", "critical")[n % 5],
            score=0.5,
            label=text,
            box=Box(0.1, 0.2, 0.3, 0.4),
            tracks=("t1",),
            data={"count": n, "words": text},
            evidence={"snapshot": "events/../../outside.jpg", "clip": None},
            wall=zero + timedelta(seconds=n),
        )
        states = [new, replace(new, state="update", number=1), replace(new, state="end", number=2, end=start + 5)]
        if n == len(HOSTILE) - 1:
            states = [replace(s, wall=None, label=None, box=None, score=None, evidence={}) for s in states]
        made += states
    return made


def message(event: Event, before: Event | None = None) -> Message:
    """A message of one state."""
    return Message(f"{event.id}:{event.number}", (event,), before, datetime.now(UTC))


def check_sink(
    sink: type[Sink], settings: Mapping[str, Any], folder: Path, *, dead: Mapping[str, Any] | None = None
) -> None:
    """Run all checks.

    Args:
        sink: the class.
        settings: with which it reaches a receiver that takes everything.
        folder: an empty library.
        dead: settings with which it reaches nothing, where that is possible.

    Raises:
        AssertionError: the sink breaks the contract; the message says how.
    """
    _declares(sink, settings)
    _tells(sink, settings, folder)
    if sink.digests:
        _digests(sink, settings, folder)
    if dead is not None:
        _fails(sink, dead, folder)


def _declares(sink: type[Sink], settings: Mapping[str, Any]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", sink.kind), f"kind: expected lower case letters, got {sink.kind!r}"
    assert sink.states, "states: expected at least one"
    assert set(sink.states) <= {"new", "update", "end"}, f"states: unknown ones in {sink.states}"
    made = sink.settings.model_validate(settings)
    for secret in _secrets(dict(made)):
        assert secret not in repr(made), "a secret is shown by the settings' repr"
    try:
        sink.settings.model_validate({**settings, "no_such_setting": 1})
    except ValidationError:
        return
    raise AssertionError("settings: a setting that does not exist was accepted; forbid extra fields")


def _secrets(value: Any) -> list[str]:
    if isinstance(value, SecretStr):
        return [s for s in (value.get_secret_value(),) if s]
    if isinstance(value, Mapping):
        return [s for v in value.values() for s in _secrets(v)]
    return []


def _made(sink: type[Sink], settings: Mapping[str, Any], folder: Path, going_on: Sequence[Event] = ()) -> Sink:
    return sink(sink.settings.model_validate(settings), SinkContext("tested", folder, open_events=lambda: going_on))


def _tells(sink: type[Sink], settings: Mapping[str, Any], folder: Path) -> None:
    _made(sink, settings, folder).close()
    events = sample_events()
    made = _made(sink, settings, folder, events[:1])
    made.open()
    made.know({e.camera: [e.rule] for e in events})
    before: Event | None = None
    for event in events:
        told = message(event, before if before is not None and before.id == event.id else None)
        _deliver(made, told)
        before = event
    _deliver(made, replace(message(events[0]), attempt=2))
    made.know({})
    made.close()
    made.close()
    made.open()
    made.deliver(message(events[0]))
    made.close()


def _deliver(sink: Sink, told: Message) -> None:
    # a sink may refuse what it cannot carry
    with contextlib.suppress(Refused):
        sink.deliver(told)


def _digests(sink: type[Sink], settings: Mapping[str, Any], folder: Path) -> None:
    made = _made(sink, settings, folder)
    made.open()
    ends = tuple(e for e in sample_events() if e.state == "end" and not re.search(r"[\x00-\x1f\ud800-\udfff]", e.rule))
    made.deliver(Message("digest:tested:1", ends, None, datetime.now(UTC), digest=True))
    made.close()


def _fails(sink: type[Sink], dead: Mapping[str, Any], folder: Path) -> None:
    made = _made(sink, dead, folder)
    failure: SinkError | None = None
    try:
        made.open()
        made.deliver(message(sample_events()[0]))
    except SinkError as error:
        failure = error
    finally:
        made.close()
    assert isinstance(failure, Unreachable), f"nothing is there: expected Unreachable, got {failure!r}"
    for secret in _secrets(dict(sink.settings.model_validate(dead))):
        assert secret not in str(failure), "a secret is shown by an error"
