"""Looks for what is to be hidden, in one picture, with a low threshold: what is doubtful is decided over time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers._boxes import suppress
from onlooker.core.errors import UsageError
from onlooker.core.media import Frame, PixelFormat
from onlooker.core.time import Timestamp
from onlooker.redaction.second import SECOND_SIDE, SecondDetector

__all__ = ["THINGS", "Look", "Still", "Thing", "Thresholds", "models_for", "things"]

Thing: TypeAlias = Literal["faces", "persons", "plates", "screens", "text"]
THINGS: tuple[Thing, ...] = ("faces", "persons", "plates", "screens", "text")
Rows: TypeAlias = NDArray[np.float32]

_LABELS: Mapping[str, frozenset[str]] = {
    "persons": frozenset({"person"}),
    "screens": frozenset({"tv", "laptop", "cell phone"}),
    "vehicles": frozenset({"car", "truck", "bus", "motorcycle", "train"}),
}
_LINE_SIZE = 960
_STILL_SIZE = 640
_MOST_ENLARGED = 4.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least score at which a thing is taken note of, and from which it is hidden even if it is seen only once."""

    least: float
    sure: float


THRESHOLDS: Mapping[Thing, Thresholds] = {
    "faces": Thresholds(0.15, 0.35),
    "persons": Thresholds(0.2, 0.4),
    "screens": Thresholds(0.2, 0.4),
    "plates": Thresholds(0.4, 0.4),
    "text": Thresholds(0.4, 0.4),
}


def things(names: Collection[str]) -> tuple[Thing, ...]:
    """The things of these names, in a fixed order.

    Raises:
        UsageError: there is no such thing.
    """
    for name in names:
        if all(name != thing for thing in THINGS):
            raise UsageError(f"cannot hide {name!r}", hint=f"one of {', '.join(THINGS)}")
    return tuple(t for t in THINGS if t in names)


def models_for(hide: Collection[Thing]) -> tuple[str, ...]:
    """Names of the catalogue models that looking for these needs."""
    wanted = ["centerface", "face-full-range"] if {"faces", "persons"} & set(hide) else []
    wanted += ["nanodet-416"] if {"persons", "screens", "plates"} & set(hide) else []
    return (*wanted, *(["ppocr-det"] if {"plates", "text"} & set(hide) else []))


class Look:
    """Loaded detectors for some things.

    Args:
        hide: what to look for. Who looks for persons looks for faces too: a face alone is a person.
        size: longer side in pixels of the picture in which faces are looked for; they are looked for once more in one
            half as large, where those that fill the picture are found.
        second: whether another detector looks for faces too.
        threads: how many a model may use.
    """

    def __init__(self, hide: Collection[Thing], *, size: int = 640, second: bool = True, threads: int = 2) -> None:
        self.hide: tuple[Thing, ...] = tuple(t for t in THINGS if t in hide)
        self._faces: list[Any] = []
        self._second: SecondDetector | None = None
        self._objects: Any = None
        self._lines: Any = None
        if {"faces", "persons"} & set(self.hide):
            from onlooker.analyzers.faces.detector import FaceDetector

            least = THRESHOLDS["faces"].least
            self._faces = [
                FaceDetector(size=s, threads=threads, least=least, overlap=0.3) for s in (size, max(160, size // 2))
            ]
            self._second = SecondDetector() if second else None
        if {"persons", "screens", "plates"} & set(self.hide):
            from onlooker.analyzers.objects.detector import Detector

            self._objects = Detector("nanodet-416", threads=threads, least=0.2, overlap=0.6, tiles=1)
        if {"plates", "text"} & set(self.hide):
            from onlooker.analyzers.text.detector import LineDetector

            self._lines = LineDetector("ppocr-det", threads=threads, threshold=0.3, least=0.4, grow=1.6)

    def at(self, frame: Frame) -> dict[Thing, Rows]:
        """For each thing (n, 5): left, top, right, bottom in fractions of the picture, and score.

        Faces have (n, 15): five points follow (not a number where only the second detector found the face).
        """
        found: dict[Thing, Rows] = {}
        if self._faces:
            shapes = [d.shape(frame.width, frame.height) for d in self._faces]
            # a small picture has one size only
            sizes = self._faces[:1] if shapes[0] == shapes[1] else self._faces
            rows = np.concatenate([d.detect(frame) for d in sizes])
            rows = rows[suppress(rows[:, :4], rows[:, 4], np.zeros(len(rows), np.intp), 0.5)]
            found["faces"] = rows if self._second is None else _with(rows, self._second.detect(_small(frame)))
        objects = self._objects.detect(frame) if self._objects is not None else np.zeros((0, 6), np.float32)
        if "persons" in self.hide:
            found["persons"] = self._labelled(objects, "persons")
        if "screens" in self.hide:
            found["screens"] = self._labelled(objects, "screens")
        if self._lines is not None:
            lines = self._text(frame)
            if "text" in self.hide:
                found["text"] = lines
            if "plates" in self.hide:
                found["plates"] = _inside(lines, self._labelled(objects, "vehicles"))
        return found

    def _labelled(self, objects: Rows, group: str) -> Rows:
        labels = self._objects.labels
        mine = [i for i, row in enumerate(objects) if labels[int(row[5])] in _LABELS[group]]
        return objects[mine, :5].astype(np.float32)

    def _text(self, frame: Frame) -> Rows:
        size = np.array([frame.width, frame.height, frame.width, frame.height], np.float32)
        found = [np.array(region.hull(), np.float32) / size for region in self._lines.find(frame, _LINE_SIZE)]
        rows = np.ones((len(found), 5), np.float32)
        if found:
            rows[:, :4] = np.clip(np.stack(found), 0, 1)
        return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]

    def close(self) -> None:
        """Release the models."""
        for part in (*self._faces, self._second, self._objects, self._lines):
            if part is not None:
                part.close()
        self._faces, self._second, self._objects, self._lines = [], None, None, None


def _small(frame: Frame) -> NDArray[np.uint8]:
    scale = min(1.0, SECOND_SIDE / max(frame.width, frame.height))
    return frame.image(max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))


