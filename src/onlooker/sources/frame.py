"""Frames over the decoder's own planes, with conversions that are made once."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from onlooker.core.media import PixelFormat, UInt8Array
from onlooker.core.time import Timestamp
from onlooker.sources.tone import needs_tone_map, tone_map

__all__ = ["DecodedFrame", "one_field"]

_local = threading.local()
# 8-bit formats whose first plane is the luma itself
_PLANAR_8 = ("yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv440p", "yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p")
_SEMI_PLANAR_8 = ("nv12", "nv16", "nv24", "nv21")
_GRAY_8 = ("gray", "gray8")


def _scaler(key: tuple[object, ...]) -> VideoReformatter:
    """One scaler for each thread and kind of work: it keeps its tables between frames and must not be shared."""
    scalers: dict[tuple[object, ...], VideoReformatter] = _local.__dict__.setdefault("scalers", {})
    if key not in scalers:
        if len(scalers) > 16:
            scalers.clear()
        scalers[key] = VideoReformatter()
    return scalers[key]


def _plane(frame: av.VideoFrame, index: int, width: int, height: int, step: int = 1) -> UInt8Array:
    plane = frame.planes[index]
    rows = np.frombuffer(cast(Any, plane), np.uint8).reshape(-1, plane.line_size)
    view = rows[:height, : width * step]
    view.flags.writeable = False
    return view


def _scaled(picture: av.VideoFrame, width: int, height: int, format: str) -> Any:
    """A PyAV frame in another size and format, full range, as an array."""
    same = (width, height) == (picture.width, picture.height)
    scaled = _scaler((width, height, format, picture.format.name, picture.width, picture.height)).reformat(
        picture,
        width=width,
        height=height,
        format=format,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BILINEAR if same else Interpolation.AREA,
        threads=1,
    )
    return scaled.to_ndarray()


def one_field(woven: Any) -> Any:
    """The rows of the first field, and means of them between (linear deinterlacing)."""
    rows = woven[0::2].astype(np.uint16)
    made = woven.copy()
    below = np.concatenate([rows[1:], rows[-1:]])
    between = ((rows + below) // 2).astype(np.uint8)
    made[1::2] = between[: made[1::2].shape[0]]
    return made


class DecodedFrame:
    """A picture as `onlooker.core.media.Frame` asks for it, over a PyAV frame.

    Interlaced pictures are deinterlaced by ``image``; ``luma`` and ``chroma`` give both fields woven, as coded.

    Args:
        picture: the decoder's frame.
        time: when it is shown.
        duration: how long, in seconds.
        rotation: degrees clockwise by which it is turned for display: 0, 90, 180 or 270.
    """

    __slots__ = ("_images", "_lock", "_luma", "_picture", "_rotation", "duration", "key", "time")

    def __init__(self, picture: av.VideoFrame, time: Timestamp, duration: Fraction, rotation: int = 0) -> None:
        self._picture = picture
        self.time = time
        self.duration = duration
        self.key = bool(picture.key_frame)
        self._rotation = rotation
        self._images: dict[tuple[int, int, str], UInt8Array] = {}
        self._luma: tuple[UInt8Array, tuple[UInt8Array, UInt8Array] | None] | None = None
        self._lock = threading.Lock()

    @property
    def coded(self) -> av.VideoFrame:
        """The decoder's own frame, not turned for display."""
        return self._picture

    @property
    def width(self) -> int:
        """Displayed width in pixels."""
        return self._picture.height if self._rotation in (90, 270) else self._picture.width

    @property
    def height(self) -> int:
        """Displayed height in pixels."""
        return self._picture.width if self._rotation in (90, 270) else self._picture.height

    def luma(self) -> UInt8Array:
        """(height, width) brightness as displayed; a view on the decoder's plane where that is possible."""
        return self._planes()[0]

    def chroma(self) -> tuple[UInt8Array, UInt8Array] | None:
        """(Cb, Cr) planes as displayed, or None for grey video."""
        return self._planes()[1]

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """See `onlooker.core.media.Frame.image`."""
        wide, high = self._size(width, height)
        key = (wide, high, format)
        with self._lock:
            if key not in self._images:
                made = self._convert(wide, high, format)
                made.flags.writeable = False
                self._images[key] = made
            return self._images[key]

    def _size(self, width: int | None, height: int | None) -> tuple[int, int]:
        if not width and not height:
            return self.width, self.height
        if not width:
            assert height
            return max(1, round(self.width * height / self.height)), height
        if not height:
            return width, max(1, round(self.height * width / self.width))
        return width, height

    def _convert(self, width: int, height: int, format: PixelFormat) -> UInt8Array:
        turned = self._rotation in (90, 270)
        inner = (height, width) if turned else (width, height)
        mapped = needs_tone_map(self._picture)
        target = "rgb24" if mapped else format
        if self._picture.interlaced_frame:
            # both fields mix when the picture is made half as high; above that the second one is drawn from the first
            whole = one_field(_scaled(self._picture, self._picture.width, self._picture.height, target))
            array = _scaled(av.VideoFrame.from_ndarray(whole, format=target), *inner, target)
        else:
            array = _scaled(self._picture, *inner, target)
        if mapped:
            array = tone_map(array, self._picture)
            if format == "bgr24":
                array = array[..., ::-1]
            elif format == "gray":
                array = (array @ np.array([0.2126, 0.7152, 0.0722], np.float32)).astype(np.uint8)
        return np.ascontiguousarray(self._upright(array))

    def _upright(self, array: Any) -> Any:
        return np.rot90(array, k=-self._rotation // 90) if self._rotation else array

    def _planes(self) -> tuple[UInt8Array, tuple[UInt8Array, UInt8Array] | None]:
        with self._lock:
            if self._luma is None:
                luma, chroma = self._raw_planes()
                if self._rotation:
                    luma = self._upright(luma)
                    chroma = None if chroma is None else (self._upright(chroma[0]), self._upright(chroma[1]))
                self._luma = (luma, chroma)
            return self._luma

    def _raw_planes(self) -> tuple[UInt8Array, tuple[UInt8Array, UInt8Array] | None]:
        picture = self._picture
        name = picture.format.name
        if name in _GRAY_8:
            return _plane(picture, 0, picture.width, picture.height), None
        if name not in _PLANAR_8 and name not in _SEMI_PLANAR_8:
            if "gray" in name or "mono" in name:
                grey = picture.reformat(format="gray")
                return _plane(grey, 0, grey.width, grey.height), None
            # deeper than 8 bits, packed or RGB: converted once to planes of the same chroma sampling or 4:2:0
            picture = picture.reformat(format="yuv420p")
            name = "yuv420p"
        luma = _plane(picture, 0, picture.width, picture.height)
        component = picture.format.components[1]
        wide, high = component.width, component.height
        if name in _SEMI_PLANAR_8:
            both = _plane(picture, 1, wide, high, 2)
            first, second = both[:, 0::2], both[:, 1::2]
            return luma, (second, first) if name == "nv21" else (first, second)
        return luma, (_plane(picture, 1, wide, high), _plane(picture, 2, wide, high))
