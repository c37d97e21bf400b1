"""From pictures, sound and measurements to the tensors that a network was trained on, exactly as the facts say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, PictureInput, SeriesInput, SoundInput
from onlooker.bundles.mel import log_mel
from onlooker.core.media import PixelFormat, UInt8Array

__all__ = [
    "Pictured",
    "Placed",
    "Still",
    "clip_tensor",
    "one_picture",
    "picture_size",
    "picture_tensor",
    "series_tensor",
    "sound_tensor",
]

_FORMATS: dict[str, PixelFormat] = {"rgb": "rgb24", "bgr": "bgr24", "gray": "gray"}


class Pictured(Protocol):
    """What has a picture: a `onlooker.core.media.Frame`, or a `Still`."""

    @property
    def width(self) -> int:
        """Displayed width in pixels."""
        ...

    @property
    def height(self) -> int:
        """Displayed height in pixels."""
        ...

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """See `onlooker.core.media.Frame.image`."""
        ...


class Still:
    """A single picture in memory that is resized by area as a decoded frame is.

    Args:
        picture: (height, width, 3) RGB bytes.
    """

    def __init__(self, picture: UInt8Array) -> None:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(f"picture: expected (height, width, 3) bytes, got {picture.dtype} {picture.shape}")
        self._picture = picture
        self.height, self.width = int(picture.shape[0]), int(picture.shape[1])

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """See `onlooker.core.media.Frame.image`; both sizes or none must be given."""
        made = self._picture
        if width and height and (width, height) != (self.width, self.height):
            from PIL import Image

            made = np.asarray(Image.fromarray(made).resize((width, height), Image.Resampling.BOX))
        if format == "gray":
            return np.rint(made @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
        return made[..., ::-1] if format == "bgr24" else made


class Placed(NamedTuple):
    """Where the whole picture lies in a network's input, in its pixels; cropped sides lie outside."""

    left: float
    top: float
    width: float
    height: float


def picture_size(width: int, height: int, facts: PictureInput) -> tuple[int, int]:
    """(width, height) to which a picture of that size is resized, before it is cropped or padded."""
    if facts.fit == "stretch":
        return facts.width, facts.height
    across, down = facts.width / width, facts.height / height
    scale = max(across, down) if facts.fit == "crop" else min(across, down)
    return max(1, round(width * scale)), max(1, round(height * scale))


def one_picture(frame: Pictured, facts: PictureInput) -> tuple[NDArray[Any], Placed]:
    """(channels, height, width) of one picture, normalised, and where the picture lies in it."""
    wide, high = picture_size(frame.width, frame.height, facts)
    picture = frame.image(wide, high, _FORMATS[facts.colour])
    if picture.ndim == 2:
        picture = picture[..., None]
    left, top = (facts.width - wide) // 2, (facts.height - high) // 2
    if facts.fit == "pad_corner":
        left = top = 0
    x, y = max(0, -left), max(0, -top)
    part = picture[y : y + facts.height, x : x + facts.width]
    if facts.dtype == "uint8":
        values: NDArray[Any] = part
    else:
        mean, std = np.array(facts.mean, np.float32), np.array(facts.std, np.float32)
        values = (part.astype(np.float32) * np.float32(facts.scale) - mean) * (1 / std)
    placed = Placed(left, top, wide, high)
    if part.shape[:2] == (facts.height, facts.width):
        return np.ascontiguousarray(values.transpose(2, 0, 1)), placed
    whole = np.full((facts.channels, facts.height, facts.width), facts.fill, values.dtype)
    rows, columns = part.shape[:2]
    whole[:, max(0, top) : max(0, top) + rows, max(0, left) : max(0, left) + columns] = values.transpose(2, 0, 1)
    return whole, placed


def picture_tensor(picture: NDArray[Any], facts: FrameInput) -> NDArray[Any]:
    """A tensor of ``facts.shape`` from what `one_picture` gave."""
    return np.ascontiguousarray(picture[None] if facts.layout == "NCHW" else picture.transpose(1, 2, 0)[None])


def clip_tensor(pictures: Sequence[NDArray[Any]], facts: ClipInput) -> NDArray[Any]:
    """A tensor of ``facts.shape`` from ``facts.frames`` pictures in order of time, as `one_picture` gave them."""
    clip = np.stack(pictures)
    orders = {"NTCHW": (0, 1, 2, 3), "NCTHW": (1, 0, 2, 3), "NTHWC": (0, 2, 3, 1)}
    if facts.layout == "NCHW":
        return clip
    return np.ascontiguousarray(clip.transpose(orders[facts.layout])[None])


def sound_tensor(samples: NDArray[np.float32], facts: SoundInput) -> NDArray[np.float32]:
    """A tensor of ``facts.shape`` from ``facts.length`` mono samples in -1..1."""
    if isinstance(facts, LogMelInput):
        mels = log_mel(samples, facts)
        return np.ascontiguousarray((mels if facts.layout.endswith("FM") else mels.T).reshape(facts.shape))
    return np.ascontiguousarray((samples * np.float32(facts.gain)).astype(np.float32).reshape(facts.shape))


def series_tensor(rows: NDArray[Any], facts: SeriesInput) -> NDArray[np.float32]:
    """A tensor of ``facts.shape`` from (steps, columns) numbers, NaN where nothing is known."""
    values = (rows.astype(np.float64) - np.array(facts.mean)) / np.array(facts.std)
    made = np.nan_to_num(values, nan=0.0).astype(np.float32)
    return np.ascontiguousarray((made if facts.layout == "NTC" else made.T)[None])
