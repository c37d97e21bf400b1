"""CVAT XML 1.1: boxes and tags of images, tracks of videos (docs.cvat.ai, XML annotation format)."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._checked import a_number, an_object, shown
from onlooker.learning.datasets.formats._cvat import write_images, write_videos
from onlooker.learning.datasets.formats._cvat_frames import Frames
from onlooker.learning.datasets.formats._cvat_keys import Key, between
from onlooker.learning.datasets.formats._cvat_shapes import OUTLINES, WITHOUT_A_BOX, sides_of
from onlooker.learning.datasets.formats._cvat_tasks import VideoTask, size_of, split_of, video_tasks, whole
from onlooker.learning.datasets.formats._kept import parted, restored
from onlooker.learning.datasets.formats._xml import Element, read_xml
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    box_of_pixels,
    classes_of,
    filled,
    medium,
    parsing,
    sample_id,
    task_of_kind,
    video_rate,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, MediaKind, Sample, Task, is_name

__all__ = ["FORMAT", "Cvat", "CvatOptions"]

_UNSET = ("", "__undefined__")
_CROWD = ("crowd", "is_crowd", "iscrowd")
_BOXED = ("box", *OUTLINES)


class CvatOptions(FormatOptions):
    """Options.

    Attributes:
        boxes: name of the task that boxes and tracks belong to.
        tags: name of the task that tags of images belong to.
        label: class of a box, from ``{label}`` and the names of attributes: ``{label} {colour}``.
        video: file of the video below the media folder, where the XML does not name it (of frames, too).
        rate: frames a second, where the video does not say.
        pass_over: whether images and videos with points or skeletons in them are labelled by their boxes all the same.
        form: to write: ``images``, or ``video`` with one file for each video.
    """

    boxes: str = "objects"
    tags: str = "tags"
    label: str = "{label}"
    video: str | None = None
    rate: float | None = Field(default=None, gt=0)
    pass_over: bool = False
    form: str = Field(default="", pattern="^(images|video|)$")


class Cvat:
    """For images one sample each, for a video one sample, unless it was written as several; so for each of a project.

    Attributes of tags are tasks of their images. Of a box, ``crowd``, ``score``, ``track_id`` and those in ``label``
    are taken; others are counted. Of polygons and other outlines the boxes around them are taken. Points and skeletons
    have none: where they are, the boxes are not all that there is, and no boxes are taken.
    """

    name: ClassVar[str] = "cvat"
    description: ClassVar[str] = "CVAT XML 1.1 for images and for video"
    holds: ClassVar[frozenset[Kind]] = frozenset(("boxes", "multi-label"))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("image", "video"))
    Options: ClassVar[type[FormatOptions]] = CvatOptions

    def read(self, path: Path, options: CvatOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        if zipfile.is_zipfile(path):
            raise wrong(path, "it is a ZIP file", hint="unpack it, and import the folder")
        files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
        if not files:
            raise wrong(path, "no XML files")
        made = Imported(media or (path if path.is_dir() else path.parent), {}, [])
        named: list[str] = []
        tops: list[Element] = []
        for file in files:
            tops.append(top := read_xml(file))
            if top.name != "annotations":
                raise wrong(file, f"expected <annotations>, got <{top.name}>", top.line)
            named += [n.text.strip() for n in top.find_all("meta/**/label/name")]
            if any(True for _ in top.find_all("track")) or not any(True for _ in top.find_all("image")):
                made.left_out["images beside tracks"] += sum(1 for _ in top.find_all("image"))
                made.found += _videos(file, top, options, made)
            else:
                frames = Frames(file, top, made.root, options.video, options.rate)
                made.found += [_image(file, image, frames, options, made) for image in top.find_all("image")]
        samples = [f.sample for f in made.found]
        tags_alone = {n.find_all("name").__next__().text.strip() for n in _typed(tops, "tag")}
        for task, kind in _kinds(options, samples, tops).items():
            with_classes = Task(kind=kind).has_classes
            used = classes_of(samples, task, kind) if with_classes else ()
            known = [n for n in named if n in used] if kind == "multi-label" else _choices(tops, task)
            if task == options.boxes and options.label == "{label}":
                known = [n for n in named if n in used or n not in tags_alone]
            made.tasks[task] = Task(kind=kind, classes=tuple(dict.fromkeys([*known, *used])))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: CvatOptions) -> Written:
        """``target`` is the file, or the folder where there are several videos."""
        boxes = task_of_kind(dataset, "boxes", options.boxes if "boxes" in options.model_fields_set else None)
        tags = task_of_kind(dataset, "multi-label", options.tags if "tags" in options.model_fields_set else None)
        if boxes is None and tags is None:
            raise UsageError("CVAT holds boxes and tags (multi-label); there is no such task")
        form = options.form
        if not form:
            # what is labelled by other tasks alone, such as judged events beside frames, decides nothing
            meant = [s for s in samples if not s.labels or not s.labels.keys().isdisjoint((boxes, tags))]
            whole = any(s.of_kind("image") is None and s.at is None for s in meant or samples)
            form = "video" if whole else "images"
        labels: dict[str, str] = {}
        for task, shape in ((boxes, "rectangle"), (tags, "tag")):
            for name in dataset.info.tasks[task].classes if task is not None else ():
                labels[name] = shape if labels.get(name, shape) == shape else "any"
        if form == "images":
            return write_images(dataset, samples, target, labels, boxes, tags)
        if boxes is None:
            raise UsageError("CVAT's video form holds boxes; there is no such task", hint="--set form=images")
        return write_videos(dataset, samples, target, labels, boxes)


def _typed(tops: Sequence[Element], shape: str) -> list[Element]:
    """The labels that are of one shape only."""
    return [n for t in tops for n in t.find_all("meta/**/label") if any(e.text == shape for e in n.find_all("type"))]


def _kinds(options: CvatOptions, samples: Sequence[Sample], tops: Sequence[Element]) -> dict[str, Kind]:
    """The tasks that samples have: boxes, tags, and attributes of tags by how they are put in."""
    forms: dict[str, str] = {}
    for attribute in (a for t in tops for a in t.find_all("meta/**/label/attributes/attribute")):
        facts = {part.name: part.text.strip() for part in attribute.parts}
        forms.setdefault(facts.get("name", ""), facts.get("input_type", ""))
    own: dict[str, Kind] = {options.boxes: "boxes", options.tags: "multi-label"}
    kinds: dict[str, Kind] = {}
    for task in dict.fromkeys([*own, *(t for s in samples for t in s.labels)]):
        if any(task in s.labels for s in samples):
            kinds[task] = own.get(task) or ("text" if forms.get(task) == "text" else "class")
    return kinds


def _choices(tops: Sequence[Element], name: str) -> list[str]:
    """What could be chosen for an attribute of that name."""
    made: list[str] = []
    for attribute in (a for t in tops for a in t.find_all("meta/**/label/attributes/attribute")):
        facts = {part.name: part.text.strip() for part in attribute.parts}
        if facts.get("name") == name and facts.get("input_type") in ("select", "radio"):
            made += [v.strip() for v in facts.get("values", "").split("\n") if v.strip() not in _UNSET]
    return made


def _attributes(*elements: Element) -> dict[str, str]:
    """Attributes that a person gave a value, by name."""
    found = {a.get("name") or "": a.text.strip() for e in elements for a in e.find_all("attribute")}
    return {name: value for name, value in found.items() if value not in _UNSET}


def _box(box: Element, over: Element, size: tuple[float, float], options: CvatOptions, made: Imported) -> LabelledBox:
    """A box without its time; what it has no place for is counted.

    Args:
        box: of an image, or of a track.
        over: what has the label: the box, or the track.
        size: of the picture in pixels.
        options: what a user may set.
        made: where it is counted.
    """
    given = _attributes(over, box) if over is not box else _attributes(box)
    fields = {**dict.fromkeys(re.findall(r"\{([^{}]+)\}", options.label), ""), **given, "label": over["label"]}
    label = (filled(options.label, fields) or "").strip() or over["label"]
    crowd = next((v for n in _CROWD if (v := box.get(n) or given.pop(n, None))), "")
    score = box.get("score") or given.pop("score", None)
    track = box.get("track") or given.pop("track_id", None)
    for name in given:
        if f"{{{name}}}" not in options.label:
            made.left_out[f"attributes of boxes called {name}"] += 1
    made.left_out["outlines, of which the box is taken"] += box.name in OUTLINES
    made.left_out["marks of occluded boxes"] += box.get("occluded") == "1"
    return LabelledBox(
        label=label,
        box=_sides(box, size),
        at=None if box.get("at") is None else a_number(box["at"], "at"),
        track=track,
        crowd=crowd.lower() in ("1", "true", "yes"),
        score=None if score is None else a_number(score, "score"),
    )


def _tagged(image: Element, options: CvatOptions, made: Imported) -> dict[str, str]:
    """Labels out of the attributes of an image's tags."""
    labels: dict[str, str] = {}
    for tag in image.find_all("tag"):
        for name, value in _attributes(tag).items():
            if not is_name(name) or name in (options.boxes, options.tags) or labels.get(name, value) != value:
                made.left_out[f"attributes of tags called {name}, which fit no task or differ in one image"] += 1
            else:
                labels[name] = value
    return labels


