"""Looks for what is to be hidden, in one picture, with a low threshold: what is doubtful is decided over time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from onlooker.core.boxes import suppress
from onlooker.core.errors import UsageError
from onlooker.core.media import Frame, PixelFormat
from onlooker.core.time import Timestamp
from onlooker.redaction.second import SECOND_SIDE, SecondDetector
from onlooker.redaction.tiles import SMALL_TILE, TILE, small_tiles_over, tiles_over

__all__ = ["NONE", "THINGS", "Look", "Seen", "Still", "Thing", "Thresholds", "models_for", "things"]

Thing: TypeAlias = Literal["faces", "persons", "plates", "screens", "text"]
THINGS: tuple[Thing, ...] = ("faces", "persons", "plates", "screens", "text")
Seen: TypeAlias = Literal["faces", "persons", "plates", "screens", "text", "vehicles"]
Rows: TypeAlias = NDArray[np.float32]

_LABELS: Mapping[str, frozenset[str]] = {
    "persons": frozenset({"person"}),
    "screens": frozenset({"tv", "laptop", "cell phone"}),
    "vehicles": frozenset({"car", "truck", "bus", "motorcycle", "train"}),
}
_MOST_LINE_SIZE, _MOST_ENLARGED_LINES = 1440, 2.0
_PLATE = 0.15
"""Most that a plate takes of its vehicle's box."""
_BLOCK, _SQUARE = 0.25, 2.5
_SHARPER = ImageFilter.UnsharpMask(2, 250, 0)
_STILL_SIZE = 640
_MOST_ENLARGED = 4.0
NONE: Rows = np.zeros((0, 5), np.float32)


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
            half as large, where those that fill the picture are found. Text is looked for in one half as large again.
        second: whether another detector looks for faces too.
        threads: how many a model may use.

    Attributes:
        soft: whether the last picture in which lines were looked for had to be sharpened for that.
    """

    def __init__(self, hide: Collection[Thing], *, size: int = 640, second: bool = True, threads: int = 2) -> None:
        self.soft = False
        self.hide: tuple[Thing, ...] = tuple(t for t in THINGS if t in hide)
        self._faces: list[Any] = []
        self._second: SecondDetector | None = None
        self._objects: Any = None
        self._lines: Any = None
        self._line_size = min(_MOST_LINE_SIZE, 3 * size // 2)
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
        """All things in one picture: for each (n, 5) left, top, right, bottom in fractions of the picture, and score.

        Faces have (n, 15), see `faces`.
        """
        found: dict[Thing, Rows] = {}
        if self._faces:
            found["faces"] = self.faces(frame)
        bodies = self.bodies(frame)
        found.update({thing: bodies[thing] for thing in THINGS if thing in bodies})
        if "text" in self.hide:
            found["text"] = self.lines(frame)
        if "plates" in self.hide:
            found["plates"] = self.plates(frame, bodies["vehicles"])
        return found

    def faces(self, frame: Frame) -> Rows:
        """(n, 15): box, score, and five points (not a number where only the second detector found the face)."""
        shapes = [d.shape(frame.width, frame.height) for d in self._faces]
        # a small picture has one size only
        sizes = self._faces[:1] if shapes[0] == shapes[1] else self._faces
        rows = np.concatenate([d.detect(frame) for d in sizes])
        rows = rows[suppress(rows[:, :4], rows[:, 4], np.zeros(len(rows), np.intp), 0.5)]
        return (
            rows
            if self._second is None
            else _with(rows, self._second.detect(frame.image(*_shrunk(frame, SECOND_SIDE))))
        )

    def bodies(self, frame: Frame) -> dict[Seen, Rows]:
        """(n, 5) of persons and screens, and of vehicles where plates are hidden: of what is asked for."""
        if self._objects is None:
            return {}
        objects = self._objects.detect(frame)
        labels = self._objects.labels
        made: dict[Seen, Rows] = {}
        names: tuple[Seen, ...] = ("persons", "screens", "vehicles")
        for name in names:
            if (name if name != "vehicles" else "plates") in self.hide:
                mine = [i for i, row in enumerate(objects) if labels[int(row[5])] in _LABELS[name]]
                made[name] = objects[mine, :5].astype(np.float32)
        return made

    def plates(self, frame: Frame, vehicles: Rows) -> Rows:
        """(n, 5) of lines of text within vehicles (m, 4 or more), looked for in a sharpened picture: plates are small.

        A vehicle that shows no line but something about as large as itself, which the network takes for text, is given
        whole: better too much is hidden.
        """
        scale = min(self._line_size / max(frame.width, frame.height), _MOST_ENLARGED_LINES)
        tiles = tiles_over(vehicles, int(frame.width * scale), int(frame.height * scale))
        if tiles is None:
            return _plates(self._sharpened(frame, self._line_size), vehicles)[0]
        rows, empty = _plates(self._in_tiles(frame, scale, tiles, TILE), vehicles)
        # a closer look shows some plates that do not stand out from a whole vehicle
        parts = small_tiles_over(empty, int(frame.width * scale), int(frame.height * scale))
        return np.concatenate([rows, _plates(self._in_tiles(frame, scale, parts, SMALL_TILE), empty)[0]])

    def _in_tiles(self, frame: Frame, scale: float, tiles: Sequence[tuple[int, int]], side: int) -> Rows:
        """Lines in squares, given by their left and top, of the picture made larger by ``scale``."""
        made = [NONE]
        whole = np.array([frame.width, frame.height, frame.width, frame.height], np.float32) * scale
        picture = Image.fromarray(frame.image()) if tiles else None
        for left, top in tiles:
            assert picture is not None
            box = left / scale, top / scale, (left + side) / scale, (top + side) / scale
            part = picture.resize((side, side), Image.Resampling.BICUBIC, box)
            rows = self._sharpened(Still(np.asarray(part), least=1), side)
            rows[:, :4] = (rows[:, :4] * side + np.array([left, top, left, top], np.float32)) / whole
            made.append(rows)
        return np.concatenate(made)

    def lines(self, frame: Frame, *, sharpened: bool = False) -> Rows:
        """(n, 5) of lines of text.

        ``sharpened``: the picture is known to be ``soft``.
        """
        rows, block = NONE, np.zeros(0, bool)
        if not sharpened:
            rows = self._found(frame, self._line_size)
            block = _is_block(rows, frame.width / frame.height)
            self.soft = bool(block.any())
            if not self.soft:
                return rows
        # the network takes soft pictures for text all over; where they are sharpened it sees what is written there
        again = self._sharpened(frame, self._line_size)
        return np.concatenate([rows[~block], again[~_is_block(again, frame.width / frame.height)]])

    def _sharpened(self, frame: Frame, size: int) -> Rows:
        picture = Image.fromarray(frame.image(*_shrunk(frame, size))).filter(_SHARPER)
        return self._found(Still(np.asarray(picture), least=1), size)

    def _found(self, frame: Frame, size: int) -> Rows:
        whole = np.array([frame.width, frame.height, frame.width, frame.height], np.float32)
        regions = self._lines.find(frame, size)
        rows = np.ones((len(regions), 5), np.float32)
        if regions:
            rows[:, :4] = np.clip(np.array([r.hull() for r in regions], np.float32) / whole, 0, 1)
        return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]

    def close(self) -> None:
        """Release the models."""
        for part in (*self._faces, self._second, self._objects, self._lines):
            if part is not None:
                part.close()
        self._faces, self._second, self._objects, self._lines = [], None, None, None


def _shrunk(frame: Frame, size: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side is at most ``size``."""
    scale = min(1.0, size / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def _is_block(lines: Rows, ratio: float) -> NDArray[np.bool_]:
    """Which are too large and too square for a line; ``ratio``: the picture's width over its height."""
    sides = (lines[:, 2:4] - lines[:, :2]) * np.array([ratio, 1], np.float32)
    return (sides.prod(1) > _BLOCK * ratio) & (sides.max(1) < _SQUARE * sides.min(1))


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


def _plates(lines: Rows, vehicles: Rows) -> tuple[Rows, Rows]:
    """The small lines whose middle lies in one of the boxes, and boxes that hold large ones only; and the boxes that
    hold none.
    """
    x, y = (lines[:, 0] + lines[:, 2]) / 2, (lines[:, 1] + lines[:, 3]) / 2
    areas = (lines[:, 2:4] - lines[:, :2]).prod(1)
    keep = np.zeros(len(lines), bool)
    whole, empty = np.zeros(len(vehicles), bool), np.zeros(len(vehicles), bool)
    for number, (left, top, right, bottom) in enumerate(vehicles[:, :4]):
        inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        small = inside & (areas < _PLATE * (right - left) * (bottom - top))
        keep |= small
        whole[number], empty[number] = inside.any() and not small.any(), not inside.any()
    return np.concatenate([lines[keep], vehicles[whole, :5]]), vehicles[empty]


class Still:
    """A picture that is no frame of a video, as the detectors want it; small ones are enlarged so that they see it.

    Args:
        picture: RGB (height, width, 3).
        least: longer side in pixels to which it is enlarged.
    """

    time = Timestamp.of_seconds(0)
    duration = Fraction(0)
    key = True

    def __init__(self, picture: NDArray[np.uint8], least: int = _STILL_SIZE) -> None:
        high, wide = picture.shape[:2]
        scale = min(_MOST_ENLARGED, max(1.0, least / max(wide, high)))
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
