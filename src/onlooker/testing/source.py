"""What every source must do, whoever wrote its opener. A plug-in author runs it in one test:

from onlooker.testing.source import check_source

def test_my_source():
    check_source(lambda: open_source("mine://camera"))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice, pairwise
from typing import Any

import numpy as np

from onlooker.core.media import AudioBlock, Frame, Packet, ReadFailure, ReadItem, ReadRequest, Source
from onlooker.core.time import Timestamp

__all__ = ["check_live_source", "check_source"]


def _frames(items: Iterable[ReadItem]) -> Iterator[Frame]:
    return (i for i in items if not isinstance(i, AudioBlock | Packet | ReadFailure))


def _essence(items: Iterable[ReadItem]) -> list[tuple[Any, ...]]:
    return [(f.time.value, f.duration, f.key, f.luma().tobytes()) for f in _frames(items)]


def _check_info(source: Source) -> None:
    info = source.info
    assert info.id, "SourceInfo.id is empty"
    assert "@" not in info.path.split("://", 1)[-1].split("/", 1)[0], "SourceInfo.path shows credentials"
    assert info.duration is None or info.duration >= 0
    assert [a.index for a in info.audio] == list(range(len(info.audio)))


def _check_frame(frame: Frame) -> None:
    luma = frame.luma()
    assert luma.shape == (frame.height, frame.width), "luma() has another shape than the frame"
    assert luma.dtype == np.uint8
    assert not luma.flags.writeable, "luma() can be written into"
    small = frame.image(32, 24)
    assert small.shape == (24, 32, 3)
    assert frame.image(32, 24) is small, "the same conversion is made twice"
    assert frame.image(width=32, format="gray").ndim == 2
    swapped = frame.image(32, 24, "bgr24")[..., ::-1].astype(int)
    assert np.abs(swapped - small).max() <= 8, "bgr24 is not rgb24 the other way round"
    chroma = frame.chroma()
    assert chroma is None or chroma[0].shape == chroma[1].shape


def _check_order(frames: list[Any]) -> None:
    for a, b in pairwise(frames):
        assert a.time < b.time, f"frames at {a.time} and {b.time} are not in order"
        assert a.time + a.duration <= b.time, f"the frame at {a.time} lasts beyond the next"


def check_source(open_it: Callable[[], Source]) -> None:
    """Check a source that can be read many times.

    Args:
        open_it: opens it anew; video of at least one second, sound or not.

    Raises:
        AssertionError: it breaks the contract; the message says how.
    """
    source = open_it()
    other = open_it()
    try:
        _check_info(source)
        assert not source.info.live
        assert other.info.id == source.info.id, "opened twice, it has two identities"
        frames = list(_frames(source.read(ReadRequest())))
        assert frames, "no frames"
        assert all(f.duration > 0 for f in frames), "a frame without duration"
        _check_order(frames)
        _check_frame(frames[len(frames) // 2])
        whole = _essence(frames)
        _check_parts(source, whole)
        both = [source.read(ReadRequest()), other.read(ReadRequest())]
        firsts = [_essence(islice(_frames(items), 3)) for items in both]
        assert firsts[0] == firsts[1] == whole[:3], "two readers at once disturb each other"
        _check_sound(source, whole)
    finally:
        source.close()
        other.close()
        other.close()


def _check_parts(source: Source, whole: list[tuple[Any, ...]]) -> None:
    start, end = whole[len(whole) // 3][0], whole[len(whole) * 2 // 3][0]
    request = ReadRequest(start=Timestamp.of_seconds(start), end=Timestamp.of_seconds(end))
    part = _essence(source.read(request))
    assert part == [f for f in whole if start <= f[0] < end], "a stretch differs from the same stretch of a whole read"
    packets = [i for i in source.read(ReadRequest(frames="none", packets=True)) if isinstance(i, Packet)]
    assert all(p.size > 0 for p in packets)
    times = {f[0] for f in whole}
    for selection in ("reference", "key"):
        chosen = [f.time.value for f in _frames(source.read(ReadRequest(frames=selection)))]
        assert set(chosen) <= times, f"{selection} frames have times that no frame has"
    cuts = source.cut_points(3)
    assert len(cuts) <= 2
    assert cuts == sorted(set(cuts)), "cut points are not in order"


def _check_sound(source: Source, whole: list[tuple[Any, ...]]) -> None:
    size = Fraction(1, 4)
    alone = ReadRequest(frames="none", audio_rate=16000, audio_block=size)
    blocks = [i for i in source.read(alone) if isinstance(i, AudioBlock)]
    assert bool(blocks) == bool(source.info.audio), "sound is told of but not given, or the other way round"
    assert all(b.time.value == n * size for n, b in enumerate(blocks)), "blocks are off the grid"
    assert all(len(b.samples) == 4000 for b in blocks[:-1])
    mixed = list(source.read(ReadRequest(audio_rate=16000, audio_block=size)))
    beside = [i for i in mixed if isinstance(i, AudioBlock)]
    assert [b.samples.tobytes() for b in beside] == [b.samples.tobytes() for b in blocks], "sound depends on pictures"
    assert _essence(mixed) == whole, "pictures depend on sound"


def check_live_source(open_it: Callable[[], Source], frames: int = 10) -> None:
    """Check a source that is read once, as it comes.

    Args:
        open_it: opens it.
        frames: how many frames to wait for.

    Raises:
        AssertionError: it breaks the contract; the message says how.
    """
    source = open_it()
    try:
        _check_info(source)
        assert source.info.live
        assert source.info.duration is None, "a live source states a length"
        assert source.cut_points(4) == []
        items = source.read(ReadRequest(threads=1))
        got = list(islice(_frames(items), frames))
        close = getattr(items, "close", None)
        if close is not None:
            close()
        assert len(got) == frames, f"{len(got)} frames came, not {frames}"
        _check_order(got)
        _check_frame(got[-1])
    finally:
        source.close()
        source.close()
