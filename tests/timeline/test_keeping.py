"""Superseding, removal that was cut short, and shrinking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onlooker.core.errors import StoreBusy, UsageError
from onlooker.core.observation import Attachment
from onlooker.core.store import Batch, Query, RunState
from onlooker.testing.store_values import OTHER, SOURCE, producer, some_observations, source_info
from onlooker.timeline.stores.embedded import EmbeddedStore, keeping

OLD, NEW = producer(config="old"), producer(config="new")


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore(tmp_path / "library") as opened:
        opened.add_source(source_info())
        yield opened


def rows_of(store):
    return [store.database.fetch(f"SELECT count(*) FROM {t}")[0][0] for t in ("observation", "pack", "words", "run")]


def test_a_completed_run_drops_what_was_abandoned_before_it_began(store):
    store.commit(Batch(SOURCE, some_observations(30, OLD), states=[RunState(OLD)]))
    store.commit(Batch(SOURCE, some_observations(10, NEW), states=[RunState(NEW)]))
    store.commit(Batch(SOURCE, states=[RunState(NEW, complete=True)]))
    assert [s.producer for s in store.states(SOURCE)] == [NEW]


def test_a_run_that_is_still_written_to_goes_on_unseen(store):
    store.commit(Batch(SOURCE, some_observations(10, OLD), states=[RunState(OLD)]))
    store.commit(Batch(SOURCE, some_observations(10, NEW), states=[RunState(NEW)]))
    more = [replace(o, ordinal=1) for o in some_observations(10, OLD)]
    store.commit(Batch(SOURCE, more, states=[RunState(OLD)]))
    store.commit(Batch(SOURCE, states=[RunState(NEW, complete=True)]))
    assert {o.producer for o in store.query(Query())} == {NEW}
    store.commit(Batch(SOURCE, states=[RunState(OLD, complete=True)]))
    assert {o.producer for o in store.query(Query())} == {OLD}
    assert sum(store.counts().values()) == 20  # nothing of it was lost meanwhile


def test_a_deletion_that_was_cut_short_is_finished_later(store, monkeypatch):
    """As after a kill between the transaction and the slices."""
    made = some_observations(50, OLD)
    made[1] = replace(made[1], attachments=(Attachment("a.jpg", b"x", "image/jpeg"),))
    store.commit(Batch(SOURCE, made, states=[RunState(OLD, complete=True)]))
    store.add_source(source_info(OTHER, "/other.mp4"))
    store.commit(Batch(OTHER, some_observations(9, OLD, OTHER)))

    def killed(*_):
        raise StoreBusy("killed")

    monkeypatch.setattr(keeping, "purge", killed)
    store.commit(Batch(SOURCE, some_observations(10, NEW), states=[RunState(NEW, complete=True)]))
    with pytest.raises(StoreBusy):
        store.remove_source(OTHER)
    monkeypatch.undo()
    assert sum(store.counts().values()) == 10
    assert [s.info.id for s in store.sources()] == [SOURCE]
    store.commit(Batch(SOURCE, some_observations(10, NEW)))  # the same ids as of rows that wait for deletion
    with pytest.raises(UsageError):
        store.states(OTHER)
    assert (store.folder / "media" / SOURCE / "a.jpg").exists()
    with EmbeddedStore(store.folder) as again:
        assert sum(again.counts().values()) == 10
        assert rows_of(again)[3] == 1
        assert again.check().ok
        assert not (store.folder / "media" / SOURCE / "a.jpg").exists()
        assert len(again.search_text("打架", Query())) == 2


def test_removal_in_slices_gives_space_back(store, monkeypatch):
    monkeypatch.setattr(keeping, "SLICE", 70)
    store.commit(Batch(SOURCE, [replace(o, text="word " * 300) for o in some_observations(600, OLD, kind="text")]))
    store.add_source(source_info(OTHER, "/other.mp4"))
    store.commit(Batch(OTHER, some_observations(9, OLD, OTHER)))
    store.vacuum()
    before = store.sizes()["database_bytes"]
    store.remove_source(SOURCE)
    assert rows_of(store) == [6, 3, 6, 1]
    freed = store.vacuum()["bytes_freed"]
    assert store.sizes()["database_bytes"] < before / 3
    assert freed > 0
    assert store.check().ok


def test_going_back_under_way_shows_the_newest_complete(store):
    store.commit(Batch(SOURCE, some_observations(5, OLD), states=[RunState(OLD, complete=True)]))
    store.commit(Batch(SOURCE, states=[RunState(OLD, complete=False)]))
    assert sum(store.counts().values()) == 5
    store.commit(Batch(SOURCE, some_observations(3, NEW), states=[RunState(NEW, complete=True)]))
    assert {o.producer for o in store.query(Query())} == {NEW}


def test_what_was_kept_for_the_run_alone_leaves_no_empty_file(tmp_path):
    from fractions import Fraction

    import numpy as np

    from onlooker.core.measurement import Measurement
    from onlooker.core.media import SourceInfo
    from onlooker.core.observation import Producer
    from onlooker.core.store import Batch, RunState
    from onlooker.core.time import Timestamp
    from onlooker.timeline import open_store

    store = open_store(tmp_path / "lib")
    store.add_source(SourceInfo("s" * 32, "/x.mp4", "mp4", None, None, None))
    producer = Producer("keyframes", "1", "ab" * 16)
    noise = np.random.default_rng(0)
    for second in range(50):
        blob = noise.bytes(10**6)
        made = Measurement(Timestamp.of_seconds(second), Fraction(1), np.zeros(1), blob)
        store.commit(Batch("s" * 32, measurements=[(producer, [made], "run")], states=[RunState(producer)]))
    database = tmp_path / "lib" / "library.sqlite"
    assert database.stat().st_size > 40 * 10**6
    store.commit(Batch("s" * 32, states=[RunState(producer, Timestamp.of_seconds(50), True)]))
    store.close()
    assert database.stat().st_size < 5 * 10**6
