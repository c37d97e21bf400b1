"""A picture of a source's timeline: a strip of keyframes over rows of what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from onlooker.core.observation import Observation
from onlooker.core.store import Query, SourceStatus
from onlooker.core.time import Timestamp
from onlooker.reports.lettering import Lettering
from onlooker.reports.report_items import gather

__all__ = ["draw_timeline", "small_picture"]

_ORDER = (
    *("chapter", "topic", "scene", "shot", "speech", "speaker", "identity", "text", "fact", "safety", "sentiment"),
    *("sound", "expression", "age", "attention_state", "posture", "gesture", "track", "motion", "cue"),
)
_PALETTE = ("#1769aa", "#2e7d32", "#8e44ad", "#b35900", "#00796b", "#ad1457", "#5d4037", "#455a64", "#9e6a03")
_MOODS = {"positive": "#2e7d32", "negative": "#b3261e", "neutral": "#5c6773"}
_TOUCHING = frozenset({"chapter", "scene", "shot"})
_HIDDEN = frozenset({"keyframe", "summary", "keyword"})
_OWN_LANES = frozenset({"speaker", "identity", "sound", "expression", "attention_state", "posture"})
_LEFT, _RIGHT, _LANE, _STRIP, _MOST_LANES = 220, 20, 24, 96, 5
_NAME = 126
_INK, _SOFT, _LINE, _GROUND = "#1a2028", "#5c6773", "#dde2e8", "#ffffff"


def draw_timeline(
    source: SourceStatus,
    observations: Callable[[Query], Iterator[Observation]],
    folder: Path,
    *,
    width: int = 1400,
    counts: Mapping[str, int] | None = None,
) -> Image.Image:
    """Draw what is known of one source.

    Args:
        source: the source.
        observations: answers queries (``Store.query``).
        folder: the library folder, for keyframe pictures.
        width: of the picture in pixels.
        counts: of each kind, where the store tells (``Store.counts``); else all are read once to count them.
    """
    found = gather(observations, source.info.id, counts)
    rows = {kind: members for kind, members in found.kept.items() if kind not in _HIDDEN}
    # faces are shown by name where they have one
    rows.pop("face_track" if "identity" in rows else "", None)
    total = float(source.info.duration or 0)
    total = total or max((o.span.end.seconds for o in found.all()), default=1.0) or 1.0
    order = sorted(rows, key=lambda k: (_ORDER.index(k) if k in _ORDER else 99, k))
    placed = {kind: _placed(kind, rows[kind], found.names) for kind in order}
    keyframes = [o for o in found.kept.get("keyframe", []) if o.media]
    strip = 64 + (_STRIP if keyframes else 0)
    height = strip + 34 + sum(placed[k].lanes * _LANE + 8 for k in order) + 32
    picture = Image.new("RGB", (width, height), _GROUND)
    canvas = _Canvas(ImageDraw.Draw(picture), width, total)
    canvas.title(source)
    _strip(picture, canvas, keyframes, folder)
    top = strip + 34
    canvas.ruler(strip + 8, height - 16)
    for kind in order:
        row = placed[kind]
        canvas.name(kind, top, row)
        for number, (observation, lane) in enumerate(row.bars):
            # neighbours that touch are told apart by their shade
            dark = kind in _TOUCHING and number % 2 == 1
            canvas.bar(observation, top + lane * _LANE, found.names, dark=dark)
        top += row.lanes * _LANE + 8
    canvas.note(height)
    return picture


def small_picture(path: Path, width: int, height: int) -> Image.Image | None:
    """A stored picture scaled to fit, or None where the file is gone or damaged: the rest is still worth seeing."""
    try:
        with Image.open(path) as image:
            image.thumbnail((width, height))
            return image.convert("RGB")
    except (OSError, Image.DecompressionBombError):
        return None


@dataclass(slots=True)
class _Row:
    """Bars of one kind with their lanes, and the names of lanes that have one."""

    bars: list[tuple[Observation, int]]
    lanes: int
    names: dict[int, str]


def _who(o: Observation, names: Mapping[str, str]) -> str:
    return names.get(o.track or "", o.track or "")


def _placed(kind: str, observations: list[Observation], names: Mapping[str, str]) -> _Row:
    if kind not in _OWN_LANES:
        bars = _lanes(observations)
        return _Row(bars, max(lane for _, lane in bars) + 1, {})
    lengths: dict[str, float] = {}
    keys = [(o.label or "" if kind == "sound" else _who(o, names) or o.label or "") for o in observations]
    for o, key in zip(observations, keys, strict=True):
        lengths[key] = lengths.get(key, 0.0) + float(o.span.duration)
    # the longest have lanes of their own, the rest share the last
    own = _MOST_LANES if len(lengths) <= _MOST_LANES else _MOST_LANES - 1
    longest = sorted(lengths, key=lambda k: -lengths[k])[:own]
    lanes = {key: n for n, key in enumerate(sorted(longest, key=keys.index))}
    named = {n: key for key, n in lanes.items()}
    if len(lengths) > len(lanes):
        named[len(lanes)] = f"{len(lengths) - len(lanes)} more"
    bars = [(o, lanes.get(key, len(lanes))) for o, key in zip(observations, keys, strict=True)]
    return _Row(bars, len(named), named)


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


class _Canvas:
    """Draws in seconds and lanes."""

    def __init__(self, pen: ImageDraw.ImageDraw, width: int, total: float) -> None:
        self._pen, self._width, self._total = pen, width, total
        self._lettering = Lettering()

    def x(self, seconds: float) -> float:
        return _LEFT + (self._width - _LEFT - _RIGHT) * max(0.0, min(1.0, seconds / self._total))

    def _write(self, place: tuple[float, float], words: str, size: int, fill: str, room: float) -> bool:
        """Write as much as there is room for; whether anything was written."""
        said, font = self._lettering.fit(words, size, room)
        if said:
            # all fonts stand on one line, whatever their height above it
            self._pen.text((place[0], place[1] + size), said, font=font, fill=fill, anchor="ls")
        return bool(said)

    def title(self, source: SourceStatus) -> None:
        self._write((20, 10), Path(source.info.path).name, 22, _INK, self._width - 40)
        video = source.info.video
        facts = f"{self._total:.1f} s" + (f", {video.codec} {video.width}x{video.height}" if video else "")
        self._write((20, 40), facts, 14, _SOFT, self._width - 40)

    def ruler(self, top: int, bottom: int) -> None:
        steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
        step = next((s for s in steps if self._total / s <= 12), 14400)
        at = 0.0
        while at <= self._total:
            x = self.x(at)
            self._pen.line([(x, top), (x, bottom - 10)], fill=_LINE)
            label = str(Timestamp.of_seconds(at)).removesuffix(".000")
            said, font = self._lettering.fit(label, 12, self._width - x - 3)
            if said == label:
                self._pen.text((x + 3, top), said, font=font, fill=_SOFT)
            at += step

    def name(self, kind: str, top: int, row: _Row) -> None:
        for lane, name in row.names.items():
            self._write((_NAME, top + 5 + lane * _LANE), name, 11, _SOFT, _LEFT - _NAME - 6)
        self._write((20, top + 4), kind, 13, _INK, (_NAME if row.names else _LEFT) - 24)
        y = top + row.lanes * _LANE + 3
        self._pen.line([(20, y), (self._width - _RIGHT, y)], fill=_LINE)

    def note(self, bottom: int) -> None:
        """Say what could not be written."""
        if self._lettering.missing:
            said = "Letters that no font here has are left out; for Chinese, install a CJK font (Noto, WenQuanYi)."
            self._write((20, bottom - 26), said, 12, _SOFT, self._width - 40)

    def bar(self, observation: Observation, top: int, names: Mapping[str, str], *, dark: bool = False) -> None:
        o = observation
        left, right = self.x(o.span.start.seconds), self.x(o.span.end.seconds)
        right = max(right - 1, left + 2)
        who = _who(o, names)
        hue = who or o.label or o.kind if o.kind in ("speaker", "identity", "face_track") else o.label or o.kind
        colour = _PALETTE[sum(map(ord, hue)) % len(_PALETTE)]
        if o.kind == "sentiment":
            colour = _MOODS.get(o.label or "", _MOODS["neutral"])
        if dark:
            colour = "#" + "".join(f"{int(colour[n : n + 2], 16) * 3 // 4:02x}" for n in (1, 3, 5))
        self._pen.rounded_rectangle([left, top + 2, right, top + _LANE - 3], 3, fill=colour)
        if right - left < 20:
            return
        label = o.text or (who if o.kind == "speaker" else o.label) or ""
        also = "" if o.kind in _OWN_LANES else who
        words = " ".join(dict.fromkeys(p for p in (label, also) if p)) or str(o.data.get("transition") or "")
        said, _ = self._lettering.fit(words, 12, right - left - 8)
        if len(said) > 3 or said == words:
            self._write((left + 5, top + 4), words, 12, "#ffffff", right - left - 8)