def _image(file: Path, image: Element, frames: Frames, options: CvatOptions, made: Imported) -> Found:
    with parsing(file, "image", image.line):
        picture, at = frames.find(image)
        size = a_number(image["width"], "width"), a_number(image["height"], "height")
        boxes: list[LabelledBox] = []
        for shape in (p for p in image.parts if p.name in _BOXED):
            with parsing(file, shape.name, shape.line):
                boxes.append(_box(shape, shape, size, options, made))
        tags = tuple(dict.fromkeys(tag["label"] for tag in image.find_all("tag")))
        held = _kept(image.get("kept") or "{}")
        labels: dict[str, Any] = (
            {options.boxes: tuple(boxes)} if boxes or not tags or "kept" in image.attributes else {}
        )
        if _bare([image], options, made):
            labels = {}
        labels |= {options.tags: tags} if tags or "tagged" in held else {}
        labels |= _tagged(image, options, made)
        sample = Sample(
            id=image.get("sample") or _id(image, picture.path, at),
            media=(picture,),
            at=at,
            split=split_of(image.get("subset")),
            labels=labels,
        )
        sample = restored(sample, held, made.root, options.boxes)
        return Found(sample, {k: v for k, v in image.attributes.items() if k not in ("name", "kept")})
    raise AssertionError


