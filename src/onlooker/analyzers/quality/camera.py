"""Whether a fixed camera was moved or covered, from small pictures of the scene taken once a second.

The scene is described by the gradients of a 32 x 18 picture, which light changes alter little; a slowly following mean
of them is the background. A view that no longer resembles it is compared with it, shifted, to see a turned camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.quality.config import QualityConfig
from onlooker.analyzers.quality.detectors import exact
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["THUMB_HEIGHT", "THUMB_WIDTH", "Camera", "overlap", "structure", "thumb"]

THUMB_WIDTH, THUMB_HEIGHT = 32, 18
Floats = NDArray[np.float32]

_SAME, _OTHER = 0.6, 0.4
_FOLLOW = 0.1
_OVERLAP = 0.42
"""Unrelated views reach 0.35 in one of a hundred pairs."""


def thumb(grey: NDArray[np.uint8]) -> bytes:
    """The picture as 32 x 18 means, rounded."""
    height, width = grey.shape
    rows = np.arange(THUMB_HEIGHT) * height // THUMB_HEIGHT
    columns = np.arange(THUMB_WIDTH) * width // THUMB_WIDTH
    sums = np.add.reduceat(np.add.reduceat(grey.astype(np.uint32), rows, 0), columns, 1)
    counts = np.outer(np.maximum(np.diff(rows, append=height), 1), np.maximum(np.diff(columns, append=width), 1))
    return np.minimum((sums + counts // 2) // counts, 255).astype(np.uint8).tobytes()


def structure(small: NDArray[np.uint8]) -> Floats:
    """(2, 18, 32) gradients, strong ones held back so that one bright edge doesn't decide."""
    wide = small.astype(np.float32)
    across = np.diff(wide, axis=1, append=wide[:, -1:])
    down = np.diff(wide, axis=0, append=wide[-1:])
    return np.clip(np.stack([across, down]), -24, 24)


def likeness(a: Floats, b: Floats) -> float:
    """Cosine of two structures."""
    return float((a * b).sum() / (np.sqrt(float((a * a).sum()) * float((b * b).sum())) + 1e-6))


def overlap(now: Floats, before: Floats) -> tuple[float, float, float]:
    """Best shift of one structure on the other: (cosine in the overlapping part, dx, dy in shares of the picture)."""
    _, height, width = now.shape
    reach_y, reach_x = height // 2, width // 2
    best = (-1.0, 0, 0)
    for dy in range(-reach_y, reach_y + 1):
        for dx in range(-reach_x, reach_x + 1):
            if dx == 0 and dy == 0:
                continue
            a = now[:, max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
            b = before[:, max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)]
            # a small overlap fits by chance more easily
            fit = likeness(a, b) * (a[0].size / now[0].size) ** 0.25
            if fit > best[0]:
                best = (fit, dx, dy)
    fit, dx, dy = best
    return fit, dx / width, dy / height


@dataclass
class _Loss:
    """A stretch in which the view is not the background's."""

    start: Timestamp
    covered: bool
    view: Floats
    since: Timestamp
    texture: float
    worst: float
    told: bool = False
    """Whether a piece of it was told."""


