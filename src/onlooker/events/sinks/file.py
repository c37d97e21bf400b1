"""A file of JSON lines: one line for each state, on the disk before it counts as told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from onlooker.events.sink import Message, NotTaken, Sink, SinkContext

__all__ = ["FileSettings", "FileSink"]

PLUGIN = "onlooker.events.sinks.file:FileSink"
_LOOK_BACK = 65_536


class FileSettings(BaseModel):
    """Attributes:
    path: of the file; relative to the library.
    bytes: at which size a new file is begun.
    keep: how many older files are kept, as ``NAME.1`` (the latest), ``NAME.2``, ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: Path
    bytes: int = Field(default=100_000_000, ge=1000)
    keep: int = Field(default=5, ge=0, le=1000)


class FileSink(Sink):
    """Appends lines ``{"key", "taken", "event": {...}}``."""

    kind: ClassVar[str] = "file"
    settings: ClassVar[type[BaseModel]] = FileSettings

    def __init__(self, settings: FileSettings, context: SinkContext) -> None:
        self._settings = settings
        self._path = context.folder / settings.path

    def deliver(self, message: Message) -> None:
        """Append a line and wait for the disk."""
        line = json.dumps(
            {"key": message.key, "taken": message.taken.isoformat(), "event": message.event.as_dict()},
            ensure_ascii=True,
        )
        data = line.encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._rotate(len(data))
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                end = _whole(handle)
                os.ftruncate(handle, end)
                _write(handle, data, end)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise NotTaken(f"{self._path} cannot be written: {error}", hint="check the disk and permissions") from None

    def _rotate(self, more: int) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        if not size or size + more <= self._settings.bytes:
            return
        if self._settings.keep == 0:
            self._path.unlink()
            return
        for number in range(self._settings.keep - 1, 0, -1):
            older = self._older(number)
            if older.exists():
                os.replace(older, self._older(number + 1))
        os.replace(self._path, self._older(1))

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _whole(handle: int) -> int:
    """Where the last whole line ends: a kill may have left a part of one, which will be told again."""
    end = os.fstat(handle).st_size
    while end:
        start = max(0, end - _LOOK_BACK)
        cut = os.pread(handle, end - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        end = start
    return 0


def _write(handle: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(handle, data, at)
        data, at = data[done:], at + done
