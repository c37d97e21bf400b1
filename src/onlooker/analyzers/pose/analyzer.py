"""The analyzer ``pose``; see README.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._join import Joined, TrackJoin
from onlooker.analyzers._states import State, StateSpans
from onlooker.analyzers.pose.body import MODEL, POINTS
from onlooker.analyzers.pose.config import HEAVY_FIELDS, PoseConfig
from onlooker.analyzers.pose.gesture import gesture
from onlooker.analyzers.pose.hands import HAND_FIELDS, HAND_MODELS, HAND_POINTS
from onlooker.analyzers.pose.posture import Look, look_at
from onlooker.analyzers.pose.smoothing import Smoother
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.models import bundle_digest, entry

__all__ = ["Pose"]

_COLUMNS = 5 + 3 * POINTS
_SIDES = ("left", "right")


@dataclass(slots=True)
class _Person:
    smoother: Smoother
    body: StateSpans
    arms: StateSpans
    hands: tuple[StateSpans, StateSpans]
    upright: tuple[Timestamp, float, float] | None = None


class Pose(Analyzer[PoseConfig]):
    """Key points of the persons that ``objects`` found, and their postures along its tracks."""

    name: ClassVar[str] = "pose"
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("pose", "posture", "gesture")
    Config = PoseConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS

    def __init__(self, config: PoseConfig) -> None:
        super().__init__(config)
        self._person = entry(config.objects_model).labels.index("person")
        self._points: Any = None
        self._hands: Any = None
        self._aspect = 16 / 9
        self._restart()

    def needs(self) -> Needs:
        """The frames of ``objects``, in the thread that found them."""
        return Needs(
            frames="all",
            image=((self.config.width, 0, "rgb24"),),
            measurements=("objects",),
            observations=("object", "track"),
            heavy=True,
            models=(MODEL, *(HAND_MODELS if self.config.hands else ())),
        )

    def bundle_digest(self) -> str | None:
        """The models' digest."""
        digests = [bundle_digest(name) for name in self.needs().models]
        return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def open(self, context: Context) -> None:
        """Load the model."""
        from onlooker.analyzers.pose.body import BodyPoints

        self._points = BodyPoints(threads=context.threads, crop=self.config.crop)
        if self.config.hands:
            from onlooker.analyzers.pose.hands import Hands

            pixels = self.config.hand_pixels
            self._hands = Hands(threads=context.threads, sure=self.config.sure, least_pixels=pixels)
        video = context.source.video
        self._aspect = video.width / video.height if video is not None else 16 / 9
        self._restart()

    def close(self) -> None:
        """Release the models."""
        for model in (self._points, self._hands):
            if model is not None:
                model.close()
        self._points = self._hands = None

    def _restart(self) -> None:
        self._join = TrackJoin("object", "track")
        self._people: dict[str, _Person] = {}

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 56) float32: box (0..1), its score, then x, y (fractions of the picture), score of 17 key points in
        COCO order; with hands (n, 184): then `HAND_FIELDS` of the left and of the right hand. None: no frame in which
        objects were looked for.
        """
        found = given.get("objects")
        if found is None:
            return None
        config, boxes = self.config, found.values
        height = boxes[:, 3] - boxes[:, 1]
        wanted = (boxes[:, 5] == self._person) & (boxes[:, 4] >= config.least_box) & (height >= config.least_height)
        order = np.flatnonzero(wanted)[np.argsort(-height[wanted], kind="stable")][: config.most]
        values = np.zeros((len(order), _COLUMNS + 2 * HAND_FIELDS * config.hands), np.float32)
        if len(order):
            picture = frame.image(min(config.width, frame.width), None, "rgb24")
            for row, box in zip(values, boxes[order], strict=True):
                row[:5] = box[:5]
                body = self._points.find(picture, box)
                row[5:_COLUMNS] = body.reshape(-1)
                if self._hands is not None:
                    row[_COLUMNS:] = self._hands.find(picture, box, body).reshape(-1)
        return Measurement(frame.time, frame.duration, values)

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Each person is looked at alone: nothing to remember."""

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Go on with every person."""
        return self._go_on(window)

    def held(self, kind: str) -> Timestamp | None:
        """Poses wait for the next moment, postures and gestures for their end."""
        begins = [self._join.since]
        for person in self._people.values():
            begins.append(person.smoother.since)
            if kind == "posture":
                begins += [person.body.since, person.arms.since]
            elif kind == "gesture":
                begins += [hand.since for hand in person.hands]
        return min((b for b in begins if b is not None), default=None)

    def flush(self) -> Iterable[Observation]:
        """The source has ended."""
        made = self._go_on(None)
        for name in list(self._people):
            made += self._end(name)
        self._restart()
        return made

    def _go_on(self, window: Window | None) -> list[Observation]:
        made: list[Observation] = []
        for part in self._join.take(window):
            made += self._follow(part) if isinstance(part, Joined) else self._end(part.track)
        return made

    def _follow(self, joined: Joined) -> list[Observation]:
        config = self.config
        points = joined.row[5:_COLUMNS].reshape(POINTS, 3).astype(np.float64)
        if float(points[:, 2].mean()) < config.least_score:
            return []
        person = self._people.get(joined.track)
        if person is None:
            lasting = (config.least_seconds, config.gap_seconds, config.longest_seconds)
            body, arms = (StateSpans(*lasting) for _ in range(2))
            left, right = (StateSpans(config.gesture_seconds, config.gap_seconds) for _ in range(2))
            person = _Person(Smoother(self._aspect, config.smooth_seconds), body, arms, (left, right))
            self._people[joined.track] = person
        return self._take(person, person.smoother.take(joined, points))

    def _take(self, person: _Person, steadied: Iterable[tuple[Joined, NDArray[np.float64]]]) -> list[Observation]:
        """The pose of each moment, and the postures that it ended."""
        made: list[Observation] = []
        for joined, points in steadied:
            name, span, box = joined.track, joined.span, joined.observation.box
            data: dict[str, Any] = {"keypoints": [[round(float(v), 4) for v in p] for p in points]}
            score = float(points[:, 2].mean())
            if len(joined.row) > _COLUMNS:
                data["hands"], told = self._show(person, joined)
                made += told
            made.append(Observation(span, "pose", score=score, label="body", box=box, track=name, data=data))
            look = look_at(points, self._aspect, self.config.sure)
            if look is not None:
                values = np.array([look.score, self._fell(person, look, span.start)])
                made += self._told(name, person.body.take(span, look.body, values))
                made += self._told(name, person.arms.take(span, look.arms, values))
        return made

    def _show(self, person: _Person, joined: Joined) -> tuple[list[dict[str, Any]], list[Observation]]:
        """The hands that are seen, and the gestures that this moment ended."""
        seen: list[dict[str, Any]] = []
        made: list[Observation] = []
        for side, spans, row in zip(_SIDES, person.hands, joined.row[_COLUMNS:].reshape(2, HAND_FIELDS), strict=True):
            score, points = float(row[0]), row[1:].reshape(HAND_POINTS, 3).astype(np.float64)
            label = ""
            if score >= self.config.least_hand:
                label = gesture(points * [1.0, 1.0 / self._aspect, 1.0])
                places = [[round(float(v), 4) for v in p[:2]] for p in points]
                seen.append({"side": side, "score": round(score, 4), "points": places})
            made += self._showed(joined.track, side, spans.take(joined.span, label, np.array([score])))
        return seen, made

    def _showed(self, name: str, side: str, states: Iterable[State]) -> list[Observation]:
        return [
            Observation(
                s.span, "gesture", float(s.mean[0]), s.label, track=name, data={"hand": side, "frames": s.count}
            )
            for s in states
            if s.label and float(s.span.duration) >= self.config.gesture_seconds
        ]

    def _fell(self, person: _Person, look: Look, time: Timestamp) -> float:
        """1 where one who lies was upright just before, with the shoulders at least half a trunk higher."""
        if look.upright:
            person.upright = (time, look.shoulders, look.trunk)
        if look.body != "lying" or person.upright is None:
            return 0.0
        before, shoulders, trunk = person.upright
        return float(float(time - before) <= self.config.fall_seconds and look.shoulders - shoulders > 0.5 * trunk)

    def _end(self, name: str) -> list[Observation]:
        person = self._people.pop(name, None)
        if person is None:
            return []
        made = self._take(person, person.smoother.finish())
        made += self._told(name, person.body.finish()) + self._told(name, person.arms.finish())
        for side, spans in zip(_SIDES, person.hands, strict=True):
            made += self._showed(name, side, spans.finish())
        return made

    def _told(self, name: str, states: Iterable[State]) -> list[Observation]:
        made: list[Observation] = []
        for state in states:
            if not state.label or float(state.span.duration) < self.config.least_seconds:
                continue
            score, data = float(state.mean[0]), {"frames": state.count}
            labels = [state.label, *(["fallen"] if state.label == "lying" and state.values[1] > 0 else [])]
            made += [Observation(state.span, "posture", score=score, label=v, track=name, data=data) for v in labels]
        return made
