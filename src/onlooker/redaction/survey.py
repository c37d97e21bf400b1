"""The first pass of a redaction: looks at every frame, and says what is to be hidden in each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import Interrupted
from onlooker.core.media import AudioBlock, Frame, Packet, ReadFailure, ReadRequest, Source
from onlooker.core.time import Span
from onlooker.redaction.cover import grown, hidden_share
from onlooker.redaction.follow import Follow, Path, boxes_by_frame, follow
from onlooker.redaction.lines import LineWatch
from onlooker.redaction.look import NONE, Look, Seen, Thing

__all__ = ["Hidden", "Recognise", "Shown", "Stop", "Survey", "Zone", "survey"]

Rows: TypeAlias = NDArray[np.float32]
Recognise: TypeAlias = Callable[[Frame, Rows], "list[Rows | None]"]
"""Gives a vector, or None, for each row of faces in a frame."""
Stop: TypeAlias = Callable[[], bool]
_GLANCE = (32, 18)
_CUT, _LIKE = 8.0, 0.4
"""Two frames are of different shots where their small grey pictures differ by so much on average and correlate less."""
_BODIES = 3
"""Screens and vehicles are looked for in every so many frames: what stands between two sightings is filled in."""
_MOVED = 0.25
"""Share of its size by which a vehicle may have moved on since it was seen."""
_SOFT = 3
"""After a soft picture so many more are taken for soft."""
WHOLE = np.array([0, 0, 1, 1], np.float32)


@dataclass(frozen=True, slots=True)
class Zone:
    """A place that is hidden by hand.

    Args:
        box: left, top, right, bottom in fractions of the picture.
        span: when, or None for always.
    """

    box: tuple[float, float, float, float]
    span: Span | None = None


@dataclass(slots=True)
class Survey:
    """What was seen in each frame.

    Attributes:
        times: of the frames, exact seconds, growing.
        seen: for each thing, the rows of each frame.
        every: of what is looked for in every so many frames only, how many.
        cuts: numbers of frames that look nothing like the one before.
        vectors: by frame number and row number, what ``Recognise`` gave of a face.
        failures: stretches that could not be read.
    """

    times: list[Fraction] = field(default_factory=list[Fraction])
    seen: dict[Thing, list[Rows]] = field(default_factory=dict[Thing, "list[Rows]"])
    every: dict[Thing, int] = field(default_factory=dict[Thing, int])
    cuts: set[int] = field(default_factory=set[int])
    vectors: dict[tuple[int, int], Rows] = field(default_factory=dict[tuple[int, int], Rows])
    failures: list[ReadFailure] = field(default_factory=list[ReadFailure])

    def paths(self, options: Follow) -> list[Path]:
        """All that is followed over time."""
        seconds = [float(t) for t in self.times]
        made: list[Path] = []
        for thing, rows in self.seen.items():
            often = replace(options, sightings=max(2, round(options.sightings / self.every.get(thing, 1))))
            made += follow(thing, seconds, rows, often)
        return made

    def hidden(self, paths: Sequence[Path], options: Follow, zones: Sequence[Zone] = ()) -> Hidden:
        """What is hidden in each frame."""
        boxes = boxes_by_frame(paths, [float(t) for t in self.times], options, self.cuts)
        by_time: dict[Fraction, Rows] = {}
        for time, found in zip(self.times, boxes, strict=True):
            mine = [np.array(z.box, np.float32) for z in zones if z.span is None or _within(z.span, time)]
            every = [*found, *mine]
            by_time[time] = np.stack(every) if every else np.zeros((0, 4), np.float32)
        return Hidden(by_time)


class Shown(Protocol):
    """Somebody who stays visible."""

    def recognise(self, frame: Frame, rows: Rows) -> list[Rows | None]:
        """A vector, or None, for each face of a frame."""
        ...

    def choose(self, seen: Survey, paths: Sequence[Path]) -> int:
        """Mark the frames of the paths in which nothing is hidden (``Path.shown``); returns how many have some."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


def _within(span: Span, time: Fraction) -> bool:
    return span.start.value <= time < span.end.value


@dataclass(frozen=True, slots=True)
class Hidden:
    """What is hidden, by the time of each frame. A frame that nobody looked at is hidden whole."""

    by_time: Mapping[Fraction, Rows]

    def boxes(self, time: Fraction) -> Rows:
        """(n, 4) of the frame shown at ``time``."""
        found = self.by_time.get(time)
        return WHOLE[None] if found is None else found

    def share(self) -> float:
        """Mean share of the picture that is hidden, 0..1."""
        return sum(hidden_share(b) for b in self.by_time.values()) / max(1, len(self.by_time))

    def frames(self) -> int:
        """How many frames have something hidden."""
        return sum(len(b) > 0 for b in self.by_time.values())


