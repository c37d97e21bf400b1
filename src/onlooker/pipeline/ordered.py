"""Runs the light parts strictly in order of time, and signs what they make."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from onlooker.core.analyzer import Analyzer, Window
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.pipeline.fan_out import StoredSeries
from onlooker.pipeline.spent import Stopwatch
from onlooker.pipeline.stages import Stage

__all__ = ["Decider", "Signer", "StoredObservations"]


class Signer:
    """Fills in source, producer and ordinal of one stage's observations."""

    def __init__(self, source: str, stage: Stage) -> None:
        self._source = source
        self._producer = stage.producer
        self._emits = stage.emits
        self._seen: dict[int, int] = {}

    def sign(self, observations: Iterable[Observation]) -> list[Observation]:
        """The observations, ready for the store.

        Raises:
            ValueError: one is of a kind that the stage did not declare.
        """
        signed: list[Observation] = []
        for made in observations:
            if made.kind not in self._emits:
                raise ValueError(f"made a {made.kind!r} but declares only {', '.join(self._emits)}")
            # the hash stands for the key itself to keep hours of dense observations small
            key = hash((made.kind, made.span.start.value, made.span.end.value))
            ordinal = self._seen.get(key, 0)
            self._seen[key] = ordinal + 1
            signed.append(made.of(self._source, self._producer, ordinal))
        return signed


class StoredObservations:
    """Observations of stages that are complete already, handed out as the run passes them."""

    def __init__(self, observations: Iterator[Observation]) -> None:
        self._left = observations
        self._next = next(self._left, None)

    def before(self, end: Timestamp | None) -> list[Observation]:
        """Those not yet given that start before ``end``; all that are left with None."""
        taken: list[Observation] = []
        while self._next is not None and (end is None or self._next.span.start < end):
            taken.append(self._next)
            self._next = next(self._left, None)
        return taken


class Decider:
    """The light parts of the stages of one run.

    Args:
        source: the source's id.
        stages: each after those it needs; only those that run.
        analyzers: opened instances by stage name.
        replay: by stage name, the stored measurements that come before what is measured now.
        stored: by stage and kind, observations of stages that are complete already.
        watch: times each stage.
    """

    def __init__(
        self,
        source: str,
        stages: Sequence[Stage],
        analyzers: Mapping[str, Analyzer[Any]],
        replay: Mapping[str, StoredSeries],
        stored: Mapping[tuple[str, str], StoredObservations],
        watch: Stopwatch | None = None,
    ) -> None:
        self._watch = watch or Stopwatch()
        self._stages = [s for s in stages if s.name in analyzers]
        self._analyzers = analyzers
        self.replay = replay
        self._stored = stored
        self._live: dict[str, deque[Measurement]] = {s.name: deque() for s in self._stages}
        self._scans = {s.name: s.needs.packets for s in self._stages}
        self._signers = {s.name: Signer(source, s) for s in self._stages}
        self._emitter = {kind: s.name for s in self._stages for kind in s.emits}
        self.ends: dict[str, Timestamp] = {}
        self.failed: dict[str, tuple[Exception, Timestamp | None]] = {}

    def add(self, measurements: Mapping[str, Sequence[Measurement]]) -> None:
        """Take what was measured since the last call."""
        for name, made in measurements.items():
            if name not in self.failed and made:
                self._live[name].extend(made)
                if self._scans[name]:  # packets come in decoding order
                    self._live[name] = deque(sorted(self._live[name], key=lambda m: m.time))

    def step(self, ends: Mapping[str, Timestamp]) -> dict[str, list[Observation]]:
        """Run every stage up to its moment in ``ends`` (stages that it leaves out wait).

        Returns:
            Signed observations by stage name.
        """
        return self._pass(ends, last=False)

    def finish(self) -> dict[str, list[Observation]]:
        """Run every stage to the end of the source and flush it."""
        return self._pass({}, last=True)

    def sign(self, name: str, observations: Iterable[Observation]) -> list[Observation]:
        """Sign observations that a stage made outside its windows."""
        return self._signers[name].sign(observations)

    def fail(self, name: str, error: Exception, time: Timestamp | None) -> None:
        """Take a stage out of the run, and with it those that need it."""
        self.failed.setdefault(name, (error, time))
        self._live[name].clear()

    def _pass(self, ends: Mapping[str, Timestamp], *, last: bool) -> dict[str, list[Observation]]:
        made: dict[str, list[Observation]] = {}
        fresh: list[Observation] = []
        old = {
            kind: series.before(None if last else max(ends.values(), default=Timestamp.of_seconds(0)))
            for kind, series in self._stored.items()
        }
        for stage in self._stages:
            name, needs = stage.name, stage.needs
            if name in self.failed:
                continue
            broken = [self._emitter[k] for k in needs.observations if self._emitter.get(k) in self.failed]
            broken += [n for n in needs.measurements if n in self.failed]
            if broken:
                self.fail(name, RuntimeError(f"needs {broken[0]}, which failed"), None)
                continue
            wanted = [o for (_, kind), made in old.items() if kind in needs.kinds for o in made]
            wanted += [o for o in fresh if o.kind in needs.kinds]
            try:
                with self._watch.of(name):
                    made[name] = self._signers[name].sign(self._run(stage, ends.get(name), wanted, last=last))
            except Exception as error:
                self.fail(name, error, self.ends.get(name))
                continue
            fresh += made[name]
        return made

    def _run(
        self, stage: Stage, end: Timestamp | None, wanted: Sequence[Observation], *, last: bool
    ) -> Iterator[Observation]:
        name, analyzer = stage.name, self._analyzers[stage.name]
        if last:
            rest = self._take(name, None)
            if rest or wanted:
                final = rest[-1].time + max(rest[-1].duration, 1) if rest else self.ends.get(name)
                yield from analyzer.analyze(Window(rest, wanted, final or Timestamp.of_seconds(0)))
            yield from analyzer.flush()
            return
        before = self.ends.get(name)
        if end is None or (before is not None and end <= before):
            end = before
        elif before is None or end > before:
            self.ends[name] = end
        own = self._take(name, end) if end is not None else []
        if own or wanted or (end is not None and end != before):
            yield from analyzer.analyze(Window(own, wanted, end or Timestamp.of_seconds(0)))

    def _take(self, name: str, end: Timestamp | None) -> list[Measurement]:
        replay = self.replay.get(name)
        taken: list[Measurement] = []
        if replay is not None:
            taken += replay.before(end) if end is not None else list(replay.rest())
        live = self._live[name]
        while live and (end is None or live[0].time < end):
            taken.append(live.popleft())
        return taken
