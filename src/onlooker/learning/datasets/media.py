"""Facts of media files, and their pictures, sound and measurements as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from onlooker.bundles.series import Series, read_series
from onlooker.core.errors import OnlookerError, SourceError
from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadRequest, SourceInfo, UInt8Array
from onlooker.core.time import Timestamp
from onlooker.learning.datasets.manifest import Media, MediaKind
from onlooker.learning.datasets.quick import quick_frames
from onlooker.sources import MEDIA, open_source
from onlooker.sources.container import Opened, open_container
from onlooker.sources.identity import content_id
from onlooker.sources.numbering import Numbering, first_look, numbering
from onlooker.sources.openers.file import file_address
from onlooker.sources.openers.images import PICTURES
from onlooker.sources.reading import read_items

__all__ = [
    "TABLES",
    "TEXTS",
    "first_error",
    "frames_at",
    "held_series",
    "kind_of",
    "look_at",
    "open_picture",
    "picture_size",
    "read_frames",
    "read_sound",
    "read_text",
]

TEXTS = frozenset((".txt",))
TABLES = frozenset((".csv",))
_SOUNDS = frozenset((".mp3", ".m4a", ".aac", ".wav", ".flac", ".opus", ".wma", ".ogg", ".oga"))
_SLACK = Fraction(1, 1000)
_LONGEST_TEXT = 1_000_000
_ORIENTATION = 0x0112  # of EXIF


def kind_of(path: str | Path) -> MediaKind | None:
    """What a file is by its name, or None where it is no medium.

    >>> kind_of("a/B.JPG"), kind_of("x.ogg"), kind_of("x.mp4"), kind_of("x.csv"), kind_of("x.pdf")
    ('image', 'audio', 'video', 'series', None)
    """
    suffix = Path(path).suffix.lower()
    if suffix in PICTURES:
        return "image"
    if suffix in _SOUNDS:
        return "audio"
    if suffix in MEDIA:
        return "video"
    if suffix in TABLES:
        return "series"
    return "text" if suffix in TEXTS else None


def look_at(root: Path, media: Media, *, digest: bool = True) -> Media:
    """The medium with its facts filled in; of pictures and sound, nothing but the beginning is decoded.

    Raises:
        SourceError: it is missing or no such medium.
    """
    path = root / media.path
    facts: dict[str, Any] = {"digest": content_id(path) if digest else media.digest}
    if media.kind == "image":
        facts["width"], facts["height"] = picture_size(path)
    elif media.kind == "text":
        read_text(path)
    elif media.kind == "series":
        series = held_series(path)
        facts |= {"seconds": round(max(series.end, 0.0), 6), "columns": series.columns}
    else:
        info, numbered = _container(path)
        facts["seconds"] = None if info.duration is None else round(float(info.duration), 6)
        facts["sound"] = info.audio[0].sample_rate if info.audio else None
        if media.kind == "video":
            if info.video is None:
                raise SourceError(f"{str(path)!r} has no pictures", hint="name it as audio")
            rate = info.video.frame_rate
            facts |= {"width": info.video.width, "height": info.video.height}
            facts |= {"rate": None if rate is None else str(rate)}
            facts |= {"rotation": info.video.rotation, "numbered": numbered.count if numbered else None}
        elif not info.audio:
            raise SourceError(f"{str(path)!r} has no sound", hint="name it as video")
    return media.model_copy(update=facts)


def _container(path: Path) -> tuple[SourceInfo, Numbering | None]:
    """What a container says, and how its pictures are numbered where they have no times of their own."""
    address = file_address(str(path))
    opened = open_container(address)
    try:
        look = first_look(opened)
    finally:
        opened.close()
    numbered: Numbering | None = None
    if look.doubtful:
        opened = open_container(address)
        try:
            numbered = numbering(opened)
        finally:
            opened.close()
    opened = open_container(address, rotation=look.rotation)
    try:
        opened.number(numbered)
        return opened.info("", "", None), numbered
    finally:
        opened.close()


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is to be shown; its pixels are not decoded.

    Raises:
        SourceError: it is no picture.
    """
    with _reading(path), Image.open(path) as image:
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if turned else image.size


def open_picture(path: Path, colour: str = "rgb") -> Image.Image:
    """A picture, turned as it is to be shown, in ``rgb`` or ``grey``.

    Raises:
        SourceError: it cannot be read.
    """
    with _reading(path), Image.open(path) as image:
        shown = ImageOps.exif_transpose(image)
        if shown.mode.startswith("I;16"):
            # Pillow cuts 16 bits off at 255
            shown = Image.fromarray((np.asarray(shown) >> 8).astype(np.uint8))
        return shown.convert("L" if colour == "grey" else "RGB")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot read the picture {str(path)!r}: {reason}", hint="check or remove it") from None


def read_text(path: Path) -> str:
    """A text file.

    Raises:
        SourceError: it cannot be read, is very long, or not UTF-8.
    """
    try:
        if path.stat().st_size > _LONGEST_TEXT:
            raise SourceError(f"{str(path)!r} is too long for a text", hint=f"at most {_LONGEST_TEXT} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {str(path)!r}: {error}", hint="write UTF-8") from None


