"""Time, spans, ids, measurements and errors: properties that everything else rests on."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.core import errors
from onlooker.core.errors import OnlookerError, StoreError, UsageError
from onlooker.core.measurement import Measurement, pack_measurements, unpack_measurements
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.core.time import Span, Timestamp, parse_seconds

bases = st.sampled_from([Fraction(1, 25), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)])
stamps = st.builds(Timestamp, st.integers(-(10**9), 10**12), bases)
spans = st.tuples(stamps, stamps).map(lambda p: Span(min(p), max(p)))


@given(a=stamps, b=stamps)
def test_order_and_difference_are_those_of_the_values(a, b):
    assert (a < b) == (a.value < b.value)
    assert (a == b) == (a.value == b.value)
    assert a != b or hash(a) == hash(b)
    assert (b + (a - b)) == a
    assert a.nanoseconds <= a.value * 10**9 < a.nanoseconds + 1


@given(a=spans, b=spans)
def test_spans_overlap_just_where_they_share_a_moment(a, b):
    shared = a.intersection(b)
    assert (shared is not None) == a.overlaps(b) == b.overlaps(a)
    if shared is not None:
        assert a.start <= shared.start <= shared.end <= a.end


@given(seconds=st.integers(0, 10**6), millis=st.integers(0, 999))
def test_what_is_printed_is_read_again(seconds, millis):
    moment = Timestamp.of_seconds(Fraction(seconds * 1000 + millis, 1000))
    assert parse_seconds(str(moment)) == moment.value


@pytest.mark.parametrize("text", ["", "abc", "1:2:3:4", "1:30s", "1/0", "--5"])
def test_a_wrong_time_is_refused_with_a_hint(text):
    with pytest.raises(UsageError, match="not a time"):
        parse_seconds(text)


def test_empty_and_reversed_values_are_refused_where_they_are_made():
    with pytest.raises(ValueError, match="start <= end"):
        Span.of_seconds(2, 1)
    with pytest.raises(ValueError, match="positive fraction"):
        Timestamp(1, Fraction(0))
    with pytest.raises(ValueError, match="left <= right"):
        Observation(Span.of_seconds(0, 1), "x", box=Box(0.5, 0, 0.4, 1))
    with pytest.raises(ValueError, match="vector_space"):
        Observation(Span.of_seconds(0, 1), "x", vector=np.zeros(3))


def test_an_id_depends_on_what_was_seen_by_whom_and_on_nothing_else():
    maker = Producer("shots", "1", "ab" * 16)
    one = Observation(Span.of_seconds(0, 1), "shot", score=0.5).of("s", maker, 0)
    same = Observation(Span(Timestamp(0, Fraction(1, 25)), Timestamp(25, Fraction(1, 25))), "shot", label="x")
    assert same.of("s", maker, 0).id == one.id
    others = [
        one.of("t", maker, 0),
        one.of("s", maker, 1),
        one.of("s", replace(maker, config="cd" * 16), 0),
        replace(one, kind="scene"),
        replace(one, span=Span.of_seconds(0, 2)),
    ]
    assert len({one.id, *(o.id for o in others)}) == 6


def test_the_public_form_keeps_common_fields_from_being_hidden():
    seen = Observation(Span.of_seconds(0, 1), "shot", data={"transition": "cut", "kind": "forged", "id": 7})
    form = seen.as_dict()
    assert (form["kind"], form["transition"], form["id"]) == ("shot", "cut", seen.id)
    assert json.loads(json.dumps(form)) == form


arrays = st.tuples(st.integers(0, 5), st.sampled_from([np.uint8, np.float32, np.float16]))


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), stamps, st.none() | st.binary(max_size=20)), max_size=8),
    kind=st.sampled_from([np.uint8, np.float32, np.float16, np.int64]),
    width=st.integers(1, 4),
)
def test_packed_measurements_come_back_equal(rows, kind, width):
    rng = np.random.default_rng(0)
    made = [Measurement(t, Fraction(1, 25), (rng.random((n, width)) * 100).astype(kind), blob) for n, t, blob in rows]
    back = list(unpack_measurements(pack_measurements(made)))
    assert [(m.time, m.duration, m.blob) for m in back] == [(m.time, m.duration, m.blob) for m in made]
    for a, b in zip(made, back, strict=True):
        assert a.values.dtype == b.values.dtype
        assert np.array_equal(a.values, b.values)


def test_damaged_measurements_are_told():
    packed = pack_measurements([Measurement(Timestamp.of_seconds(0), Fraction(1), np.zeros(3))])
    with pytest.raises(StoreError, match="damaged"):
        list(unpack_measurements(packed[:12]))
    with pytest.raises(StoreError, match="wrong mark"):
        list(unpack_measurements(b"junk" + packed))


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_in_the_tree_and_crosses_processes(name):
    cls = getattr(errors, name)
    assert issubclass(cls, OnlookerError)
    assert name in (errors.__doc__ or "")
    back = pickle.loads(pickle.dumps(cls("what", hint="do this")))
    assert (type(back), str(back)) == (cls, "what (do this)")


def test_a_name_that_nobody_has_is_told_with_those_that_are_known():
    with pytest.raises(OnlookerError, match=r"no export is called 'nothing' \(known: .*jsonl"):
        load_plugin("exports", "nothing")


@pytest.mark.parametrize("group", ["analyzers", "sources", "stores", "exports", "runtimes"])
def test_all_built_in_parts_can_be_loaded(group):
    for name in plugin_names(group):
        assert load_plugin(group, name) is not None
