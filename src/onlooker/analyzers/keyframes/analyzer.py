"""The keyframes analyzer; see README.md."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from PIL import Image

from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.keyframes.descriptor import VECTOR_SPACE, describe_image
from onlooker.analyzers.keyframes.quality import candidate_values, encode_jpeg, pick_best, quality_of
from onlooker.analyzers.keyframes.sheets import Thinned, contact_sheet, shrink_jpeg, sprite, sprite_vtt
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame, ReadRequest
from onlooker.core.observation import Attachment, Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Keyframes"]

_BIN: Final = Fraction(30)
"""Of each stretch of so many seconds the best candidate is kept until its shot is known."""
_LONG: Final = Fraction(60)
"""A longer shot chooses among the best of these stretches, a shorter one among all its candidates."""
_KEPT: Final = 2 * _LONG
"""Seconds for which every candidate is kept: a shorter shot is known by then."""
_EDGE: Final = Fraction(1, 5)
"""Seconds at a shot's ends that are left out where there is a choice."""
_SHEET_KEPT: Final = 200
_SHEET_WIDTH: Final = 240


@dataclass(slots=True)
class _Kept:
    """A candidate; ``best`` is set when it is found to be the best of its stretch."""

    measurement: Measurement
    quality: float
    best: bool = False

    @property
    def at(self) -> Fraction:
        """Its time in seconds."""
        return self.measurement.time.value

    @property
    def bin(self) -> int:
        """Number of its stretch."""
        return int(self.at // _BIN)


class Keyframes(Analyzer[KeyframesConfig]):
    """The sharpest, most representative frame of each shot, a contact sheet and a sprite."""

    name = "keyframes"
    version = "1"
    emits = ("keyframe", "picture")
    Config = KeyframesConfig
    measurement_fields = frozenset({"rate", "width", "jpeg_quality"})

    def needs(self) -> Needs:
        """Some frames a second as small pictures, and the shots."""
        return Needs(
            frames="all",
            rate=Fraction(self.config.rate).limit_denominator(1000),
            image=((self.config.width, 0, "rgb24"),),
            observations=("shot",),
            keep="run",
        )

    def open(self, context: Context) -> None:
        """Start a new source."""
        self._context = context
        self._candidates: list[_Kept] = []
        self._marked = 0
        """Stretches before this one have their best candidate marked."""
        self._done = Fraction(0)
        """End of the last shot that has its keyframes."""
        self._shots: list[Observation] = []
        self._sheet = Thinned(Fraction(1, 1000), _SHEET_KEPT)
        self._tiles = Thinned(Fraction(1), self.config.sprite_tiles)
        self._end: Timestamp | None = None

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement:
        """The frame's picture as JPEG, and figures of its quality."""
        rgb = frame.image(width=min(self.config.width, frame.width))
        return Measurement(
            frame.time, frame.duration, candidate_values(rgb), encode_jpeg(rgb, self.config.jpeg_quality)
        )

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Nothing: a candidate depends on its frame alone."""

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The keyframes of the shots that have ended."""
        for m in window.measurements:
            self._candidates.append(_Kept(m, quality_of(m.values)))
            self._end = m.span.end
            if m.blob is not None and self._tiles.wants(m.time):
                self._tiles.add(m.time, shrink_jpeg(m.blob, self.config.sprite_tile_width))
        self._shots += [o for o in window.observations if o.kind == "shot"]
        self._mark(int(window.end.value // _BIN))
        made: list[Observation] = []
        while self._shots and self._ready(self._shots[0].span) <= window.end.value:
            made += self._of_shot(self._shots.pop(0))
        self._forget()
        return made

    def flush(self) -> Iterable[Observation]:
        """The keyframes of the last shots, the contact sheet and the sprite."""
        if self._candidates:
            self._mark(self._candidates[-1].bin + 1)
        made = [o for shot in self._shots for o in self._of_shot(shot)]
        made += self._pictures()
        self._shots, self._candidates, self._end = [], [], None
        self._sheet.pictures, self._tiles.pictures = [], []
        return made

    @staticmethod
    def _ready(span: Span) -> Fraction:
        """When a shot's candidates are all known: a long shot waits for the end of the stretch that it ends in, so
        that the choice does not depend on the windows.
        """
        return span.end.value if span.duration <= _LONG else -(-span.end.value // _BIN) * _BIN

    def _mark(self, until: int) -> None:
        """Mark the best candidate of each full stretch, the earliest of equals."""
        best: dict[int, _Kept] = {}
        for kept in self._candidates:
            if self._marked <= kept.bin < until and (kept.bin not in best or kept.quality > best[kept.bin].quality):
                best[kept.bin] = kept
        for kept in best.values():
            kept.best = True
        self._marked = max(self._marked, until)

    def _forget(self) -> None:
        """Drop the candidates that no shot can want any more, so that memory does not grow with the video."""
        if not self._candidates:
            return
        latest = self._candidates[-1].at
        self._candidates = [
            k
            for k in self._candidates
            if k.bin >= self._marked or (k.at >= self._done and (k.best or latest - k.at <= _KEPT))
        ]

    def _of_shot(self, shot: Observation) -> list[Observation]:
        span = shot.span
        self._done = span.end.value
        inside = [k for k in self._candidates if span.contains(k.measurement.time)]
        if span.duration > _LONG:
            inside = [k for k in inside if k.best]
        after = shot.data.get("transition_end_seconds")
        low = span.start.value + _EDGE
        if isinstance(after, int | float):
            low = max(low, Fraction(after))
        clear = [k for k in inside if low <= k.at <= span.end.value - _EDGE] or inside
        if not clear:
            extra = self._read(span)
            return [] if extra is None else [self._keyframe(extra, shot)]
        every = Fraction(self.config.every_seconds)
        if span.duration > _LONG:
            groups = [[k for k in clear if k.at // every == n] for n in sorted({k.at // every for k in clear})]
        else:
            count = max(1, -(-span.duration // every))
            edges = [span.start.value + span.duration * n / count for n in range(count + 1)]
            groups = [[k for k in clear if a <= k.at < b] for a, b in itertools.pairwise(edges)]
        made: list[Observation] = []
        for group in groups:
            part = [k.measurement for k in group]
            if part:
                made.append(self._keyframe(part[pick_best(np.stack([m.values for m in part]))], shot))
        return made

    def _read(self, span: Span) -> Measurement | None:
        """A candidate from the middle of a shot too short to have one."""
        if self._context.read is None:
            return None
        middle = Timestamp.of_seconds(span.start.value + span.duration / 2)
        for start in (middle, span.start):
            request = ReadRequest(frames="all", start=start, end=span.end, threads=self._context.threads)
            for item in self._context.read(request):
                if isinstance(item, Frame):
                    return self.measure(item, {})
        return None

    def _keyframe(self, chosen: Measurement, shot: Observation) -> Observation:
        assert chosen.blob is not None  # measure() always gives one
        with Image.open(io.BytesIO(chosen.blob)) as picture:
            rgb = np.asarray(picture.convert("RGB"))
        self._sheet.add(chosen.time, shrink_jpeg(chosen.blob, _SHEET_WIDTH, 90))
        name = f"keyframes/{int(chosen.time.value * 1000):09d}.jpg"
        return Observation(
            chosen.span,
            "keyframe",
            score=round(quality_of(chosen.values), 6),
            data={"shot": shot.data.get("index"), "sharpness": round(float(chosen.values[0]), 4)},
            vector=describe_image(rgb),
            vector_space=VECTOR_SPACE,
            attachments=(Attachment(name, chosen.blob, "image/jpeg"),),
        )

    def _pictures(self) -> list[Observation]:
        """Contact sheet and sprite over the whole source."""
        made: list[Observation] = []
        if self._end is None:
            return made
        whole = Span(Timestamp.of_seconds(Fraction(0)), self._end)
        if self._sheet.pictures:
            data = contact_sheet(self._sheet.pictures, self.config.sheet_pictures)
            sheet = Attachment("contact-sheet.jpg", data, "image/jpeg")
            made.append(Observation(whole, "picture", label="contact-sheet", attachments=(sheet,)))
        tiles = self._tiles.pictures
        if tiles:
            info = self._context.source
            end = self._end if info.duration is None else max(self._end, Timestamp.of_seconds(info.duration))
            files = [Attachment(f"sprite-{i:03d}.jpg", d, "image/jpeg") for i, d in enumerate(sprite(tiles))]
            files.append(Attachment("thumbnails.vtt", sprite_vtt(tiles, end).encode(), "text/vtt"))
            facts: dict[str, Json] = {"tiles": len(tiles), "interval_seconds": float(self._tiles.interval)}
            made.append(Observation(whole, "picture", label="sprite", data=facts, attachments=tuple(files)))
        return made
