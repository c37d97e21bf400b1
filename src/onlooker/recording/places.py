"""Where recordings lie in a library, and who may write them."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from onlooker.core.errors import StoreBusy, UsageError

__all__ = ["CameraLock", "camera_folder", "camera_of", "event_folder", "segment_path"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def camera_folder(library: Path, camera: str) -> Path:
    """The folder of a camera's files; what a file system gives a meaning to in its name is escaped.

    Raises:
        UsageError: the name is empty or too long.

    >>> camera_folder(Path("lib"), "../yard").as_posix()
    'lib/recordings/%2E.%2Fyard'
    """
    name = quote(camera, safe=" ")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if not name or len(name) > 200:
        raise UsageError(f"a camera cannot be called {camera[:60]!r}", hint="give it a name of 1 to 60 characters")
    return library / "recordings" / name


def camera_of(folder: Path) -> str:
    """The camera whose files a folder holds."""
    return unquote(folder.name)


def event_folder(library: Path, event: str) -> Path:
    """The folder of an event's snapshot and clip.

    Raises:
        UsageError: the id is none.
    """
    if not event or not event.isalnum() or not event.isascii() or len(event) > 64:
        raise UsageError(f"not the id of an event: {event[:70]!r}", hint="see onlooker events list")
    return library / "events" / event


def segment_path(library: Path, camera: str, wall: float) -> Path:
    """A name that no file has yet, from the wall time (Unix seconds) of the first picture.

    >>> segment_path(Path("lib"), "yard", 86_400.25).as_posix()
    'lib/recordings/yard/1970-01-02/00-00-00.250.mp4'
    """
    moment = _EPOCH + timedelta(microseconds=round(wall * 1e6))
    folder = camera_folder(library, camera) / moment.strftime("%Y-%m-%d")
    stem = moment.strftime("%H-%M-%S.") + f"{moment.microsecond // 1000:03d}"
    path, number = folder / f"{stem}.mp4", 0
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.mp4"
    return path


class CameraLock:
    """Held by the one who records a camera, so that nobody else writes or repairs its files meanwhile.

    Args:
        library: the folder.
        camera: its name.

    Raises:
        StoreBusy: somebody records the camera.
    """

    def __init__(self, library: Path, camera: str) -> None:
        folder = camera_folder(library, camera)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            message = f"the camera {camera!r} is being recorded into {library} already"
            raise StoreBusy(message, hint="stop the other onlooker watch or serve") from None

    def release(self) -> None:
        """Let others in."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
