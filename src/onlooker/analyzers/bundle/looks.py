"""Looks: what the networks gave for one moment, and how several are packed in a measurement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.bundle.measuring import ticks_a_second
from onlooker.bundles.drift import PICTURE, SOUND
from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, SeriesInput, WaveformInput
from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Detection, wanted_sizes
from onlooker.core.measurement import Measurement
from onlooker.core.media import SourceInfo
from onlooker.core.time import Timestamp

__all__ = ["HOW", "STATISTICS", "How", "Key", "Layout", "Look", "Moment", "Pace", "flat"]

Key = tuple[str, str]
"""Network and output; of detections, ``("", name of the output)``; of what drift is seen by, `STATISTICS`; of how a
look came about, `HOW`.
"""
STATISTICS: Key = ("", "input statistics")
HOW: Key = ("", "how")
_COLUMNS = 6
_LONGER = Fraction(1, 20)
"""Seconds by which a file may be longer than its pictures."""
Floats = NDArray[np.float32]


class How(IntFlag):
    """How a look came about: which networks really looked, whether at a part of the picture, and whether the
    answer left its own network early.
    """

    REPEATED = 0
    OWN = 1
    FIRST = 2
    PART = 4
    EARLY = 8

    @property
    def array(self) -> Floats:
        """As it is packed."""
        return np.array([int(self)], np.float32)


def flat(network: str, outputs: Mapping[str, NDArray[Any]]) -> dict[Key, Floats | None]:
    """What a network gave, as arrays of a look."""
    return {(network, name): array.astype(np.float32).reshape(-1) for name, array in outputs.items()}


@dataclass(frozen=True, slots=True)
class Look:
    """One look.

    Args:
        place: of a clip, ticks from the frame's own tick; of sound, looks from the block's first; of a series, its
            number; else 0.
        arrays: (n,) or, of detections, (n, 6); None where the modality is missing.
    """

    place: int
    arrays: Mapping[Key, Floats | None]


class Layout:
    """Packs the looks of a bundle in flat arrays, whose length may differ.

    Args:
        manifest: of the bundle.
        how: whether looks tell how they came about.
    """

    def __init__(self, manifest: Manifest, *, how: bool = False) -> None:
        self._sizes: dict[Key, int | None] = {}
        if manifest.head is not None:
            self._sizes = {(i.network, i.output): i.size for i in manifest.head.inputs}
        else:
            network = manifest.networks[0].name
            for output in manifest.outputs:
                if isinstance(output, Detection):
                    self._sizes["", output.name] = None
                else:
                    self._sizes |= {(network, tensor): size for tensor, size in wanted_sizes(output).items()}
        if manifest.reference is not None:
            self._sizes[STATISTICS] = len(PICTURE if manifest.pictures is not None else SOUND)
        if how:
            self._sizes[HOW] = 1

    def pack(self, looks: list[Look]) -> Floats:
        """One flat array: of each look its place, then of each array how many rows it has (-1: missing), and them."""
        parts: list[Any] = []
        for look in looks:
            parts.append([look.place])
            for key in self._sizes:
                array = look.arrays.get(key)
                if array is None:
                    parts.append([-1])
                    continue
                if not np.isfinite(array).all():
                    raise ValueError(f"the model gave numbers that are not finite ({key[1]})")
                parts += [[len(array)], array.reshape(-1)]
        return np.concatenate([np.asarray(p, np.float32) for p in parts]) if parts else np.zeros(0, np.float32)

    def unpack(self, flat: Floats) -> Iterator[Look]:
        """The looks again."""
        at = 0
        while at < len(flat):
            place, at = int(flat[at]), at + 1
            arrays: dict[Key, Floats | None] = {}
            for key, size in self._sizes.items():
                count, at = int(flat[at]), at + 1
                if count < 0:
                    arrays[key] = None
                    continue
                numbers = count if size is not None else count * _COLUMNS
                part = flat[at : at + numbers]
                arrays[key] = part if size is not None else part.reshape(-1, _COLUMNS)
                at += numbers
            yield Look(place, arrays)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a look covers, [start, end), and the part of it that it speaks for, [since, until)."""

    start: Timestamp
    end: Timestamp
    since: Timestamp
    until: Timestamp


class Pace:
    """The times of looks.

    Args:
        manifest: of the bundle; it has a network.
        rate: pictures a second of a bundle that looks at single pictures, where it is not the bundle's own.
    """

    def __init__(self, manifest: Manifest, rate: float | None) -> None:
        pictures = [n for n in manifest.networks if isinstance(n.input, FrameInput | ClipInput)]
        network = (pictures or list(manifest.sounds) or list(manifest.networks))[0]
        self._facts, self._speaks = network.input, network.speaks
        facts = network.input
        if isinstance(facts, WaveformInput | LogMelInput):
            self.tick = Fraction(1, facts.sample_rate)
            self.hop = facts.hop * self.tick
        elif isinstance(facts, SeriesInput):
            self.tick = 1 / ticks_a_second(facts)
            self.hop = facts.stride * self.tick
        else:
            self.tick = Fraction(1000, max(1, round((rate or facts.rate) * 1000)))
            self.hop = self.tick * (facts.stride if isinstance(facts, ClipInput) else 1)

    def ends(self, time: Timestamp, duration: Fraction, source: SourceInfo | None) -> bool:
        """Whether no later picture of a file makes a clip, or its sound ends; it may be said a little early.

        Single pictures make no clip, of which the last would have to be known.

        Args:
            time: of the picture or block of sound.
            duration: of it.
            source: whose it is.
        """
        if isinstance(self._facts, FrameInput) or source is None or source.live or source.duration is None:
            return False
        video, seconds = source.video, source.duration
        if not isinstance(self._facts, ClipInput):
            return time.value + duration > seconds - _LONGER
        if video is None:
            return False
        if video.frames and video.frame_rate:
            seconds = min(seconds, video.frames / video.frame_rate)
        shown = duration or (1 / video.frame_rate if video.frame_rate else Fraction(0))
        following = (time.tick(1 / self.tick) + 1) * self.tick
        # lengths are rounded, and sound may be a little longer
        return following > seconds - shown * Fraction(5, 4) - (0 if video.frames else _LONGER)

    def moment(self, m: Measurement, place: int, source: SourceInfo | None = None) -> Moment:
        """The times of a look of that measurement.

        A look speaks for a stride; the first from its beginning, and a file's last one to its end.
        """
        facts = self._facts
        if isinstance(facts, FrameInput):
            span = m.span
            return Moment(span.start, span.end, span.start, span.end)
        last, most = False, None
        if isinstance(facts, ClipInput):
            start, length = m.time.tick(1 / self.tick) + place - facts.frames + 1, facts.frames
            stride = facts.stride
            last = place == 0 and self.ends(m.time, m.duration, source)
        elif isinstance(facts, SeriesInput):
            start, length, stride = place * facts.stride, facts.steps, facts.stride
        else:
            begin = round(m.time.value * facts.sample_rate)
            start, length, stride = (begin // facts.hop + place) * facts.hop, facts.length, facts.hop
            if source is not None and source.duration is not None and not source.live:
                most = round(source.duration * facts.sample_rate)
                last = start + stride + length > most
        first = start + length - stride if self._speaks == "end" else start + (length - stride) // 2
        until = start + length if last else first + stride
        if last or (start <= 0 and not isinstance(facts, SeriesInput)):
            first = start
        end = start + length
        if most is not None and most < end:  # a sound shorter than a window
            end, until = most, min(until, most)
        return Moment(*(Timestamp(max(0, n), self.tick) for n in (start, end, first, until)))
