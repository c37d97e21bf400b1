"""Observations drawn by hand, and shorthands to run rules over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from onlooker.core.media import SourceInfo, VideoInfo
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.time import Span, Timestamp
from onlooker.rules import Engine, Event, RuleFile, parse_rules

VIDEO = VideoInfo("h264", 1000, 1000, "yuv420p", Fraction(25), Fraction(1, 1000))
INFO = SourceInfo("ab" * 16, "/films/door.mp4", "mp4", Fraction(60), 1000, VIDEO)
RATE = 5


def rules(when: str, **settings: str) -> RuleFile:
    """One rule, ``r``, in a file with a zone on the left half, and an upright line in the middle."""
    more = "".join(f"\n    {k}: {v}" for k, v in settings.items())
    return parse_rules(
        "version: 1\n"
        "zones: {left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}\n"
        "lines: {mid: {points: [[0.5, 0], [0.5, 1]], inside: [0.9, 0.5]}}\n"
        f"rules:\n  - id: r\n    when: {when}{more}\n"
    )


def span(start: float, end: float) -> Span:
    return Span.of_seconds(start, end)


def fact(kind: str, start: float, end: float, **fields: object) -> Observation:
    made = Observation(span(start, end), kind, **fields)  # pyright: ignore[reportArgumentType]
    return made.of(INFO.id, Producer(f"made-{kind}", "1", "0" * 32), 0)


def walk(
    track: str | None,
    place: Callable[[float], tuple[float, float] | None],
    start: float,
    end: float,
    *,
    label: str = "person",
    size: float = 0.2,
    score: float = 0.9,
) -> list[Observation]:
    """A box whose foot is at ``place(seconds)``, five times a second; None: not seen."""
    made: list[Observation] = []
    for i in range(math.ceil(start * RATE), math.ceil(end * RATE)):
        at = place(i / RATE)
        if at is not None:
            x, y = at
            box = Box(x - size / 4, y - size, x + size / 4, y)
            moment = Timestamp(i, Fraction(1, RATE))
            o = Observation(Span(moment, moment + Fraction(1, 25)), "object", score, label, box, track)
            made.append(o)
    return made


def signed(observations: Iterable[Observation]) -> list[Observation]:
    """With producer and ordinal, as the pipeline gives them."""
    seen: dict[tuple[object, ...], int] = {}
    made: list[Observation] = []
    for o in observations:
        if o.source:
            made.append(o)
            continue
        key = (o.kind, o.span)
        made.append(o.of(INFO.id, Producer("made", "1", "0" * 32), seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
    return made


def events(file: RuleFile, observations: Iterable[Observation], end: float = 60.0) -> list[Event]:
    """All states of all events, everything given at once."""
    engine = Engine(file, INFO)
    made = engine.take(signed(observations), {})
    return [*made, *engine.finish(round(end * 1e9))]


def ended(file: RuleFile, observations: Iterable[Observation], end: float = 60.0) -> list[tuple[float, float]]:
    """Beginning and end of each event in seconds."""
    return [(e.start / 1e9, (e.end or 0) / 1e9) for e in events(file, observations, end) if e.state == "end"]


def standing(x: float, y: float = 0.8) -> Callable[[float], tuple[float, float] | None]:
    return lambda t: (x, y)


def moving(x: float, speed: float, start: float = 0.0, y: float = 0.8) -> Callable[[float], tuple[float, float] | None]:
    return lambda t: (x + speed * (t - start), y)


def with_path(path: str) -> SourceInfo:
    return replace(INFO, path=path)
