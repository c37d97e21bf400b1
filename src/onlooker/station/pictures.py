"""Pictures of a camera for people: the newest frame as JPEG, with hidden what the library's privacy hides."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

from onlooker.core.media import Frame
from onlooker.core.observation import Attachment, Observation
from onlooker.core.time import Span
from onlooker.pipeline.keeping import Keeper

__all__ = ["NewestPicture"]

_WIDTH, _QUALITY = 1280, 85


class NewestPicture:
    """Holds a camera's newest frame. Thread-safe.

    Args:
        keeper: hides what a library may not keep; None: nothing is hidden.
    """

    def __init__(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        self._frame: Frame | None = None
        self._lock = threading.Lock()

    def put(self, frame: Frame) -> None:
        """A newer frame."""
        self._frame = frame

    def jpeg(self, width: int | None = None) -> bytes | None:
        """The newest frame as JPEG, at most ``width`` pixels wide; None before the first, or if none may be shown."""
        from PIL import Image

        frame = self._frame
        if frame is None:
            return None
        out = io.BytesIO()
        Image.fromarray(frame.image(min(frame.width, width or _WIDTH))).save(out, "JPEG", quality=_QUALITY)
        if self._keeper is None:
            return out.getvalue()
        shown = Observation(Span(frame.time, frame.time), "snapshot")
        with self._lock:
            kept = self._keeper.attachment(shown, Attachment("snapshot.jpg", out.getvalue(), "image/jpeg"))
        return None if kept is None else kept.data

    def save(self, folder: Path, event: str) -> str | None:
        """Write the newest frame as an event's snapshot; its path relative to the library ``folder``, or None.

        Raises:
            OSError: it cannot be written.
        """
        data = self.jpeg()
        if data is None:
            return None
        relative = f"events/{event}/snapshot.jpg"
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        os.replace(part, path)
        return relative
