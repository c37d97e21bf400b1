"""Dense observations come out as they went in, however they were packed."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.core.errors import StoreError
from onlooker.core.observation import Box, Observation
from onlooker.core.store import Batch, Query
from onlooker.core.time import Span, Timestamp
from onlooker.testing.store_values import SOURCE, observations, producer, same_observation, source_info
from onlooker.timeline.stores.embedded import EmbeddedStore
from onlooker.timeline.stores.embedded.dense import dense_row, is_dense, pack_rows, unpack_rows

MAKER = producer("objects")


def frame(tick, **fields):
    span = Span(Timestamp(tick, Fraction(1, 25)), Timestamp(tick + 1, Fraction(1, 25)))
    return Observation(span, "object", **fields).of(SOURCE, MAKER, fields.get("ordinal", 0))


@given(st.lists(observations(MAKER).filter(is_dense), min_size=1, max_size=20))
def test_packing_keeps_every_value(made):
    rows = [dense_row(o) for o in made]
    pack = unpack_rows(pack_rows(rows), b"".join(r.mark for r in rows))
    assert pack.rows == rows
    back = [row.observation(SOURCE, MAKER, o.kind, o.track) for row, o in zip(pack.rows, made, strict=True)]
    assert all(same_observation(a, b) for a, b in zip(back, made, strict=True))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_a_damaged_pack_is_an_error(noise, at):
    rows = [dense_row(frame(t, score=t / 7, label="person")) for t in range(20)]
    body, marks = pack_rows(rows), b"".join(r.mark for r in rows)
    broken = body[:at] + noise + body[at + len(noise) :]
    if broken == body:
        return
    with contextlib.suppress(StoreError):
        # noise after the end of the compressed part changes nothing
        assert unpack_rows(broken, marks).rows == rows


def test_the_same_moment_in_other_ticks_is_the_same_observation(tmp_path):
    with EmbeddedStore(tmp_path) as store:
        store.add_source(source_info())
        first = frame(25, score=0.5, track="t")
        same = replace(first, span=Span(Timestamp(1000, Fraction(1, 1000)), Timestamp(1040, Fraction(1, 1000))))
        assert first.id == same.id
        store.commit(Batch(SOURCE, [first]))
        store.commit(Batch(SOURCE, [replace(same, score=0.9), frame(26, track="t")]))
        assert [o.score for o in store.query(Query())] == [0.5, None]


def test_dense_observations_with_pictures_or_vectors_are_rows(tmp_path):
    with EmbeddedStore(tmp_path) as store:
        store.add_source(source_info())
        made = [
            frame(0, media=("media/x.jpg",)),
            frame(1, vector=[1.0, 2.0], vector_space="crop"),
            frame(2, box=Box(0, 0, 1, 1)),
            Observation(Span.of_seconds(Fraction(10**11), Fraction(10**11 + 1)), "motion").of(SOURCE, MAKER, 0),
        ]
        store.commit(Batch(SOURCE, made))
        assert store.database.fetch("SELECT sum(count) FROM pack") == [(1,)]
        found = list(store.query(Query()))
        assert [o.id for o in found] == [o.id for o in made]
        assert store.search_vector("crop", made[1].vector, Query())[0].observation.id == made[1].id


def test_text_and_labels_of_dense_observations_are_found(tmp_path):
    with EmbeddedStore(tmp_path) as store:
        store.add_source(source_info())
        made = [frame(t, label="traffic light", text="红灯亮了" if t > 300 else None) for t in range(400)]
        for at in range(0, 400, 50):
            store.commit(Batch(SOURCE, made[at : at + 50]))
        assert len(store.search_text("红灯", Query())) == 99
        assert len(list(store.query(Query(text="light 灯亮")))) == 99
        assert len(store.search_text("traffic", Query(limit=7, offset=5))) == 7
        assert store.search_text("red", Query()) == []
        # words of one observation and of another in the same pack are not one observation's words
        store.commit(Batch(SOURCE, [frame(0, label="bus", ordinal=1), frame(1, label="stop", ordinal=1)]))
        assert store.search_text("bus stop", Query()) == []


def test_a_long_span_in_a_pack_is_found_late(tmp_path):
    with EmbeddedStore(tmp_path) as store:
        store.add_source(source_info())
        long = Observation(Span.of_seconds(1, 1000), "motion").of(SOURCE, MAKER, 0)
        store.commit(Batch(SOURCE, [long, *(frame(t) for t in range(100))]))
        assert [o.id for o in store.query(Query(span=Span.of_seconds(900, 901)))] == [long.id]


@pytest.mark.parametrize("order", ["time", "score"])
def test_best_of_many_packs(tmp_path, order):
    with EmbeddedStore(tmp_path) as store:
        store.add_source(source_info())
        made = [frame(t, score=((t * 7919) % 1000) / 1000 if t % 3 else None, track=f"t{t % 9}") for t in range(3000)]
        store.commit(Batch(SOURCE, made))
        ranked = sorted(made, key=lambda o: (o.score is None, -(o.score or 0), o.span.start))
        expected = ranked if order == "score" else made
        for limit in (1, 10, 2500):
            found = list(store.query(Query(order=order, limit=limit, offset=3)))
            assert [o.id for o in found] == [o.id for o in expected[3 : 3 + limit]]
