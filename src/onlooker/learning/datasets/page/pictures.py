"""Small pictures, short sounds and curves of samples, for the page."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledBox, Sample
from onlooker.learning.datasets.media import frames_at, held_series, open_picture, read_sound

__all__ = ["Look", "curves", "listen", "look"]

_LONGEST = 20.0
_RATE = 16_000
_PEAKS = 120
_POINTS = 200
_CURVES = 8
_BREAK = 4


@dataclass(frozen=True, slots=True)
class Look:
    """One picture: JPEG, its size in pixels, and when it is shown and for how long, in seconds; None for images."""

    jpeg: bytes
    width: int
    height: int
    at: float | None
    lasts: float


def look(dataset: Dataset, sample: Sample, boxes: Sequence[LabelledBox], size: int) -> list[Look]:
    """The picture of an image or frame; three of a video, where there are boxes if it has some.

    Raises:
        SourceError: it cannot be decoded.
    """
    media = sample.of_kind("image", "video")
    if media is None:
        return []
    path = dataset.path(media)
    if media.kind == "image":
        image = open_picture(path, "rgb")
        return [_small(image, size, None, 0.0)]
    if sample.at is not None:
        moments = [sample.at]
    else:
        start, end = sample.span or (0.0, media.seconds or 0.0)
        moments = [start + (end - start) * f for f in (0.1, 0.5, 0.9)]
        times = sorted({b.at for b in boxes if b.at is not None and start <= b.at <= end})
        if times:
            moments = [times[int((len(times) - 1) * f)] for f in (0.1, 0.5, 0.9)]
    frames = frames_at(path, [Fraction(round(m * 1_000_000), 1_000_000) for m in sorted(set(moments))], media)
    made: list[Look] = []
    for frame in frames:
        scale = min(1.0, size / max(frame.width, frame.height))
        image = Image.fromarray(frame.image(max(1, round(frame.width * scale)), 0))
        made.append(_small(image, size, frame.time.seconds, float(frame.duration) or 0.04))
    return made


def _small(image: Image.Image, size: int, at: float | None, lasts: float) -> Look:
    if max(image.size) < size // 2:
        # tiny pictures are shown larger, dot by dot
        factor = max(1, size // 2 // max(image.size))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((size, size))
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=78)
    return Look(out.getvalue(), image.width, image.height, at, lasts)


def listen(dataset: Dataset, sample: Sample) -> dict[str, Any]:
    """``sound`` as a data address and ``peaks`` 0..1 of a sample that is heard; empty for others.

    Raises:
        SourceError: it cannot be decoded.
    """
    media = sample.of_kind("audio")
    if media is None or sample.at is not None:
        return {}
    start, end = sample.span or (0.0, media.seconds or _LONGEST)
    samples = read_sound(dataset.path(media), _RATE, 1, start, min(end, start + _LONGEST))[:, 0]
    if not len(samples):
        return {}
    parts = np.array_split(np.abs(samples), min(_PEAKS, len(samples)))
    peaks = [round(float(p.max()), 3) for p in parts]
    mime, body = _coded(samples)
    return {"peaks": peaks, "sound": f"data:{mime};base64,{base64.b64encode(body).decode()}"}


def curves(dataset: Dataset, sample: Sample) -> list[dict[str, Any]]:
    """By column of its series: ``name``, ``low``, ``high``, and ``points``: across 0..1 over the sample's part and up
    0..1 between low and high, None where the line breaks; low and high None where nothing is known. At most 8 columns.

    Raises:
        SourceError: it is no series.
    """
    media = sample.of_kind("series")
    if media is None:
        return []
    series = held_series(dataset.path(media))
    start, end = sample.span or (min(0.0, float(series.times[0])), series.end)
    inside = (series.times >= start) & (series.times <= end)
    made: list[dict[str, Any]] = []
    for number, name in enumerate(series.columns[:_CURVES]):
        known = inside & ~np.isnan(series.values[:, number])
        times, values = _thinned(series.times[known], series.values[known, number])
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        up = (values - low) / (high - low) if high > low else values * 0 + 0.5
        points: list[list[float] | None] = []
        gaps = np.diff(times, prepend=times[:1])
        usual = float(np.median(gaps[1:])) if len(gaps) > 1 else 0.0
        for gap, x, y in zip(gaps, (times - start) / max(end - start, 1e-9), up, strict=True):
            points += [None] if gap > _BREAK * usual > 0 else []
            points.append([round(float(x), 4), round(float(y), 3)])
        limits = {"low": round(low, 4), "high": round(high, 4)} if len(values) else {"low": None, "high": None}
        made.append({"name": name, **limits, "points": points})
    return made


def _thinned(times: Any, values: Any) -> tuple[Any, Any]:
    """At most so many points as can be seen: of each stretch of a longer series its mean."""
    if len(times) <= _POINTS:
        return times, values
    parts = [(t.mean(), v.mean()) for t, v in zip(*(np.array_split(a, _POINTS) for a in (times, values)), strict=True)]
    return np.array([t for t, _ in parts]), np.array([v for _, v in parts])


def _coded(samples: Any) -> tuple[str, bytes]:
    """Media type and bytes: Opus where FFmpeg can, else WAV."""
    import av

    if "libopus" not in av.codecs_available:
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_RATE)
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        return "audio/wav", out.getvalue()
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream: Any = container.add_stream("libopus", rate=_RATE)
        stream.layout = "mono"
        stream.bit_rate = 20_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "fltp", "mono")
        frame.sample_rate = _RATE
        for part in (frame, None):
            container.mux(stream.encode(part))
    return "audio/ogg", out.getvalue()
