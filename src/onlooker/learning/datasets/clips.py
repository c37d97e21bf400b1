"""Samples as arrays: the part that is meant, at the rate and size that a preparation asks for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.bundles.series import steps_of
from onlooker.core.errors import SourceError
from onlooker.core.media import UInt8Array
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.datasets.media import frames_at, held_series, open_picture, read_sound, read_text
from onlooker.learning.datasets.preparation import Pictures, Preparation, Series, Sound

__all__ = ["Clip", "Part", "cut_picture", "decode", "end_of", "moments_of", "part_of_sample", "text_of"]

_GREY = 128


@dataclass(frozen=True, slots=True)
class Part:
    """What of a sample decides its arrays; small, and the same for all samples that show the same.

    Args:
        root: the folder that media paths start from.
        media: the files.
        start: seconds, where the part begins; None: at the beginning.
        end: seconds; None: at the end.
        at: seconds of the one frame that is meant, or None.
        box: sides of the first box, where the preparation cuts it out.
        middle: seconds of the moment around which sound is heard, where a video that is seen sets it.
    """

    root: str
    media: tuple[Media, ...]
    start: float | None = None
    end: float | None = None
    at: float | None = None
    box: tuple[float, float, float, float] | None = None
    middle: float | None = None

    def key(self, preparation: str) -> bytes:
        """16 bytes that name the arrays: by content, not by path, where the digest is known."""
        import hashlib

        names = [(m.digest or f"{self.root}/{m.path}", m.kind) for m in self.media]
        said = repr((names, self.start, self.end, self.at, self.box, preparation))
        # what was kept when sound was placed by its own length is not taken for this
        said += "" if self.middle is None else f" around {self.middle}"
        return hashlib.blake2b(said.encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Clip:
    """A sample's arrays; read-only, and valid while the loader that gave them is open.

    Args:
        sample: whose.
        pictures: uint8 (frames, height, width, 3 or 1); one frame for images; None where there are none.
        times: float64 (frames,): seconds in the medium of each.
        sound: float32 (samples, channels), or None.
        text: words, or None.
        series: float32 (steps, columns), NaN where nothing is known; None where there is none.
    """

    sample: Sample
    pictures: UInt8Array | None
    times: NDArray[np.float64] | None
    sound: NDArray[np.float32] | None
    text: str | None
    series: NDArray[np.float32] | None = None


def part_of_sample(sample: Sample, root: Path, preparation: Preparation) -> Part:
    """The part of a sample that decides its arrays."""
    box: tuple[float, float, float, float] | None = None
    if preparation.pictures is not None and preparation.pictures.crop == "box":
        for label in sample.labels.values():
            if isinstance(label, tuple) and label and hasattr(label[0], "box"):
                box = label[0].box
                break
    start, end = sample.span or (None, None)
    wanted = tuple(m for m in sample.media if m.kind != "text")
    return Part(str(root), wanted, start, end, sample.at, box, _middle(sample, preparation))


def _middle(sample: Sample, preparation: Preparation) -> float | None:
    """The middle of what is seen of a video, where so much sound is heard around it; None where no video is seen."""
    shown, sound = sample.of_kind("video", "image"), preparation.sound
    if preparation.pictures is None or sound is None or sound.seconds is None or sample.at is not None:
        return None
    if shown is None or shown.kind != "video":
        return None
    start, end = sample.span or (0.0, shown.seconds)
    return None if end is None else (start + end_of(shown, start, end)) / 2


def end_of(media: Media, start: float, end: float) -> float:
    """Where a part ends that may be said to go on behind the end of its file."""
    return min(end, media.seconds) if media.seconds is not None and media.seconds > start else end


def decode(part: Part, preparation: Preparation) -> dict[str, NDArray[Any]]:
    """``pictures``, ``times``, ``sound`` and ``series``, those that there are.

    Sound that begins or ends so that none of it lies around the middle of the video that is seen is not there.

    Raises:
        SourceError: a medium cannot be read.
    """
    made: dict[str, NDArray[Any]] = {}
    root = Path(part.root)
    if preparation.pictures is not None:
        shown = next((m for m in part.media if m.kind in ("video", "image")), None)
        if shown is not None:
            made |= _pictures(root / shown.path, shown, part, preparation.pictures)
    if preparation.sound is not None and part.at is None:
        heard = next((m for m in part.media if m.kind == "audio"), None)
        heard = heard or next((m for m in part.media if m.kind == "video" and m.sound is not None), None)
        if heard is not None:
            samples = _sound(root / heard.path, heard, part, preparation.sound)
            made |= {} if samples is None else {"sound": samples}
    measured = next((m for m in part.media if m.kind == "series"), None)
    if preparation.series is not None and measured is not None:
        steps = _series(root / measured.path, part, preparation.series)
        made |= {} if steps is None else {"series": steps}
    return made


def text_of(sample: Sample, root: Path) -> str | None:
    """The words that belong to a sample as input.

    Raises:
        SourceError: its file cannot be read.
    """
    media = sample.of_kind("text")
    return sample.text if media is None else read_text(root / media.path)


def _pictures(path: Path, media: Media, part: Part, how: Pictures) -> dict[str, NDArray[Any]]:
    if media.kind == "image":
        image = np.asarray(open_picture(path, how.colour))
        return {"pictures": cut_picture(image, how, part.box)[None], "times": np.zeros(1)}
    moments = [part.at] if part.at is not None else moments_of(part, media, how)
    frames = frames_at(path, [Fraction(round(m * 1_000_000), 1_000_000) for m in moments], media)
    made: list[UInt8Array] = []
    last: Any = None
    for frame in frames:
        made.append(made[-1] if frame is last else _frame(frame, how, part.box))
        last = frame
    return {"pictures": np.stack(made), "times": np.array([f.time.seconds for f in frames])}


def moments_of(part: Part, media: Media, how: Pictures) -> list[float]:
    """The seconds of the frames that a preparation takes of a video, in order.

    Raises:
        SourceError: the video's length is not known and the part has no end.
    """
    start = part.start or 0.0
    end = part.end if part.end is not None else media.seconds
    if end is None:
        raise SourceError(f"the length of {media.path} is not known", hint="give the sample a span, or import it again")
    length = max(0.0, (end := end_of(media, start, end)) - start)
    if how.rate is None:
        count = how.frames or 1
        return [start + length * (n + 0.5) / count for n in range(count)]
    if how.frames is None:
        kept = min(length, how.longest)
        start += (length - kept) / 2
        count = max(1, int(kept * how.rate + 1e-6))
        return [start + n / how.rate for n in range(count)]
    first = start + length / 2 - (how.frames - 1) / how.rate / 2
    limit = max(start, end - 1e-3)
    return [min(max(first + n / how.rate, start), limit) for n in range(how.frames)]


def _frame(frame: Any, how: Pictures, box: tuple[float, float, float, float] | None) -> UInt8Array:
    """A decoded frame, brought to size by the decoder where nothing is cut off."""
    format = "gray" if how.colour == "grey" else "rgb24"
    same = abs(frame.width * how.height - frame.height * how.width) <= max(frame.width, frame.height)
    if box is None and (how.crop == "none" or same):
        image = frame.image(how.width, how.height, format)
        return image if image.ndim == 3 else image[..., None]
    if box is None:
        # scaled first: fewer pixels to convert
        larger = max if how.crop == "centre" else min
        scale = larger(how.width / frame.width, how.height / frame.height)
        image = frame.image(max(1, round(frame.width * scale)), max(1, round(frame.height * scale)), format)
        return _placed(image if image.ndim == 3 else image[..., None], how)
    return cut_picture(frame.image(format=format), how, box)


def _placed(image: UInt8Array, how: Pictures) -> UInt8Array:
    """The middle of a picture at the array's size; grey where it is too small."""
    high, wide = image.shape[:2]
    if (high, wide) == (how.height, how.width):
        return image
    top, left = (high - how.height) // 2, (wide - how.width) // 2
    if top >= 0 and left >= 0:
        return image[top : top + how.height, left : left + how.width]
    made = np.full((how.height, how.width, image.shape[2]), _GREY, np.uint8)
    inside = image[max(top, 0) : max(top, 0) + how.height, max(left, 0) : max(left, 0) + how.width]
    y, x = max(-top, 0), max(-left, 0)
    made[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return made


def cut_picture(image: UInt8Array, how: Pictures, box: tuple[float, float, float, float] | None = None) -> UInt8Array:
    """(height, width, channels) of a whole picture (h, w) or (h, w, 3), resized by area.

    Args:
        image: as displayed.
        how: size and crop.
        box: for ``crop: box``, the sides in fractions of the picture; without one its middle is cut.
    """
    high, wide = image.shape[:2]
    area = (0.0, 0.0, float(wide), float(high))
    if how.crop == "box" and box is not None:
        area = _around(box, wide, high, how)
    elif how.crop in ("centre", "box"):
        scale = min(wide / how.width, high / how.height)
        half = how.width * scale / 2, how.height * scale / 2
        area = (wide / 2 - half[0], high / 2 - half[1], wide / 2 + half[0], high / 2 + half[1])
    whole = area == (0.0, 0.0, wide, high)
    if whole and (high, wide) == (how.height, how.width):
        return image if image.ndim == 3 else image[..., None]
    picture = Image.fromarray(image)
    if how.crop == "pad":
        scale = min(how.width / wide, how.height / high)
        size = max(1, round(wide * scale)), max(1, round(high * scale))
        resized = np.asarray(picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR))
        return _placed(resized if resized.ndim == 3 else resized[..., None], how)
    shrinks = area[2] - area[0] >= how.width
    filter = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    resized = np.asarray(picture.resize((how.width, how.height), filter, box=area))
    return resized if resized.ndim == 3 else resized[..., None]


