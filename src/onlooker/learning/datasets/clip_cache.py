"""A cache of decoded clips on disk: named by content, bounded in bytes, and whole after a crash.

Arrays are appended to segment files. Each process writes to segments of its own; all read all. A record has a check
sum, so what a crash cut off is not taken for a clip. Room is made by deleting segments that nobody used since the cache
was opened: an epoch that goes through more than fits keeps what it has, in place of throwing out what comes next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import UsageError

__all__ = ["ClipCache", "Place", "pack", "unpack"]

_HEAD = struct.Struct("<4s16sIQI")
_MAGIC = b"OLC1"
_ALIGN = 64
_SUFFIX = ".clips"
_LEAST = 1 << 20
_USUAL = 64 << 20
_CLOCK = 0.02  # seconds by which the times of files lag behind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies: segment file and byte in it."""

    segment: str
    offset: int


class ClipCache:
    """The cache in one folder. Several processes may use it at once.

    Args:
        folder: made where it is not there.
        max_bytes: of all segments together, at least a megabyte.

    Raises:
        UsageError: the folder cannot be written, or the bound is too small.
    """

    def __init__(self, folder: Path, max_bytes: int, opened: float | None = None) -> None:
        if max_bytes < _LEAST:
            raise UsageError(f"a cache of {max_bytes} bytes is too small", hint=f"give {_LEAST} or more")
        self.folder = folder
        self.max_bytes = max_bytes
        self.opened = time.time() - _CLOCK if opened is None else opened
        self._size = max(_LEAST, min(_USUAL, max_bytes // 8))
        self._index: dict[bytes, Place] = {}
        self._maps: dict[str, mmap.mmap] = {}
        self._good: set[Place] = set()
        self._scanned: dict[str, int] = {}
        self._used: set[str] = set()
        self._mine: tuple[Any, str, int, int] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "lock").touch()
        except OSError as error:
            raise UsageError(f"cannot write {folder}: {error.strerror}", hint="choose another folder") from None
        self.tidy()

    def __enter__(self) -> ClipCache:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is held; arrays that were given stay valid."""
        self._finish()
        # arrays may still look into the maps: they go when the last of them does
        self._maps.clear()

    def __len__(self) -> int:
        return len(self._index)

    def bytes_used(self) -> int:
        """Bytes of all segments."""
        return sum(size for _, size, _ in self._segments())

    def refresh(self) -> None:
        """Look for records that other processes wrote."""
        names = {path.name for path, _, _ in self._segments()}
        for name in [n for n in self._scanned if n not in names]:
            self._forget(name)
        for name in sorted(names):
            self._scan(name)

    def _segments(self) -> list[tuple[Path, int, float]]:
        """Files with size and time of last use, the longest unused first."""
        found: list[tuple[Path, int, float]] = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda s: (s[2], s[0].name))

    def _forget(self, name: str) -> None:
        self._scanned.pop(name, None)
        self._maps.pop(name, None)
        self._index = {k: p for k, p in self._index.items() if p.segment != name}

    def _map(self, name: str, least: int) -> mmap.mmap | None:
        """The segment's bytes; None where it is gone or shorter than ``least``."""
        held = self._maps.get(name)
        if held is not None and len(held) >= least:
            return held
        try:
            with (self.folder / name).open("rb") as file:
                if os.fstat(file.fileno()).st_size < max(least, 1):
                    return None
                held = self._maps[name] = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except OSError:
            return None
        return held

    def _scan(self, name: str) -> None:
        """Read the heads of records behind those that are known; the first that is not whole ends it."""
        at = self._scanned.get(name, 0)
        # read, not mapped: its writer may cut the file off behind the last record at any moment
        with contextlib.suppress(FileNotFoundError), (self.folder / name).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            while len(head := os.pread(file.fileno(), _HEAD.size, at)) == _HEAD.size:
                magic, key, about, length, _ = _HEAD.unpack(head)
                end = _padded(at + _HEAD.size + about) + length
                if magic != _MAGIC or end > size:
                    break
                self._index[key] = Place(name, at)
                at = _padded(end)
        self._scanned[name] = at

    def tidy(self) -> None:
        """Look for what others wrote, and cut off what processes that are gone had set aside."""
        self.refresh()
        for path, size, used in self._segments():
            end = self._scanned.get(path.name, 0)
            if end >= size:
                continue
            with contextlib.suppress(OSError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if end:
                    os.ftruncate(file.fileno(), end)
                    os.utime(path, (used, used))
                else:
                    path.unlink()

    def find(self, key: bytes) -> Place | None:
        """Where the arrays of that name lie, or None."""
        return self._index.get(key)

    def note(self, key: bytes, place: Place) -> None:
        """Another process told where it put arrays."""
        self._index[key] = place

    def read(self, key: bytes, place: Place | None = None) -> dict[str, NDArray[Any]] | None:
        """The arrays of that name, read-only and not copied; None where there are none or they are damaged."""
        place = place or self._index.get(key)
        if place is None:
            return None
        held = self._map(place.segment, place.offset + _HEAD.size)
        made = None if held is None else self._record(held, key, place)
        if made is None:
            self._index.pop(key, None)
        elif place.segment not in self._used:
            self._used.add(place.segment)
            with contextlib.suppress(OSError):
                os.utime(self.folder / place.segment)
        return made

    def _record(self, held: mmap.mmap, key: bytes, place: Place) -> dict[str, NDArray[Any]] | None:
        magic, found, about, length, check = _HEAD.unpack_from(held, place.offset)
        begin = _padded(place.offset + _HEAD.size + about)
        if magic != _MAGIC or found != key or begin + length > len(held):
            return None
        head = held[place.offset + _HEAD.size : place.offset + _HEAD.size + about]
        if place not in self._good:
            with memoryview(held) as view, view[begin : begin + length] as body:
                if zlib.crc32(body, zlib.crc32(head)) != check:
                    return None
            self._good.add(place)
        return unpack(held, head, begin)

    def put(self, key: bytes, arrays: Mapping[str, NDArray[Any]]) -> Place | None:
        """Keep arrays under a name.

        Returns:
            Where they are; None where there is no room, or the disk is full.
        """
        head, parts, length = pack(arrays)
        if not self._room(_HEAD.size + len(head) + _ALIGN + length):
            return None
        assert self._mine is not None
        file, name, at, limit = self._mine
        begin = _padded(at + _HEAD.size + len(head))
        check = zlib.crc32(head)
        for part in parts:
            check = zlib.crc32(part, check)
        front = _HEAD.pack(_MAGIC, key, len(head), length, check) + head
        front += bytes(begin - at - len(front))
        try:
            _write(file.fileno(), [front, *parts], at)
        except OSError:
            self._finish()
            return None
        self._mine = (file, name, _padded(begin + length), limit)
        place = Place(name, at)
        self._index[key] = place
        self._scanned[name] = _padded(begin + length)
        return place

    def _room(self, needed: int) -> bool:
        """Have a segment of our own with so many bytes left."""
        if self._mine is not None and self._mine[2] + needed <= self._mine[3]:
            return True
        self._finish()
        size = max(self._size, _padded(needed))
        if size > self.max_bytes:
            return False
        with self._locked():
            if not self._make_room(size):
                return False
            name = f"{time.time_ns():020d}-{os.getpid()}{_SUFFIX}"
            try:
                file = (self.folder / name).open("xb", buffering=0)
                os.ftruncate(file.fileno(), size)
            except OSError:
                return False
            # held while it is written to: others see that it grows
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._mine = (file, name, 0, size)
        self._used.add(name)
        return True

    def _make_room(self, size: int) -> bool:
        """Delete segments that were not used since the cache was opened; whether ``size`` bytes fit."""
        held = self._segments()
        total = sum(s for _, s, _ in held)
        for path, bytes_held, used in held:
            if total + size <= self.max_bytes:
                break
            if used >= self.opened:
                continue
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                path.unlink()
            self._forget(path.name)
            total -= bytes_held
        return total + size <= self.max_bytes

    def _finish(self) -> None:
        """Cut our segment off behind its last record."""
        if self._mine is None:
            return
        file, name, at, _ = self._mine
        self._mine = None
        with contextlib.suppress(OSError):
            if at:
                os.ftruncate(file.fileno(), at)
            else:
                (self.folder / name).unlink()
        file.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def pack(arrays: Mapping[str, NDArray[Any]]) -> tuple[bytes, list[Any], int]:
    """A head that says what they are, the arrays' bytes with padding between, and how many these are."""
    packed = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
    head = json.dumps([[n, a.dtype.str, list(a.shape)] for n, a in packed.items()]).encode()
    parts: list[Any] = []
    length = 0
    for array in packed.values():
        parts.append(array.reshape(-1).view(np.uint8).data)
        padding = _padded(array.nbytes) - array.nbytes
        parts.append(bytes(padding))
        length += array.nbytes + padding
    return head, parts, length


def unpack(held: Any, head: bytes, begin: int) -> dict[str, NDArray[Any]]:
    """The arrays that `pack` made, over the bytes of ``held`` from ``begin``."""
    arrays: dict[str, NDArray[Any]] = {}
    at = begin
    for name, dtype, shape in json.loads(head):
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(held, np.dtype(dtype), count, at).reshape(shape)
        arrays[name] = array
        at = _padded(at + array.nbytes)
    return arrays


def _padded(at: int) -> int:
    return -(-at // _ALIGN) * _ALIGN


def _write(number: int, parts: list[Any], at: int) -> None:
    for part in parts:
        view = memoryview(part).cast("B") if len(part) else memoryview(b"")
        while len(view):
            done = os.pwrite(number, view, at)
            view = view[done:]
            at += done
