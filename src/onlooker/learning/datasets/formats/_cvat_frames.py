"""Where the pictures of CVAT's images lie: it names those of a video by their numbers, without a suffix."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

from onlooker.learning.datasets.formats._cvat_tasks import VideoTask, id_of, video_tasks
from onlooker.learning.datasets.formats._xml import Element
from onlooker.learning.datasets.formats.format import medium, video_rate
from onlooker.learning.datasets.manifest import Media
from onlooker.learning.datasets.media import kind_of
from onlooker.sources.openers.images import PICTURES

__all__ = ["Frames"]

_FRAME = re.compile(r"frame_([0-9]{1,9})")
_FOLDERS = ("", "images/")
"""CVAT puts pictures into the second; those of a project there into folders of their subsets."""
_SUFFIXES = tuple(s for suffix in sorted(PICTURES) for s in (suffix, suffix.upper()))


class Frames:
    """The pictures of one file.

    Args:
        file: the XML, for errors.
        top: its outermost element.
        root: the media folder.
        video: of which the pictures are frames, where the file does not say.
        rate: its frames a second, where it does not say.
    """

    def __init__(self, file: Path, top: Element, root: Path, video: str | None, rate: float | None) -> None:
        self._file, self._top, self._root, self._video, self._given = file, top, root, video, rate
        self._tasks: list[VideoTask] | None = None
        self._rates: dict[str, Fraction] = {}

    def find(self, image: Element) -> tuple[Media, float | None]:
        """The picture of an image, or the video that it is a frame of and its second there.

        Raises:
            ConfigError: the frames a second of the video are not known.
            ValueError: the name leads out of the media folder.
        """
        name, subset = image["name"], image.get("subset")
        inside = [f"{folder}{subset}/" for folder in reversed(_FOLDERS)] if subset else []
        suffixes = _SUFFIXES if kind_of(name) is None else ("",)
        for found in (f"{folder}{name}{suffix}" for folder in (*_FOLDERS, *inside) for suffix in suffixes):
            if os.path.isfile(self._root / found):
                return medium(found, "image"), None
        if kind_of(name) is not None:
            return medium(name, "image"), None
        number, source = _FRAME.fullmatch(name), self._source(image)
        if number is None or source is None:
            return medium(name, "image"), None
        if source not in self._rates:
            self._rates[source] = video_rate(self._root / source, self._given)
        return medium(source, "video"), round(float(int(number[1]) / self._rates[source]), 6)

    def _source(self, image: Element) -> str | None:
        """The video that a task was made of."""
        if self._video is not None:
            return self._video
        if self._tasks is None:
            self._tasks = video_tasks(self._file, self._top)
        if len(self._tasks) == 1:
            return self._tasks[0].source
        return next((t.source for t in self._tasks if id_of(t) == image.get("task_id")), None)
