"""One sitting of a camera's analyzers: opened, fed as the stream comes, and flushed before their memory grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onlooker.core.analyzer import Analyzer, Context
from onlooker.core.errors import OnlookerError
from onlooker.core.media import AudioBlock, Frame, SourceInfo
from onlooker.core.observation import Json, Observation
from onlooker.core.store import Store
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.pipeline.fan_out import AudioFormat, FanOut, audio_format
from onlooker.pipeline.ordered import Decider
from onlooker.pipeline.spent import Stopwatch
from onlooker.pipeline.stages import Stage, create_analyzer

__all__ = ["Selection", "Sitting", "live_stages"]

_MOST_HELD = 60
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a profile runs live.

    Args:
        stages: those that run, each after those it needs.
        left_out: why others do not, by name.
        audio: the one format of sound that is heard, or None.
    """

    stages: tuple[Stage, ...]
    left_out: Mapping[str, str]
    audio: AudioFormat | None


def live_stages(stages: Sequence[Stage]) -> Selection:
    """Choose the stages that can work on what is seen once, as it comes."""
    formats = [f for s in stages if (f := audio_format(s)) is not None]
    audio = max(dict.fromkeys(formats), key=formats.count, default=None)
    kept: list[Stage] = []
    left_out: dict[str, str] = {}
    for stage in stages:
        why = _hindrance(stage, audio)
        missing = [n for n in stage.needs.measurements if n in left_out]
        made = {kind for s in kept for kind in s.emits}
        missing += [k for k in stage.needs.observations if k not in made]
        if why is None and missing:
            why = f"needs {missing[0]}, which does not run live"
        if why is None:
            kept.append(stage)
        else:
            left_out[stage.name] = why
    heard = {f for s in kept if (f := audio_format(s)) is not None}
    return Selection(tuple(kept), left_out, audio if heard else None)


def _hindrance(stage: Stage, audio: AudioFormat | None) -> str | None:
    needs = stage.needs
    if not create_analyzer(stage.spec).live:
        return "relates whole sources to each other; run onlooker analyze on recordings"
    if needs.packets:
        return "looks at every packet of a file"
    if needs.frames == "key":
        return "looks at keyframes alone"
    if needs.beside:
        return f"looks at a file beside a recording (NAME{needs.beside[0]})"
    own = audio_format(stage)
    if own is not None and own != audio:
        return f"hears sound of {own[0]} Hz, while the others hear {audio[0] if audio else 0} Hz"
    return None


