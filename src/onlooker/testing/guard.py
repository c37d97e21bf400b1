"""Pictures and sound that notice when somebody writes into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from onlooker.core.media import AudioBlock, Frame, PixelFormat, ReadItem, ReadRequest, Source
from onlooker.core.time import Timestamp

__all__ = ["GuardedSource"]


class _GuardedFrame:
    """A frame that keeps copies of what it gave out and compares."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._given: list[tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
        self.time, self.duration, self.key = frame.time, frame.duration, frame.key
        self.width, self.height = frame.width, frame.height

    def _keep(self, what: str, array: Any) -> Any:
        self._given.append((what, array, array.copy()))
        return array

    def luma(self) -> Any:
        return self._keep("luma()", self._frame.luma())

    def chroma(self) -> Any:
        planes = self._frame.chroma()
        return None if planes is None else tuple(self._keep("chroma()", p) for p in planes)

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> Any:
        return self._keep(f"image({width}, {height}, {format})", self._frame.image(width, height, format))

    def check(self) -> None:
        for what, array, before in self._given:
            assert np.array_equal(array, before), f"wrote into frame.{what} at {self.time}"


class GuardedSource:
    """Gives the first ``limit`` items of another source, each compared with a copy when the next is asked for.

    Raises:
        AssertionError: while reading, when one was written into.
    """

    def __init__(self, source: Source, limit: int) -> None:
        self._source, self._limit, self.info = source, limit, source.info

    def read(self, request: ReadRequest) -> Iterator[ReadItem]:
        """Guarded items of the other source."""
        for i, item in enumerate(self._source.read(request)):
            if i >= self._limit:
                return
            if isinstance(item, AudioBlock):
                before = item.samples.copy()
                yield item
                assert np.array_equal(item.samples, before), f"wrote into the sound at {item.time}"
            elif isinstance(item, Frame):
                guarded = _GuardedFrame(item)
                yield guarded
                guarded.check()
            else:
                yield item

    def cut_points(self, count: int) -> list[Timestamp]:
        """The other source's."""
        return self._source.cut_points(count)

    def close(self) -> None:
        """Close the other source."""
        self._source.close()