def survey(
    source: Source,
    look: Look,
    *,
    request: ReadRequest | None = None,
    recognise: Recognise | None = None,
    every: Fraction = Fraction(1, 3),
    progress: Callable[[float], None] | None = None,
    stop: Stop | None = None,
) -> Survey:
    """Look through a source: for faces and persons at every frame, for the rest at as many as it takes to follow them.

    Args:
        source: an open source with video.
        look: loaded detectors.
        request: which stretch; all frames without.
        recognise: asked for vectors of the faces in some frames, at least ``every`` seconds apart.
        every: see ``recognise``.
        progress: called with the share that is done, 0..1.
        stop: asked between frames; when it says so, `Interrupted` ends the work.

    Raises:
        SourceError: nothing can be read.
        Interrupted: it was stopped.
    """
    made = Survey(seen={t: [] for t in _kept(look.hide)})
    asked = request or ReadRequest()
    begin = asked.start.value if asked.start is not None else Fraction(0)
    end = asked.end.value if asked.end is not None else source.info.duration
    length = float(end - begin) if end is not None else 0.0
    recognised: Fraction | None = None
    before: NDArray[np.int16] | None = None
    sparse = _Sparse(look, made)
    for item in source.read(asked):
        if isinstance(item, ReadFailure):
            made.failures.append(item)
            continue
        if isinstance(item, AudioBlock | Packet):
            continue
        if stop is not None and stop():
            raise Interrupted("stopped")
        time = item.time.value
        glance = item.image(*_GLANCE, "gray").astype(np.int16)
        cut = before is not None and _is_cut(before, glance)
        before = glance
        if cut:
            made.cuts.add(len(made.times))
        sparse.look(item, cut=cut)
        if "faces" in made.seen:
            faces = look.faces(item)
            made.seen["faces"].append(faces)
            if recognise is not None and len(faces) and (recognised is None or time - recognised >= every):
                recognised = time
                for row, vector in enumerate(recognise(item, faces)):
                    if vector is not None:
                        made.vectors[len(made.times), row] = vector
        made.times.append(time)
        if progress is not None and length > 0:
            progress(min(1.0, float(time - begin) / length))
    sparse.finish()
    return made


class _Sparse:
    """Looks for what need not be looked for in every frame: bodies, where no persons are hidden, and lines of text."""

    def __init__(self, look: Look, made: Survey) -> None:
        self._look, self._made = look, made
        self._bodies = bool({"persons", "screens", "plates"} & set(look.hide))
        self._every = 1 if "persons" in look.hide else _BODIES
        if "screens" in made.seen:
            made.every["screens"] = self._every
        self._vehicles: list[Rows] = []
        self._soft = 0
        self._text = LineWatch(self._lines) if "text" in look.hide else None
        self._plates = LineWatch(look.plates, every=4, flashes=False, room=1.0) if "plates" in look.hide else None

    def look(self, frame: Frame, *, cut: bool) -> None:
        """Take the next frame."""
        found: dict[Seen, Rows] = {}
        self._soft = 0 if cut else self._soft
        if self._bodies and (cut or len(self._made.times) % self._every == 0):
            found = self._look.bodies(frame)
            if cut:
                self._vehicles = []
            self._vehicles = [*self._vehicles[-2:], found.get("vehicles", NONE)]
        for thing in ("persons", "screens"):
            if thing in self._made.seen:
                self._made.seen[thing].append(found.get(thing, NONE))
        if self._text is not None:
            self._text.add(frame, NONE, cut=cut)
        if self._plates is not None:
            self._plates.add(frame, _widened(np.concatenate(self._vehicles)), cut=cut)

    def _lines(self, frame: Frame, _: Rows) -> Rows:
        rows = self._look.lines(frame, sharpened=self._soft > 0)
        self._soft = self._soft - 1 if self._soft else _SOFT if self._look.soft else 0
        return rows

    def finish(self) -> None:
        """Store what was found of lines."""
        if self._text is not None:
            self._made.seen["text"] = self._text.finish()
        if self._plates is not None:
            self._made.seen["plates"] = self._plates.finish()


def _widened(vehicles: Rows) -> Rows:
    return np.concatenate([grown(vehicles, _MOVED), vehicles[:, 4:5]], 1)


def _is_cut(before: NDArray[np.int16], after: NDArray[np.int16]) -> bool:
    if float(np.abs(after - before).mean()) < _CUT:
        return False
    a, b = before - before.mean(), after - after.mean()
    return float((a * b).sum()) < _LIKE * float(np.sqrt((a**2).sum() * (b**2).sum()))


def _kept(hide: Collection[Thing]) -> list[Thing]:
    """Who hides persons hides faces too."""
    names: list[Thing] = list(hide)
    return ["faces", *names] if "persons" in names and "faces" not in names else names