class Sitting:
    """The open analyzers of one camera. Used by one thread at a time.

    Track names and files get the sitting's name before them, since each sitting's analyzers count from one.

    Args:
        name: of the sitting; new for each one of a camera.
        begin: the moment at which it begins.
        info: the camera's source, with the video that comes.
        stages: see `live_stages`.
        threads: how many a model may use.
        watch: times the analyzers.
        store: whose records they may read.
    """

    def __init__(
        self,
        name: str,
        begin: Timestamp,
        info: SourceInfo,
        stages: Sequence[Stage],
        *,
        threads: int,
        watch: Stopwatch,
        store: Store,
    ) -> None:
        self.name, self.begin, self.info = name, begin, info
        self._watch = watch
        self._stages = [s for s in stages if _possible(s, info)]
        self.analyzers: dict[str, Analyzer[Any]] = {}
        self._broken: dict[str, tuple[Exception, Timestamp | None]] = {}
        kinds = frozenset(kind for s in self._stages for kind in s.emits)
        for stage in self._stages:
            self._open(stage, Context(info, None, False, threads, kinds & frozenset(stage.needs.kinds), store))
        self.heavy = frozenset(s.name for s in self._stages if s.needs.heavy)
        self._fan_out = FanOut(self._stages, self.analyzers, {}, threaded=False, watch=watch)
        self._decider = Decider(info.id, self._stages, self.analyzers, {}, {}, watch)
        self._decider.failed.update(self._broken)
        self._ends: dict[str, Timestamp] = {}
        self._emitters: dict[str, list[str]] = {}
        for stage in self._stages:
            for kind in stage.emits:
                self._emitters.setdefault(kind, []).append(stage.name)
        self._tracks: set[str] = set()
        self._told: set[str] = set()
        self.frames = 0

    def _open(self, stage: Stage, context: Context) -> None:
        try:
            with self._watch.of(stage.name):
                analyzer = create_analyzer(stage.spec)
                analyzer.open(context)
        except Exception as error:
            self._broken[stage.name] = (error, None)
        else:
            self.analyzers[stage.name] = analyzer

    @property
    def stages(self) -> Sequence[Stage]:
        """Those that work, in order."""
        return [s for s in self._stages if s.name not in self._decider.failed]

    def position(self, stage: Stage) -> Timestamp | None:
        """Up to where a stage has decided."""
        return self._ends.get(stage.name)

    # -- what comes --

    def frame(self, frame: Frame, skip: Collection[str] = ()) -> None:
        """Offer a frame, later than the last, to all stages but those in ``skip``."""
        self._fan_out.frame(frame, skip)
        self.frames += 1
        end = Timestamp(frame.time.nanoseconds + 1, NANOSECONDS)
        for stage in self._stages:
            if stage.needs.frames != "none":
                self._ends[stage.name] = end

    def sound(self, block: AudioBlock, format: AudioFormat) -> None:
        """Offer a block of sound, later than the last."""
        self._fan_out.audio(block, format)
        for stage in self._stages:
            if audio_format(stage) == format and stage.needs.frames == "none":
                self._ends[stage.name] = block.time + block.duration

    def step(self) -> list[Observation]:
        """Let the light parts catch up; what they made, ready for the store."""
        taken, _ = self._fan_out.drain()
        self._decider.add(taken)
        for stage in self._stages:
            if stage.needs.frames == "none" and not stage.needs.audio_rate:
                before = [self._ends[n] for n in self._needed(stage) if n in self._ends]
                if before:
                    self._ends[stage.name] = min(before)
        return self._finished(self._decider.step(self._ends))

    def finish(self) -> list[Observation]:
        """Nothing more comes: what was held back."""
        self._fan_out.finish()
        made = self.step()
        return made + self._finished(self._decider.finish())

    def close(self) -> None:
        """Release the analyzers."""
        for analyzer in self.analyzers.values():
            analyzer.close()

    # -- what is told --

    def counted(self, before: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
        """What its analyzers counted, by name, on top of what those ``before`` did; of those that count."""
        made = {name: Counter(of) for name, of in before.items()}
        for name, analyzer in self.analyzers.items():
            if of := analyzer.counted:
                made.setdefault(name, Counter()).update(of)
        return made

    def failures(self) -> dict[str, str]:
        """What went wrong since the last call, by analyzer."""
        for name, (error, moment) in self._fan_out.failed.items():
            self._decider.fail(name, error, moment)
        fresh = {n: f[0] for n, f in self._decider.failed.items() if n not in self._told}
        self._told |= set(fresh)
        return {n: str(e) if isinstance(e, OnlookerError) else f"{type(e).__name__}: {e}" for n, e in fresh.items()}

    def mark(self, kind: str, otherwise: int) -> int:
        """The watermark of a kind in nanoseconds: nothing of it that begins before will come.

        Args:
            kind: of observation.
            otherwise: of a kind that nobody makes.
        """
        marks: list[int] = []
        for name in self._emitters.get(kind, ()):
            if name in self._decider.failed:
                continue
            end = self._ends.get(name, self.begin)
            held = self.analyzers[name].held(kind)
            marks.append(end.nanoseconds)
            # what is held back for longer does not keep rules waiting
            if held is not None and end - held < _MOST_HELD:
                marks.append(held.nanoseconds)
        return min(marks, default=otherwise)

    def _needed(self, stage: Stage) -> list[str]:
        return [s.name for s in self._stages if s is not stage and any(k in stage.needs.kinds for k in s.emits)]

    def _finished(self, made: Mapping[str, Sequence[Observation]]) -> list[Observation]:
        # vectors of what still goes on are for the other analyzers alone
        flat = [o for own in made.values() for o in own if not o.data.get("so_far")]
        self._tracks.update(o.track for o in flat if o.track is not None)
        return [self._own(o) for o in flat]

    def _own(self, o: Observation) -> Observation:
        """With the sitting's name before its tracks and files, and nothing before the sitting's begin."""
        span = o.span
        if span.start < self.begin:
            span = Span(self.begin, max(self.begin, span.end))
        return replace(
            o,
            span=span,
            track=None if o.track is None else f"{self.name}.{o.track}",
            data={key: self._renamed(value) for key, value in o.data.items()} if o.data else o.data,
            attachments=tuple(replace(a, name=f"{self.name}/{a.name}") for a in o.attachments),
        )

    def _renamed(self, value: Json) -> Json:
        if isinstance(value, str):
            return f"{self.name}.{value}" if value in self._tracks else value
        if isinstance(value, list) and value and isinstance(value[0], str):
            return [self._renamed(v) for v in value]
        return value


def _possible(stage: Stage, info: SourceInfo) -> bool:
    on_frames = stage.needs.frames != "none"
    return bool(info.video) if on_frames else not stage.needs.audio_rate or bool(info.audio)
