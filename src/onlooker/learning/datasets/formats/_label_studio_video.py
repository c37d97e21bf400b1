"""Frames of a video as Label Studio counts them, and what its tracks show between their key frames.

It counts at the rate of its set-up (24 a second unless that says another), whatever the file's is, and its frame ``n``
is the picture at ``n / rate`` seconds, which key frames tell as their ``time``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from onlooker.core.errors import SourceError
from onlooker.learning.datasets.formats._checked import is_number, objects, shown
from onlooker.learning.datasets.formats.format import video_rate
from onlooker.learning.datasets.manifest import Media
from onlooker.learning.datasets.media import look_at

__all__ = ["Clock"]

_USUAL = 24
_LONGEST = 10_000_000  # frames
_SAME = 0.0005  # of a rate
# times may be rounded to hundredths of a second
_SLACK = 0.25  # of a frame
_SIDES = ("x", "y", "width", "height", "rotation")


@dataclass(frozen=True, slots=True)
class _Key:
    """A key frame: its number, its seconds, whether the object is to be seen after it, and where."""

    frame: int
    at: float
    on: bool
    place: Mapping[str, Any]


class Clock:
    """The times of one task's frames.

    Args:
        results: of its annotation.
        path: of the video, which may not be there.
        given: frames a second by the user, where the results do not say.
        ours: whether the task was written by `LabelStudio.write`, at the rate of the file.
        say: takes what a user is told about the video.
        shown: frames a second that we told Label Studio to count, for a video that is not there.
    """

    def __init__(
        self,
        results: Sequence[Any],
        path: Path,
        given: float | None,
        ours: bool,
        say: Callable[[str], None],
        shown: Any = None,
    ) -> None:
        self._results, self._path, self._given, self._ours, self._say = results, path, given, ours, say
        good = ours and is_number(shown) and math.isfinite(shown) and shown > 0.01
        self._told = Fraction(shown).limit_denominator(1001) if good else None

    @cached_property
    def rate(self) -> Fraction:
        """Frames a second that the results are counted at.

        Raises:
            ConfigError: nothing says it.
        """
        file = None if self._file is None else self._file.frame_rate
        said = None if self._as_written else _rate_of(self._results, file)
        if said is None:
            if file is None and self._given is None and self._told is not None:
                return self._told
            rate = video_rate(self._path, self._given)
            if self._given is None and not self._ours and not _same(rate, Fraction(_USUAL)):
                self._say(
                    f"frames are counted at the file's {float(rate):g} a second, as the export does not say;"
                    f" --set rate={_USUAL} where the set-up in Label Studio has no frameRate"
                )
            return rate
        if self._given is not None and not _same(said, Fraction(str(self._given))):
            self._say(f"--set rate={self._given:g} is not used: the export counts {float(said):g} frames a second")
        if file is not None and not _same(said, file):
            self._say(
                f"Label Studio counted {float(said):g} frames a second, the file has {float(file):g};"
                " times are those of Label Studio"
            )
        return said

    def places(self, value: Mapping[str, Any]) -> list[tuple[float, Mapping[str, Any]]]:
        """Seconds and place of an object on each frame that shows it.

        These are the frames of the file, or Label Studio's where that is not there. What was written by
        `LabelStudio.write`, and not touched since, has places at its key frames only.
        """
        keys = self._keys(value)
        if self._ours and "framesCount" not in value:
            return [(round(key.at, 6), key.place) for key in keys]
        counted = self.rate
        rate = (self._file.frame_rate if self._file is not None else None) or counted
        last = self._last(value, rate)
        shown = _shown(keys, rate, last, "framesCount" in value)
        if keys and keys[-1].on and max(shown) > _index(keys[-1].at, rate, last):
            self._say("objects whose last key frame is not switched off stay to the end, as Label Studio shows them")
        return [(round(float(Fraction(n) / rate), 6), shown[n]) for n in sorted(shown)]

    def span(self, within: Mapping[str, Any]) -> tuple[float, float]:
        """Seconds of a range of frames; its last one belongs to it."""
        first, last = Fraction(_frame(within, "start") - 1), Fraction(_frame(within, "end"))
        return round(float(first / self.rate), 6), round(float(last / self.rate), 6)

    @cached_property
    def _as_written(self) -> bool:
        """Whether we wrote the objects and nobody saved them since: Label Studio adds how many frames there are."""
        values = [r.get("value") or {} for r in self._results if r.get("type") == "videorectangle"]
        return self._ours and not any("framesCount" in value for value in values)

    @cached_property
    def _file(self) -> Media | None:
        try:
            return look_at(self._path.parent, Media(path=self._path.name, kind="video"), digest=False)
        except (SourceError, OSError):
            return None

    def _keys(self, value: Mapping[str, Any]) -> list[_Key]:
        """The key frames in order."""
        held = sorted(objects(value["sequence"], "sequence"), key=_frame)
        timed = _timed(held)
        made: list[_Key] = []
        for key in held:
            frame = _frame(key)
            at = float(key["time"]) if timed else float(Fraction(frame - 1) / self.rate)
            made.append(_Key(frame, at, bool(key.get("enabled", True)), key))
        return made

    def _last(self, value: Mapping[str, Any], rate: Fraction) -> int | None:
        """The number, from 0, of the video's last frame."""
        if self._file is not None and self._file.seconds:
            return max(0, round(self._file.seconds * rate) - 1)
        count = _number(value, "framesCount")
        return min(int(count), _LONGEST) if count else None


