"""One long file in parallel: worker processes run the heavy parts on segments between keyframes, and this process
runs the light parts in order over what they measured. The observations are the same as with one worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from onlooker.core.errors import OnlookerError, SourceError
from onlooker.core.measurement import pack_measurements, unpack_measurements
from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadRequest, Source
from onlooker.core.observation import Producer
from onlooker.core.store import Failure, Store
from onlooker.core.time import Timestamp
from onlooker.pipeline.fan_out import FanOut, StoredSeries
from onlooker.pipeline.plan import Plan
from onlooker.pipeline.run_source import audio_only, frames_request
from onlooker.pipeline.sampling import warm_margin
from onlooker.pipeline.session import Session, open_analyzers
from onlooker.pipeline.workers import stop_event

__all__ = ["Segment", "SegmentJob", "SegmentResult", "can_segment", "measure_segment", "segmented"]

OpenSource: TypeAlias = Callable[..., Source]
OpenStore: TypeAlias = Callable[..., Store]
SEGMENT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch [start, end) of the source; None: from its beginning, to its end."""

    start: Timestamp | None
    end: Timestamp | None


@dataclass(frozen=True, slots=True)
class SegmentJob:
    """What a worker needs to measure one segment."""

    address: str
    plan: Plan
    segment: Segment
    threads: int
    open_source: OpenSource
    open_store: OpenStore
    folder: Path


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What came of it: packed measurements by stage name, frames seen, and what failed."""

    measured: dict[str, bytes]
    frames: int
    failures: tuple[Failure, ...]
    broken: dict[str, tuple[Exception, Timestamp | None]]


def can_segment(plan: Plan) -> bool:
    """Whether cutting the source into segments can help this plan."""
    return not plan.source.live and plan.frames in ("all", "reference") and bool(plan.reading)


def measure_segment(job: SegmentJob) -> SegmentResult:
    """Run the heavy parts of ``job.plan`` over its segment (in a worker process)."""
    source = job.open_source(job.address, known_id=job.plan.source.id)
    tasks = [t for t in job.plan.reading if t.stage.needs.frames != "none"]
    analyzers, failed = open_analyzers(tasks, source, threads=job.threads, heavy_only=True)
    store, stored = _stored(job)
    start, end = job.segment.start, job.segment.end
    begins = {t.stage.name: max([b for b in (t.begin, start) if b is not None], default=None) for t in tasks}
    fan_out = FanOut([t.stage for t in tasks], analyzers, begins, stored)
    frames, failures = 0, list[Failure]()
    stop = stop_event()
    try:
        for item in source.read(_request(job)):
            if isinstance(item, ReadFailure):
                if (start is None or item.span.start >= start) and (end is None or item.span.start < end):
                    failures.append(Failure(job.plan.source.id, "read", item.message, item.span))
            elif not isinstance(item, AudioBlock | Packet):
                fan_out.frame(item)
                frames += start is None or item.time >= start
            if stop is not None and stop.is_set():
                raise SourceError("the run was stopped")
        fan_out.finish()
    finally:
        fan_out.finish()
        for analyzer in analyzers.values():
            analyzer.close()
        source.close()
        if store is not None:
            store.close()
    measured, _ = fan_out.drain()
    broken: dict[str, tuple[Exception, Timestamp | None]] = {n: (_portable(e), None) for n, e in failed.items()}
    broken.update({n: (_portable(e), t) for n, (e, t) in fan_out.failed.items()})
    return SegmentResult({n: pack_measurements(m) for n, m in measured.items()}, frames, tuple(failures), broken)


def _portable(error: Exception) -> Exception:
    """The error, or a plain one in its place where it can't cross processes."""
    return error if isinstance(error, OnlookerError) else RuntimeError(f"{type(error).__name__}: {error}")


def _request(job: SegmentJob) -> ReadRequest:
    request = frames_request(job.plan, threads=job.threads, audio=None)
    start = job.segment.start
    if start is not None:
        needs = [t.stage.needs for t in job.plan.reading if t.stage.needs.frames != "none"]
        margin = max(warm_margin(n.look_back, n.rate) for n in needs)
        start = start - margin if start.value > margin else None
    return replace(request, start=start, end=job.segment.end, packets=False)


def _stored(job: SegmentJob) -> tuple[Store | None, dict[str, StoredSeries]]:
    """Stored measurements of stages that are complete and that others need for the same frame."""
    wanted = {n for t in job.plan.reading for n in t.stage.needs.measurements}
    producers: dict[str, Producer] = {
        t.stage.name: t.state.producer
        for t in job.plan.tasks
        if t.stage.name in wanted and t.action == "done" and t.state is not None
    }
    if not producers:
        return None, {}
    store = job.open_store(job.folder, read_only=True)
    return store, {n: StoredSeries(store.measurements(job.plan.source.id, p)) for n, p in producers.items()}


def segmented(
    pool: ProcessPoolExecutor,
    workers: int,
    address: str,
    *,
    threads: int,
    open_source: OpenSource,
    open_store: OpenStore,
) -> Callable[[Session], Iterator[None]]:
    """A reader for `run_source` that measures in the pool's processes."""

    def read(session: Session) -> Iterator[None]:
        plan = session.plan
        segments = deque(_segments(session.source, plan, workers))
        session.fan_out.forget_frames()
        others = [(f, iter(session.source.read(audio_only(f)))) for f in plan.audio]
        packets = iter(session.source.read(ReadRequest(frames="none", packets=True))) if plan.packets else None
        running: deque[tuple[Segment, Future[SegmentResult]]] = deque()
        while segments or running:
            # no more segments ahead than keep the workers busy: finished ones wait in memory
            while segments and len(running) < workers + 1:
                segment = segments.popleft()
                job = SegmentJob(address, plan, segment, threads, open_source, open_store, session.store.folder)
                running.append((segment, pool.submit(measure_segment, job)))
            segment, future = running[0]
            try:
                result = future.result(timeout=0.2)
            except TimeoutError:
                yield
                continue
            except BrokenProcessPool:
                raise SourceError(
                    "a worker process ended unexpectedly",
                    hint="run the same command again to go on; try fewer --workers",
                ) from None
            running.popleft()
            _accept(session, segment, result)
            for format, blocks in others:
                session.catch_up(format, blocks, segment.end)
            if packets is not None:
                _packets(session, packets, segment.end)
            session.step()
            yield

    return read


def _accept(session: Session, segment: Segment, result: SegmentResult) -> None:
    for name, (error, moment) in result.broken.items():
        session.decider.fail(name, error, moment)
    for failure in result.failures:
        session.fail(failure)
    session.add({n: list(unpack_measurements(chunk)) for n, chunk in result.measured.items()})
    session.advance(segment.end, result.frames)


def _packets(session: Session, packets: Iterator[object], until: Timestamp | None) -> None:
    for item in packets:
        if isinstance(item, Packet):
            session.take(item)
            if until is not None and item.time >= until:
                return


def _segments(source: Source, plan: Plan, workers: int) -> list[Segment]:
    duration = plan.source.duration or Fraction(0)
    count = max(workers, min(int(duration) // SEGMENT_SECONDS, 10_000))
    begin = plan.begin
    cuts = [c for c in source.cut_points(count) if begin is None or c > begin]
    limits: list[Timestamp | None] = [begin, *cuts, None]
    return [Segment(a, b) for a, b in pairwise(limits)]
