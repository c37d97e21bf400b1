"""The shots analyzer; see README.md."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from onlooker.analyzers.shots.config import ShotsConfig
from onlooker.analyzers.shots.detector import Boundary, BoundaryDetector
from onlooker.analyzers.shots.grid import grid_of
from onlooker.analyzers.shots.keys import KeyWatch
from onlooker.analyzers.shots.refine import exact_cut
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame, UInt8Array
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Shots"]

_SETTLE: Final = 32
"""Frames from which the ``fast`` level learns how far apart the frames it is given lie."""
_UNSEEN_TAIL: Final = Fraction(1, 2)
"""Seconds at the end of a video that skipped frames may take up."""
_REMEMBERED: Final = 8192
"""Frames whose times are remembered, for where a long transition began."""


@dataclass(slots=True)
class _Start:
    """How the shot under way began."""

    time: Timestamp
    transition: str | None
    score: float | None
    first: Timestamp | None = None
    last: Timestamp | None = None
    frame: int = 0


class Shots(Analyzer[ShotsConfig]):
    """Cuts the video into shots that follow each other without gap or overlap."""

    name = "shots"
    version = "2"
    emits = ("shot", "cue")
    Config = ShotsConfig
    measurement_fields = frozenset({"level"})

    def needs(self) -> Needs:
        """Every frame, reference frames, or keyframes."""
        if self.config.level == "exact":
            return Needs(frames="all", image=((0, 0, "luma"),))
        if self.config.level == "fast":
            return Needs(frames="reference", image=((0, 0, "luma"),))
        return Needs(frames="key", image=((0, 0, "luma"),))

    def open(self, context: Context) -> None:
        """Start a new source."""
        self._context = context
        video = context.source.video
        self._rate = float(video.frame_rate) if video is not None and video.frame_rate else 25.0
        self._detector = self._make_detector(self._rate) if self.config.level == "exact" else None
        self._settling: list[UInt8Array] = []
        self._times: deque[Timestamp] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._shots = 0
        self._start: _Start | None = None
        self._end: Timestamp | None = None
        self._keys = KeyWatch()

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement:
        """The frame as a small grid."""
        return Measurement(frame.time, frame.duration, grid_of(frame))

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Nothing: a grid depends on its frame alone."""

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The shots whose end is known now."""
        grids: list[UInt8Array] = []
        for m in window.measurements:
            end = m.span.end
            self._end = end if self._end is None else max(self._end, end)
            if self._start is None:
                self._start = _Start(m.time, None, None)
            if self.config.level == "index":
                self._keys.push(m.time, m.values)
                continue
            self._times.append(m.time)
            self._count += 1
            grids.append(m.values)
        return self._decide(grids) if grids else ()

    def flush(self) -> Iterable[Observation]:
        """The last shots."""
        if self.config.level == "index":
            return self._by_keyframes()
        if self._start is None or self._end is None:
            return ()
        if self._detector is None:
            self._detector = self._make_detector(self._rate)
        boundaries = self._detector.push(self._settling) + self._detector.finish()
        made = [o for b in boundaries if (o := self._shot_before(b)) is not None]
        made.append(self._shot(self._last_end()))
        self._start = None
        return made

    def _make_detector(self, rate: float) -> BoundaryDetector:
        return BoundaryDetector(
            rate,
            min_shot=self.config.min_shot_seconds,
            cut_threshold=self.config.cut_threshold,
            dissolve_threshold=self.config.dissolve_threshold,
            sparse=rate < 0.75 * self._rate,
        )

    def _decide(self, grids: list[UInt8Array]) -> list[Observation]:
        if self._detector is None:
            self._settling += grids
            if len(self._settling) < _SETTLE:
                return []
            # which share of the frames is skipped shows in the times alone
            passed = self._times[_SETTLE - 1] - self._times[0]
            self._detector = self._make_detector(float((_SETTLE - 1) / passed))
            grids, self._settling = self._settling, []
        return [o for b in self._detector.push(grids) if (o := self._shot_before(b)) is not None]

    def _time(self, frame: int) -> Timestamp:
        """When a frame is shown; of one too long ago, the oldest that is remembered."""
        return self._times[max(0, frame - (self._count - len(self._times)))]

    def _shot_before(self, boundary: Boundary) -> Observation | None:
        """The shot that ends at ``boundary``; the next one starts there."""
        assert self._start is not None  # boundaries come after frames
        at = self._time(boundary.frame)
        if boundary.transition == "cut" and self.config.level == "fast":
            exact = self._refined(boundary.frame)
            if exact is None:
                return None
            at = exact
        if at <= self._start.time:
            return None
        shot = self._shot(at)
        self._start = _Start(at, boundary.transition, boundary.score, frame=boundary.frame)
        if boundary.transition != "cut":
            self._start.first, self._start.last = self._time(boundary.first), self._time(boundary.last)
        return shot

    def _refined(self, frame: int) -> Timestamp | None:
        """The exact first frame of a shot that begins between two frames seen, or None where none does."""
        before, after = self._time(frame - 1), self._time(frame)
        if self._context.read is None or float(after - before) < 1.5 / self._rate:
            return after
        return exact_cut(self._context.read, before, after, self._context.threads)

    def _last_end(self) -> Timestamp:
        """Where the last shot ends: with the last frame, or with the video where that was not given."""
        assert self._end is not None
        info = self._context.source
        end = self._end
        if self._times and end == self._times[-1]:
            end = end + Fraction(1) / Fraction(self._rate).limit_denominator(100_000)
        unseen = {"exact": Fraction(0), "fast": _UNSEEN_TAIL}.get(self.config.level, info.duration or Fraction(0))
        if info.duration is not None and info.duration - end.value <= unseen:
            end = max(end, Timestamp.of_seconds(info.duration))
        return end

    def _shot(self, end: Timestamp) -> Observation:
        start = self._start
        assert start is not None
        data: dict[str, Json] = {"index": self._shots, "transition": start.transition}
        if start.first is not None and start.last is not None:
            data["transition_start_seconds"] = round(start.first.seconds, 6)
            data["transition_end_seconds"] = round(start.last.seconds, 6)
        if self.config.level == "exact":
            data["first_frame"] = start.frame
        self._shots += 1
        return Observation(Span(start.time, end), "shot", score=start.score, data=data)

    def _by_keyframes(self) -> list[Observation]:
        """What the keyframes showed, and shots only where they follow cuts."""
        if self._start is None or self._end is None:
            return []
        verdict = self._keys.verdict()
        data: dict[str, Json] = {
            "keyframes": verdict.keyframes,
            "usual_interval_seconds": round(verdict.usual_seconds, 3),
            "early_keyframes": verdict.early,
            "early_keyframes_different": round(verdict.early_different, 3),
            "shots_claimed": bool(verdict.shots),
        }
        end = self._last_end()
        made = [Observation(Span(self._start.time, end), "cue", label=verdict.label, data=data)]
        for step in verdict.shots:
            made.append(self._shot(step.time))
            self._start = _Start(step.time, "cut", min(0.9, step.distance / 60))
        if verdict.shots:
            made.append(self._shot(end))
        self._start = None
        return made
