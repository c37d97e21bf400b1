"""The boxes of fragmented MP4 (ISO/IEC 14496-12), as far as they have to be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["begins_with_keyframe", "boxes", "codec_string", "whole_length"]

_HEAD = 8


def boxes(
    data: bytes | bytearray | memoryview, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and last byte of the content of each whole box."""
    last = len(data) if end is None else end
    while start + _HEAD <= last:
        size, head = int.from_bytes(data[start : start + 4], "big"), _HEAD
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if size < head or start + size > last:
            return
        yield bytes(data[start + 4 : start + 8]), start + head, start + size
        start += size


def whole_length(path: Path) -> int:
    """Bytes up to the end of the last whole fragment of a file; 0 where there is none."""
    total = path.stat().st_size
    at, good, moof, started = 0, 0, False, False
    with path.open("rb") as file:
        while at + _HEAD <= total:
            file.seek(at)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if size < _HEAD or at + size > total:
                break
            at += size
            started = started or kind == b"moov"
            if kind == b"moof":
                moof = True
            elif moof and started and kind == b"mdat":
                good, moof = at, False
            elif good and kind == b"mfra":
                good = at
    return good


def _inside(data: bytes, path: tuple[bytes, ...], start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    for kind, first, last in boxes(data, start, end):
        if kind == path[0]:
            return (first, last) if len(path) == 1 else _inside(data, path[1:], first, last)
    return None


def begins_with_keyframe(fragment: bytes) -> bool:
    """Whether the first track's first sample in a fragment is one that decoding can begin with."""
    place = _inside(fragment, (b"moof", b"traf"))
    if place is None:
        return False
    usual = 0
    for kind, first, _ in boxes(fragment, *place):
        flags = int.from_bytes(fragment[first + 1 : first + 4], "big")
        if kind == b"tfhd":
            if int.from_bytes(fragment[first + 4 : first + 8], "big") != 1:
                return False  # no picture in it
            at = first + 8 + sum(size for bit, size in ((1, 8), (2, 4), (8, 4), (16, 4)) if flags & bit)
            usual = int.from_bytes(fragment[at : at + 4], "big") if flags & 0x20 else 0
        elif kind == b"trun":
            at = first + 8 + (4 if flags & 1 else 0)
            if flags & 4:
                usual = int.from_bytes(fragment[at : at + 4], "big")
            elif flags & 0x400:
                at += sum(4 for bit in (0x100, 0x200) if flags & bit)
                usual = int.from_bytes(fragment[at : at + 4], "big")
            return not usual & 0x10000
    return False


def codec_string(initial: bytes) -> str:
    """What Media Source Extensions are told (RFC 6381): ``avc1.64001F,mp4a.40.2``."""
    place = _inside(initial, (b"moov",))
    names: list[str] = []
    if place is not None:
        for kind, first, last in boxes(initial, *place):
            entry = _inside(initial, (b"mdia", b"minf", b"stbl", b"stsd"), first, last) if kind == b"trak" else None
            if entry is not None:
                names += [_codec(bytes(initial[entry[0] + 8 : entry[1]]))]
    return ",".join(names)


def _codec(entry: bytes) -> str:
    kind = entry[4:8].decode("latin-1")
    if (at := entry.find(b"avcC")) > 0:
        return f"{kind}.{entry[at + 5 : at + 8].hex().upper()}"
    if (at := entry.find(b"hvcC")) > 0:
        return f"{kind}.{_hevc(entry[at + 4 :])}"
    if (at := entry.find(b"av1C")) > 0:
        profile, level, tier = entry[at + 5] >> 5, entry[at + 5] & 31, "MH"[entry[at + 6] >> 7]
        depth = 10 if entry[at + 6] & 0x40 else 8
        return f"av01.{profile}.{level:02d}{tier}.{depth:02d}"
    if (at := entry.find(b"esds")) > 0:
        return f"{kind}.{_descriptor(entry[at + 8 :])}"
    return {"Opus": "opus"}.get(kind, kind)


def _hevc(record: bytes) -> str:
    space, tier, profile = record[1] >> 6, record[1] >> 5 & 1, record[1] & 31
    compatible = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    constraints = record[6:12].rstrip(b"\0")
    parts = [f"{['', 'A', 'B', 'C'][space]}{profile}", f"{compatible:X}", f"{'LH'[tier]}{record[12]}"]
    return ".".join(parts + [f"{c:X}" for c in constraints])


def _descriptor(data: bytes) -> str:
    """Object type, and for AAC what its configuration says, of an MPEG-4 elementary stream descriptor."""
    at = data.find(b"\x04")
    at = _past_length(data, at + 1)
    object_type = data[at]
    if object_type != 0x40:
        return f"{object_type:02X}"
    at = _past_length(data, data.find(b"\x05", at + 13) + 1)
    return f"40.{data[at] >> 3}"


def _past_length(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1
