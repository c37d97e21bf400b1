"""What stands on a frame, with as little work as the frames before it in the same stretch of time allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers.text.config import TextConfig
from onlooker.analyzers.text.detector import LineDetector, covered
from onlooker.analyzers.text.geometry import Region
from onlooker.analyzers.text.recogniser import LineReader
from onlooker.analyzers.text.strokes import appeared, stroke_density, strokes_alike, strokes_of
from onlooker.analyzers.text.words import likeness
from onlooker.core.media import Frame

__all__ = ["GREY_WIDTH", "FrameReader", "Line"]

GREY_WIDTH = 160
_LEVELS = 12
_COVERED = 0.5
_LARGEST = 0.4
"""Share of the picture above which a region as broad as a block is a fade or a flash, not a line."""
_BLOCK = 2.5
_KNOWN = 0.3
_SAME_PLACE = 0.5
_MUCH_THE_SAME = 0.6
_STILL = 0.97
"""Median likeness of strokes from which what lies behind a line is still."""
_MOVING = 0.45
"""Mean likeness from which a line before a moving picture is the same."""
_REPLACED = 0.3
"""Mean likeness of strokes below which another text, or none, stands in a line's place."""
_EDGE = 1.0
"""A line that ends nearer to the picture's edge than this share of its height runs up to it: the network is blind
for the last letter there.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read. ``text`` is empty where the region turned out to hold none."""

    region: Region
    text: str
    score: float
    strokes: NDArray[np.float32]


