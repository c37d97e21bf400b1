"""One source: plan, read once, measure, decide, commit in small steps; go on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Literal, Protocol

from onlooker.core.media import AudioBlock, ReadRequest, Source
from onlooker.core.store import Failure, Store
from onlooker.pipeline.fan_out import AudioFormat
from onlooker.pipeline.keeping import Keeper
from onlooker.pipeline.plan import Plan
from onlooker.pipeline.sampling import warm_margin
from onlooker.pipeline.session import Session
from onlooker.pipeline.spent import Spent

__all__ = ["Progress", "SourceOutcome", "Stop", "audio_only", "frames_request", "run_source"]

STEP_FRAMES = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is: ``position`` and ``duration`` in seconds of the source; duration 0 where unknown."""

    path: str
    position: float
    duration: float
    phase: Literal["start", "read", "finish", "done", "failed"]


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """What became of one source.

    ``ran`` names the stages that worked in this run; ``open`` says that some wait for other sources to relate to;
    ``spent`` tells the time of each that worked in this process, ``counted`` what those counted that count.
    """

    source: str
    frames: int
    failures: tuple[Failure, ...]
    ran: tuple[str, ...]
    stopped: bool = False
    open: bool = False
    spent: Mapping[str, Spent] = field(default_factory=dict[str, Spent])
    counted: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])


class Stop(Protocol):
    """Whether the user wants the run to end (a threading or multiprocessing Event)."""

    def is_set(self) -> bool:
        """Whether it was asked for."""
        ...


def frames_request(plan: Plan, *, threads: int, audio: AudioFormat | None) -> ReadRequest:
    """What is read of the source in the one pass, from a little before the moment where the plan begins."""
    begin = plan.begin
    if begin is not None:
        needs = [t.stage.needs for t in plan.reading if t.stage.needs.frames != "none"]
        margin = max(warm_margin(n.look_back, n.rate) for n in needs)
        begin = begin - margin if begin.value > margin else None
    if any(t.begin is None for t in plan.reading):
        begin = None
    rate, block, channels = audio or (None, Fraction(1), 1)
    return ReadRequest(
        frames=plan.frames,
        packets=plan.packets,
        audio_rate=rate,
        audio_block=block,
        audio_channels=channels,
        start=begin,
        threads=threads,
    )


def _quiet(_: Progress) -> None:
    """Nobody watches."""


def run_source(
    source: Source,
    store: Store,
    plan: Plan,
    *,
    threads: int,
    relate: bool = True,
    keeper: Keeper | None = None,
    stop: Stop | None = None,
    progress: Callable[[Progress], None] | None = None,
    read: Callable[[Session], Iterator[None]] | None = None,
) -> SourceOutcome:
    """Carry out ``plan``.

    ``keeper`` says what may be kept; ``read`` replaces the reading in this process (see ``segments``); ``relate`` as in
    `Session.finish`.

    Raises:
        SourceError: nothing at all could be read.
        StoreError: the library cannot be written.
    """
    if not plan.todo:
        return SourceOutcome(plan.source.id, max((t.state.frames for t in plan.tasks if t.state), default=0), (), ())
    retried: list[str | None] = [t.stage.name for t in plan.todo]
    store.clear_failures(plan.source.id, retried + ([None] if plan.begin is None and plan.reading else []))
    begun = {state.producer for state in store.states(plan.source.id)}
    for task in plan.todo:
        if task.action == "run" and task.stage.producer in begun:
            store.discard(plan.source.id, task.stage.producer)  # it was made while something it wishes for had failed
    session = Session(source, store, plan, threads=threads, keeper=keeper)
    tell = progress or _quiet
    duration = float(plan.source.duration or 0)
    stopped = left_open = False
    try:
        for _ in chain(session.replay(), read(session) if read else _read(session, threads)):
            at = session.position
            tell(Progress(plan.source.path, at.seconds if at else 0.0, duration, "read"))
            if stop is not None and stop.is_set():
                stopped = True
                break
        if stopped:
            session.fan_out.finish()
            session.step(force=True)
        else:
            tell(Progress(plan.source.path, duration, duration, "finish"))
            left_open = session.finish(relate=relate)
    finally:
        session.close()
    failures, ran = tuple(session.failures), tuple(session.tasks)
    counted = {name: of for name, analyzer in session.analyzers.items() if (of := analyzer.counted)}
    spent = session.watch.spent
    return SourceOutcome(plan.source.id, session.frames, failures, ran, stopped, left_open, spent, counted)


def _read(session: Session, threads: int) -> Iterator[None]:
    """Read the source in this process; yields now and then."""
    plan = session.plan
    if not plan.reading:
        return
    formats = plan.audio
    main = frames_request(plan, threads=threads, audio=formats[0] if formats else None)
    others = [(f, iter(session.source.read(audio_only(f)))) for f in formats[1:]]
    for count, item in enumerate(session.source.read(main), 1):
        session.take(item, formats[0] if formats else None)
        if isinstance(item, AudioBlock):
            for format, blocks in others:
                session.catch_up(format, blocks, item.time)
        if count % STEP_FRAMES == 0:
            session.step()
            yield
    for format, blocks in others:
        session.catch_up(format, blocks, None)


def audio_only(format: AudioFormat) -> ReadRequest:
    """What to ask of a source to hear it in one format, without pictures."""
    rate, block, channels = format
    return ReadRequest(frames="none", audio_rate=rate, audio_block=block, audio_channels=channels)
