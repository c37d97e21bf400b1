"""Pictures of moments of stored video, with hidden what the library hides."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping

from onlooker.core.errors import OnlookerError
from onlooker.core.media import Frame, ReadRequest, Source
from onlooker.core.observation import Attachment, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.pipeline.keeping import Keeper
from onlooker.sources import open_source

__all__ = ["moments_of", "small_jpeg"]

_WIDTH, _QUALITY = 320, 80


def moments_of(path: str, seconds: Iterable[float], keeper: Keeper | None = None) -> Mapping[float, bytes]:
    """JPEG pictures by moment; one that cannot be read, or may not be shown, is left out.

    Args:
        path: of the video.
        seconds: the moments.
        keeper: hides what a library may not show.
    """
    made: dict[float, bytes] = {}
    wanted = sorted(set(seconds))
    if not wanted:
        return made
    with contextlib.suppress(OnlookerError), contextlib.closing(open_source(path)) as source:
        # a report without pictures still tells what differs
        for at in wanted:
            if (picture := _at(source, at, keeper)) is not None:
                made[at] = picture
    return made


def _at(source: Source, at: float, keeper: Keeper | None) -> bytes | None:
    start = Timestamp.of_seconds(round(max(0.0, at), 6))
    # what is shown at a moment may have begun before it
    for since in (start, Timestamp.of_seconds(max(0.0, round(at - 2, 6)))):
        request = ReadRequest(start=since, end=Timestamp.of_seconds(round(at + 5, 6)), threads=1)
        frame = next((i for i in source.read(request) if isinstance(i, Frame)), None)
        if frame is not None:
            return small_jpeg(frame, keeper)
    return None


def small_jpeg(frame: Frame, keeper: Keeper | None) -> bytes | None:
    """A frame as a small JPEG, or None where it may not be shown."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(frame.image(min(frame.width, _WIDTH))).save(out, "JPEG", quality=_QUALITY)
    if keeper is None:
        return out.getvalue()
    shown = Observation(Span(frame.time, frame.time), "snapshot")
    kept = keeper.attachment(shown, Attachment("moment.jpg", out.getvalue(), "image/jpeg"))
    return None if kept is None else kept.data
