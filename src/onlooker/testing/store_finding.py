"""The part of the stores' suite in which things are found: by words, by vectors, by any query."""

# the names of the tests say what they are about
# ruff: noqa: D102

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Batch, Query, Store
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
    same_observation,
    some_observations,
    source_info,
    time_key,
)

__all__ = ["FindingContract"]

_SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class FindingContract(ConcurrencyContract):
    """Finding; see `StoreContract`."""

    def test_text_is_found_in_chinese_and_english(self, store: Store) -> None:
        texts = ["两个男人在街上打架", "Zwei Männer RUNNING fast", "视频AI分析 report 2024", "a dog runs", "打 架"]
        made = [Observation(moment(i), "speech", text=t).of(SOURCE, producer(), 0) for i, t in enumerate(texts)]
        made.append(Observation(moment(9), "object", label="running shoe").of(SOURCE, producer(), 0))
        store.commit(Batch(SOURCE, made))
        expected = {
            "打架": [0],
            "男人 打架": [0],
            "男人在街": [0],
            "街": [0],
            "架": [0, 4],
            "running": [1, 9],
            "RUN*": [1, 3, 9],
            "run": [],
            "manner": [1],
            "视频ai": [2],
            "AI 分析": [2],
            "dog 打架": [],
            "男架": [],
            "shoe running": [9],
            "ＡＩ": [2],
            "2024": [2],
        }
        for words, ticks in expected.items():
            assert [o.span.start.pts for o in store.query(Query(text=words))] == ticks, words
            hits = store.search_text(words, Query())
            assert sorted(h.observation.span.start.pts for h in hits) == ticks, words
            assert all(a.score >= b.score for a, b in pairwise(hits))
        assert len(store.search_text("running", Query(kinds=("object",)))) == 1
        assert len(store.search_text("run*", Query(limit=1, offset=1))) == 1

    @given(
        words=st.text(max_size=20) | st.sampled_from(['"', "* *", "NEAR(a b)", "a OR b", "{x}: y", "\0", "-a", "^a"])
    )
    @_SETTINGS
    def test_any_text_is_a_query(self, store: Store, words: str) -> None:
        list(store.query(Query(text=words)))
        store.search_text(words, Query(text=words))

    def test_nearest_vectors(self, store: Store) -> None:
        random_numbers = np.random.default_rng(3)
        vectors = random_numbers.normal(size=(60, 8)).astype(np.float32)
        made = [
            replace(o, kind="keyframe", vector=v, vector_space="look")
            for o, v in zip(some_observations(60, producer()), vectors, strict=True)
        ]
        made.append(
            Observation(moment(99), "keyframe", vector=np.zeros(8), vector_space="look").of(SOURCE, producer(), 0)
        )
        store.commit(Batch(SOURCE, made))
        wanted = random_numbers.normal(size=8).astype(np.float32)
        cosine = vectors @ wanted / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted)
        hits = store.search_vector("look", wanted, Query(limit=10))
        assert [h.observation.span.start.pts for h in hits] == np.argsort(-cosine)[:10].tolist()
        assert np.allclose([h.score for h in hits], np.sort(cosine)[::-1][:10], atol=1e-5)
        chosen = Query(labels=("car",), span=Span(Timestamp(10, TICK), Timestamp(40, TICK)))
        allowed = [i for i in np.argsort(-cosine).tolist() if 10 <= i < 40 and made[i].label == "car"]
        assert [h.observation.span.start.pts for h in store.search_vector("look", wanted, chosen)] == allowed
        assert store.search_vector("unknown", wanted, Query()) == []
        with pytest.raises(UsageError):
            store.search_vector("look", wanted[:5], Query())

    def test_impossible_queries_are_refused(self, store: Store) -> None:
        for query in (Query(limit=-1), Query(offset=-1), Query(order="id; DROP TABLE source")):  # type: ignore[arg-type]
            with pytest.raises(UsageError):
                list(store.query(query))

    @given(
        made=st.lists(observations(producer("one")) | observations(producer("two"), OTHER), max_size=12),
        wanted=st.lists(queries(), min_size=1, max_size=6),
        cut=st.integers(1, 12),
    )
    @_SETTINGS
    def test_random_observations_and_queries(self, made: list[Observation], wanted: Sequence[Query], cut: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = self.make_store(Path(folder) / "library")
            for identity in (SOURCE, OTHER):
                store.add_source(source_info(identity, f"/{identity}.mp4"))
                own = [o for o in made if o.source == identity]
                for at in range(0, len(own), cut):
                    store.commit(Batch(identity, own[at : at + cut]))
            every = list({o.id: o for o in reversed(made)}.values())
            order = {SOURCE: 0, OTHER: 1}
            for query in wanted:
                found = list(store.query(query))
                fitting = [o for o in every if fits(o, query)]
                if query.order == "time":
                    fitting.sort(key=lambda o: (order[o.source], time_key(o)))
                else:
                    fitting.sort(key=lambda o: (o.score is None, -(o.score or 0.0), order[o.source], time_key(o)))
                stop = None if query.limit is None else query.offset + query.limit
                expected = fitting[query.offset : stop]
                assert [o.id for o in found] == [o.id for o in expected]
                assert all(same_observation(a, b) for a, b in zip(found, expected, strict=True))
            store.close()
