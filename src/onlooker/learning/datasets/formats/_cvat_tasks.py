"""The videos that a CVAT XML is about: that of its one task, or those of a project's tasks.

A project counts frames through the tasks of a subset, in the order in which they stand, each from its ``start_frame``
in steps of its ``frame_filter``. Its tracks say of which task they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from onlooker.learning.datasets.formats._checked import a_number, shown
from onlooker.learning.datasets.formats._xml import Element
from onlooker.learning.datasets.formats.format import parsing, part_of, wrong

__all__ = ["VideoTask", "id_of", "size_of", "split_of", "video_tasks", "whole"]

_LONGEST = 9  # digits of a frame
_STEP = re.compile(r"step\s*=\s*([1-9][0-9]{0,8})(?![0-9])")


@dataclass(slots=True)
class VideoTask:
    """One task.

    Attributes:
        facts: the element that tells of it.
        source: file name of its video, where it has one.
        split: its subset.
        frames: of its video; None: not told.
        before: by how much the file's numbers of frames are higher than those of the video.
        tracks: those of it.
        step: frames of the video from one of the task to the next.
    """

    facts: Element
    source: str | None
    split: str | None
    frames: range | None = None
    before: int = 0
    tracks: list[Element] = field(default_factory=list[Element])
    step: int = 1


def video_tasks(file: Path, top: Element) -> list[VideoTask]:
    """The tasks of a file, with their tracks.

    Raises:
        ConfigError: a task or track of a project does not say what it must.
    """
    meta = next(top.find_all("meta"), top)
    tracks = list(top.find_all("track"))
    elements = list(meta.find_all("project/tasks/task"))
    if not elements:
        split, step = split_of(_text(meta, "subset")), _step(meta)
        return [VideoTask(meta, _text(meta, "source"), split, tracks=tracks, step=step)]
    tasks: dict[str, VideoTask] = {}
    subset, before = None, 0
    for element in elements:
        with parsing(file, "task", element.line):
            start, stop, size = (whole(_text(element, n) or "", n) for n in ("start_frame", "stop_frame", "size"))
            step = _step(element)
            if (own := _text(element, "subset")) != subset:
                subset, before = own, 0
            one = VideoTask(element, _text(element, "source"), split_of(own), range(start, stop + 1), before, step=step)
            tasks[_text(element, "id") or ""] = one
            before += start + size * step
    alone = next(iter(tasks)) if len(tasks) == 1 else None
    for track in tracks:
        with parsing(file, "track", track.line):
            of = track.get("task_id") or alone or track["task_id"]
            if of not in tasks:
                raise ValueError(f"task_id: the project has no task {shown(of)}")
            tasks[of].tracks.append(track)
    return list(tasks.values())


def _step(element: Element) -> int:
    found = _STEP.search(_text(element, "frame_filter") or "")
    return int(found[1]) if found else 1


def id_of(task: VideoTask) -> str | None:
    """The number that CVAT gave a task."""
    return _text(task.facts, "id")


def size_of(file: Path, task: VideoTask) -> tuple[float, float]:
    """Width and height of a task's video in pixels.

    Raises:
        ConfigError: it does not say so.
    """
    hint = "it has the width and height of the video"
    size = next(task.facts.find_all("**/original_size"), None)
    if size is None:
        raise wrong(file, "original_size is missing", task.facts.line, hint=hint)
    sides: list[float] = []
    for name in ("width", "height"):
        text = next((part.text.strip() for part in size.find_all(name)), None)
        if text is None:
            raise wrong(file, f"original_size: {name} is missing", size.line, hint=hint)
        if not (text.isdecimal() and int(text[:_LONGEST]) > 0):
            raise wrong(file, f"original_size: {name}: expected pixels, got {shown(text)}", size.line, hint=hint)
        sides.append(a_number(text, name))
    return sides[0], sides[1]


def split_of(subset: str | None) -> str | None:
    """The split that a subset means: what CVAT calls default is none."""
    if not subset or subset == "default":
        return None
    return part_of(subset) or subset


def whole(text: str, name: str) -> int:
    """A whole number that is not negative.

    Raises:
        ValueError: it is none.
    """
    if not (text.isdecimal() and len(text) <= _LONGEST):
        raise ValueError(f"{name}: expected a whole number from 0, got {shown(text)}")
    return int(text)


def _text(element: Element, name: str) -> str | None:
    return next((part.text.strip() for part in element.find_all(f"**/{name}")), None) or None
