"""What is in a source, for people: streams, length, keyframes, and what looks wrong."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from onlooker.core.media import Packet, ReadFailure, ReadRequest, SourceInfo
from onlooker.core.time import Timestamp
from onlooker.sources import open_source
from onlooker.sources.policy import AddressPolicy

__all__ = ["probe"]


def probe(address: str, *, policy: AddressPolicy | None = None) -> dict[str, Any]:
    """Look at a source without decoding more than its first picture; all video packets of a file are counted.

    Returns:
        JSON values: ``id``, ``path``, ``container``, ``duration_seconds``, ``size``, ``video``, ``audio``,
        ``keyframes`` (count, mean and greatest interval in seconds, whether they come evenly), ``tags``, ``warnings``.

    Raises:
        SourceError: it cannot be opened.
    """
    source = open_source(address, policy=policy)
    try:
        info = source.info
        packets, failures = ([], []) if info.live or not info.video else _packets(source)
    finally:
        source.close()
    keys = [p.time for p in packets if p.key]
    return {
        "path": address,
        "id": info.id,
        "container": info.container,
        "duration_seconds": None if info.duration is None else round(float(info.duration), 6),
        "size": info.size,
        "live": info.live,
        "video": _video(info, len(packets)),
        "audio": [
            {"track": a.index, "codec": a.codec, "rate": a.sample_rate, "channels": a.channels, "language": a.language}
            for a in info.audio
        ],
        "keyframes": _keyframes(keys),
        "tags": dict(info.tags),
        "warnings": [*_warnings(info, keys), *(f"{f.span}: {f.message}" for f in failures)],
    }


def _packets(source: Any) -> tuple[list[Packet], list[ReadFailure]]:
    packets: list[Packet] = []
    failures: list[ReadFailure] = []
    for item in source.read(ReadRequest(frames="none", packets=True)):
        if isinstance(item, Packet):
            packets.append(item)
        elif isinstance(item, ReadFailure):
            failures.append(item)
    return packets, failures


def _video(info: SourceInfo, packets: int) -> dict[str, Any] | None:
    video = info.video
    if video is None:
        return None
    return {
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "pixel_format": video.pixel_format,
        "frame_rate": None if video.frame_rate is None else round(float(video.frame_rate), 4),
        "frames": packets or video.frames,
        "rotation": video.rotation,
        "bit_depth": video.bit_depth,
        "interlaced": video.interlaced,
        "hdr": video.hdr,
        "b_frames": video.has_b_frames,
    }


def _keyframes(keys: list[Timestamp]) -> dict[str, Any] | None:
    if not keys:
        return None
    gaps = [b - a for a, b in pairwise(keys)]
    even = len(gaps) > 2 and max(gaps) - min(gaps) < Fraction(1, 10) * max(gaps)
    return {
        "count": len(keys),
        "mean_interval": round(float(sum(gaps, Fraction(0)) / len(gaps)), 4) if gaps else None,
        "greatest_interval": round(float(max(gaps)), 4) if gaps else None,
        "even": even,
    }


def _warnings(info: SourceInfo, keys: list[Timestamp]) -> list[str]:
    found: list[str] = []
    if info.video is None:
        found.append("no video: only sound can be analysed")
    if not info.audio:
        found.append("no sound")
    if info.duration is None and not info.live:
        found.append("the length is not stated")
    if info.video is not None and len(keys) == 1 and (info.duration or 0) > 60:
        found.append("one keyframe only: it cannot be cut into segments, and seeking decodes from the start")
    return found
