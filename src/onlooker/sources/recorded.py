"""Sources that can be read many times: files, image sequences and addresses that hold a finished video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from av.error import FFmpegError

from onlooker.core.errors import SourceError
from onlooker.core.media import ReadItem, ReadRequest, SourceInfo
from onlooker.core.time import Timestamp
from onlooker.sources.container import Opened
from onlooker.sources.numbering import FirstLook, Numbering, first_look, numbering
from onlooker.sources.reading import read_items

__all__ = ["RecordedSource"]


class RecordedSource:
    """A source over something that FFmpeg can open again and again.

    Args:
        opener: opens the container anew; given the rotation once it is known.
        source_id: identity.
        path: what to show to people.
        size: bytes, or None.
        live: whether it has no end and can be read only as it comes.
    """

    def __init__(
        self, opener: Callable[[int], Opened], source_id: str, path: str, size: int | None, *, live: bool = False
    ) -> None:
        self._opener = opener
        opened = opener(0)
        try:
            first = FirstLook() if live else first_look(opened)
            self._rotation = opened.rotation = first.rotation
            self._numbering = self._numbered() if first.doubtful else None
            opened.number(self._numbering)
            self._info = opened.info(source_id, path, size, live=live)
        finally:
            opened.close()

    def _numbered(self) -> Numbering | None:
        opened = self._opener(self._rotation)
        try:
            return numbering(opened)
        finally:
            opened.close()

    def _open(self) -> Opened:
        opened = self._opener(self._rotation)
        opened.number(self._numbering)
        return opened

    @property
    def info(self) -> SourceInfo:
        """What is known without decoding."""
        return self._info

    def read(self, request: ReadRequest) -> Iterator[ReadItem]:
        """See `onlooker.core.media.Source.read`."""
        opened = self._open()
        pictures = request.frames != "none" or request.packets
        later = request.start is not None and request.start.value > 0
        # sound is decoded from the beginning in any case
        if later and pictures and request.audio_rate is None and not self._info.live:
            assert request.start is not None
            if not opened.seek_before(request.start):
                opened.close()
                opened = self._open()
        return read_items(opened, request)

    def cut_points(self, count: int) -> list[Timestamp]:
        """Keyframes nearest to the limits of ``count`` stretches of equal packets' bytes."""
        if count < 2 or self._info.live or self._info.video is None:
            return []
        opened = self._open()
        try:
            return _cuts(opened, count) if opened.can_seek else []
        except FFmpegError as error:
            raise SourceError(f"cannot read {self._info.path}: {error}") from None
        finally:
            opened.close()

    def close(self) -> None:
        """Nothing is held open between reads."""


def _cuts(opened: Opened, count: int) -> list[Timestamp]:
    keys: list[Timestamp] = []
    last = Timestamp.of_seconds(Fraction(0))
    for packet in opened.container.demux(opened.video):
        if packet.pts is None:
            continue
        time = opened.clock.at(packet.pts)
        last = max(last, time)
        if packet.is_keyframe:
            keys.append(time)
    chosen: list[Timestamp] = []
    for part in range(1, count):
        wanted = last.value * part / count
        best = min(keys, key=lambda k: abs(k.value - wanted), default=None)
        if best is not None and best.value > 0 and (not chosen or best > chosen[-1]):
            chosen.append(best)
    return chosen
