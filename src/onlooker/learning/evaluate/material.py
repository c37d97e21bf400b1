"""What of a sample a bundle is given, as the bundle's facts ask for it, and which parts of it make a look.

A look is what a bundle answers to at once: a picture, a clip, a window of sound or of a series; or a clip with sound
and series around its middle. A text belongs to all looks of its sample. How many looks a sample has:

- a bundle with memory (streaming) takes the whole sample at its own rate, window by window;
- one whose outputs have steps in time (dense, events) takes consecutive looks that together cover the sample;
- any other takes one look, spread over the whole sample, of a sample up to one and a half times as long as a look
  (pictures) or a tenth longer (sound), and several, spread evenly, of a longer one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, PictureInput, SeriesInput, SoundInput
from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Dense, Events
from onlooker.bundles.preprocess import picture_size
from onlooker.core.errors import SourceError
from onlooker.core.media import PixelFormat, UInt8Array
from onlooker.learning.datasets.clips import decode, end_of, part_of_sample, text_of
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.datasets.preparation import Pictures, Preparation, Sound
from onlooker.learning.evaluate.measured import Rows, rows_of, series_of, windows_of

__all__ = ["Diet", "Material", "Ready", "diet_of", "material_of", "window_of"]

_LONGER, _LONGER_SOUND = 1.5, 1.1
_MOST_STEPS = 256
_LONGEST = 120.0
_LONGEST_SOUND = 600.0


@dataclass(frozen=True, slots=True)
class Diet:
    """What a bundle takes.

    Args:
        pictures: facts of its network of pictures, or None.
        sound: facts of its network of sound, or None.
        series: facts of its network of a series, or None.
        text: whether it reads.
        streams: whether it has memory.
        steps: whether its outputs have steps in time.
        looks: at most so many of a longer sample.
        crop, margin: how pictures are cut; ``box`` cuts out the sample's first box.
    """

    pictures: PictureInput | None
    sound: SoundInput | None
    series: SeriesInput | None
    text: bool
    streams: bool
    steps: bool
    looks: int
    crop: str
    margin: float

    @property
    def said(self) -> str:
        """How samples are looked at, for people."""
        if self.streams:
            return "window by window through the sample; " + ("all answers count" if self.steps else "the last answer")
        if self.steps:
            return "consecutive looks that cover the sample; all answers count"
        return f"one look, or up to {self.looks} spread evenly over a longer sample; the mean of their raw numbers"


@dataclass(frozen=True, slots=True)
class Material:
    """One sample for a bundle.

    Args:
        pictures: uint8 (n, height, width, 3 or 1), or None.
        views: which of them make each look, [first, last); empty without pictures.
        sound: float32 (m,) mono, or None.
        hears: which samples of the sound each look has, [first, last); they may lie outside, where it is silent.
        times: seconds in the medium that each look covers; (0, 0) where there is no time.
        text: words, or None.
        series: of each look, or empty.
        inner: width and height of the pictures' part that is not padding.
    """

    pictures: UInt8Array | None
    views: tuple[tuple[int, int], ...]
    sound: NDArray[np.float32] | None
    hears: tuple[tuple[int, int], ...]
    times: tuple[tuple[float, float], ...]
    text: str | None
    inner: tuple[int, int] | None = None
    series: Rows = ()

    @property
    def senses(self) -> frozenset[str]:
        """Which of ``pictures``, ``sound``, ``series`` and ``text`` it has."""
        measured = True if any(rows is not None for rows in self.series) else None
        held = {"pictures": self.pictures, "sound": self.sound, "series": measured, "text": self.text}
        return frozenset(name for name, there in held.items() if there is not None)


class Ready:
    """A picture that is brought to size already, as `onlooker.bundles.preprocess` takes pictures.

    Args:
        pixels: uint8 (height, width, 3 or 1); RGB.
    """

    def __init__(self, pixels: UInt8Array) -> None:
        self._pixels = pixels
        self.height, self.width = int(pixels.shape[0]), int(pixels.shape[1])

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """The picture as it is; BGR turns its channels."""
        if format == "gray":
            return self._pixels[..., 0]
        return self._pixels[..., ::-1] if format == "bgr24" else self._pixels


def diet_of(manifest: Manifest, *, looks: int, cut: Pictures | None) -> Diet:
    """What a bundle takes.

    Args:
        manifest: of the bundle.
        looks: at most so many of a longer sample.
        cut: the dataset's or run's way of preparing pictures, which says whether boxes are cut out.
    """
    networks = [*manifest.networks, *([manifest.head] if manifest.head else [])]
    facts = manifest.pictures
    crop = {"stretch": "none", "crop": "centre"}.get(facts.fit, "pad") if facts is not None else "none"
    margin = 0.1
    if cut is not None and cut.crop == "box":
        crop, margin = "box", cut.margin
    sounds = manifest.sounds
    sound: Any = sounds[0].input if sounds else None
    series: Any = manifest.series.input if manifest.series is not None else None
    return Diet(
        facts,
        sound,
        series,
        manifest.reads is not None,
        any(n.state is not None for n in networks),
        any(isinstance(o, Dense | Events) for o in manifest.outputs),
        looks,
        crop,
        margin,
    )


def material_of(sample: Sample, root: Path, diet: Diet) -> Material:
    """A sample as a bundle takes it.

    Raises:
        SourceError: it has none of what the bundle takes, or cannot be decoded.
    """
    text = text_of(sample, root) if diet.text else None
    made = _sensed(sample, root, diet)
    if made is not None:
        return replace(made, text=text)
    if text is not None:
        return Material(None, (), None, (), ((0.0, 0.0),), text)
    takes = (("pictures", diet.pictures), ("sound", diet.sound), ("series", diet.series), ("text", diet.text or None))
    wanted = " or ".join(name for name, facts in takes if facts is not None)
    raise SourceError(f"sample {sample.id} has no {wanted}, which the bundle takes", hint="see onlooker dataset check")


def _sensed(sample: Sample, root: Path, diet: Diet) -> Material | None:
    """What is seen, heard and measured."""
    made = _seen(sample, root, diet)
    heard = _heard(sample, root, diet)
    if heard is not None:
        assert diet.sound is not None
        made = _by_sound(*heard, diet) if made is None else _with_sound(made, *heard, diet.sound)
    series = series_of(sample, root) if diet.series is not None else None
    if series is None:
        return made
    assert diet.series is not None
    if made is None:
        times = windows_of(sample, series, diet.series, looks=diet.looks, steps=diet.steps)
        made = Material(None, (), None, (), times, None)
    return replace(made, series=rows_of(sample, series, diet.series, made.times))


def _with_sound(seen: Material, samples: NDArray[np.float32], begin: float, facts: SoundInput) -> Material:
    """With the sound around the middle of each look; of a picture without a time, around the sound's own."""
    rate, length = facts.sample_rate, facts.length
    hears: list[tuple[int, int]] = []
    for since, until in seen.times:
        first = round(((since + until) / 2 - begin) * rate) - length // 2
        if until <= since:
            first = _first_alone(len(samples), facts)
        hears.append((first, first + length))
    return replace(seen, sound=samples, hears=tuple(hears))