class FrameReader:
    """Reads frame after frame.

    Time is divided into stretches at fixed moments. In the first frame of a stretch everything is looked for and
    read. In the others a frame without a visible change is passed over; lines whose strokes are still there are not
    read again; and only when a small picture shows text that is not accounted for is everything looked for anew.
    Nothing is carried from one stretch into the next, so that parts of a source agree with the whole.

    Args:
        config: the analyzer's.
        threads: how many the models may use.
    """

    def __init__(self, config: TextConfig, threads: int) -> None:
        self._config = config
        self._stretch_length = Fraction(round(config.refresh_seconds * 1000), 1000)
        self._detector = LineDetector(
            config.detector,
            threads=threads,
            threshold=config.threshold,
            least=config.region_score,
            grow=config.grow,
        )
        self._reader = LineReader(config.recogniser, config.orientation, threads=threads)
        # one that is no smaller than the other saves nothing
        self._quick_size = config.quick_size if config.quick_size < config.size else 0
        self._stretch: int | None = None
        self._grey: NDArray[np.int16] | None = None
        self._lines: list[Line] = []
        self._ignored: list[Region] = []
        self._density: NDArray[np.float32] | None = None

    def read(self, frame: Frame) -> tuple[list[Line] | None, float | None]:
        """Lines with text, or None where they are those of the frame before; and the share of the picture that
        changed since the last frame looked at, None at the start of a stretch.
        """
        stretch = int(frame.time.value / self._stretch_length)
        grey = frame.image(GREY_WIDTH, 0, "gray").astype(np.int16)
        changed: float | None = None
        if stretch == self._stretch and self._grey is not None and grey.shape == self._grey.shape:
            change = np.abs(grey - self._grey) >= _LEVELS
            # single pixels are noise: both the pixel and its neighbour must have changed
            changed = float(np.count_nonzero(change[:, 1:] & change[:, :-1]) / change.size)
            if changed < self._config.gate_share:
                return None, changed
            self._again(frame)
        else:
            self._stretch, self._lines = stretch, []
            if self._quick_size:
                self._density = stroke_density(frame)
            self._thoroughly(frame, self._quick(frame))
        self._grey = grey
        return [line for line in self._lines if line.text], changed

    def prepare(self, width: int, height: int) -> None:
        """Make ready for frames of these sides."""
        self._detector.prepare(width, height, self._config.size, bands=self._quick_size > 0)
        if self._quick_size:
            self._detector.prepare(width, height, self._quick_size)

    def _quick(self, frame: Frame) -> list[Region]:
        return self._detector.find(frame, self._quick_size) if self._quick_size else []

    def _again(self, frame: Frame) -> None:
        """A later frame of a stretch."""
        kept = self._still_there(frame)
        if not self._quick_size:
            self._lines = kept
            self._thoroughly(frame, [])
            return
        lost = [line for line in self._lines if not any(line.region is k.region for k in kept)]
        gone = [line.region for line in lost if line.text]
        self._lines = kept
        density = stroke_density(frame)
        before = self._density
        if not lost and before is not None and not appeared(before, density, [line.region for line in kept], frame):
            return
        self._density = density
        quick = self._quick(frame)
        texts = [line.region for line in kept if line.text]
        idle = [*(line.region for line in kept if not line.text), *self._ignored]
        # where a line went, another mostly follows, and the small picture may be too small for it
        new = gone + [
            region
            for region in quick
            if covered(region, texts) < _KNOWN and not any(_same_place(region, other) for other in idle)
        ]
        if new:
            self._around(frame, quick, new)

    def _still_there(self, frame: Frame) -> list[Line]:
        """The lines whose strokes are still there, or that read much the same in their old place."""
        kept: list[Line] = []
        grey = Image.fromarray(frame.luma())
        for line in self._lines:
            strokes = strokes_of(grey, line.region)
            least, middle, mean = strokes_alike(line.strokes, strokes)
            if least >= self._config.same or (middle < _STILL and mean >= _MOVING):
                kept.append(line)
            elif line.text and mean >= _REPLACED:
                text, score = self._reader.read(_picture(frame), line.region)
                if score >= self._config.keep_score and likeness(text, line.text) >= _MUCH_THE_SAME:
                    kept.append(replace(line, text=text, score=score, strokes=strokes))
        return kept

    def _thoroughly(self, frame: Frame, quick: list[Region]) -> None:
        """Look for all text, and read what is not among the lines known."""
        config = self._config
        found = self._detector.find(frame, config.size)
        if config.tiles > 1:
            tiles = self._detector.find_in_tiles(frame, config.size)
            found += [r for r in tiles if covered(r, found) < _COVERED]
        self._take(frame, found, quick)

    def _around(self, frame: Frame, quick: list[Region], new: list[Region]) -> None:
        """Look for text at the heights at which there is new text."""
        hulls = [region.hull() for region in new]
        margin = max(region.height for region in new)
        top, bottom = min(h[1] for h in hulls) - margin, max(h[3] for h in hulls) + margin
        self._take(frame, self._detector.find_between(frame, self._config.size, top, bottom), quick)

    def _take(self, frame: Frame, found: list[Region], quick: list[Region]) -> None:
        """Read what is not among the lines known; ``quick`` adds what was too large to be found else."""
        config = self._config
        found = [*found, *(r for r in quick if covered(r, [*found, *(x.region for x in self._lines)]) < _COVERED)]
        found = [_to_edge(region, frame) for region in found if not _is_flash(region, frame)]
        grey = Image.fromarray(frame.luma())
        lines = list(self._lines)
        for region in found:
            if any(_same_place(region, line.region) for line in lines):
                continue
            text, score = self._reader.read(_picture(frame), region)
            text = text if score >= config.keep_score else ""
            lines.append(Line(region, text, score, strokes_of(grey, region)))
        self._lines = _without_doubles(lines)
        texts = [line.region for line in self._lines if line.text]
        self._ignored = [region for region in quick if covered(region, texts) < _COVERED]

    def close(self) -> None:
        """Release the models."""
        self._detector.close()
        self._reader.close()


def _to_edge(region: Region, frame: Frame) -> Region:
    if abs(region.angle) > 0.1 or region.width < region.height:
        return region
    left, _, right, _ = region.hull()
    reach = _EDGE * region.height
    more = (
        max(0.0, left) if left < reach else 0.0,
        max(0.0, frame.width - right) if right > frame.width - reach else 0,
    )
    return replace(region, x=region.x + (more[1] - more[0]) / 2, width=region.width + sum(more))


def _is_flash(region: Region, frame: Frame) -> bool:
    short, long = sorted((region.width, region.height))
    return short * long > _LARGEST * frame.width * frame.height and long < _BLOCK * short


def _picture(frame: Frame) -> Image.Image:
    return Image.fromarray(frame.image(None, None, "rgb24"))


def _same_place(one: Region, other: Region) -> bool:
    return min(covered(one, [other]), covered(other, [one])) >= _SAME_PLACE


def _without_doubles(lines: Iterable[Line]) -> list[Line]:
    """Of lines that lie over each other, the one that says more with more certainty; in reading order."""
    kept: list[Line] = []
    for line in sorted(lines, key=lambda line: -line.score * len(line.text)):
        over = any(max(covered(line.region, [k.region]), covered(k.region, [line.region])) > 0.6 for k in kept)
        if not over or not line.text:
            kept.append(line)
    return sorted(kept, key=lambda line: (line.region.y, line.region.x))
