"""What becomes of a face's moments over time: where it looks, blinks, yawns, talk, drowsiness."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers._states import State, StateSpans
from onlooker.analyzers.attention.config import AttentionConfig
from onlooker.analyzers.attention.drowsiness import Drowsiness
from onlooker.analyzers.attention.geometry import between, direction, yaw_pitch
from onlooker.analyzers.attention.network import Seen
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Face", "Moment", "OpenEyes"]

Floats = NDArray[np.float64]
# after this many seconds without a sample a closure or a stretch is not continued
_GAP = Fraction(1)
_MINUTE = 60
# shorter stretches have no rate
_LEAST_SECONDS = 3.0
# below this rate blinks fall between the samples
_BLINK_RATE = 8.0


def exact(seconds: float) -> Fraction:
    """Seconds to the millisecond."""
    return Fraction(round(seconds * 1000), 1000)


class OpenEyes:
    """How open a person's eyes are against the same person's open eyes: the ratio that 70 of 100 samples stay under, of
    the last open ones. Few samples count less than what is usual among people.
    """

    _USUAL, _WEIGHT, _MOST, _PART, _SHUT = 0.29, 5, 900, 0.7, 0.45

    def __init__(self) -> None:
        self._sorted: list[float] = [self._USUAL] * self._WEIGHT
        self._order: deque[float] = deque()

    def take(self, ratio: float) -> float:
        """The next sample's openness, 0..1."""
        reference = self._sorted[int(len(self._sorted) * self._PART)]
        # one who sleeps does not come to be awake by sleeping on
        if ratio > self._SHUT * reference:
            insort(self._sorted, ratio)
            self._order.append(ratio)
            if len(self._order) > self._MOST:
                del self._sorted[bisect_left(self._sorted, self._order.popleft())]
            reference = self._sorted[int(len(self._sorted) * self._PART)]
        return float(np.clip(ratio / max(reference, 1e-6), 0.0, 1.0))


class Moment(NamedTuple):
    """One analysed face: angles are smoothed; ``gaze`` is None where the eyes are too small; ``off`` is how many
    degrees it looks beside the target.
    """

    span: Span
    label: str
    head: Floats
    gaze: tuple[float, float] | None
    eyes: float
    mouth: float
    off: float

    def data(self) -> dict[str, Any]:
        """The fields of an ``attention`` observation."""
        yaw, pitch, roll = (round(float(v), 1) for v in self.head)
        gaze_yaw, gaze_pitch = (round(v, 1) for v in self.gaze) if self.gaze else (None, None)
        return {
            "yaw": yaw,
            "pitch": pitch,
            "roll": roll,
            "gaze_yaw": gaze_yaw,
            "gaze_pitch": gaze_pitch,
            "eyes_open": round(self.eyes, 3),
            "mouth_open": round(self.mouth, 3),
            "off_target": round(self.off, 1),
        }


