"""Pictures beside a written file: images as they lie, frames taken out of videos."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from PIL import Image

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats.format import Written
from onlooker.learning.datasets.frame_names import frame_name, video_names
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.media import frames_at, picture_size
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["picture_of", "pictures_of", "size_of"]


def pictures_of(
    dataset: Dataset,
    samples: Sequence[Sample],
    target: Path,
    done: Written,
    folder: Callable[[Sample], Path] | None = None,
) -> Iterator[tuple[Sample, str]]:
    """The samples with their pictures' names, see `picture_of`; those without a picture are counted in ``done``."""
    for sample in samples:
        picture = picture_of(dataset, sample, target, done, folder(sample) if folder else None)
        if picture is None:
            done.left_out["not a picture or frame"] += 1
        else:
            yield sample, picture


def picture_of(dataset: Dataset, sample: Sample, target: Path, done: Written, folder: Path | None = None) -> str | None:
    """The name by which a file at ``target`` speaks of a sample's picture; None where it has none.

    An image keeps its path from the dataset's root. A frame is written into ``folder``, or one beside ``target``, and
    noted in ``done``.

    Raises:
        UsageError: the picture lies out of the root and frames would mix, or cannot be written.
    """
    image = sample.of_kind("image")
    if image is not None:
        return image.path
    video = sample.of_kind("video")
    if video is None or sample.at is None:
        return None
    frame = frames_at(dataset.path(video), [Fraction(str(sample.at))], video)[0]
    out = io.BytesIO()
    Image.fromarray(frame.image(format="rgb24")).save(out, "JPEG", quality=92)
    if video.path not in done.videos:
        # with its folders: videos of several may have one name
        done.videos |= video_names([*dataset.samples, sample])
    place = (folder or target.parent / f"{target.stem}-frames") / frame_name(done.videos[video.path], sample.at)
    write_whole(place, out.getvalue())
    done.files.append(place)
    return os.path.relpath(place, target.parent).replace(os.sep, "/")


def size_of(dataset: Dataset, sample: Sample) -> tuple[int, int]:
    """Width and height of a sample's picture in pixels.

    Raises:
        UsageError: they are not known.
    """
    media = sample.of_kind("image", "video")
    if media is not None and media.width and media.height:
        return media.width, media.height
    if media is not None and media.kind == "image":
        return picture_size(dataset.path(media))
    raise UsageError(f"the size of {sample.id}'s picture is not known", hint="import it again")
