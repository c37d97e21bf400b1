"""Many sources on one machine: each in turn, in parallel worker processes, or one long file in segments."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from onlooker.core.errors import OnlookerError, SourceError, StoreError
from onlooker.core.media import Source
from onlooker.core.store import Batch, Failure, Store
from onlooker.pipeline.options import RunOptions, RunReport, SourceReport
from onlooker.pipeline.plan import Plan, make_plan
from onlooker.pipeline.run_source import Progress, SourceOutcome, Stop, run_source
from onlooker.pipeline.segments import can_segment, segmented
from onlooker.pipeline.workers import make_pool, new_stop_event, report_queue, stop_event

__all__ = ["RunOptions", "RunReport", "SourceReport", "analyze_paths", "plan_paths"]


def analyze_paths(
    addresses: Sequence[str],
    options: RunOptions,
    *,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> RunReport:
    """Run the stages over all addresses.

    Args:
        addresses: files or other addresses, each one source.
        options: what to run and where to write.
        workers: processes; None: one for a single source, else one a core. A single file is cut into segments.
        progress: called now and then, in this thread or another.
        stop: set it to end the run cleanly; what was done is kept.

    Raises:
        StoreError: the library cannot be opened or written.
    """
    begun = time.monotonic()
    stop = stop or threading.Event()
    cores = os.cpu_count() or 1
    wanted = workers if workers is not None else min(len(addresses), cores)
    wanted = max(1, wanted)
    options = replace(options, threads=options.threads or max(1, cores // wanted))
    with _opened(options) as store:  # made or migrated once, before several processes open it
        if options.privacy is not None and options.adopt is not None:
            options.adopt(store, options.privacy)
    if len(addresses) == 1:
        run = _run_one if wanted == 1 else partial(_run_segmented, workers=wanted)
        reports = [run(addresses[0], options, stop=stop, progress=progress)]
    else:
        first = replace(options, relate=False)
        if wanted == 1:
            reports = [_run_one(a, first, stop, progress) for a in _until(addresses, stop)]
        else:
            reports = _run_many(addresses, first, wanted, stop, progress)
        again = replace(options, redo=False)
        reports = [_related(r, again, stop) if r.open and not stop.is_set() else r for r in reports]
    if not stop.is_set():
        _retain(options)
    return RunReport(tuple(reports), time.monotonic() - begun, stop.is_set())


def _retain(options: RunOptions) -> None:
    """Remove what the library keeps no longer."""
    if options.open_keeper is None:
        return
    with _opened(options) as store:
        keeper = options.open_keeper(store, options.threads)
        if keeper is not None:
            keeper.retain(store)
            keeper.close()


def _related(report: SourceReport, options: RunOptions, stop: Stop) -> SourceReport:
    """Complete the stages that waited for all sources; what they had decided is decided again from the store."""
    done = _run_one(report.path, options, stop, None)
    elapsed = report.elapsed_seconds + done.elapsed_seconds
    return replace(report, counts=done.counts, failures=done.failures, elapsed_seconds=elapsed, open=False)


def plan_paths(addresses: Sequence[str], options: RunOptions) -> list[Plan | Failure]:
    """The plan of each address, or why it cannot be opened, without running and without making a library."""
    plans: list[Plan | Failure] = []
    store = options.open_store(options.folder, read_only=True) if (options.folder / "library.sqlite").exists() else None
    try:
        for address in addresses:
            try:
                source = _open(address, options, store)
            except OnlookerError as error:
                plans.append(Failure(address, "open", str(error)))
                continue
            states = store.states(source.info.id) if store and _known(store, source.info.id) else []
            plans.append(make_plan(source.info, options.stages, states))
            source.close()
    finally:
        if store is not None:
            store.close()
    return plans


def _until(addresses: Sequence[str], stop: Stop) -> Iterator[str]:
    for address in addresses:
        if stop.is_set():
            return
        yield address


def _known(store: Store, source: str) -> bool:
    return any(s.info.id == source for s in store.sources())


def _open(address: str, options: RunOptions, store: Store | None) -> Source:
    """Open a source; a file that was seen before with this size and time is not digested again."""
    path = Path(address)
    if store is None or not path.is_file():
        return options.open_source(address)
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    known = store.cached_id(*key)
    source = options.open_source(address, known_id=known)
    if known is None:
        store.cache_id(*key, source.info.id)
    return source


@contextmanager
def _opened(options: RunOptions) -> Generator[Store]:
    store = options.open_store(options.folder)
    try:
        yield store
    finally:
        store.close()


ReaderFor = Callable[[Plan], Callable[[Any], Iterator[None]] | None]


def _run_one(
    address: str,
    options: RunOptions,
    stop: Stop,
    progress: Callable[[Progress], None] | None,
    reader: ReaderFor = lambda _: None,
) -> SourceReport:
    begun = time.monotonic()
    with _opened(options) as store:
        try:
            source = _open(address, options, store)
        except StoreError:
            raise
        except Exception as error:
            return _unopened(address, error, store, begun, progress)
        try:
            return _run_opened(address, source, store, options, stop, progress, reader, begun)
        finally:
            source.close()


def _run_opened(
    address: str,
    source: Source,
    store: Store,
    options: RunOptions,
    stop: Stop,
    progress: Callable[[Progress], None] | None,
    reader: ReaderFor,
    begun: float,
) -> SourceReport:
    info = source.info
    store.add_source(info)
    states = store.states(info.id)
    if options.redo:
        names = {s.name for s in options.stages}
        for state in states:
            if state.producer.analyzer in names:
                store.discard(info.id, state.producer)
        states = []
    plan = make_plan(info, options.stages, states)
    if progress:
        progress(Progress(address, 0.0, float(info.duration or 0), "start"))
    keeper = options.open_keeper(store, options.threads) if options.open_keeper is not None else None
    try:
        outcome = run_source(
            source,
            store,
            plan,
            threads=options.threads,
            relate=options.relate,
            keeper=keeper,
            stop=stop,
            progress=progress,
            read=reader(plan),
        )
        if keeper is not None and not (outcome.stopped or outcome.open):
            keeper.ended(store, info.id)
    except StoreError:
        raise
    except Exception as error:
        message = str(error) if isinstance(error, OnlookerError) else f"{type(error).__name__}: {error}"
        failure = Failure(info.id, "read", message, retryable=not isinstance(error, SourceError))
        store.commit(Batch(info.id, failures=[failure]))
        outcome = SourceOutcome(info.id, 0, (failure,), tuple(t.stage.name for t in plan.todo))
    finally:
        if keeper is not None:
            keeper.close()
    failures = tuple(store.failures(info.id))
    if progress:
        progress(Progress(address, float(info.duration or 0), float(info.duration or 0), "done"))
    duration = None if info.duration is None else round(float(info.duration), 6)
    return SourceReport(
        info.id,
        address,
        duration,
        outcome.frames,
        store.counts(info.id),
        failures,
        time.monotonic() - begun,
        outcome.ran,
        outcome.stopped,
        outcome.open,
        outcome.spent,
        outcome.counted,
    )


def _unopened(
    address: str, error: Exception, store: Store, begun: float, progress: Callable[[Progress], None] | None
) -> SourceReport:
    message = str(error) if isinstance(error, OnlookerError) else f"{type(error).__name__}: {error}"
    failure = Failure(address, "open", message)
    store.clear_failures(address, [None])
    store.commit(Batch(address, failures=[failure]))
    if progress:
        progress(Progress(address, 0.0, 0.0, "failed"))
    return SourceReport("", address, None, 0, {}, (failure,), time.monotonic() - begun)


def _run_segmented(
    address: str,
    options: RunOptions,
    stop: threading.Event,
    progress: Callable[[Progress], None] | None,
    workers: int,
) -> SourceReport:
    shared = new_stop_event()
    with make_pool(workers, shared) as pool:

        def reader(plan: Plan) -> Callable[[Any], Iterator[None]] | None:
            if not can_segment(plan):
                return None
            return segmented(
                pool,
                workers,
                address,
                threads=options.threads,
                open_source=options.open_source,
                open_store=options.open_store,
            )

        try:
            return _run_one(address, options, stop, progress, reader)
        finally:
            shared.set()
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Watch:
    """Hands on what workers report, and the user's wish to stop."""

    reports: Any
    progress: Callable[[Progress], None] | None
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.done.is_set():
            try:
                item = self.reports.get(timeout=0.1)
            except (queue.Empty, EOFError, OSError):
                continue
            if self.progress:
                self.progress(item)


