"""COCO JSON: images, categories and annotations with boxes in pixels, or captions (Lin et al. 2014)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from onlooker.core.errors import SourceError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._checked import a_key, a_text, an_object, is_number, numbers, shown
from onlooker.learning.datasets.formats._coco_outlines import box_around
from onlooker.learning.datasets.formats._kept import kept, own, restored, tell_losses
from onlooker.learning.datasets.formats._pictures import pictures_of, size_of
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    box_of_pixels,
    medium,
    only_task,
    parsing,
    read_json,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, MediaKind, Sample, Task, is_name
from onlooker.learning.datasets.media import picture_size
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Coco", "CocoOptions"]


class CocoOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        split: of all images of the file, where they do not say.
    """

    task: str = "objects"
    split: str | None = None


class Coco:
    """One sample for each image; frames of videos are written as pictures beside the file.

    Where an annotation has no box, that around its segmentation is taken. An image of which not all annotations have
    one, and all of a file without annotations, are not labelled.
    """

    name: ClassVar[str] = "coco"
    description: ClassVar[str] = "COCO JSON: boxes or captions of images"
    holds: ClassVar[frozenset[Kind]] = frozenset(("boxes",))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("image",))
    Options: ClassVar[type[FormatOptions]] = CocoOptions

    def read(self, path: Path, options: CocoOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        values = read_json(path)
        if not isinstance(values, dict) or not isinstance(values.get("images"), list):
            raise wrong(path, "expected an object with images, annotations and categories")
        names: dict[Any, str] = {}
        for n, category in _listed(path, values, "categories"):
            with parsing(path, f"categories.{n}"):
                names[a_key(category, "id")] = str(a_key(category, "name"))
        notes: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
        known: set[Any] = set()
        images = list(_listed(path, values, "images"))
        for n, image in images:
            with parsing(path, f"images.{n}"):
                if a_key(image, "id") in known:
                    raise ValueError(f"the id {image['id']} is that of another image")
                known.add(image["id"])
        for n, note in _listed(path, values, "annotations"):
            with parsing(path, f"annotations.{n}"):
                if a_key(note, "image_id") not in known:
                    raise ValueError(f"there is no image {note['image_id']}")
                notes[note["image_id"]].append((n, note))
        made = Imported(media or path.parent, {}, [])
        captions = any("caption" in note for held in notes.values() for _, note in held)
        for n, image in images:
            with parsing(path, f"images.{n}"):
                name, ours = a_text(image, "file_name"), own(image)
                held = notes[image["id"]]
                labels: dict[str, Any] = {}
                if captions:
                    said = [c for at in held if (c := _caption(path, at)) is not None]
                    labels = {"caption": "\n".join(said)} if said else {}
                elif values.get("annotations") is not None:
                    boxes = tuple(_box(path, at, image, names, made) for at in held)
                    if None not in boxes:
                        labels[options.task] = boxes
                    else:
                        made.left_out["images left without boxes, as not all of their annotations have one"] += 1
                sample = Sample(
                    id=ours.get("sample") or name,
                    media=(medium(name, "image"),),
                    split=_split(image) or options.split,
                    groups=ours.get("groups") or {},
                    labels=labels,
                )
                sample = restored(sample, ours, made.root, options.task)
                made.left_out["splits of images that are no names"] += bool(image.get("split")) and not _split(image)
                made.found.append(Found(sample, {k: str(v) for k, v in image.items()}))
        if values.get("annotations") is None:
            made.notes.append(f"{path} has no annotations: its images are not labelled")
        if captions:
            lacking = sum(not note.get("caption") for held in notes.values() for _, note in held)
            made.left_out["annotations without a caption"] += lacking
            made.tasks["caption"] = Task(kind="text")
        else:
            made.tasks[options.task] = Task(kind="boxes", classes=tuple(dict.fromkeys(names.values())))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: CocoOptions) -> Written:
        """Boxes of images and of frames; ids count from 1."""
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("boxes",), wanted, self.name)
        numbers = {c: n for n, c in enumerate(task.classes, 1)}
        images: list[Any] = []
        notes: list[Any] = []
        done = Written(files=[target])
        tell_losses(dataset, samples, done, [name])
        for sample, picture in pictures_of(dataset, samples, target, done):
            width, height = size_of(dataset, sample)
            image: dict[str, Any] = {"id": len(images) + 1, "file_name": picture, "width": width, "height": height}
            image |= {"split": sample.split, "groups": sample.groups, **kept(sample, name)}
            images.append(image)
            for box in sample.labels.get(name, ()):
                left, top, right, bottom = box.box
                more = box.model_dump(mode="json", include={"track", "at"}, exclude_none=True)
                place = [left * width, top * height, (right - left) * width, (bottom - top) * height]
                notes.append(
                    {
                        "id": len(notes) + 1,
                        "image_id": image["id"],
                        "category_id": numbers[box.label],
                        "segmentation": [],
                        "bbox": [round(v, 4) for v in place],
                        "area": round(place[2] * place[3], 2),
                        "iscrowd": int(box.crowd),
                        **({"score": box.score} if box.score is not None else {}),
                        **({"attributes": more} if more else {}),
                    }
                )
            done.samples += 1
        categories = [{"id": n, "name": c, "supercategory": ""} for c, n in numbers.items()]
        whole = {"info": {"description": dataset.info.name}, "licenses": [], "images": images, "annotations": notes}
        write_whole(target, json.dumps({**whole, "categories": categories}, ensure_ascii=False, indent=1) + "\n")
        return done


