"""From the measured series to spans: one small object with memory for each sort of trouble."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.quality.config import QualityConfig
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Timestamp

__all__ = [
    "Bars",
    "Black",
    "Blur",
    "Detector",
    "Exposure",
    "Flicker",
    "Frozen",
    "Letterbox",
    "Row",
    "Shake",
    "earliest",
    "exact",
]

Row = Mapping[str, float]
"""What was measured of one frame, by the names in ``features``; those of the seldom levels are there when due."""

_SECOND = Fraction(1)
_STEADY = Fraction(1, 2)


def exact(seconds: float) -> Fraction:
    """Seconds of a setting, to the millisecond."""
    return Fraction(round(seconds * 1000), 1000)


class Detector(ABC):
    """Takes the rows of all frames in order of time and gives back cues as they become certain.

    Args:
        find: turns its series of values into stretches.
    """

    label: str

    def __init__(self, find: StretchFinder) -> None:
        self._find = find

    def feed(self, time: Timestamp, row: Row) -> list[Observation]:
        """Take a frame's row."""
        seen = self._look(time, row)
        return [] if seen is None else self._made(self._find.feed(*seen[:2], **seen[2]))

    @property
    def since(self) -> Timestamp | None:
        """Where a span begins that has not been told, if there is one."""
        return self._find.since

    def in_pieces(self, longest: Fraction | None) -> None:
        """Tell longer spans in pieces of this many seconds; None: whole."""
        self._find.limit(longest)

    def flush(self, end: Timestamp | None) -> list[Observation]:
        """The source ended."""
        return self._made(self._find.flush(end))

    def _made(self, stretches: list[Stretch]) -> list[Observation]:
        made: list[Observation] = []
        for stretch in stretches:
            described = self._describe(stretch)
            if described is not None:
                score, data = described
                rounded: dict[str, Json] = {k: round(v, 4) for k, v in data.items()}
                score = round(min(1.0, max(0.0, score)), 4)
                made.append(Observation(stretch.span, "cue", score=score, label=self.label, data=rounded))
        return made

    @abstractmethod
    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]] | None:
        """The moment, the value that decides, and what else is averaged; None: this row says nothing."""

    @abstractmethod
    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]] | None:
        """Score and data of a stretch; None: it is none after all."""


class Black(Detector):
    """Nearly all pixels are black."""

    label = "black"

    def __init__(self, config: QualityConfig) -> None:
        share = config.black_share
        super().__init__(StretchFinder(share, share - 0.01, minimum=exact(config.black_seconds), gap=Fraction(1, 10)))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]]:
        return time, 1 - row["bright"], {"mean_level": row["mean"]}

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return stretch.peak, {"mean_level": stretch.mean("mean_level")}


class Frozen(Detector):
    """Frame after frame is the same, which even a still scene before a live camera is not."""

    label = "frozen"

    def __init__(self, config: QualityConfig) -> None:
        self._noise = config.frozen_noise
        self._black = 1 - config.black_share
        self._bars, self._texture = 0.0, 0.0
        # a keyframe coded anew in a frozen stretch differs a little from the copies before it
        super().__init__(StretchFinder(1.0, 1.0, minimum=exact(config.frozen_seconds), gap=Fraction(3, 25)))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]]:
        self._bars, self._texture = row.get("bars", self._bars), row.get("texture", self._texture)
        still = row["region"] <= self._noise and row["bright"] > self._black
        return time, float(still), {"region": row["region"], "bars": self._bars, "texture": self._texture}

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]] | None:
        # nothing can be seen to stand still where nothing is seen
        if stretch.mean("bars") >= 0.5 or stretch.mean("texture") < 0.6 or stretch.count < 0.9 * stretch.seen:
            return None
        difference = stretch.mean("region")
        return 1 - difference / max(self._noise, 1e-6) / 2, {"difference": difference}


class Bars(Detector):
    """Colour bars."""

    label = "colour_bars"

    def __init__(self, config: QualityConfig) -> None:
        super().__init__(StretchFinder(0.75, 0.6, minimum=exact(config.bars_seconds), gap=_SECOND))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]] | None:
        return (time, row["bars"], {}) if "bars" in row else None

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return stretch.peak, {}


class Flicker(Detector):
    """The gain of the whole picture goes up and down at least 3.5 times a second."""

    label = "flicker"

    def __init__(self, config: QualityConfig) -> None:
        self._gain = config.flicker_gain
        self._recent: deque[tuple[Timestamp, float, float]] = deque()
        super().__init__(StretchFinder(1.0, 0.7, minimum=exact(config.flicker_seconds), gap=_SECOND))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]]:
        step = row["step"]
        self._recent.append((time, 0.0 if np.isnan(step) else step, row["mean"]))
        while time - self._recent[0][0] > 1:
            self._recent.popleft()
        swing, rate = self._swing()
        value = min(swing / self._gain, 4.0) if rate >= 7 else 0.0
        return _middle(time), value, {"swing": swing, "per_second": rate / 2}

    def _swing(self) -> tuple[float, float]:
        """Median deviation of the gain from its trend in shares of the brightness, and crossings a second."""
        steps = [s for _, s, _ in self._recent]
        level = max(20.0, sum(m for _, _, m in self._recent) / len(steps))
        if len(steps) < 8 or sum(map(abs, steps)) < 6 * self._gain * level:
            return 0.0, 0.0
        gain = np.cumsum(steps)
        at = np.arange(len(gain)) - (len(gain) - 1) / 2
        gain = gain - gain.mean() - at * float(at @ gain) / float(at @ at)
        seconds = float(self._recent[-1][0] - self._recent[0][0])
        crossings = int(np.count_nonzero(np.diff(gain > 0)))
        return float(np.median(np.abs(gain))) * 2 / level, crossings / max(seconds, 0.1)

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return stretch.peak / 4, {name: stretch.mean(name) for name in ("swing", "per_second")}


