"""Gives every frame, audio block and packet that was decoded once to all analyzers that want it.

Light analyzers run in the reader's thread, between two calls of the decoder, which works ahead in threads of its
own. Slow ones (``Needs.heavy``) run each in a thread with a short queue, so that inference and decoding overlap; a
full queue makes the reader wait.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from onlooker.core.analyzer import Analyzer
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, Frame, Packet
from onlooker.core.time import Timestamp
from onlooker.pipeline.sampling import is_due
from onlooker.pipeline.spent import Stopwatch
from onlooker.pipeline.stages import Stage

__all__ = ["FanOut", "StoredSeries", "audio_format"]

AudioFormat = tuple[int, Fraction, int]
_Work = Callable[[Frame, Sequence[str], dict[str, Measurement]], None]
QUEUE_LENGTH = 4


def audio_format(stage: Stage) -> AudioFormat | None:
    """(rate, block seconds, channels) of the blocks that the stage hears, or None."""
    needs = stage.needs
    return (needs.audio_rate, needs.audio_block, needs.audio_channels) if needs.audio_rate else None


class StoredSeries:
    """Stored measurements of one stage, looked up in order of time."""

    def __init__(self, measurements: Iterator[Measurement]) -> None:
        self._left = measurements
        self._next: Measurement | None = next(self._left, None)

    def at(self, time: Timestamp) -> Measurement | None:
        """The measurement of exactly this moment; calls must go forward in time."""
        while self._next is not None and self._next.time < time:
            self._next = next(self._left, None)
        if self._next is not None and self._next.time == time:
            return self._next
        return None

    def before(self, end: Timestamp) -> list[Measurement]:
        """All not yet given whose time is before ``end``."""
        taken: list[Measurement] = []
        while self._next is not None and self._next.time < end:
            taken.append(self._next)
            self._next = next(self._left, None)
        return taken

    @property
    def left(self) -> bool:
        """Whether there is more."""
        return self._next is not None

    def rest(self) -> Iterator[Measurement]:
        """All not yet given."""
        while self._next is not None:
            yield self._next
            self._next = next(self._left, None)


class _Branch:
    """A chain of stages that runs in one thread: a heavy one and those that need its measurements."""

    def __init__(
        self, names: Sequence[str], work: Callable[[Frame, Sequence[str], dict[str, Measurement]], None]
    ) -> None:
        self.names = names
        self._work = work
        self._queue: queue.Queue[tuple[Frame, list[str], dict[str, Measurement]] | None] = queue.Queue(QUEUE_LENGTH)
        self._pending: deque[Timestamp] = deque()
        self._thread = threading.Thread(target=self._run, name=f"onlooker-{names[0]}", daemon=True)
        self._thread.start()

    def put(self, frame: Frame, due: list[str], given: dict[str, Measurement]) -> None:
        self._pending.append(frame.time)
        self._queue.put((frame, due, given))

    def first_pending(self) -> Timestamp | None:
        try:
            return self._pending[0]
        except IndexError:
            return None

    def finish(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            self._work(*job)
            self._pending.popleft()


class FanOut:
    """The heavy parts of the stages of one run, fed with one stream of items.

    Args:
        stages: each after those it needs.
        analyzers: opened instances by stage name; stages without one are left out.
        begins: by stage name, the moment from which it measures (None: from the start); earlier frames within its
            look-back warm it.
        stored: by stage name, stored measurements of stages whose ``measure`` does not run (or runs later than
            others need it).
        threaded: whether heavy stages get threads (off in worker processes that have one core each).
        watch: times the calls of each analyzer.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        analyzers: Mapping[str, Analyzer[Any]],
        begins: Mapping[str, Timestamp | None],
        stored: Mapping[str, StoredSeries] | None = None,
        *,
        threaded: bool = True,
        watch: Stopwatch | None = None,
    ) -> None:
        self._watch = watch or Stopwatch()
        self._analyzers = analyzers
        self._stages = {s.name: s for s in stages if s.name in analyzers}
        self._begins = begins
        self._stored = stored or {}
        self._previous: Timestamp | None = None
        self._previous_key: Timestamp | None = None
        self._taken: dict[str, list[Measurement]] = {name: [] for name in self._stages}
        self._lock = threading.Lock()
        self.failed: dict[str, tuple[Exception, Timestamp]] = {}
        self.frames_end: Timestamp | None = None
        on_frames = [s for s in self._stages.values() if s.needs.frames != "none"]
        chained: dict[str, str] = {}
        for stage in on_frames:
            roots = [chained[n] for n in stage.needs.measurements if n in chained]
            if roots:
                chained[stage.name] = roots[0]
            elif stage.needs.heavy and threaded:
                chained[stage.name] = stage.name
        self._inline = [s.name for s in on_frames if s.name not in chained]
        groups = {root: [n for n, r in chained.items() if r == root] for root in dict.fromkeys(chained.values())}
        self._branches = [_Branch(names, self._measure_all) for names in groups.values()]

    def frame(self, frame: Frame, skip: Collection[str] = ()) -> None:
        """Offer a frame to all stages but those in ``skip``; waits while a slow one's queue is full."""
        time = frame.time
        given = {name: m for name, series in self._stored.items() if (m := series.at(time)) is not None}
        due = [n for n in self._inline if n not in skip and self._is_due(n, frame)]
        self._measure_all(frame, due, given)
        for branch in self._branches:
            due = [n for n in branch.names if n not in skip and self._is_due(n, frame)]
            if due:
                branch.put(frame, due, dict(given))
        self._previous = time
        if frame.key:
            self._previous_key = time
        self.frames_end = time

    def audio(self, block: AudioBlock, format: AudioFormat) -> None:
        """Offer a block to the stages that asked for this format."""
        for name, stage in self._stages.items():
            if audio_format(stage) == format and name not in self.failed and self._begun(name, block.time):
                self._keep(name, block.time, lambda a=self._analyzers[name]: a.hear(block))

    def packet(self, packet: Packet) -> None:
        """Offer a packet to the stages that asked for packets."""
        for name, stage in self._stages.items():
            if stage.needs.packets and name not in self.failed and self._begun(name, packet.time):
                self._keep(name, packet.time, lambda a=self._analyzers[name]: a.scan(packet))

    def drain(self) -> tuple[dict[str, list[Measurement]], Timestamp | None]:
        """What was measured since the last call, and the moment before which all frames are done."""
        pending = [t for b in self._branches if (t := b.first_pending()) is not None]
        if self.frames_end is not None:
            pending.append(self.frames_end)
        end = min(pending) if pending else None
        with self._lock:
            taken, self._taken = self._taken, {name: [] for name in self._stages}
        return taken, end

    def forget_frames(self) -> None:
        """Frames are measured elsewhere: end the threads and keep only sound and packets."""
        self.finish()
        self._inline = []

    def finish(self) -> None:
        """Wait for the slow stages; nothing may be offered after this."""
        for branch in self._branches:
            branch.finish()
        self._branches = []

    def _begun(self, name: str, time: Timestamp) -> bool:
        begin = self._begins.get(name)
        return begin is None or time >= begin

    def _is_due(self, name: str, frame: Frame) -> bool:
        if name in self.failed:
            return False
        needs = self._stages[name].needs
        keys_only = needs.frames == "key"
        if keys_only and not frame.key:
            return False
        if not is_due(frame.time, self._previous_key if keys_only else self._previous, needs.rate):
            return False
        begin = self._begins.get(name)
        return begin is None or frame.time.value >= begin.value - needs.look_back

    def _measure_all(self, frame: Frame, due: Sequence[str], given: dict[str, Measurement]) -> None:
        for name in due:
            if name in self.failed:
                continue
            broken = [n for n in self._stages[name].needs.measurements if n in self.failed]
            if broken:
                self._fail(name, RuntimeError(f"needs {broken[0]}, which failed"), frame.time)
                continue
            analyzer = self._analyzers[name]
            if self._begun(name, frame.time):
                made = self._keep(name, frame.time, lambda a=analyzer: a.measure(frame, given))
                if made is not None:
                    given[name] = made
            else:
                self._keep(name, frame.time, lambda a=analyzer: a.warm(frame, given))

    def _keep(self, name: str, time: Timestamp, work: Callable[[], Measurement | None]) -> Measurement | None:
        try:
            with self._watch.of(name):
                made = work()
        except Exception as error:
            self._fail(name, error, time)
            return None
        if made is not None:
            with self._lock:
                self._taken[name].append(made)
        return made

    def _fail(self, name: str, error: Exception, time: Timestamp) -> None:
        with self._lock:
            self.failed.setdefault(name, (error, time))
