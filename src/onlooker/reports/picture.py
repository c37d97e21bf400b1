"""A picture of a source's timeline: a strip of keyframes over rows of what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from onlooker.core.observation import Observation
from onlooker.core.store import Query, SourceStatus
from onlooker.core.time import Timestamp

__all__ = ["draw_timeline", "small_picture"]

_ORDER = ("chapter", "scene", "shot", "speech", "text", "track", "motion", "cue")
_PALETTE = ("#1769aa", "#2e7d32", "#8e44ad", "#b35900", "#00796b", "#ad1457", "#5d4037", "#455a64", "#9e6a03")
_TOUCHING = frozenset({"chapter", "scene", "shot"})
_HIDDEN = frozenset({"object", "fingerprint", "picture", "keyframe"})
_LEFT, _RIGHT, _LANE, _STRIP, _MOST_LANES = 110, 20, 24, 96, 5
_INK, _SOFT, _LINE, _GROUND = "#1a2028", "#5c6773", "#dde2e8", "#ffffff"


def draw_timeline(
    source: SourceStatus,
    observations: Callable[[Query], Iterator[Observation]],
    folder: Path,
    *,
    width: int = 1400,
) -> Image.Image:
    """Draw what is known of one source.

    Args:
        source: the source.
        observations: answers queries (``Store.query``).
        folder: the library folder, for keyframe pictures.
        width: of the picture in pixels.
    """
    found = list(observations(Query(sources=(source.info.id,), kinds=())))
    rows: dict[str, list[Observation]] = {}
    for o in found:
        if o.kind not in _HIDDEN:
            rows.setdefault(o.kind, []).append(o)
    total = float(source.info.duration or 0) or max((o.span.end.seconds for o in found), default=1.0) or 1.0
    order = sorted(rows, key=lambda k: (_ORDER.index(k) if k in _ORDER else 99, k))
    placed = {kind: _lanes(rows[kind]) for kind in order}
    height = 64 + _STRIP + 34 + sum(max(n for _, n in placed[k]) * _LANE + _LANE + 8 for k in order) + 16
    picture = Image.new("RGB", (width, height), _GROUND)
    canvas = _Canvas(ImageDraw.Draw(picture), width, total)
    canvas.title(source)
    _strip(picture, canvas, [o for o in found if o.kind == "keyframe"], folder)
    top = 64 + _STRIP + 34
    canvas.ruler(64 + _STRIP + 8, height)
    for kind in order:
        lanes = max(n for _, n in placed[kind]) + 1
        canvas.name(kind, top, lanes)
        for number, (observation, lane) in enumerate(placed[kind]):
            # neighbours that touch are told apart by their shade
            canvas.bar(observation, top + lane * _LANE, dark=kind in _TOUCHING and number % 2 == 1)
        top += lanes * _LANE + 8
    return picture


def small_picture(path: Path, width: int, height: int) -> Image.Image | None:
    """A stored picture scaled to fit, or None where the file is gone or damaged: the rest is still worth seeing."""
    try:
        with Image.open(path) as image:
            image.thumbnail((width, height))
            return image.convert("RGB")
    except (OSError, Image.DecompressionBombError):
        return None


def _lanes(observations: list[Observation]) -> list[tuple[Observation, int]]:
    ends: list[float] = []
    placed: list[tuple[Observation, int]] = []
    for o in observations:
        start = o.span.start.seconds
        lane = next((n for n, end in enumerate(ends) if end <= start + 1e-6), len(ends))
        if lane >= _MOST_LANES:
            lane = _MOST_LANES - 1
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = max(ends[lane], o.span.end.seconds)
        placed.append((o, lane))
    return placed


def _strip(picture: Image.Image, canvas: _Canvas, keyframes: list[Observation], folder: Path) -> None:
    edge = 0.0
    for o in keyframes:
        x = canvas.x(o.span.start.seconds)
        image = small_picture(folder / o.media[0], 170, _STRIP) if o.media and x >= edge else None
        if image is None:
            continue
        x = min(x, picture.width - _RIGHT - image.width)
        if x < edge:
            continue
        picture.paste(image, (int(x), 64 + (_STRIP - image.height) // 2))
        edge = x + image.width + 4


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


class _Canvas:
    """Draws in seconds and lanes."""

    def __init__(self, pen: ImageDraw.ImageDraw, width: int, total: float) -> None:
        self._pen, self._width, self._total = pen, width, total

    def x(self, seconds: float) -> float:
        return _LEFT + (self._width - _LEFT - _RIGHT) * max(0.0, min(1.0, seconds / self._total))

    def title(self, source: SourceStatus) -> None:
        name = self._fit(Path(source.info.path).name, _font(22), self._width - 40)
        self._pen.text((20, 12), name, font=_font(22), fill=_INK)
        video = source.info.video
        facts = f"{self._total:.1f} s" + (f", {video.codec} {video.width}x{video.height}" if video else "")
        self._pen.text((20, 40), facts, font=_font(14), fill=_SOFT)

    def ruler(self, top: int, bottom: int) -> None:
        steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
        step = next((s for s in steps if self._total / s <= 12), 14400)
        at = 0.0
        while at <= self._total:
            x = self.x(at)
            self._pen.line([(x, top), (x, bottom - 10)], fill=_LINE)
            label = str(Timestamp.of_seconds(at)).removesuffix(".000")
            if x + 3 + self._pen.textlength(label, font=_font(12)) <= self._width:
                self._pen.text((x + 3, top), label, font=_font(12), fill=_SOFT)
            at += step

    def name(self, kind: str, top: int, lanes: int) -> None:
        self._pen.text((20, top + 4), self._fit(kind, _font(14), _LEFT - 24), font=_font(14), fill=_INK)
        y = top + lanes * _LANE + 3
        self._pen.line([(20, y), (self._width - _RIGHT, y)], fill=_LINE)

    def _fit(self, words: str, font: Any, room: float) -> str:
        """As much as there is room for, in letters that the font has."""
        words = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in words[:200])
        while words and self._pen.textlength(words, font=font) > room:
            words = words[:-1]
        return words

    def bar(self, observation: Observation, top: int, *, dark: bool = False) -> None:
        left, right = self.x(observation.span.start.seconds), self.x(observation.span.end.seconds)
        right = max(right - 1, left + 2)
        colour = _PALETTE[sum(map(ord, observation.label or observation.kind)) % len(_PALETTE)]
        if dark:
            colour = "#" + "".join(f"{int(colour[n : n + 2], 16) * 3 // 4:02x}" for n in (1, 3, 5))
        self._pen.rounded_rectangle([left, top + 2, right, top + _LANE - 3], 3, fill=colour)
        parts = [observation.text or observation.label or "", observation.track or ""]
        words = " ".join(p for p in parts if p) or str(observation.data.get("transition") or "")
        font = _font(12)
        words = self._fit(words, font, right - left - 8)
        if len(words) > 2:
            self._pen.text((left + 5, top + 5), words, font=font, fill="#ffffff")