class _Smooth:
    """Exponential smoothing of a vector over real time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._value: Floats | None = None
        self._time: Timestamp | None = None

    def take(self, time: Timestamp, value: Floats) -> Floats:
        """The smoothed value."""
        if self._value is None or self._time is None or self._seconds == 0 or time - self._time > _GAP:
            self._value = value
        else:
            keep = math.exp(-float(time - self._time) / self._seconds)
            self._value = keep * self._value + (1 - keep) * value
        self._time = time
        return self._value

    @property
    def value(self) -> Floats | None:
        """The last one."""
        return self._value


class _Talk:
    """How much the mouth moves in a window around each moment; given out when the window is complete."""

    def __init__(self, seconds: float) -> None:
        self._half = exact(seconds) / 2
        self._samples: deque[tuple[Timestamp, float]] = deque()
        self._next = 0

    def take(self, time: Timestamp | None, mouth: float = 0.0) -> list[tuple[Timestamp, float]]:
        """(moment, standard deviation) of those whose window is complete; ``time`` None: nothing more will come."""
        if time is not None:
            self._samples.append((time, mouth))
        made: list[tuple[Timestamp, float]] = []
        while self._next < len(self._samples):
            middle = self._samples[self._next][0]
            if time is not None and time - middle <= self._half:
                break
            while middle - self._samples[0][0] > self._half:
                self._samples.popleft()
                self._next -= 1
            near = [m for t, m in self._samples if t - middle <= self._half]
            made.append((middle, float(np.std(near)) if len(near) > 2 else 0.0))
            self._next += 1
        return made


class _Minute:
    """Counts of one minute of the source."""

    def __init__(self, number: int, start: Timestamp) -> None:
        self.number, self.start, self.end = number, start, start
        self.samples = self.blinks = self.looking = self.closed = 0
        self.seconds = Fraction(0)

    def told(self, track: str) -> list[Observation]:
        """The span with its rates; nothing where it is too short for any."""
        seconds = float(self.end - self.start)
        if seconds < _LEAST_SECONDS:
            return []
        rate = self.samples / seconds
        data: dict[str, Any] = {
            "blinks": self.blinks,
            "per_minute": round(self.blinks * _MINUTE / seconds, 1),
            "counted": rate >= _BLINK_RATE,
            "closed_share": round(self.closed / self.samples, 3),
            "looking_share": round(self.looking / self.samples, 3),
            "samples_per_second": round(rate, 2),
        }
        span = Span(self.start, self.end)
        return [Observation(span, "attention_state", label="blink_rate", track=track, data=data)]


class Face:
    """One track.

    Args:
        track: its name.
        config: the settings.
    """

    def __init__(self, track: str, config: AttentionConfig) -> None:
        self._track, self._config = track, config
        self._open = OpenEyes()
        self._head, self._gaze = _Smooth(config.smooth_seconds), _Smooth(config.smooth_seconds)
        self._looks = StateSpans(config.look_seconds, float(_GAP) * 1.5)
        self._talk = _Talk(config.talk_seconds)
        moves = config.talk_moves
        self._talking = StretchFinder(
            moves, 0.7 * moves, minimum=exact(0.5), gap=exact(0.6), hold=_GAP, longest=Fraction(60)
        )
        wide = config.yawn_open
        self._yawning = StretchFinder(wide, 0.7 * wide, minimum=exact(config.yawn_seconds), gap=exact(0.2), hold=_GAP)
        self._drowsiness = Drowsiness(config) if config.drowsy else None
        self._closed_from: Timestamp | None = None
        self._closed_last: Timestamp | None = None
        self._minute: _Minute | None = None
        self._last: Span | None = None

    def take(self, span: Span, seen: Seen, target: Floats) -> tuple[Moment, list[Observation]]:
        """The next moment, and what it ends.

        Args:
            span: of the frame.
            seen: the measured numbers.
            target: unit vector towards what is to be looked at, see `onlooker.analyzers.attention.geometry`.
        """
        moment = self._moment(span, seen, target)
        made: list[Observation] = []
        time = span.start
        if self._last is not None and time - self._last.start > _GAP:
            self._closed_from = None
        blink = self._blink(time, moment.label == "eyes_closed")
        made += [blink] if blink is not None else []
        values = np.array([*moment.head[:2], moment.off, moment.eyes])
        made += self._looked(self._looks.take(span, moment.label, values))
        yawns = self._told("yawning", self._yawning.feed(time, moment.mouth, opening=moment.mouth))
        made += yawns
        for at, moves in self._talk.take(time, moment.mouth):
            made += self._told("talking_mouth", self._talking.feed(at, moves, movement=moves))
        if self._drowsiness is not None:
            closed_from = self._closed_from
            closure = time - closed_from if closed_from is not None else Fraction(0)
            judged = self._drowsiness.take(time, moment.label == "eyes_closed", closure, len(yawns))
            made += [self._drowsy(s) for s in judged]
        made += self._counted(span, moment.label, blink is not None)
        self._last = span
        return moment, made

    def finish(self) -> list[Observation]:
        """The track has ended."""
        if self._last is None:
            return []
        end = self._last.end
        made = self._looked(self._looks.finish())
        made += self._told("yawning", self._yawning.flush(end))
        for at, moves in self._talk.take(None):
            made += self._told("talking_mouth", self._talking.feed(at, moves, movement=moves))
        made += self._told("talking_mouth", self._talking.flush(end))
        if self._drowsiness is not None:
            made += [self._drowsy(s) for s in self._drowsiness.finish(end)]
        if self._minute is not None:
            made += self._minute.told(self._track)
        self._last = self._minute = None
        return made

    def _moment(self, span: Span, seen: Seen, target: Floats) -> Moment:
        config = self._config
        head = self._head.take(span.start, np.array([seen.yaw, seen.pitch, seen.roll]))
        eyes = self._open.take(seen.eyes)
        closed = eyes < config.closed
        gaze = self._gaze.value
        # lids that cover the iris say nothing of where it looks
        if config.gaze and seen.eye_width >= config.least_eye and not closed:
            gaze = self._gaze.take(span.start, direction(seen.gaze_yaw, seen.gaze_pitch))
        looks = gaze if gaze is not None else direction(head[0], head[1])
        off = between(looks / np.linalg.norm(looks), target)
        label = "eyes_closed" if closed else "looking" if off <= config.target.tolerance else "away"
        mouth = float(np.clip(seen.mouth, 0, 1))
        return Moment(span, label, head, None if gaze is None else yaw_pitch(gaze), eyes, mouth, off)

    def _blink(self, time: Timestamp, closed: bool) -> Observation | None:
        """The blink that ended at this moment."""
        if closed:
            self._closed_from = self._closed_from or time
            self._closed_last = time
            return None
        start, last = self._closed_from, self._closed_last
        self._closed_from = self._closed_last = None
        if start is None or last is None or float(last - start) >= self._config.blink_seconds:
            return None
        data: dict[str, Any] = {"closed_seconds": round(float(time - start), 3)}
        return Observation(Span(start, time), "attention_state", label="blink", track=self._track, data=data)

    def _looked(self, states: Iterable[State]) -> list[Observation]:
        made: list[Observation] = []
        for state in states:
            yaw, pitch, off, eyes = (round(float(v), 2) for v in state.mean)
            data: dict[str, Any] = {
                "yaw": yaw,
                "pitch": pitch,
                "off_target": off,
                "eyes_open": eyes,
                "faces": state.count,
            }
            made.append(Observation(state.span, "attention_state", label=state.label, track=self._track, data=data))
        return made

    def _told(self, label: str, stretches: Iterable[Stretch]) -> list[Observation]:
        made: list[Observation] = []
        for s in stretches:
            data: dict[str, Any] = {name: round(s.mean(name), 3) for name in s.sums}
            made.append(Observation(s.span, "attention_state", label=label, track=self._track, data=data))
        return made

    def _drowsy(self, stretch: Stretch) -> Observation:
        data = self._drowsiness.reasons(stretch) if self._drowsiness is not None else {}
        score = min(1.0, stretch.peak)
        return Observation(stretch.span, "attention_state", score=score, label="drowsy", track=self._track, data=data)

    def _counted(self, span: Span, label: str, blinked: bool) -> list[Observation]:
        number = int(span.start.value // _MINUTE)
        made: list[Observation] = []
        if self._minute is not None and self._minute.number != number:
            made += self._minute.told(self._track)
            self._minute = None
        minute = self._minute = self._minute or _Minute(number, span.start)
        minute.end = span.end
        minute.samples += 1
        minute.blinks += blinked
        minute.looking += label == "looking"
        minute.closed += label == "eyes_closed"
        return made
