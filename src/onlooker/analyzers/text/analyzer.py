"""The analyzer ``text``; see README.md."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from onlooker.analyzers.text.captions import Caption, CaptionFollower, Reading
from onlooker.analyzers.text.characters import language_of
from onlooker.analyzers.text.config import READING_FIELDS, TextConfig
from onlooker.analyzers.text.slides import SlideWatch
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Box, Json, Observation
from onlooker.models import bundle_digest

__all__ = ["ROLES", "Text", "role_of"]

ROLES = ("subtitle", "title", "slide", "scene")
_GREY_WIDTH = 160
_SINGLE_SCORE = 0.93
"""Least score of a single character: windows and wheels look like one."""


def role_of(caption: Caption, slide_lines: int) -> str:
    """What a caption is for, by its place, size, stay and company: one of `ROLES`."""
    box, seconds = caption.box, float(caption.span.duration)
    across, down = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    level = abs(caption.angle) < 5
    below = level and down >= 0.68 and abs(across - 0.5) <= 0.15 and seconds <= 12 and caption.height <= 0.15
    company = caption.company / caption.count
    if company >= slide_lines and caption.quiet >= 0.6 * caption.count:
        return "subtitle" if below and down >= 0.85 and seconds <= 8 else "slide"
    if below:
        return "subtitle"
    if level and caption.height >= 0.07 and company <= 3 and abs(across - 0.5) <= 0.3:
        return "title"
    return "scene"


class Text(Analyzer[TextConfig]):
    """Captions with their spans, and where slides change."""

    name: ClassVar[str] = "text"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("text", "cue")
    Config = TextConfig
    measurement_fields: ClassVar[frozenset[str] | None] = READING_FIELDS

    def __init__(self, config: TextConfig) -> None:
        super().__init__(config)
        self._reader: Any = None
        self._restart()

    def needs(self) -> Needs:
        """A few frames a second, beside decoding."""
        config = self.config
        images = tuple((size, 0, "rgb24") for size in (config.size, config.quick_size) if size)
        return Needs(
            frames="all",
            rate=Fraction(round(config.rate * 1000), 1000),
            image=(*images, (_GREY_WIDTH, 0, "gray"), (0, 0, "rgb24"), (0, 0, "luma")),
            look_back=Fraction(round(config.refresh_seconds * 1000), 1000),
            heavy=True,
            models=(config.detector, config.recogniser, config.orientation),
        )

    def bundle_digest(self) -> str | None:
        """One digest of the three models'."""
        joined = " ".join(bundle_digest(name) for name in self.needs().models)
        return hashlib.sha256(joined.encode()).hexdigest()

    def open(self, context: Context) -> None:
        """Load the models."""
        from onlooker.analyzers.text.reader import FrameReader

        self._reader = FrameReader(self.config, context.threads)
        if (video := context.source.video) is not None:
            self._reader.prepare(video.width, video.height)
        self._restart()

    def close(self) -> None:
        """Release the models."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _restart(self) -> None:
        self._follower = CaptionFollower(self.config)
        self._slides = SlideWatch(self.config)

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 7) float32: left, top, right, bottom (0..1), angle in degrees, height of the line (share of the
        picture's), score; the texts are in the blob. Without a blob: all is as in the frame before.
        """
        lines, changed = self._reader.read(frame)
        if lines is None:
            return Measurement(frame.time, frame.duration, np.zeros((0, 7), np.float32))
        rows = np.zeros((len(lines), 7), np.float32)
        scale = np.array([frame.width, frame.height] * 2)
        for row, line in zip(rows, lines, strict=True):
            region = line.region
            tall = region.height >= 1.5 * region.width
            row[:4] = np.clip(np.array(region.hull()) / scale, 0, 1)
            row[4] = math.degrees(region.angle) + (90 if tall else 0)
            row[5] = (region.width if tall else region.height) / frame.height
            row[6] = line.score
        content = {"texts": [line.text for line in lines], "changed": None if changed is None else round(changed, 4)}
        blob = json.dumps(content, ensure_ascii=False).encode()
        return Measurement(frame.time, frame.duration, rows, blob)

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Captions that have ended, and changes of slides."""
        made: list[Observation] = []
        for m in window.measurements:
            lines: list[Reading] | None = None
            changed: float | None = 0.0
            if m.blob is not None:
                content = json.loads(m.blob)
                changed = content["changed"]
                lines = [
                    Reading(Box(*(float(v) for v in row[:4])), float(row[4]), float(row[5]), text, float(row[6]))
                    for row, text in zip(m.values, content["texts"], strict=True)
                ]
            made += self._captions(self._follower.take(m.span, lines, changed))
            slide = self._slides.take(m.span, self._follower.seen, changed)
            if slide is not None:
                span, score = slide
                made.append(Observation(span, "cue", score=round(score, 4), label="slide_change"))
        return made

    def _captions(self, ended: Iterable[Caption]) -> list[Observation]:
        made: list[Observation] = []
        for caption in ended:
            text, score = caption.best
            if not self._certain(caption, text, score):
                continue
            data: dict[str, Json] = {
                "language": language_of(text),
                "role": role_of(caption, self.config.slide_lines),
                "readings": caption.count,
            }
            if abs(caption.angle) >= 2:
                data["angle"] = round(caption.angle, 1)
            made.append(Observation(caption.span, "text", score=round(score, 4), box=caption.box, text=text, data=data))
        return made

    def _certain(self, caption: Caption, text: str, score: float) -> bool:
        config = self.config
        if score < config.score or not any(c.isalnum() for c in text):
            return False
        if len(text) == 1 and score < _SINGLE_SCORE:
            return False
        return score >= config.sure_score or float(caption.span.duration) >= config.least_seconds

    def flush(self) -> Iterable[Observation]:
        """What still stood at the end."""
        made = self._captions(self._follower.finish())
        self._restart()
        return made
