"""Names of pictures that frames of videos are written as, so that their samples are found again by them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from onlooker.learning.datasets.manifest import Sample

__all__ = ["frame_name", "video_names"]


def video_names(samples: Iterable[Sample]) -> dict[str, str]:
    """How pictures of each video begin: as its path, without its suffix where no other is called so.

    >>> from onlooker.learning.datasets.manifest import Media
    >>> paths = ("hall/a b.mp4", "c.mkv", "c.mp4", "d/e.mp4", "d_e.mp4")
    >>> samples = [Sample(id=p, media=(Media(path=p, kind="video"),), at=0) for p in paths]
    >>> video_names(samples)
    {'c.mkv': 'c.mkv', 'c.mp4': 'c.mp4', 'd/e.mp4': 'd_e.mp4', 'd_e.mp4': 'd_e.mp4-2', 'hall/a b.mp4': 'hall_a_b'}
    """
    alike: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        video = sample.of_kind("video")
        if video is not None and sample.at is not None:
            alike[_plain(str(PurePosixPath(video.path).with_suffix("")))].add(video.path)
    names: dict[str, str] = {}
    taken = {stem for stem, paths in alike.items() if len(paths) == 1}
    for path, stem in sorted((p, stem) for stem, paths in alike.items() for p in paths):
        name = stem if len(alike[stem]) == 1 else _plain(path)
        number = 2
        while len(alike[stem]) > 1 and name in taken:
            name, number = f"{_plain(path)}-{number}", number + 1
        taken.add(name)
        names[path] = name
    return names


def frame_name(video: str, at: float) -> str:
    """The file name of a frame.

    >>> frame_name("hall_a_b", 1.5)
    'hall_a_b-1.500.jpg'
    """
    return f"{video}-{at:.3f}.jpg"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)