class Blur(Detector):
    """Nothing in the picture is sharp, though there is something to see."""

    label = "blur"

    def __init__(self, config: QualityConfig) -> None:
        level = config.blur_level
        super().__init__(StretchFinder(level, level - 0.03, minimum=exact(config.blur_seconds), gap=_SECOND))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]] | None:
        if "sharpness" not in row:
            return None
        blur = 1 - row["sharpness"] if row["bars"] < 0.6 else 0.0
        return time, blur, {"blur": blur}

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return stretch.peak, {"blur": stretch.mean("blur")}


class Exposure(Detector):
    """Much too bright or much too dark, yet not black."""

    def __init__(self, config: QualityConfig, label: str) -> None:
        self.label = label
        self._over = label == "overexposed"
        self._config = config
        super().__init__(StretchFinder(1.0, 0.85, minimum=exact(config.exposure_seconds), gap=_SECOND))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]] | None:
        if "median" not in row:
            return None
        if row["bright"] <= 1 - self._config.black_share or row["bars"] >= 0.6:
            value = 0.0
        elif self._over:
            # nothing dark left is as bad as much that is white
            washed = row["low"] / 100 if row["median"] >= 150 else 0.0
            value = max(row["clipped"] / self._config.over_share, washed)
        else:
            value = self._config.under_level / max(row["high"], 1.0)
        return time, value, {"median_level": row["median"], "clipped": row["clipped"], "crushed": row["crushed"]}

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return 1 - 0.5 / stretch.peak, {n: stretch.mean(n) for n in ("median_level", "clipped", "crushed")}


class Shake(Detector):
    """The picture as a whole goes to and fro."""

    label = "camera_shake"

    def __init__(self, config: QualityConfig) -> None:
        self._share = config.shake_share
        self._recent: deque[tuple[Timestamp, float, float, float]] = deque()
        super().__init__(StretchFinder(1.0, 0.6, minimum=exact(config.shake_seconds), gap=_SECOND))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]] | None:
        if "dx" not in row:
            return None
        self._recent.append((time, row["dx"], row["dy"], row["match"]))
        while time - self._recent[0][0] > 1:
            self._recent.popleft()
        jitter = self._jitter()
        return _middle(time), min(jitter / self._share, 10.0), {"jitter": jitter}

    def _jitter(self) -> float:
        """Movement less its mean over the last second (a pan is no shake), where it fits the whole picture."""
        if len(self._recent) < 5:
            return 0.0
        values = np.array([v[1:] for v in self._recent])
        moves, match = values[:, :2], values[:, 2]
        if np.isnan(match).any() or np.count_nonzero(match > 0.4) < 0.6 * len(match):
            return 0.0
        rest = moves - moves.mean(0)
        turns = np.count_nonzero(np.diff(np.sign(rest), axis=0), axis=0)
        spread = np.median(np.abs(rest), 0) * 1.5
        return float(np.max(np.where(turns >= 3, spread, 0.0)))

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return 1 - 0.5 / stretch.peak, {"jitter": stretch.mean("jitter")}


class Letterbox(Detector):
    """Black borders that stay the same, above and below or at both sides."""

    label = "letterbox"
    _SIDES = ("top", "bottom", "left", "right")

    def __init__(self, config: QualityConfig) -> None:
        self._borders: dict[str, float] | None = None
        super().__init__(StretchFinder(1.0, 1.0, minimum=exact(config.letterbox_seconds), gap=Fraction(3)))

    def _look(self, time: Timestamp, row: Row) -> tuple[Timestamp, float, dict[str, float]] | None:
        if "top" not in row:
            return None
        now = {side: row[side] for side in self._SIDES}
        wide = min(now["top"], now["bottom"]) >= 0.02 and abs(now["top"] - now["bottom"]) <= 0.015
        tall = min(now["left"], now["right"]) >= 0.02 and abs(now["left"] - now["right"]) <= 0.015
        if not self._find.pending:
            self._borders = now
        before = self._borders or now
        alike = max(abs(now[side] - before[side]) for side in self._SIDES) <= 0.012
        return time, float((wide or tall) and alike), now

    def _describe(self, stretch: Stretch) -> tuple[float, dict[str, float]]:
        return 1.0, {side: stretch.mean(side) for side in self._SIDES}


def earliest(time: Timestamp) -> Timestamp:
    """A span that the next frame starts begins no earlier."""
    return _middle(time)


def _middle(time: Timestamp) -> Timestamp:
    """The middle of the second that ends at ``time``: half of a window must be affected to be noticed."""
    return max(time - _STEADY, Timestamp(0, time.time_base))
