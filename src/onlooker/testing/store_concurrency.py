"""The part of the stores' suite in which several threads and processes use one store at once, and are killed."""

# the names of the tests say what they are about
# ruff: noqa: D102

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from onlooker.core.measurement import Measurement
from onlooker.core.store import Batch, Query, RunState, Store
from onlooker.testing.store_values import (
    OTHER,
    SOURCE,
    TICK,
    producer,
    some_observations,
    source_info,
)

__all__ = ["ConcurrencyContract"]


# -- what child processes run --


def _batches(count: int, size: int) -> list[Batch]:
    made_by = producer()
    every = some_observations(count * size, made_by)
    batches: list[Batch] = []
    for i in range(count):
        part = every[i * size : (i + 1) * size]
        measured = [Measurement(o.span.start, TICK, np.arange(3) + i) for o in part]
        state = RunState(made_by, part[-1].span.end, i == count - 1, (i + 1) * size, float(i))
        batches.append(Batch(SOURCE, part, [(made_by, measured, "always")], [], [state]))
    return batches


def _resume(make: Callable[[Path], Store], folder: Path, count: int, size: int, opened: Any = None) -> None:
    store = make(folder)
    store.add_source(source_info())
    if opened is not None:
        opened.set()
    states = store.states(SOURCE)
    position = states[0].position if states else None
    for batch in _batches(count, size):
        # a run resumes at the last window that was committed, and so writes it again
        if position is None or batch.observations[-1].span.end >= position:
            store.commit(batch)
    store.close()


def _write_alone(make: Callable[[Path], Store], folder: Path, identity: str, count: int) -> None:
    store = make(folder)
    store.add_source(source_info(identity, f"/videos/{identity}.mp4"))
    for i in range(count):
        made = some_observations(20, producer(config=str(i)), identity)
        store.commit(Batch(identity, [replace(o, ordinal=i) for o in made]))
    store.close()


def _everything(store: Store) -> list[Any]:
    found = [(o.id, o.as_dict()) for o in store.query(Query())]
    measured = [(str(m.time.value), m.values.tolist()) for m in store.measurements(SOURCE, producer())]
    return [found, measured, [(s.position, s.complete, s.frames) for s in store.states(SOURCE)], store.counts()]


class ConcurrencyContract:
    """Threads, processes and kills; see `StoreContract`.

    Attributes:
        opener: opens or makes a store in a folder; called in other processes too.
    """

    opener: ClassVar[Callable[[Path], Store] | None] = None

    def make_store(self, folder: Path) -> Store:
        """Open or make a store in ``folder``."""
        return self._opener()(folder)

    def _opener(self) -> Callable[[Path], Store]:
        opener = type(self).opener
        if opener is None:
            pytest.skip("this store has no opener that other processes can call")
        return opener

    @pytest.fixture
    def store(self, tmp_path: Path) -> Any:
        """An empty store that knows one source."""
        store = self.make_store(tmp_path / "library")
        store.add_source(source_info())
        yield store
        store.close()

    def test_a_reader_sees_one_state_during_a_write(self, store: Store) -> None:
        made = some_observations(1000, producer())
        measured = [Measurement(o.span.start, TICK, np.arange(4)) for o in made]
        store.commit(Batch(SOURCE, made, [(producer(), measured, "always")]))
        reading, measuring = store.query(Query()), store.measurements(SOURCE, producer())
        assert next(reading)
        assert next(measuring)
        newer = producer(config="newer")
        more = [replace(o, ordinal=1) for o in some_observations(1000, newer)]
        store.commit(Batch(SOURCE, more, states=[RunState(newer, complete=True)]))
        assert {o.producer for o in reading} == {producer()}
        assert len(list(measuring)) == 999
        assert {o.producer for o in store.query(Query())} == {newer}

    def test_threads_write_and_read_at_once(self, store: Store) -> None:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for i in range(5):
                    made = some_observations(10, producer(f"analyzer-{number}"))
                    store.commit(Batch(SOURCE, [replace(o, ordinal=i) for o in made]))
                    list(store.query(Query(limit=20)))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sum(store.counts().values()) == 4 * 5 * 10

    def test_two_processes_write_at_once(self, tmp_path: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        identities = [SOURCE, OTHER]
        children = [
            spawn.Process(target=_write_alone, args=(self._opener(), tmp_path / "library", identity, 25))
            for identity in identities
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(120)
            assert child.exitcode == 0
        store = self.make_store(tmp_path / "library")
        assert {s.info.id for s in store.sources()} == set(identities)
        assert len(list(store.query(Query()))) == 2 * 20  # of each source the producer written to last is seen
        assert all(len(store.states(identity)) == 25 for identity in identities)
        store.close()

    def test_a_killed_writer_leaves_what_it_committed(self, tmp_path: Path) -> None:
        assert self.kill_and_compare(tmp_path, kills=6, count=100, size=30) > 0

    def kill_and_compare(self, folder: Path, *, kills: int, count: int, size: int, seed: int = 0) -> int:
        """Kill a writer at random moments, resume each time, and compare with an undisturbed run.

        Returns:
            How many of the kills met a writer that was not finished.
        """
        undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
        begun = time.monotonic()
        _resume(self._opener(), undisturbed, count, size)
        taken = time.monotonic() - begun
        spawn = multiprocessing.get_context("spawn")
        chance = random.Random(seed)
        killed = 0
        for _ in range(kills):
            opened = spawn.Event()
            child = spawn.Process(target=_resume, args=(self._opener(), disturbed, count, size, opened))
            child.start()
            opened.wait(60)
            child.join(chance.uniform(0, 2 * taken / kills))
            if child.is_alive() and child.pid:
                os.kill(child.pid, signal.SIGKILL)
            child.join(60)
            killed += child.exitcode == -signal.SIGKILL
        _resume(self._opener(), disturbed, count, size)
        expected, found = self.make_store(undisturbed), self.make_store(disturbed)
        assert _everything(found) == _everything(expected)
        expected.close()
        found.close()
        return killed
