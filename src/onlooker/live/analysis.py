"""The analysis of one camera: its newest frame, its sound, the gate, the analyzers, and what they make of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from onlooker.core.errors import StoreError
from onlooker.core.media import AudioBlock, AudioInfo, Frame, SourceInfo, VideoInfo
from onlooker.core.observation import Observation
from onlooker.core.store import Batch, Failure, RunState, Store
from onlooker.core.time import NANOSECONDS, Timestamp
from onlooker.live.beside import Beside, Nobody
from onlooker.live.gate import MotionGate
from onlooker.live.intake import Intake, Meter, due
from onlooker.live.settings import AnalysisSettings
from onlooker.live.sitting import Selection, Sitting
from onlooker.pipeline.keeping import Keeper
from onlooker.pipeline.spent import Stopwatch

__all__ = ["AnalysisSettings", "Decided", "LiveAnalysis"]

_log = logging.getLogger("onlooker.live")
_SECOND = 1_000_000_000
_STATES_EVERY = 10 * _SECOND
_OVERDUE = 1.25
"""How much longer than asked a sitting may last while something moves."""
_FOLLOW, _FOLLOW_RATE = 3 * _SECOND, 1.0
"""How long after a track was seen, and how often, the heavy analyzers look on though the gate is closed."""
_IDLE = 10 * _SECOND
_LATEST = 5 * _SECOND
"""What comes this late after a pause is not looked at any more."""
_MOST_UNWRITTEN = 20_000


@dataclass(frozen=True, slots=True)
class Decided:
    """What a turn came to, once it is in the store.

    Args:
        observations: what was made.
        until: nanoseconds; the watermark of kinds that nobody makes.
        marks: watermarks of those that somebody makes.
    """

    observations: Sequence[Observation]
    until: int
    marks: Mapping[str, int]


class LiveAnalysis:
    """Takes frames and sound in the link's thread, works in a worker's, and hands on what is stored.

    The age of what is analysed is bounded: of the frames that are due, only the newest waits. Frames that are not
    analysed are counted in `drops`: ``rate`` (more came than are wanted), ``load`` (wanted, but the governor does not
    allow them now), ``superseded`` (due, but a newer one came before a worker was free), ``failed``, ``late``. ``gate``
    counts frames that only the light analyzers saw because nothing moved.

    Args:
        info: the camera's source; live.
        selection: what runs.
        store: where observations go; knows the source.
        settings: rates and times.
        decided: called in the worker's thread after each commit.
        beat: called before a commit with the moment up to which observations may reach, for the ledger.
        keeper: decides what may be kept.
        notify: called when there is work.
        beside: looks at the same frames, without a part in what is told.
    """

    def __init__(
        self,
        info: SourceInfo,
        selection: Selection,
        store: Store,
        settings: AnalysisSettings,
        *,
        decided: Callable[[Decided], None],
        beat: Callable[[int], None] = lambda _: None,
        keeper: Keeper | None = None,
        notify: Callable[[], None] = lambda: None,
        beside: Beside | None = None,
    ) -> None:
        self._info, self._selection, self._store, self._settings = info, selection, store, settings
        self._decided, self._beat, self._keeper, self._notify = decided, beat, keeper, notify
        self._beside = beside or Nobody()
        self._intake = Intake(settings.rate, hears=selection.audio is not None, notify=notify)
        self._gate = None if settings.gate is None else MotionGate(settings.gate)
        self._lock = threading.Lock()
        self._sitting: Sitting | None = None
        self._asked_to_end = threading.Event()
        self._idle_since: int | None = None
        self._followed: Timestamp | None = None
        self._heavily: Timestamp | None = None
        self._latest = -1
        self._analysed = Meter()
        self._marks: dict[str, int] = {}
        self._horizon = self._passed = 0
        self._committed = 0
        self._frames_before = 0
        self._counts: tuple[dict[str, Counter[str]], Sitting | None] = ({}, None)
        self._unwritten: list[Observation] = []
        self._noted: list[Observation] = []
        self._new_failures: list[Failure] = []
        self._failing: dict[str, str] = {}
        self._watch = Stopwatch()
        self.heavy_rate = settings.rate
        self.ages: deque[float] = deque(maxlen=500)

    # -- the link's thread --

    def begin(self, video: VideoInfo | None, audio: Sequence[AudioInfo]) -> None:
        """A connection stands that brings this; analyzers that knew another picture are opened anew."""
        with self._lock:
            before = (self._info.video, self._info.audio)
            if before == (video, tuple(audio)):
                return
            self._info = replace(self._info, video=video, audio=tuple(audio))
            sitting = self._sitting
        if sitting is not None and (_size(sitting.info), bool(sitting.info.audio)) != (_size(self._info), bool(audio)):
            self.end_sitting()

    def frame(self, frame: Frame) -> None:
        """A picture came; returns at once."""
        self._intake.frame(frame)

    def sound(self, block: AudioBlock) -> None:
        """Sound came; returns at once."""
        self._intake.sound(block)

    def note(self, observation: Observation) -> None:
        """Take an observation that others made of the camera, ready for the store; it goes with the next turn."""
        with self._lock:
            self._noted.append(observation)

    def end_sitting(self) -> None:
        """Flush and close the analyzers in the next turn: nothing comes for a while, or something else."""
        self._asked_to_end.set()
        self._notify()

    def idle(self, now: int) -> None:
        """Call it about once a second with the camera's time: after a while without anything new, what is held back is
        flushed, so that rules need not wait for what does not come.
        """
        if (self._sitting is None or now - self._latest >= _IDLE) and not self._intake.waiting:
            self._idle_since = now
            self._notify()

    # -- the worker's thread --

    def work(self) -> bool:
        """One turn; whether there is more to do now."""
        frame, came, sounds = self._intake.take()
        if frame is not None and frame.time.nanoseconds < self._passed:
            self._intake.dropped("late")
            frame = None
        idle, self._idle_since = self._idle_since, None
        if self._asked_to_end.is_set() or (idle is not None and frame is None and not sounds):
            self._asked_to_end.clear()
            self._end()
        if frame is not None or sounds:
            self._turn(frame, sounds, came)
        elif idle is not None:
            self._passed = max(self._passed, idle - _LATEST)
            self._hand_on([], idle - _LATEST)
        return self._intake.waiting

    def _turn(self, frame: Frame | None, sounds: Sequence[AudioBlock], came: float) -> None:
        times = [item.time for item in (frame, *sounds) if item is not None]
        self._latest = max(self._latest, max(times).nanoseconds)
        if self._sitting is not None and frame is not None and _of(frame) != _size(self._sitting.info):
            self._end()
        sitting = self._sitting or self._open(min(times), frame)
        try:
            for block in sounds:
                assert self._selection.audio is not None
                sitting.sound(block, self._selection.audio)
                self._beside.sound(block, self._selection.audio)
            if frame is not None:
                self._look(sitting, frame)
            self._settle(sitting, sitting.step())
        except StoreError as error:
            self._trouble("store", str(error))
        if frame is not None:
            self.ages.append(time.monotonic() - came)
            self._analysed.count()
        if self._is_over(sitting, max(times)):
            self._end()

    def allow(self, rate: float, heavy_rate: float) -> None:
        """Frames a second that may be looked at now, and how many of them by the heavy analyzers."""
        self._intake.rate, self.heavy_rate = rate, heavy_rate

    def finish(self, now: int) -> None:
        """Watching ends at ``now``; no frame may come any more and no worker be at work."""
        self.work()
        self._end()
        self._hand_on([], now)

    # -- what is known of it --

    @property
    def drops(self) -> Mapping[str, int]:
        """Frames that were not analysed, by cause."""
        return self._intake.drops

    @property
    def age(self) -> float | None:
        """Seconds between the coming of the latest analysed frame and the end of its analysis."""
        return self.ages[-1] if self.ages else None

    @property
    def arriving(self) -> float:
        """Frames a second that come lately."""
        return self._intake.arriving.rate

    @property
    def analysed(self) -> float:
        """Frames a second that are analysed lately."""
        return self._analysed.rate

    @property
    def looked(self) -> int:
        """Frames that were analysed so far."""
        return self._frames_before + (self._sitting.frames if self._sitting is not None else 0)

    @property
    def latest(self) -> int:
        """Nanoseconds of the newest picture or sound that was looked at; -1 before one."""
        return self._latest

    @property
    def info(self) -> SourceInfo:
        """The camera's source with the video that comes."""
        with self._lock:
            return self._info

    @property
    def motion(self) -> bool:
        """Whether the gate sees motion now."""
        return self._gate is not None and self._gate.motion

    @property
    def spent(self) -> Mapping[str, float]:
        """CPU seconds by analyzer."""
        return {name: spent.cpu_seconds for name, spent in self._watch.spent.items()}

    @property
    def counted(self) -> dict[str, Counter[str]]:
        """What analyzers counted so far, by name; of those that count."""
        before, sitting = self._counts
        return before if sitting is None else sitting.counted(before)

    @property
    def failing(self) -> Mapping[str, str]:
        """What goes wrong now, by analyzer; each is tried again with the next sitting."""
        return dict(self._failing)

    # -- inside --

    def _open(self, at: Timestamp, frame: Frame | None) -> Sitting:
        with self._lock:
            info = self._info
        if frame is not None and (info.video is None or (info.video.width, info.video.height) != _of(frame)):
            info = self._info = replace(info, video=_video(frame))
        name = f"{at.nanoseconds // _SECOND:x}"
        self._store.clear_failures(info.id, [s.name for s in self._selection.stages])
        self._failing = {}
        stages, threads = self._selection.stages, self._settings.threads
        self._sitting = Sitting(name, at, info, stages, threads=threads, watch=self._watch, store=self._store)
        self._counts = self._counts[0], self._sitting
        self._beside.open(name, at, info, threads)
        self._heavily = self._followed = None
        if self._gate is not None:
            self._gate.restart()
        self._note_failures(self._sitting)
        return self._sitting

    def _look(self, sitting: Sitting, frame: Frame) -> None:
        skip: frozenset[str] = frozenset()
        if sitting.heavy and not self._heavy_is_due(frame):
            skip = sitting.heavy
        else:
            self._heavily = frame.time
        sitting.frame(frame, skip)
        self._beside.frame(frame, heavy=not skip)

    def _heavy_is_due(self, frame: Frame) -> bool:
        at, before = frame.time, self._heavily
        if self._gate is not None and not self._gate.moving(frame):
            seen = self._followed
            if seen is None or at.nanoseconds - seen.nanoseconds > _FOLLOW or not due(at, before, _FOLLOW_RATE):
                self._intake.dropped("gate")
                return False
            return True
        return self.heavy_rate >= self._intake.rate or due(at, before, self.heavy_rate)

    def _is_over(self, sitting: Sitting, at: Timestamp) -> bool:
        quiet = self._gate is None or not self._gate.motion
        return float(at - sitting.begin) >= self._settings.rotation * (1.0 if quiet else _OVERDUE)

    def _end(self) -> None:
        """Flush and close the sitting."""
        sitting, self._sitting = self._sitting, None
        if sitting is None:
            return
        self._frames_before += sitting.frames
        try:
            self._settle(sitting, sitting.finish(), last=True)
            if self._keeper is not None:
                self._keeper.ended(self._store, self._info.id)
        except StoreError as error:
            self._trouble("store", str(error))
        finally:
            self._counts = self.counted, None
            sitting.close()
            self._beside.end()

    def _settle(self, sitting: Sitting, made: Sequence[Observation], *, last: bool = False) -> None:
        """Write what was made, and hand it on."""
        self._note_failures(sitting)
        with self._lock:
            noted, self._noted = self._noted, []
        fresh = [self._kept(self._dated(o)) for o in (*made, *noted)]
        seen = [o.span.start for o in fresh if o.track is not None]
        if seen:
            self._followed = max(seen)
        self._unwritten = (self._unwritten + fresh)[-_MOST_UNWRITTEN:]
        at = max((t.nanoseconds for s in sitting.stages if (t := sitting.position(s)) is not None), default=0)
        if self._unwritten or self._new_failures or last or at - self._committed >= _STATES_EVERY:
            self._write(sitting, at)
            fresh = [replace(o, attachments=()) if o.attachments else o for o in self._unwritten]
            self._unwritten = []
        self._beside.made(made)
        marks = {} if last else {k: sitting.mark(k, at) for s in self._selection.stages for k in s.emits}
        self._hand_on(fresh, at, marks)

    def _write(self, sitting: Sitting, at: int) -> None:
        latest = max((o.span.end.nanoseconds for o in self._unwritten), default=at)
        self._beat(max(at, latest))
        frames = self.looked
        states = [RunState(s.producer, sitting.position(s), False, frames) for s in sitting.stages]
        self._store.commit(Batch(self._info.id, self._unwritten, (), self._new_failures, states))
        self._new_failures, self._committed = [], at
        self._failing.pop("store", None)

    def _hand_on(self, made: Sequence[Observation], until: int, marks: Mapping[str, int] | None = None) -> None:
        """Watermarks never go back."""
        self._horizon = max(self._horizon, until)
        kinds = {k for s in self._selection.stages for k in s.emits}
        for kind in kinds:
            mark = (marks or {}).get(kind, until)
            self._marks[kind] = max(self._marks.get(kind, 0), mark)
        self._decided(Decided(made, self._horizon, dict(self._marks)))

    def _dated(self, o: Observation) -> Observation:
        """With the moment at which it was told, where that is later than its watermark allows."""
        mark = self._marks.get(o.kind, self._horizon)
        return o if o.span.start.nanoseconds >= mark else replace(o, data={**o.data, "told_ns": mark})

    def _kept(self, o: Observation) -> Observation:
        if self._keeper is None:
            return o
        o = self._keeper.observation(o)
        if not o.attachments:
            return o
        files = [self._keeper.attachment(o, a) for a in o.attachments]
        return replace(o, attachments=tuple(f for f in files if f is not None))

    def _note_failures(self, sitting: Sitting) -> None:
        failures = sitting.failures()
        if failures:
            self._intake.dropped("failed")
            self._beside.failed(failures)
        for name, message in failures.items():
            self._trouble(name, message)
            self._new_failures.append(Failure(self._info.id, "analyze", message, None, name, retryable=True))

    def _trouble(self, name: str, message: str) -> None:
        if self._failing.get(name) != message:
            _log.warning("%s: %s: %s", self._info.path, name, message)
        self._failing[name] = message


def _size(info: SourceInfo) -> tuple[int, int] | None:
    return None if info.video is None else (info.video.width, info.video.height)


def _of(frame: Frame) -> tuple[int, int]:
    return frame.width, frame.height


def _video(frame: Frame) -> VideoInfo:
    return VideoInfo("unknown", frame.width, frame.height, "yuv420p", None, NANOSECONDS)