def _with(rows: Rows, second: Rows) -> Rows:
    """The rows, and those of the second detector that are not among them. It takes hands for faces now and then: better
    a hand too much is hidden than a face too little.
    """
    x, y = (second[:, 0] + second[:, 2]) / 2, (second[:, 1] + second[:, 3]) / 2
    new = np.ones(len(second), bool)
    for left, top, right, bottom in rows[rows[:, 4] >= THRESHOLDS["faces"].sure, :4]:
        new &= ~((x >= left) & (x <= right) & (y >= top) & (y <= bottom))
    more = np.full((int(new.sum()), 15), np.nan, np.float32)
    more[:, :5] = second[new]
    return np.concatenate([rows, more])


def _inside(lines: Rows, vehicles: Rows) -> Rows:
    """Lines whose middle lies in one of the boxes."""
    x, y = (lines[:, 0] + lines[:, 2]) / 2, (lines[:, 1] + lines[:, 3]) / 2
    keep = np.zeros(len(lines), bool)
    for left, top, right, bottom in vehicles[:, :4]:
        keep |= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return lines[keep]


class Still:
    """A picture that is no frame of a video, as the detectors want it; small ones are enlarged so that they see it.

    Args:
        picture: RGB (height, width, 3).
    """

    time = Timestamp.of_seconds(0)
    duration = Fraction(0)
    key = True

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        high, wide = picture.shape[:2]
        scale = min(_MOST_ENLARGED, max(1.0, _STILL_SIZE / max(wide, high)))
        self.width, self.height = max(1, round(wide * scale)), max(1, round(high * scale))
        self._picture = Image.fromarray(np.ascontiguousarray(picture))
        self._made: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def luma(self) -> NDArray[np.uint8]:
        """(height, width) brightness."""
        return self.image(format="gray")

    def chroma(self) -> None:
        """Not kept."""

    def image(
        self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24"
    ) -> NDArray[np.uint8]:
        """See `onlooker.core.media.Frame.image`."""
        wide, high = width or self.width, height or self.height
        if width and not height:
            high = max(1, round(self.height * width / self.width))
        elif height and not width:
            wide = max(1, round(self.width * height / self.height))
        if (wide, high) not in self._made:
            smaller = wide < self._picture.width
            filter = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
            self._made[wide, high] = np.asarray(self._picture.resize((wide, high), filter))
        made = self._made[wide, high]
        if format == "gray":
            return (made @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
        return np.ascontiguousarray(made[..., ::-1]) if format == "bgr24" else made
