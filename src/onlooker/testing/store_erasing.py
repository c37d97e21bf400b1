"""The part of the stores' suite in which things are erased for good."""

# the names of the tests say what they are about
# ruff: noqa: D102

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onlooker.core.errors import UsageError
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Attachment, Observation
from onlooker.core.store import Batch, Query, RunState, Store
from onlooker.core.time import Span, Timestamp
from onlooker.testing.store_concurrency import ConcurrencyContract
from onlooker.testing.store_values import (
    OTHER,
    SOURCE,
    TICK,
    fits,
    moment,
    observations,
    producer,
    queries,
    some_observations,
    source_info,
)

__all__ = ["ErasingContract"]

_SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def _bytes(folder: Path) -> bytes:
    """All that lies in a folder, names and contents."""
    found: list[bytes] = []
    for where, _, names in os.walk(folder):
        found += [name.encode() + (Path(where) / name).read_bytes() for name in names]
    return b"\n".join(found)


class ErasingContract(ConcurrencyContract):
    """Erasing; see `StoreContract`."""

    def test_what_is_erased_is_gone_and_the_rest_stays(self, store: Store) -> None:
        store.add_source(source_info(OTHER, "/videos/other.mp4"))
        made = {identity: some_observations(90, producer(), identity) for identity in (SOURCE, OTHER)}
        for identity, own in made.items():
            store.commit(Batch(identity, own, states=[RunState(producer(), complete=True)]))
        query = Query(sources=(SOURCE,), tracks=("t1", "t3"), span=Span(Timestamp(20, TICK), Timestamp(70, TICK)))
        expected = [o.id for o in made[SOURCE] if fits(o, query)]
        assert store.erase(query) == len(expected)
        left = {o.id for o in store.query(Query())}
        assert left == {o.id for own in made.values() for o in own} - set(expected)
        assert sum(store.counts().values()) == len(left)
        assert {h.observation.id for h in store.search_text("打架", Query())} <= left
        with pytest.raises(UsageError):
            store.get(expected[0])
        assert store.erase(query) == 0
        assert store.states(SOURCE)[0].complete
        store.commit(Batch(SOURCE, made[SOURCE]))  # what is made again can be written again
        assert sum(store.counts().values()) == 180

    @given(made=st.lists(observations(producer("one")), max_size=10), query=queries())
    @_SETTINGS
    def test_erasing_means_what_querying_means(self, store: Store, made: list[Observation], query: Query) -> None:
        query = replace(query, limit=None, offset=0)
        store.commit(Batch(SOURCE, made))
        every = list({o.id: o for o in reversed(made)}.values())
        expected = {o.id for o in every if not fits(o, query)}
        assert store.erase(query) == len(every) - len(expected)
        assert {o.id for o in store.query(Query())} == expected
        store.erase(Query())

    def test_erasing_by_words(self, store: Store) -> None:
        texts = ["secret plan", "a plan", "计划 secret"]
        kinds = ("text", "object", "text")
        made = [
            Observation(moment(i), kind, text=text).of(SOURCE, producer(), 0)
            for i, (kind, text) in enumerate(zip(kinds, texts, strict=True))
        ]
        store.commit(Batch(SOURCE, made))
        assert store.erase(Query(text="secret")) == 2
        assert store.erase(Query(text="!?")) == 0
        assert [o.text for o in store.query(Query())] == ["a plan"]

    def test_part_of_a_page_cannot_be_erased(self, store: Store) -> None:
        store.commit(Batch(SOURCE, some_observations(9, producer())))
        for query in (Query(limit=2), Query(offset=1)):
            with pytest.raises(UsageError):
                store.erase(query)
            with pytest.raises(UsageError):
                store.erase_vectors(query)
        assert sum(store.counts().values()) == 9

    def test_nothing_erased_can_be_read_in_the_files(self, store: Store) -> None:
        vector = np.random.default_rng(7).normal(size=64).astype(np.float32)
        name, word, path = "Zerubabel Quint", "xylophage", "faces/zq-0001.jpg"
        rows = some_observations(300, producer())
        rows[4] = replace(rows[4], kind="identity", label=name, text=word, vector=vector, vector_space="face")
        rows[6] = replace(rows[6], kind="object", label=name)
        rows[7] = replace(rows[7], attachments=(Attachment(path, b"pixels of " + name.encode(), "image/jpeg"),))
        rows[7] = replace(rows[7], label=name)
        store.commit(Batch(SOURCE, rows))
        assert word.encode() in _bytes(store.folder)
        assert vector.tobytes() in _bytes(store.folder)
        assert store.erase(Query(labels=(name,))) == 3
        store.scrub()
        left = _bytes(store.folder)
        for lost in (name, word, "zq-0001", "quint"):
            assert lost.encode() not in left, lost
        assert vector.tobytes() not in left
        assert store.search_vector("face", vector, Query()) == []
        assert sum(store.counts().values()) == 297

    def test_media_that_others_name_stay(self, store: Store) -> None:
        picture = Attachment("faces/1.jpg", b"x", "image/jpeg")
        made = [
            Observation(moment(i), kind, attachments=(picture,)).of(SOURCE, producer(), 0)
            for i, kind in enumerate(("face_track", "keyframe"))
        ]
        store.commit(Batch(SOURCE, made))
        (path,) = next(iter(store.query(Query()))).media
        assert store.erase(Query(kinds=("face_track",))) == 1
        assert (store.folder / path).exists()
        assert store.erase(Query(kinds=("keyframe",))) == 1
        assert not (store.folder / path).exists()

    def test_vectors_are_erased_alone(self, store: Store) -> None:
        vectors = np.random.default_rng(1).normal(size=(20, 16)).astype(np.float32)
        made = [
            replace(o, kind="embedding", vector=v, vector_space="face")
            for o, v in zip(some_observations(20, producer()), vectors, strict=True)
        ]
        store.commit(Batch(SOURCE, made))
        gone = [i for i, o in enumerate(made) if o.label == "car"]
        assert store.erase_vectors(Query(kinds=("embedding",), labels=("car",))) == len(gone)
        assert store.erase_vectors(Query(labels=("car",))) == 0
        assert len(list(store.query(Query()))) == 20
        hits = store.search_vector("face", vectors[gone[0]], Query())
        assert len(hits) == 20 - len(gone)
        store.scrub()
        assert not any(vectors[i].tobytes() in _bytes(store.folder) for i in gone)

    def test_a_batch_takes_the_place_of_what_it_erases(self, store: Store) -> None:
        store.add_source(source_info(OTHER, "/videos/other.mp4"))
        for identity in (SOURCE, OTHER):
            old = [Observation(moment(i), "identity", label="unknown-1").of(identity, producer(), 0) for i in range(9)]
            store.commit(Batch(identity, old, states=[RunState(producer(), complete=True)]))
        new = [Observation(moment(i), "identity", label="Ann").of(SOURCE, producer(), 0) for i in range(3)]
        store.commit(Batch(SOURCE, new, erases=Query(kinds=("identity",))))
        assert [o.label for o in store.query(Query(sources=(SOURCE,)))] == ["Ann"] * 3
        assert [o.label for o in store.query(Query(sources=(OTHER,)))] == ["unknown-1"] * 9
        broken = replace(new[0], source=OTHER)
        with pytest.raises(UsageError):
            store.commit(Batch(SOURCE, [broken], erases=Query()))
        assert len(list(store.query(Query(sources=(SOURCE,))))) == 3

    def test_measurements_are_edited_in_place(self, store: Store) -> None:
        rows = np.random.default_rng(2).normal(size=(40, 3, 6)).astype(np.float32)
        measured = [Measurement(Timestamp(i, TICK), TICK, rows[i], b"blob") for i in range(40)]
        for part in (measured[:25], measured[25:]):
            store.commit(Batch(SOURCE, measurements=[(producer("faces"), part, "always")]))
        store.commit(Batch(SOURCE, measurements=[(producer("other"), measured, "always")]))

        def without_first(m: Measurement) -> Measurement:
            return replace(m, values=m.values[1:], blob=None) if m.time.pts % 2 else m

        assert store.edit_measurements(SOURCE, "faces", without_first) == 20
        assert store.edit_measurements(SOURCE, "faces", lambda m: m) == 0
        found = list(store.measurements(SOURCE, producer("faces")))
        assert [m.values.tolist() for m in found] == [rows[i][i % 2 :].tolist() for i in range(40)]
        assert [m.blob for m in found] == [None if i % 2 else b"blob" for i in range(40)]
        assert len(list(store.measurements(SOURCE, producer("other")))[1].values) == 3
        with pytest.raises(UsageError):
            store.edit_measurements(SOURCE, "faces", lambda m: replace(m, time=Timestamp(0, TICK)))