class Camera:
    """Follows one scene; see the module's docstring."""

    def __init__(self, config: QualityConfig) -> None:
        self._config = config
        self._settle = exact(config.settle_seconds)
        self._background: Floats | None = None
        self._texture = 0.0
        self._since: Timestamp | None = None
        self._steady_until: Timestamp | None = None
        self._loss: _Loss | None = None
        self._covers: list[tuple[Span, float, float]] = []

    def view(self, time: Timestamp, blob: bytes, *, black: bool) -> list[Observation]:
        """Take one small picture and whether the frame is black."""
        small = np.frombuffer(blob, np.uint8).reshape(THUMB_HEIGHT, THUMB_WIDTH)
        now = structure(small)
        texture = float(np.abs(now).mean())
        if self._background is None:
            self._restart(now, texture, time)
            return []
        like = likeness(now, self._background)
        bare = texture < 0.35 * self._texture
        if self._loss is None:
            if like >= _OTHER and not bare:
                self._follow(now, texture, time)
            else:
                self._loss = _Loss(time, bare and not black, now, time, texture, like)
            return []
        if like >= _SAME and not bare:
            return self._returned(time, now, texture)
        return self._elsewhere(time, now, texture, like, bare=bare, black=black)

    @property
    def since(self) -> Timestamp | None:
        """Where the view was lost, if it is."""
        return None if self._loss is None else self._loss.start

    def flush(self, end: Timestamp | None) -> list[Observation]:
        """The source ended."""
        loss, self._loss = self._loss, None
        self._background = None
        if loss is not None and loss.covered and end is not None:
            return self._cover(loss, end, came_back=False)
        return []

    def _restart(self, now: Floats, texture: float, time: Timestamp) -> None:
        self._background, self._texture, self._since, self._loss = now, texture, time, None

    def _follow(self, now: Floats, texture: float, time: Timestamp) -> None:
        assert self._background is not None
        self._background = (self._background + _FOLLOW * (now - self._background)).astype(np.float32)
        self._texture += _FOLLOW * (texture - self._texture)
        self._steady_until = time

    def _settled(self, loss: _Loss) -> bool:
        """Whether the lost view had stood long enough, up to the loss."""
        until = self._steady_until
        if self._since is None or until is None or loss.start - until > 2:
            return False
        return until - self._since >= self._settle

    def _returned(self, time: Timestamp, now: Floats, texture: float) -> list[Observation]:
        loss = self._loss
        self._loss = None
        made = self._cover(loss, time, came_back=True) if loss is not None and loss.covered else []
        self._follow(now, texture, time)
        return made

    def _elsewhere(
        self, time: Timestamp, now: Floats, texture: float, like: float, *, bare: bool, black: bool
    ) -> list[Observation]:
        loss = self._loss
        assert loss is not None
        assert self._background is not None
        loss.worst = min(loss.worst, like)
        if loss.covered:
            if bare:
                loss.covered = not black or loss.covered
                return self._piece(loss, time)
            # uncovered, and another view than before: a cut, or moved while it was covered
            made = self._cover(loss, time, came_back=False) if self._config.camera == "fixed" else []
            self._restart(now, texture, time)
            return made
        if bare:
            # the view left and then all contrast: a fade, not a hand before the lens
            loss.since, loss.view = time, now
            return []
        if likeness(now, loss.view) < _SAME:
            loss.since, loss.view = time, now
        if time - loss.since < exact(self._config.moved_seconds):
            return []
        made = self._moved(loss, now)
        self._restart(now, texture, loss.since)
        self._steady_until = time
        return made

    def _piece(self, loss: _Loss, time: Timestamp) -> list[Observation]:
        """A part of a loss that lasts, where the setting asks for it."""
        longest = self._config.longest_seconds
        if longest is None or time - loss.start < exact(max(longest, self._config.covered_seconds)):
            return []
        made = self._cover(loss, time, came_back=False)
        if made:
            loss.start, loss.told = time, True
        return made

    def _cover(self, loss: _Loss, end: Timestamp, *, came_back: bool) -> list[Observation]:
        camera = self._config.camera
        known = loss.told or self._settled(loss)
        if camera == "edited" or not known or (camera == "auto" and not came_back):
            return []
        if end - loss.start < exact(0.0 if loss.told else self._config.covered_seconds):
            return []
        data: dict[str, Any] = {"texture": round(loss.texture / max(self._texture, 1e-6), 3), "came_back": came_back}
        score = round(1 - min(1.0, loss.texture / max(self._texture, 1e-6)), 4)
        return [Observation(Span(loss.start, end), "cue", score=score, label="camera_covered", data=data)]

    def _moved(self, loss: _Loss, now: Floats) -> list[Observation]:
        camera = self._config.camera
        if camera == "edited" or not self._settled(loss):
            return []
        assert self._background is not None
        fit, dx, dy = overlap(now, self._background)
        if camera == "auto" and fit < _OVERLAP:
            return []
        like = likeness(now, self._background)
        data: dict[str, Any] = {
            "likeness": round(like, 3),
            "overlap": round(fit, 3),
            "shift": [round(dx, 3), round(dy, 3)] if fit >= _OVERLAP else None,
        }
        span = Span(loss.start, max(loss.since, loss.start))
        return [Observation(span, "cue", score=round(1 - max(0.0, like), 4), label="camera_moved", data=data)]
