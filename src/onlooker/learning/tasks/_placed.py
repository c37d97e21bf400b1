"""Boxes of a sample as they lie on the prepared picture."""

from __future__ import annotations

from collections.abc import Sequence

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import LabelledBox
from onlooker.learning.task import TaskFacts

__all__ = ["Placed", "boxes_of_last_frame", "onto_input"]

_NEAR = 0.02


def boxes_of_last_frame(clip: Clip, boxes: Sequence[LabelledBox]) -> list[LabelledBox]:
    """Those on the clip's last picture: of a video by their time, to half a frame; of one picture all."""
    media = clip.sample.of_kind("video")
    if media is None or clip.times is None or not len(clip.times):
        return list(boxes)
    rate = media.frame_rate
    near = _NEAR if rate is None else float(1 / rate) / 2 + 1e-3
    last = float(clip.times[-1])
    return [b for b in boxes if b.at is None or abs(b.at - last) <= near]


class Placed:
    """Whether the boxes of a task lie on pictures that are looked at.

    Args:
        task: its name in the recipe.
        of: the task of the dataset.
    """

    def __init__(self, task: str, of: str) -> None:
        self._task, self._of = task, of
        self._fits, self._count, self._first = False, 0, ""

    def take(self, clip: Clip) -> None:
        """Look at a clip too."""
        boxes: Sequence[LabelledBox] = clip.sample.labels.get(self._of, ())
        if self._fits or not boxes:
            return
        self._fits = bool(boxes_of_last_frame(clip, boxes))
        self._count += 1
        if not self._first and clip.times is not None and len(clip.times):
            at = next((b.at for b in boxes if b.at is not None), 0.0)
            self._first = f"{clip.sample.id} has one at {at:g} s, and its last picture is of {clip.times[-1]:g} s"

    def check(self) -> None:
        """Try that there is something to learn.

        Raises:
            UsageError: clips have boxes, and none of them is on its clip's last picture.
        """
        if self._count and not self._fits:
            raise UsageError(
                f"tasks.{self._task}: boxes are learned on the last picture of a clip, and none of the boxes of "
                f"{self._count} samples of the training part is on it: {self._first}",
                hint="give samples `at`, the time of the picture that their boxes are on, or a span that ends there",
            )


def onto_input(clip: Clip, facts: TaskFacts) -> tuple[float, float, float, float]:
    """Scale and offset of x and of y, from shares of the displayed picture to shares of the prepared one.

    Raises:
        UsageError: pictures are cut by boxes, or it is not known how large they were.
    """
    if facts.crop == "none":
        return 1.0, 0.0, 1.0, 0.0
    if facts.crop == "box":
        raise UsageError(f"tasks.{facts.name}: pictures that are cut by a box show no places", hint="crop: pad")
    media = clip.sample.of_kind("video", "image")
    if media is None or not media.width or not media.height or clip.pictures is None:
        raise UsageError(
            f"tasks.{facts.name}: the size of the pictures of sample {clip.sample.id} is not known",
            hint="import the dataset again, or prepare its pictures with crop: none",
        )
    high, wide = clip.pictures.shape[1:3]
    fit = (wide / media.width, high / media.height)
    scale = max(fit) if facts.crop == "centre" else min(fit)
    across, down = media.width * scale / wide, media.height * scale / high
    return across, (1 - across) / 2, down, (1 - down) / 2
