"""Values of the vocabulary as columns, and back, without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import numpy as np

from onlooker.core.errors import PluginError
from onlooker.core.media import AudioInfo, SourceInfo, VideoInfo
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Failure
from onlooker.core.time import Span, Timestamp

__all__ = [
    "COLUMNS",
    "clean",
    "data_text",
    "failure_digest",
    "info_from_json",
    "info_to_json",
    "instant",
    "instant_text",
    "nanoseconds",
    "observation_from_row",
    "observation_to_row",
    "span_from_text",
    "span_text",
]

_LIMIT = 2**63 - 1

COLUMNS = (
    "id, start_ns, end_ns, exact, ordinal, kind, label, track, score,"
    " box_left, box_top, box_right, box_bottom, text, data, media"
)
"""The columns of an observation's row that `observation_to_row` fills, in its order."""


def clean(text: str) -> str:
    """The text with lone surrogates (undecodable bytes of a file name) written out, since UTF-8 has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


# -- time --


def nanoseconds(moment: Timestamp) -> int:
    """The sort key, kept within what an index can hold (292 years)."""
    return max(-_LIMIT, min(_LIMIT, moment.nanoseconds))


def instant_text(moment: Timestamp) -> str:
    """``pts numerator/denominator``."""
    return f"{moment.pts} {moment.time_base.numerator}/{moment.time_base.denominator}"


@lru_cache(maxsize=4096)
def _base(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(int(numerator), int(denominator))


def instant(text: str) -> Timestamp:
    """The moment of `instant_text`."""
    pts, base = text.split(" ")
    return Timestamp(int(pts), _base(base))


def span_text(span: Span) -> str:
    """Both ends; a shared time base is written once."""
    start, end = span.start, span.end
    if start.time_base == end.time_base:
        return f"{instant_text(start)} {end.pts}"
    return f"{instant_text(start)} {instant_text(end)}"


def span_from_text(text: str) -> Span:
    """The span of `span_text`."""
    parts = text.split(" ")
    base = _base(parts[1])
    end_base = _base(parts[3]) if len(parts) == 4 else base
    return Span(Timestamp(int(parts[0]), base), Timestamp(int(parts[2]), end_base))


# -- observations --


def data_text(observation: Observation) -> str | None:
    """The kind's own fields as JSON, or None where there are none.

    Raises:
        PluginError: a value is not JSON (a numpy number, a set, ...).
    """
    if not observation.data:
        return None
    try:
        return json.dumps(dict(observation.data))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{observation.producer}: data of a {observation.kind!r} observation is not JSON: {error}",
            hint="turn numpy values into int, float or list",
        ) from error


def observation_to_row(observation: Observation) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    o = observation
    box: Sequence[float | None] = o.box if o.box is not None else (None, None, None, None)
    return (
        bytes.fromhex(o.id),
        nanoseconds(o.span.start),
        nanoseconds(o.span.end),
        span_text(o.span),
        int(o.ordinal),
        o.kind,
        None if o.label is None else clean(o.label),
        None if o.track is None else clean(o.track),
        None if o.score is None else float(o.score),
        *(None if v is None else float(v) for v in box),
        None if o.text is None else clean(o.text),
        data_text(o),
        json.dumps(list(o.media)) if o.media else None,
    )


def observation_from_row(
    row: Sequence[Any], source: str, producer: Producer, space: str | None = None, vector: bytes | None = None
) -> Observation:
    """The observation of `observation_to_row`."""
    _, _, _, exact, ordinal, kind, label, track, score, left, top, right, bottom, text, data, media = row
    return Observation(
        span=span_from_text(exact),
        kind=kind,
        score=score,
        label=label,
        box=None if left is None else Box(left, top, right, bottom),
        track=track,
        text=text,
        data=json.loads(data) if data else {},
        vector=None if vector is None else np.frombuffer(vector, "<f4"),
        vector_space=space,
        media=tuple(json.loads(media)) if media else (),
        source=source,
        producer=producer,
        ordinal=ordinal,
    )


# -- sources --


def _fraction(value: Fraction | None) -> str | None:
    return None if value is None else f"{value.numerator}/{value.denominator}"


def info_to_json(info: SourceInfo) -> str:
    """The source's facts as JSON."""
    video = None
    if info.video is not None:
        v = info.video
        video = {
            "codec": v.codec,
            "width": v.width,
            "height": v.height,
            "pixel_format": v.pixel_format,
            "frame_rate": _fraction(v.frame_rate),
            "time_base": _fraction(v.time_base),
            "frames": v.frames,
            "rotation": v.rotation,
            "bit_depth": v.bit_depth,
            "interlaced": v.interlaced,
            "hdr": v.hdr,
            "has_b_frames": v.has_b_frames,
            "sample_aspect_ratio": _fraction(v.sample_aspect_ratio),
        }
    audio = [
        {
            "index": a.index,
            "codec": a.codec,
            "sample_rate": a.sample_rate,
            "channels": a.channels,
            "language": a.language,
        }
        for a in info.audio
    ]
    return json.dumps(
        {
            "id": info.id,
            "path": info.path,
            "container": info.container,
            "duration": _fraction(info.duration),
            "size": info.size,
            "video": video,
            "audio": audio,
            "live": info.live,
            "tags": dict(info.tags),
        }
    )


def info_from_json(text: str) -> SourceInfo:
    """The facts of `info_to_json`."""
    d = cast("dict[str, Any]", json.loads(text))
    video: VideoInfo | None = None
    if d["video"] is not None:
        v = cast("dict[str, Any]", d["video"])
        v["frame_rate"] = None if v["frame_rate"] is None else Fraction(v["frame_rate"])
        v["time_base"], v["sample_aspect_ratio"] = Fraction(v["time_base"]), Fraction(v["sample_aspect_ratio"])
        video = VideoInfo(**v)
    audio = tuple(AudioInfo(**a) for a in cast("list[dict[str, Any]]", d["audio"]))
    duration = None if d["duration"] is None else Fraction(d["duration"])
    tags = cast("Mapping[str, str]", d["tags"])
    return SourceInfo(d["id"], d["path"], d["container"], duration, d["size"], video, audio, live=d["live"], tags=tags)


def failure_digest(failure: Failure) -> bytes:
    """What makes two failures the same one."""
    span = None if failure.span is None else [str(failure.span.start.value), str(failure.span.end.value)]
    key = json.dumps([failure.source, failure.stage, failure.message, span, failure.analyzer])
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