def _listed(path: Path, values: dict[str, Any], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list of the file, with their places in it."""
    held = values.get(name)
    if not isinstance(held, list | None):
        raise wrong(path, f"{name}: expected a list, got {shown(held)}")
    for n, one in enumerate(held or ()):
        with parsing(path, f"{name}.{n}"):
            yield n, an_object(one)


def _split(image: dict[str, Any]) -> str | None:
    """What an image says of its split, where that can be one."""
    said = image.get("split")
    return said if isinstance(said, str) and is_name(said) else None


def _caption(path: Path, at: tuple[int, Any]) -> str | None:
    number, note = at
    if not note.get("caption"):
        return None
    with parsing(path, f"annotations.{number}"):
        return a_text(note, "caption")
    return None


def _box(
    path: Path, at: tuple[int, Any], image: dict[str, Any], names: dict[Any, str], made: Imported
) -> LabelledBox | None:
    """The box of an annotation, or around its segmentation; None where there is none, which is counted."""
    number, note = at
    with parsing(path, f"annotations.{number}"):
        given = numbers(note["bbox"], "bbox", 4) if note.get("bbox") else None
        sides = given or box_around(note.get("segmentation"))
        size = _size(image, made.root) if sides is not None else None
        made.left_out["annotations without a box"] += sides is None
        if sides is None or size is None:
            return None
        made.left_out["outlines, of which the box is taken"] += given is None
        if a_key(note, "category_id") not in names:
            raise ValueError(f"there is no category {note['category_id']}")
        left, top, wide, high = sides
        more = an_object(note.get("attributes") or {}, "attributes")
        track = more.get("track") or note.get("track_id")
        return LabelledBox(
            label=names[note["category_id"]],
            box=box_of_pixels(left, top, wide, high, *size),
            crowd=bool(note.get("iscrowd", 0)),
            track=None if track is None else str(track),
            at=more.get("at"),
            score=note.get("score"),
        )
    return None


def _size(image: dict[str, Any], root: Path) -> tuple[float, float] | None:
    """Width and height of an image: what the file says, else measured; None where it is no picture.

    Raises:
        ValueError: the file does not say, and the picture is not there.
    """
    width: Any = image.get("width")
    height: Any = image.get("height")
    if is_number(width) and is_number(height):
        return width, height
    place = root / a_text(image, "file_name")
    measured = width is None and height is None
    if not (measured and place.is_file()):
        more = f", and {place} is not there to be measured" if measured else ""
        raise ValueError(f"its image: width and height: expected numbers, got {shown(width)}, {shown(height)}{more}")
    try:
        return picture_size(place)
    except SourceError:
        return None  # it is told with what cannot be used


FORMAT = Coco()