def _first_alone(count: int, facts: SoundInput) -> int:
    """Where a window begins in a sound whose time is no picture's, as in training: around its middle."""
    step = facts.step if isinstance(facts, LogMelInput) else 1
    # the end that makes no whole step of a spectrum is left off
    return 0 if 0 <= count - facts.length < step else count // 2 - facts.length // 2


def _seconds(sample: Sample, video: Media) -> tuple[float, float]:
    """Where a sample's part begins and ends in its video."""
    end = video.seconds
    if sample.span is not None:
        return sample.span[0], end_of(video, *sample.span)
    if end is None:
        raise SourceError(f"sample {sample.id}: its length is not known", hint="give it a span, or import it again")
    return 0.0, end


def _seen(sample: Sample, root: Path, diet: Diet) -> Material | None:
    facts, media = diet.pictures, sample.of_kind("video", "image")
    if facts is None or media is None:
        return None
    still = media.kind == "image" or sample.at is not None
    window = facts.frames if isinstance(facts, ClipInput) else 1
    if still and window > 1:
        raise SourceError(f"sample {sample.id} is one picture, the bundle looks at clips of {window}")
    inner = None
    if diet.crop == "pad" and media.width and media.height:
        inner = picture_size(media.width, media.height, facts)
    if still:
        pictures, moment = _pictures(sample, root, diet, 1), sample.at or 0.0
        return Material(pictures, ((0, 1),), None, (), ((moment, moment),), None, inner)
    start, end = _seconds(sample, media)
    length = end - start
    if length > _LONGEST and (diet.streams or diet.steps):
        start, end = (start + end - _LONGEST) / 2, (start + end + _LONGEST) / 2
        length = _LONGEST
    if diet.streams:
        stride = facts.stride if isinstance(facts, ClipInput) else 1
        count = max(window, round(length * facts.rate))
        views = [(e - window, e) for e in range(window + (count - window) % stride, count + 1, stride)]
        pictures = _pictures(sample, root, diet, count, (start, end))
        return _material(pictures, views, (start, end), inner)
    one = window / facts.rate
    if diet.steps:
        looks = min(_MOST_STEPS, max(1, round(length / one)))
        views = [(n * window, (n + 1) * window) for n in range(looks)]
        return _material(_pictures(sample, root, diet, looks * window, (start, end)), views, (start, end), inner)
    if isinstance(facts, FrameInput):
        looks = min(diet.looks, max(1, round(length * facts.rate)))
        pictures = _pictures(sample, root, diet, looks, (start, end))
        return _material(pictures, [(n, n + 1) for n in range(looks)], (start, end), inner)
    looks = 1 if length <= _LONGER * one else min(diet.looks, math.ceil(length / one))
    if looks == 1:
        return _material(_pictures(sample, root, diet, window, (start, end)), [(0, window)], (start, end), inner)
    firsts = [start + n * (length - one) / (looks - 1) for n in range(looks)]
    parts = [_pictures(sample, root, diet, window, (first, first + one)) for first in firsts]
    views = tuple((n * window, (n + 1) * window) for n in range(looks))
    times = tuple((first, first + one) for first in firsts)
    return Material(np.concatenate(parts), views, None, (), times, None, inner)