def held_series(path: Path) -> Series:
    """A series, read once for several stretches of it.

    Raises:
        SourceError: it cannot be read or is no series; names the line.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", hint="check or remove it") from None
    return _series(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4)
def _series(path: Path, size: int, changed: int) -> Series:
    return read_series(path)


def read_frames(path: Path, media: Media, start: Fraction | None = None, end: Fraction | None = None) -> Iterator[Any]:
    """Frames of a video in the order shown, in one thread; see `onlooker.core.media.Frame`.

    Args:
        path: the file.
        media: its facts: where its rotation is known, the file is opened once only.
        start: seconds; None for all.
        end: seconds; None for all.

    Raises:
        SourceError: nothing can be read, or a stretch is damaged.
    """
    request = ReadRequest(
        threads=1,
        start=None if start is None or start <= 0 else Timestamp.of_seconds(start),
        end=None if end is None else Timestamp.of_seconds(end),
    )
    for item in _items(path, media, request):
        if isinstance(item, ReadFailure):
            raise SourceError(f"{str(path)!r}: {item.message} at {item.span}", hint="check or remove it")
        if not isinstance(item, AudioBlock | Packet):
            yield item


def _items(path: Path, media: Media, request: ReadRequest) -> Iterator[Any]:
    if media.rotation is None:
        return open_source(str(path), known_id="0" * 32).read(request)
    opened = _opened(path, media)
    if request.start is not None and not opened.seek_before(request.start):
        opened.close()
        opened = _opened(path, media)
    return read_items(opened, request)


def _opened(path: Path, media: Media) -> Opened:
    opened = open_container(file_address(str(path)), rotation=media.rotation or 0)
    if media.numbered is not None and media.frame_rate is not None:
        opened.number(Numbering(1 / media.frame_rate, media.numbered))
    return opened


def frames_at(path: Path, moments: Sequence[Fraction], media: Media) -> list[Any]:
    """The frames that are shown at ``moments`` (in order of time), the last one where a moment lies beyond the end.

    Raises:
        SourceError: it cannot be read, or shows nothing there.
    """
    if not moments:
        return []
    start = moments[0] - 1 if moments[0] > 5 else None
    found: list[Any] = []
    last: Any = None
    wanted = [m + _SLACK for m in moments]
    if start is None and media.rotation is not None:
        quick = quick_frames(_opened(path, media), wanted)
        if quick is not None:
            return quick
    for frame in read_frames(path, media, start, wanted[-1] + 1):
        while len(found) < len(wanted) and frame.time.value > wanted[len(found)]:
            found.append(last or frame)
        if len(found) == len(wanted):
            break
        last = frame
    if last is None and not found:
        if start is None:
            raise SourceError(f"{str(path)!r} shows nothing", hint="check it with onlooker probe")
        return [_last_frame(path, media)] * len(moments)
    return found + [last] * (len(wanted) - len(found))


def _last_frame(path: Path, media: Media) -> Any:
    last: Any = None
    for frame in read_frames(path, media):
        last = frame
    if last is None:
        raise SourceError(f"{str(path)!r} shows nothing", hint="check it with onlooker probe")
    return last


def read_sound(
    path: Path, rate: int, channels: int = 1, start: float = 0.0, end: float | None = None
) -> NDArray[np.float32]:
    """(n, channels) samples in -1..1 of the first audio stream between two moments in seconds.

    Raises:
        SourceError: it cannot be read, or has no sound.
    """
    opened = open_container(file_address(str(path)))
    if not opened.audio:
        opened.close()
        raise SourceError(f"{str(path)!r} has no sound", hint="prepare it without sound")
    limit = None if end is None else Timestamp.of_seconds(Fraction(int(np.ceil(end)) + 1))
    request = ReadRequest(frames="none", audio_rate=rate, audio_channels=channels, end=limit, threads=1)
    blocks = [i.samples for i in read_items(opened, request) if isinstance(i, AudioBlock)]
    samples = np.concatenate(blocks) if blocks else np.zeros((0, channels), np.float32)
    return samples[round(start * rate) : None if end is None else round(end * rate)]


def first_error(path: Path, media: Media, *, deep: bool) -> str | None:
    """Why a medium cannot be used, or None: it is decoded at beginning, middle and end, or whole.

    Args:
        path: the file.
        media: what it is.
        deep: decode all of it.
    """
    try:
        if media.kind == "image":
            open_picture(path, "rgb")
        elif media.kind == "text":
            read_text(path)
        elif media.kind == "series":
            read_series(path)
        elif media.kind == "audio":
            samples = read_sound(path, 8000)
            if not len(samples):
                return "it holds no samples"
            stated = media.seconds or 0.0
            if stated - len(samples) / 8000 > max(0.5, stated / 20):
                return f"it breaks off at {len(samples) / 8000:.1f} of {stated:.1f} s"
        elif deep:
            if not sum(1 for _ in _all(path, media)):
                return "it shows nothing"
        else:
            _three(path, media)
    except OnlookerError as error:
        return error.message
    return None


def _all(path: Path, media: Media) -> Iterator[UInt8Array]:
    for frame in read_frames(path, media):
        yield frame.luma()
    if media.sound is not None:
        read_sound(path, 8000)


def _three(path: Path, media: Media) -> None:
    """A frame at the beginning, in the middle, and the last second to its end."""
    seconds = Fraction(str(media.seconds or 0))
    if seconds < 4:
        for _ in read_frames(path, media):
            pass
        return
    frames_at(path, [Fraction(0)], media)
    frames_at(path, [seconds / 2], media)
    if not sum(1 for _ in read_frames(path, media, seconds - 2, None)):
        raise SourceError(f"{str(path)!r} shows nothing in its last two seconds")
