"""Made-up values for the stores' suite: sources, observations, queries, and what a query means in plain Python."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from onlooker.core.media import AudioInfo, SourceInfo, VideoInfo
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Query
from onlooker.core.time import Span, Timestamp

__all__ = [
    "OTHER",
    "SOURCE",
    "TICK",
    "fits",
    "moment",
    "observations",
    "producer",
    "queries",
    "same_observation",
    "some_observations",
    "source_info",
    "spans",
    "time_key",
]

SOURCE = "5eed" * 8
OTHER = "0ddba11" * 4 + "beef"
TICK = Fraction(1, 25)


def source_info(identity: str = SOURCE, path: str = "/videos/街景 café.mp4") -> SourceInfo:
    """A source with all facts filled in."""
    video = VideoInfo("h264", 1920, 1080, "yuv420p", Fraction(30000, 1001), Fraction(1, 30000), 300, rotation=90)
    audio = (AudioInfo(0, "aac", 48000, 2, "zho"), AudioInfo(1, "opus", 44100, 1))
    tags = {"title": "Größe 大小 \N{PILE OF POO}"}
    return SourceInfo(identity, path, "mov,mp4", Fraction(1001, 100), 12345, video, audio, tags=tags)


def producer(analyzer: str = "shots", config: str = "a" * 32, bundle: str | None = None) -> Producer:
    """A producer."""
    return Producer(analyzer, "1", config, bundle)


def moment(tick: int) -> Span:
    """One frame of a 25 fps source."""
    return Span(Timestamp(tick, TICK), Timestamp(tick + 1, TICK))


def some_observations(count: int, made_by: Producer, source: str = SOURCE, kind: str = "cue") -> list[Observation]:
    """Observations that differ in every field; each third is dense."""
    made: list[Observation] = []
    for i in range(count):
        dense = i % 3 == 0
        observation = Observation(
            moment(i),
            "object" if dense else kind,
            score=(i % 101) / 101,
            label=("person", "car", "狗")[i % 3 if not dense else i % 2],
            box=Box(0.1, 0.2, 0.3 + (i % 7) / 10, 0.4) if i % 2 else None,
            track=f"t{i % 5}" if i % 4 else None,
            text=f"line {i} 两个男人在街上打架" if i % 7 == 1 else None,
            data={"index": i, "nested": {"list": [1, 2.5, None, "x"]}} if i % 5 == 0 else {},
        )
        made.append(observation.of(source, made_by, 0))
    return made


def same_observation(a: Observation, b: Observation) -> bool:
    """Equality by value of everything that a store keeps."""
    vectors = (a.vector is None) == (b.vector is None) and (
        a.vector is None or np.array_equal(np.asarray(a.vector, np.float32), np.asarray(b.vector, np.float32))
    )
    return (
        vectors
        and a.id == b.id
        and replace(a, vector=None, vector_space=None, data=dict(a.data), score=_plain(a.score))
        == replace(b, vector=None, vector_space=None, data=dict(b.data), score=_plain(b.score))
        and (a.vector is None or a.vector_space == b.vector_space)
    )


def _plain(score: float | None) -> float | None:
    return None if score is None else float(score)


def time_key(observation: Observation) -> tuple[Any, ...]:
    """What the order ``time`` promises within one source."""
    return (observation.span.start, observation.span.end, observation.kind, observation.ordinal)


def fits(observation: Observation, query: Query) -> bool:
    """The plain meaning of a query's conditions, text aside."""
    o = observation
    analyzer = o.producer.analyzer if o.producer else None
    return (
        (not query.sources or o.source in query.sources)
        and (not query.kinds or o.kind in query.kinds)
        and (not query.labels or o.label in query.labels)
        and (not query.tracks or o.track in query.tracks)
        and (not query.analyzers or analyzer in query.analyzers)
        and (query.span is None or query.span.overlaps(o.span))
        and (query.min_score is None or (o.score is not None and o.score >= query.min_score))
        and (query.max_score is None or (o.score is not None and o.score <= query.max_score))
    )


# -- strategies --

_words = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_time_bases = st.sampled_from([Fraction(1, 25), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)])
_fractions = st.fractions(0, 1).map(float)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """Any span, its ends in the same or in different time bases."""
    base = draw(_time_bases)
    start = Timestamp(draw(st.integers(-100, 10_000) | st.integers(-(2**37), 2**37)), base)
    if draw(st.booleans()):
        return Span(start, Timestamp(start.pts + draw(st.integers(0, 500)), base))
    return Span(start, start + draw(st.fractions(0, 100, max_denominator=997)))


@st.composite
def _boxes(draw: st.DrawFn) -> Box:
    left, top = draw(_fractions), draw(_fractions)
    return Box(left, top, left + draw(_fractions), top + draw(_fractions))


@st.composite
def observations(draw: st.DrawFn, made_by: Producer, source: str = SOURCE) -> Observation:
    """Any observation of a producer."""
    vector = draw(st.none() | st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3))
    return Observation(
        span=draw(spans()),
        kind=draw(st.sampled_from(["object", "motion", "cue", "shot", "Δοκιμή"])),
        score=draw(st.none() | _fractions | st.floats(allow_nan=False)),
        label=draw(st.none() | st.sampled_from(["person", "car", "狗"]) | _words),
        box=draw(st.none() | _boxes()),
        track=draw(st.none() | st.sampled_from(["t1", "t2"]) | _words),
        text=draw(st.none() | _words),
        data=draw(st.just({}) | st.dictionaries(_words, _json, max_size=3)),
        vector=None if vector is None else np.array(vector, np.float32),
        vector_space=None if vector is None else "test-3",
        source=source,
        producer=made_by,
        ordinal=draw(st.integers(0, 3)),
    )


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Any query that speaks of what `observations` makes."""
    return Query(
        sources=draw(st.sampled_from([(), (SOURCE,), (OTHER,), (SOURCE, OTHER)])),
        kinds=tuple(draw(st.lists(st.sampled_from(["object", "motion", "cue"]), max_size=2))),
        labels=tuple(draw(st.lists(st.sampled_from(["person", "car", "狗"]), max_size=2))),
        tracks=tuple(draw(st.lists(st.sampled_from(["t1", "t2"]), max_size=1))),
        analyzers=draw(st.sampled_from([(), ("one",), ("two", "one"), ("none",)])),
        span=draw(st.none() | spans()),
        min_score=draw(st.none() | _fractions),
        max_score=draw(st.none() | _fractions),
        order=draw(st.sampled_from(["time", "score"])),
        limit=draw(st.none() | st.integers(0, 10)),
        offset=draw(st.integers(0, 3)),
    )