def _around(
    box: tuple[float, float, float, float], wide: int, high: int, how: Pictures
) -> tuple[float, float, float, float]:
    """The pixels around a box in the array's shape, held inside the picture."""
    left, top, right, bottom = box[0] * wide, box[1] * high, box[2] * wide, box[3] * high
    width, height = (right - left) * (1 + 2 * how.margin), (bottom - top) * (1 + 2 * how.margin)
    shape = how.width / how.height
    width, height = max(width, height * shape, 1.0), max(height, width / shape, 1.0)
    width, height = min(width, wide), min(height, high)
    x, y = (left + right) / 2, (top + bottom) / 2
    x, y = min(max(x, width / 2), wide - width / 2), min(max(y, height / 2), high - height / 2)
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _sound(path: Path, media: Media, part: Part, how: Sound) -> NDArray[np.float32] | None:
    start = part.start or 0.0
    end = part.end if part.end is not None else media.seconds
    if how.seconds is None:
        if end is not None and end - start > how.longest:
            start, end = (start + end - how.longest) / 2, (start + end + how.longest) / 2
        return read_sound(path, how.rate, how.channels, start, end)
    count = round(how.seconds * how.rate)
    made = np.zeros((count, how.channels), np.float32)
    if part.middle is not None:
        # as bundles hear it at work: in the time of the video
        first = round((part.middle - how.seconds / 2) * how.rate)
        begin = max(first, round(start * how.rate))
        until = first + count if end is None else min(first + count, round(end * how.rate))
        samples = read_sound(path, how.rate, how.channels, begin / how.rate, max(begin, until) / how.rate)
        made[begin - first : begin - first + len(samples)] = samples
        return made if len(samples) else None
    if end is not None and end - start > how.seconds:
        start = (start + end - how.seconds) / 2
        end = start + how.seconds
    samples = read_sound(path, how.rate, how.channels, start, end)[:count]
    first = (count - len(samples)) // 2
    made[first : first + len(samples)] = samples
    return made


def _series(path: Path, part: Part, how: Series) -> NDArray[np.float32] | None:
    series = held_series(path)
    lengths = [m.seconds for m in part.media if m.kind in ("video", "audio") and m.seconds is not None]
    start = part.start or 0.0
    end = part.end if part.end is not None else lengths[0] if lengths else max(series.end, start) + 1 / how.rate
    middle = part.at if part.at is not None else (start + end) / 2
    length = how.seconds or min(end - start, how.longest)
    steps = how.steps(length)
    begin = middle - steps / how.rate / 2 if how.seconds or part.at is not None or end - start > length else start
    columns = how.columns or series.columns
    try:
        return steps_of(series, columns, rate=how.rate, steps=steps, start=begin, hold=how.hold)
    except SourceError as error:
        raise SourceError(f"{path}: {error.message}", hint=error.hint) from None
