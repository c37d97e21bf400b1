"""What a run over one source holds: open analyzers, what is measured and made but not yet committed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import takewhile
from typing import Any

from onlooker.core.analyzer import Analyzer, Context
from onlooker.core.errors import OnlookerError
from onlooker.core.measurement import Keep, Measurement
from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadItem, Source
from onlooker.core.observation import Attachment, Observation, Producer
from onlooker.core.store import Batch, Failure, Query, RunState, Store
from onlooker.core.time import Timestamp
from onlooker.pipeline.fan_out import AudioFormat, FanOut, StoredSeries
from onlooker.pipeline.keeping import Keeper
from onlooker.pipeline.ordered import Decider, StoredObservations
from onlooker.pipeline.plan import Plan, Task
from onlooker.pipeline.spent import Stopwatch
from onlooker.pipeline.stages import create_analyzer

__all__ = ["Session", "open_analyzers"]

COMMIT_SECONDS = 1.0
REPLAY_SECONDS = Fraction(60)


def open_analyzers(
    tasks: Sequence[Task],
    source: Source,
    *,
    threads: int,
    heavy_only: bool = False,
    kinds: Collection[str] = (),
    watch: Stopwatch | None = None,
) -> tuple[dict[str, Analyzer[Any]], dict[str, Exception]]:
    """Create and open the tasks' analyzers; those that fail are given with their error instead.

    ``kinds``: all that are made in the run, or were made before for it. ``watch`` times the opening of each.
    """
    watch = watch or Stopwatch()
    context = Context(source.info, None if source.info.live else source.read, heavy_only, threads)
    opened: dict[str, Analyzer[Any]] = {}
    failed: dict[str, Exception] = {}
    for task in tasks:
        try:
            with watch.of(task.stage.name, opening=True):
                analyzer = create_analyzer(task.stage.spec)
                analyzer.open(replace(context, kinds=frozenset(kinds) & frozenset(task.stage.needs.kinds)))
        except Exception as error:
            failed[task.stage.name] = error
        else:
            opened[task.stage.name] = analyzer
    return opened, failed


@dataclass
class _Clock:
    """When to commit, and what the run took so far."""

    begun: float = field(default_factory=time.monotonic)
    committed: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        return time.monotonic() - self.committed >= COMMIT_SECONDS


class Session:
    """The run of one plan: holds the open analyzers and everything not yet committed.

    Args:
        source: the open source.
        store: where to write.
        plan: what to do; its source is known to the store.
        threads: how many a model may use.
        threaded: whether slow stages get threads of their own.
        keeper: decides what may be kept; without one everything is.
    """

    def __init__(
        self,
        source: Source,
        store: Store,
        plan: Plan,
        *,
        threads: int,
        threaded: bool = True,
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper
        self.plan, self.store, self.source = plan, store, source
        self.id = source.info.id
        self.tasks = {t.stage.name: t for t in plan.todo}
        kinds = {k for t in plan.tasks if t.action != "not possible" for k in t.stage.emits}
        self.watch = Stopwatch()
        self.analyzers, broken = open_analyzers(plan.todo, source, threads=threads, kinds=kinds, watch=self.watch)
        self.failures: list[Failure] = []
        self._reported: set[str] = set()
        self._new_failures: list[Failure] = []
        self._ends: dict[str, Timestamp] = {}
        self._measured: dict[str, list[Measurement]] = {}
        self._made: list[Observation] = []
        self._seconds: dict[str, float] = {}
        self._clock = _Clock()
        self._frame_times: deque[Timestamp] = deque()
        self._frames = min((t.state.frames for t in plan.reading if t.state and t.begin == plan.begin), default=0)
        self._frames = self._frames if plan.begin is not None else 0
        stages = [t.stage for t in plan.todo]
        self.fan_out = FanOut(
            [t.stage for t in plan.reading],
            {n: a for n, a in self.analyzers.items() if n in {t.stage.name for t in plan.reading}},
            {t.stage.name: t.begin for t in plan.reading},
            self._stored_for_measuring(),
            threaded=threaded,
            watch=self.watch,
        )
        self.decider = Decider(
            self.id, stages, self.analyzers, self._replays(), self._stored_observations(), self.watch
        )
        for name, error in broken.items():
            self.decider.failed[name] = (error, None)

    # -- what is stored already --

    def _stored_for_measuring(self) -> dict[str, StoredSeries]:
        wanted = {n for t in self.plan.reading for n in t.stage.needs.measurements}
        series: dict[str, StoredSeries] = {}
        for task in self.plan.tasks:
            name = task.stage.name
            if name not in wanted:
                continue
            producer = task.state.producer if task.action == "done" and task.state else task.reuse
            if producer is not None:
                series[name] = StoredSeries(self._before(producer, task.begin))
        return series

    def _before(self, producer: Any, end: Timestamp | None) -> Iterator[Measurement]:
        stored = self.store.measurements(self.id, producer)
        return stored if end is None else takewhile(lambda m: m.time < end, stored)

    def _replays(self) -> dict[str, StoredSeries]:
        series: dict[str, StoredSeries] = {}
        for name, task in self.tasks.items():
            if task.reuse is not None:
                stored = self._before(task.reuse, task.begin)
                copies = task.action == "decide again"
                series[name] = StoredSeries(self._copied(name, stored) if copies else stored)
        return series

    def _copied(self, name: str, stored: Iterator[Measurement]) -> Iterator[Measurement]:
        """Measurements of an older producer, which become those of this run's."""
        for measurement in stored:
            self._measured.setdefault(name, []).append(measurement)
            yield measurement

    def replay(self) -> Iterator[None]:
        """Run the light parts over what earlier runs measured, in steps, so that memory stays bounded."""
        series = {n: s for n, s in self.decider.replay.items() if n in self.tasks}
        end = Timestamp.of_seconds(Fraction(0))
        while any(s.left for s in series.values()):
            end = end + REPLAY_SECONDS
            for name in series:
                begin = self.tasks[name].begin
                self._ends[name] = end if begin is None else min(begin, end)
            self.step(measuring=False)
            yield

    def _stored_observations(self) -> dict[tuple[str, str], StoredObservations]:
        wanted = {k for t in self.plan.todo for k in t.stage.needs.kinds}
        stored: dict[tuple[str, str], StoredObservations] = {}
        for task in self.plan.tasks:
            for kind in task.stage.emits if task.action == "done" else ():
                if kind in wanted:
                    query = Query(sources=(self.id,), kinds=(kind,), analyzers=(task.stage.name,))
                    stored[task.stage.name, kind] = StoredObservations(iter(self.store.query(query)))
        return stored

    # -- one item after another --

    def take(self, item: ReadItem, audio: AudioFormat | None = None) -> None:
        """Offer one item that was read to the stages that want it."""
        if isinstance(item, ReadFailure):
            begin = self.plan.begin
            if begin is None or item.span.end > begin:
                self.fail(Failure(self.id, "read", item.message, item.span))
        elif isinstance(item, AudioBlock):
            assert audio is not None
            self.fan_out.audio(item, audio)
            self._advance(item.time, lambda t: t.stage.needs.frames == "none" and bool(t.stage.needs.audio_rate))
        elif isinstance(item, Packet):
            self.fan_out.packet(item)
        else:
            self.fan_out.frame(item)
            begin = self.plan.begin
            if begin is None or item.time >= begin:
                self._frame_times.append(item.time)

    def step(self, *, force: bool = False, measuring: bool = True) -> None:
        """Let the light parts catch up, and commit if it is time."""
        if measuring:
            taken, end = self.fan_out.drain()
            self.add(taken)
            if end is not None:
                self._advance(end, lambda t: t.stage.needs.frames != "none")
        for task in self.plan.todo:
            if task.stage.needs.frames == "none" and not task.stage.needs.audio_rate and not task.stage.needs.packets:
                before = [self._ends[n] for n in self._needed(task) if n in self._ends]
                if before:
                    self._ends[task.stage.name] = min(before)
        self._collect(self.decider.step(self._ends))
        self._note_failures()
        if force or self._clock.due():
            self._commit(complete=False)

    def add(self, measured: Mapping[str, Sequence[Measurement]]) -> None:
        """Take measurements, of this process or of another."""
        if self._keeper is not None:
            measured = {n: [self._keeper.measurement(m) for m in made] for n, made in measured.items()}
        for name, made in measured.items():
            if made:
                self._measured.setdefault(name, []).extend(made)
        self.decider.add(measured)

    def advance(self, end: Timestamp | None, frames: int) -> None:
        """``frames`` more frames, all before ``end``, were measured elsewhere (see `add`)."""
        self._frames += frames
        if end is not None:
            self._advance(end, lambda t: t.stage.needs.frames != "none")

    def catch_up(self, format: AudioFormat, blocks: Iterator[ReadItem], until: Timestamp | None) -> None:
        """Hear the blocks of a reader of its own up to a moment, or to the end."""
        for item in blocks:
            if isinstance(item, AudioBlock):
                self.take(item, format)
                if until is not None and item.time >= until:
                    return

    def fail(self, failure: Failure) -> None:
        """Record a failure."""
        self.failures.append(failure)
        self._new_failures.append(failure)

    def finish(self, *, relate: bool = True) -> bool:
        """The source has ended: flush, relate to other sources, and complete.

        Args:
            relate: False leaves the stages that relate sources to each other open, for a later run to complete.

        Returns:
            Whether such stages were left open.
        """
        self.fan_out.finish()
        self.step(force=False)
        self._collect(self.decider.finish())
        self._note_failures()
        relating = {n for n, a in self.analyzers.items() if a.relates}
        relating -= set(self.decider.failed)
        self._commit(complete=True, leave=relating)
        if relating and relate:
            for name in relating:
                self._relate(name, self.analyzers[name])
            self._note_failures()
            self._commit(complete=True)
        return bool(relating) and not relate

    def close(self) -> None:
        """Release the analyzers."""
        self.fan_out.finish()
        for analyzer in self.analyzers.values():
            analyzer.close()

    @property
    def position(self) -> Timestamp | None:
        """About where the run is, for progress."""
        return self.fan_out.frames_end or min(self._ends.values(), default=None)

    @property
    def frames(self) -> int:
        """Frames read of this source so far, earlier runs included."""
        return self._frames + len(self._frame_times)

    # -- inside --

    def _needed(self, task: Task) -> list[str]:
        kinds = task.stage.needs.kinds
        return [t.stage.name for t in self.plan.todo if any(k in kinds for k in t.stage.emits)]

    def _lacks(self, task: Task) -> bool:
        """Whether what it wishes for failed: it stays open, to be made anew with everything."""
        wishes = task.stage.needs.wishes
        return any(k in wishes for n in self.decider.failed for k in self.tasks[n].stage.emits)

    def _advance(self, end: Timestamp, which: Callable[[Task], bool]) -> None:
        for task in self.plan.reading:
            if which(task):
                self._ends[task.stage.name] = end if task.begin is None else max(end, task.begin)

    def _relate(self, name: str, analyzer: Analyzer[Any]) -> None:
        stage = self.tasks[name].stage
        try:
            with self.watch.of(name):
                made = self.decider.sign(name, analyzer.relate(self.store, self.source.info, stage.producer))
            self._collect({name: made})
        except Exception as error:
            self.decider.fail(name, error, None)

    def _collect(self, made: Mapping[str, Sequence[Observation]]) -> None:
        for observations in made.values():
            for observation in observations:
                files = [self._kept(observation, a) for a in observation.attachments]
                paths = tuple(self.store.put_media(self.id, a) for a in files if a is not None)
                kept = replace(observation, attachments=(), media=observation.media + paths) if files else observation
                self._made.append(kept)

    def _kept(self, observation: Observation, attachment: Attachment) -> Attachment | None:
        return attachment if self._keeper is None else self._keeper.attachment(observation, attachment)

    def _note_failures(self) -> None:
        for name, (error, moment) in self.fan_out.failed.items():
            self.decider.fail(name, error, moment)
        for name, (error, moment) in self.decider.failed.items():
            if name not in self._reported:
                self._reported.add(name)
                message = str(error) if isinstance(error, OnlookerError) else f"{type(error).__name__}: {error}"
                at = f" (at {moment})" if moment is not None else ""
                self.fail(Failure(self.id, "analyze", message + at, None, name, retryable=True))

    def _commit(self, *, complete: bool, leave: Collection[str] = ()) -> None:
        """Write everything that is new; with ``complete`` the stages end, except those in ``leave``."""
        self._count_frames(complete=complete)
        seconds, self._clock.begun = time.monotonic() - self._clock.begun, time.monotonic()
        states: list[RunState] = []
        for name, task in self.tasks.items():
            if name in self.decider.failed:
                continue
            again = task.action == "decide again"
            begin, end = task.begin, self._ends.get(name)
            position = max(begin, end) if begin is not None and end is not None else end if begin is None else begin
            # what is only decided again starts over when it is interrupted: it costs no decoding
            position = None if again and not complete else position
            lacking = complete and self._lacks(task)
            position = None if lacking else position
            frames = task.state.frames if again and task.state else self._frames
            self._seconds[name] = self._seconds.get(name, self._earlier(task)) + seconds
            done = complete and name not in leave and not lacking
            states.append(RunState(task.stage.producer, position, done, frames, self._seconds[name]))
        measurements: list[tuple[Producer, Sequence[Measurement], Keep]] = []
        for name, made in self._measured.items():
            stage = self.tasks[name].stage
            measurements.append((stage.producer, made, stage.needs.keep))
        self.store.commit(Batch(self.id, self._made, measurements, self._new_failures, states))
        self._made, self._measured, self._new_failures = [], {}, []
        self._clock.committed = time.monotonic()

    def _count_frames(self, *, complete: bool) -> None:
        ends = [
            self._ends[t.stage.name]
            for t in self.plan.reading
            if t.stage.needs.frames != "none" and t.stage.name in self._ends and t.stage.name not in self.decider.failed
        ]
        position = min(ends) if ends else None
        while self._frame_times and (complete or (position is not None and self._frame_times[0] < position)):
            self._frames += 1
            self._frame_times.popleft()

    @staticmethod
    def _earlier(task: Task) -> float:
        return task.state.seconds if task.state and task.action == "resume" else 0.0
