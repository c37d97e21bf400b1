"""What the cameras of a station share, and how a camera is known to a library."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from onlooker.core.errors import StoreBusy
from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.store import Store
from onlooker.events import Journal
from onlooker.live.sitting import Selection
from onlooker.pipeline.keeping import Keeper
from onlooker.sources.policy import AddressPolicy

__all__ = ["CameraLock", "Parts", "camera_source"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What cameras of a station share.

    Args:
        folder: the library.
        store, journal: of the library.
        policy: which addresses are allowed.
        rotation: seconds; see `AnalysisSettings`.
        threads: how many a model may use.
        select: the stages of a profile that run live.
        open_keeper: opens what decides what the library may keep; None: everything is kept.
        wake: tells the scheduler that a camera has work.
        clip: asked to cut the clip of an event of a camera that has ended.
    """

    folder: Path
    store: Store
    journal: Journal
    policy: AddressPolicy
    rotation: float
    threads: int
    select: Callable[[str], Selection]
    open_keeper: Callable[[], Keeper | None]
    wake: Callable[[str], None]
    clip: Callable[[Event, str], None]


def camera_source(store: Store, name: str, address: str) -> tuple[SourceInfo, float]:
    """The source of a camera, which is known by its name for good, and the wall time (Unix seconds) of its zero."""
    identity = hashlib.sha256(f"camera:{name}".encode()).hexdigest()[:32]
    known = next((s.info for s in store.sources() if s.info.id == identity), None)
    if known is not None:
        info = replace(known, tags={**known.tags, "address": address})
    else:
        begun = datetime.fromtimestamp(round(time.time(), 6), UTC).isoformat(timespec="microseconds")
        tags = {"creation_time": begun, "address": address}
        info = SourceInfo(identity, name, "live", None, None, None, (), True, tags)
    store.add_source(info)
    return info, datetime.fromisoformat(info.tags["creation_time"]).timestamp()


class CameraLock:
    """Held while a camera is watched, so that no other process watches it into the same library; ends with the process.

    Args:
        folder: the library.
        name: of the camera.
        source: id of its source.

    Raises:
        StoreBusy: another process watches it.
    """

    def __init__(self, folder: Path, name: str, source: str) -> None:
        path = folder / "locks" / f"{source}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise StoreBusy(
                f"another process watches the camera {name} into {folder}", hint="stop it, or use another --library"
            ) from None

    def close(self) -> None:
        """Let go."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