def _run_many(
    addresses: Sequence[str],
    options: RunOptions,
    workers: int,
    stop: threading.Event,
    progress: Callable[[Progress], None] | None,
) -> list[SourceReport]:
    import multiprocessing

    shared = new_stop_event()
    reports = multiprocessing.get_context("spawn").Queue()
    watch = _Watch(reports, progress)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    done: list[SourceReport] = []
    begun = time.monotonic()
    try:
        with make_pool(min(workers, len(addresses)), shared, reports) as pool:
            futures = {a: pool.submit(_run_in_worker, a, options) for a in addresses}
            while any(not f.done() for f in futures.values()):
                if stop.is_set():
                    shared.set()
                    pool.shutdown(wait=False, cancel_futures=True)
                time.sleep(0.05)
            for address, future in futures.items():
                if not future.cancelled():
                    done.append(_outcome(address, future, options, begun))
    finally:
        shared.set()
        watch.done.set()
        thread.join()
        reports.close()
    return done


def _outcome(address: str, future: Future[SourceReport], options: RunOptions, begun: float) -> SourceReport:
    try:
        return future.result()
    except BrokenProcessPool:
        error = SourceError("the worker process ended unexpectedly", hint="run the same command again to go on")
        with _opened(options) as store:
            return _unopened(address, error, store, begun, None)


def _run_in_worker(address: str, options: RunOptions) -> SourceReport:
    reports, stop = report_queue(), stop_event()
    assert stop is not None
    return _run_one(address, options, stop, None if reports is None else reports.put)