def _shown(keys: Sequence[_Key], rate: Fraction, last: int | None, whole: bool) -> dict[int, Mapping[str, Any]]:
    """Where an object is on each frame, counted from 0.

    Args:
        keys: in order.
        rate: of the frames.
        last: frame of the video.
        whole: whether an object that is not switched off stays to the end.
    """
    made: dict[int, Mapping[str, Any]] = {}
    if keys and keys[0].frame <= 1:
        # the first frame that Label Studio counts is shown from the beginning
        made[0] = keys[0].place
    for number, key in enumerate(keys):
        own = _index(key.at, rate, last)
        made[own] = key.place
        if not key.on:
            continue
        if number + 1 < len(keys):
            after = keys[number + 1]
            for n in range(own + 1, _index(after.at, rate, last)):
                share = (float(Fraction(n) / rate) - key.at) / (after.at - key.at)
                made[n] = _between(key.place, after.place, min(max(share, 0.0), 1.0))
        elif whole and last is not None:
            made.update((n, key.place) for n in range(own + 1, last + 1))
    return made


def _between(before: Mapping[str, Any], after: Mapping[str, Any], share: float) -> dict[str, Any]:
    sides = {k: (float(before.get(k) or 0), float(after.get(k) or 0)) for k in _SIDES}
    return {**before, **{k: a + (b - a) * share for k, (a, b) in sides.items()}}


def _index(at: float, rate: Fraction, last: int | None) -> int:
    """The number, from 0, of the frame that is to be seen at a time."""
    index = int(at * float(rate) + _SLACK)
    if index > _LONGEST:
        raise ValueError(f"time: no video has {at:g} seconds")
    return index if last is None else min(index, last)


def _timed(keys: Sequence[Mapping[str, Any]]) -> bool:
    """Whether key frames, in order, have times that go with their frames."""
    times = [t for key in keys if (t := _number(key, "time")) is not None]
    if not keys or len(times) < len(keys) or any(a > b for a, b in pairwise(times)):
        return False
    first, last = _frame(keys[0]), _frame(keys[-1])
    return (times[-1] > times[0] or first == last) and (times[-1] > 0 or last <= 1)


def _frame(held: Mapping[str, Any], name: str = "frame") -> int:
    value = held[name]
    if not is_number(value) or not 0 <= value <= _LONGEST:
        raise ValueError(f"{name}: expected a number of a frame, got {shown(value)}")
    return int(value)


def _number(held: Mapping[str, Any], name: str) -> float | None:
    """A number that is not negative, or None."""
    value = held.get(name)
    return float(value) if is_number(value) and value is not None and value >= 0 else None


def _rate_of(results: Sequence[Any], file: Fraction | None) -> Fraction | None:
    """The frames a second that results tell, or None: by times of key frames, else by the video's frames and length."""
    values = [r.get("value") or {} for r in results if r.get("type") == "videorectangle"]
    pairs: list[tuple[int, float]] = []
    for value in values:
        keys = sorted(objects(value.get("sequence"), "sequence"), key=_frame)
        if _timed(keys):
            pairs += [(_frame(k), float(k["time"])) for k in keys]
    if pairs:
        (first, start), (last, end) = min(pairs), max(pairs)
        if last > first and end > start:
            return _usual((last - first) / (end - start), end - start, file)
    for value in values:
        count, seconds = _number(value, "framesCount"), _number(value, "duration")
        if count and seconds:
            known = _known(count / seconds, file)
            # it rounds up
            fitting = [r for r in known if -_SLACK < count - float(r) * seconds < 1 + _SLACK]
            return fitting[0] if fitting else _usual(count / seconds, seconds, file)
    if pairs and max(pairs)[1] > 0:
        return _usual(max(pairs)[0] / max(pairs)[1], max(pairs)[1], file)
    return None


def _usual(rate: float, seconds: float, file: Fraction | None) -> Fraction:
    """The exact rate that one stands for, if there is one within a frame."""
    off = {known: abs(float(known) - rate) * seconds for known in _known(rate, file)}
    nearest = next((known for known, frames in off.items() if frames <= _SLACK), min(off, key=lambda r: off[r]))
    return nearest if off[nearest] <= 1 else Fraction(rate).limit_denominator(1001)


def _known(rate: float, file: Fraction | None) -> list[Fraction]:
    """The file's rate, the nearest whole number and that of television."""
    whole = Fraction(max(1, round(rate)))
    return [*([file] if file is not None else []), whole, whole * 1000 / 1001]


def _same(one: Fraction, other: Fraction) -> bool:
    return abs(one - other) <= other * _SAME