def _id(image: Element, path: str, at: float | None) -> str:
    """The name of a picture, with its folder where CVAT put it into one; a frame is named by its video."""
    if at is not None:
        return sample_id(path, at=at)
    return path if path.endswith(f"/{image['name']}") else image["name"]


def _sides(box: Element, size: tuple[float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = sides_of(box)
    return box_of_pixels(left, top, right - left, bottom - top, *size)


def _bare(held: Sequence[Element], options: CvatOptions, made: Imported) -> bool:
    """Whether an image, or the tracks of a video, have shapes without a box, for which they stay unlabelled."""
    count = sum(p.name in WITHOUT_A_BOX for one in held for p in one.parts)
    made.left_out["points and skeletons, which have no box"] += count
    if count and not options.pass_over:
        made.left_out["images or videos left without boxes for points in them (else --set pass_over=true)"] += 1
    return bool(count) and not options.pass_over


def _kept(text: str) -> dict[str, Any]:
    try:
        return an_object(json.loads(text), "kept")
    except json.JSONDecodeError:
        raise ValueError(f"kept: not JSON: {shown(text)}") from None


def _videos(file: Path, top: Element, options: CvatOptions, made: Imported) -> list[Found]:
    tasks = video_tasks(file, top)
    held = [t for t in tasks if t.source] or (tasks if options.video else [])
    if not held:
        if not any(t.tracks for t in tasks):
            raise wrong(file, "there are no images and no tracks in it", hint="export it again")
        raise wrong(file, "the XML does not name its video", hint="--set video=FILE")
    if options.video:
        if len(held) > 1:
            raise wrong(file, f"it has {len(held)} videos, by their names", hint="leave out --set video")
        held[0].source = options.video
    made.left_out["tracks of tasks without a video"] += sum(len(t.tracks) for t in tasks if not t.source)
    entries = [e.text for e in top.find_all("meta/kept/sample")]
    bare = [t.source or "" for t in held if not t.tracks and not entries]
    if bare:
        more = f" and {len(bare) - 10} more" if len(bare) > 10 else ""
        made.notes.append(f"taken as videos in which nothing is: {', '.join(bare[:10])}{more}")
    found: list[Found] = []
    for task in held:
        name = task.source or ""
        rate = video_rate(made.root / name, options.rate)
        boxes = _timed(file, task, rate, options, made)
        with parsing(file, "video", task.facts.line):
            span = None
            if task.frames is not None and sum(t.source == name for t in held) > 1:
                span = round(float(task.frames.start / rate), 6), round(float(task.frames.stop / rate), 6)
            key, labels = sample_id(name, span=span), {options.boxes: tuple(b for _, b in boxes)}
            if _bare(task.tracks, options, made):
                labels = {}
            all_of_it = Sample(id=key, media=(medium(name, "video"),), span=span, split=task.split, labels=labels)
            kept = [_kept(text) for text in entries]
            samples = parted(kept, boxes, all_of_it, made.root, options.boxes, made.left_out) if kept else [all_of_it]
            found += [Found(sample, {"source": name}) for sample in samples]
    return found


def _timed(
    file: Path, task: VideoTask, rate: Fraction, options: CvatOptions, made: Imported
) -> list[tuple[int, LabelledBox]]:
    """The boxes of a task's tracks in order, with the frames of the video that they lie on."""
    boxes: list[tuple[int, LabelledBox]] = []
    size = size_of(file, task) if any(p.name in _BOXED for t in task.tracks for p in t.parts) else (0.0, 0.0)
    put_in = 0
    for number, track in enumerate(task.tracks):
        called = None if track.get("alone") else track.get("track") or track.get("id") or str(number)
        keys: list[Key] = []
        for box in (p for p in track.parts if p.name in _BOXED):
            with parsing(file, box.name, box.line):
                frame = whole(box["frame"], "frame") - task.before
                inside = box.get("outside") != "1"
                if inside and task.frames is not None and frame not in task.frames:
                    first, last = task.frames.start + task.before, task.frames.stop - 1 + task.before
                    raise ValueError(f"frame: expected one of its task, {first} to {last}, got {box['frame']}")
                keys.append(Key(frame, box, _box(box, track, size, options, made) if inside else None))
        with parsing(file, "track", track.line):
            more = between(keys, task.step, lambda shape: _sides(shape, size), made.left_out)
        put_in += len(more)
        for frame, box in [*((k.frame, k.box) for k in keys if k.box is not None), *more]:
            at = round(float(Fraction(frame) / rate), 6)
            boxes.append((frame, box.model_copy(update={"at": at, "track": called})))
    if put_in:
        made.notes.append(f"{task.source}: {put_in} boxes were put in between key frames, where CVAT shows them")
    return sorted(boxes, key=lambda b: (b[0], b[1].track or ""))


FORMAT = Cvat()