def _material(
    pictures: UInt8Array, views: list[tuple[int, int]], part: tuple[float, float], inner: tuple[int, int] | None
) -> Material:
    """Pictures that are spread evenly over a part, each the middle of its share."""
    each = (part[1] - part[0]) / len(pictures)
    times = tuple((part[0] + a * each, part[0] + b * each) for a, b in views)
    return Material(pictures, tuple(views), None, (), times, None, inner)


def _pictures(
    sample: Sample, root: Path, diet: Diet, count: int, part: tuple[float, float] | None = None
) -> UInt8Array:
    facts = diet.pictures
    assert facts is not None
    how = Pictures(
        frames=count,
        width=facts.width,
        height=facts.height,
        crop=diet.crop,  # pyright: ignore[reportArgumentType]
        margin=diet.margin,
        colour="grey" if facts.colour == "gray" else "rgb",
    )
    preparation = Preparation(pictures=how, sound=None)
    meant = part_of_sample(sample, root, preparation)
    if part is not None:
        meant = replace(meant, start=part[0], end=part[1])
    return np.asarray(decode(meant, preparation)["pictures"])


def _heard(sample: Sample, root: Path, diet: Diet) -> tuple[NDArray[np.float32], float] | None:
    """The sample's sound and the moment in the medium at which it begins."""
    facts = diet.sound
    media = sample.of_kind("audio") or next((m for m in sample.media if m.kind == "video" and m.sound), None)
    if facts is None or media is None or sample.at is not None:
        return None
    preparation = Preparation(pictures=None, sound=Sound(rate=facts.sample_rate, seconds=None, longest=_LONGEST_SOUND))
    part = part_of_sample(sample, root, preparation)
    made = decode(part, preparation).get("sound")
    if made is None or not len(made):
        return None
    begin, end = sample.span or (0.0, media.seconds)
    if end is not None and end - begin > _LONGEST_SOUND:
        begin = (begin + end - _LONGEST_SOUND) / 2
    return np.ascontiguousarray(made[:, 0], np.float32), begin


def _by_sound(samples: NDArray[np.float32], begin: float, diet: Diet) -> Material:
    """Looks of a sample that is only heard."""
    facts = diet.sound
    assert facts is not None
    count, length, hop = len(samples), facts.length, facts.hop
    if diet.streams:
        starts = [*range(max(0, count - length) % hop, max(0, count - length) + 1, hop)]
    elif diet.steps:
        looks = min(_MOST_STEPS, max(1, round(count / length)))
        starts = [round((n + 0.5) * count / looks - length / 2) for n in range(looks)]
    elif count <= _LONGER_SOUND * length:
        starts = [-((length - count) // 2) if count < length else (count - length) // 2]
    else:
        looks = min(diet.looks, (count - length) // hop + 1)
        starts = [round(n * (count - length) / max(1, looks - 1)) for n in range(looks)]
    hears = tuple((s, s + length) for s in starts)
    rate = facts.sample_rate
    times = tuple((begin + a / rate, begin + b / rate) for a, b in hears)
    return Material(None, (), samples, hears, times, None)


def window_of(samples: NDArray[np.float32], first: int, last: int) -> NDArray[np.float32] | None:
    """Samples [first, last) with silence where there are none; None where it lies outside as a whole."""
    inside = samples[max(0, first) : max(0, last)]
    if not len(inside):
        return None
    made = np.zeros(last - first, np.float32)
    made[max(0, -first) : max(0, -first) + len(inside)] = inside
    return made
