"""CVAT XML 1.1: boxes and tags of images, tracks of videos (docs.cvat.ai, XML annotation format)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from xml.sax.saxutils import escape, quoteattr

from pydantic import Field

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._kept import kept, parted, plain_json, restored, sequences, tell_losses
from onlooker.learning.datasets.formats._pictures import picture_of, size_of
from onlooker.learning.datasets.formats._xml import Element, read_xml
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    around,
    box_of_pixels,
    classes_of,
    filled,
    frame_of,
    medium,
    parsing,
    task_of_kind,
    video_rate,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, Media, MediaKind, Sample, Task, is_name
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Cvat", "CvatOptions"]

_DEFAULT: dict[str, str | None] = {"": None, "default": None}
_UNSET = ("", "__undefined__")
_CROWD = ("crowd", "is_crowd", "iscrowd")
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OTHERS = ("polygon", "polyline", "points", "cuboid", "mask", "ellipse", "skeleton")


class CvatOptions(FormatOptions):
    """Options.

    Attributes:
        boxes: name of the task that boxes and tracks belong to.
        tags: name of the task that tags of images belong to.
        label: class of a box, from ``{label}`` and the names of attributes: ``{label} {colour}``.
        video: file of the video below the media folder, where the XML does not name it.
        rate: frames a second, where the video does not say.
        form: to write: ``images``, or ``video`` with one file for each video.
    """

    boxes: str = "objects"
    tags: str = "tags"
    label: str = "{label}"
    video: str | None = None
    rate: float | None = Field(default=None, gt=0)
    form: str = Field(default="", pattern="^(images|video|)$")


class Cvat:
    """For images one sample each, for a video one sample, unless it was written as several.

    Attributes of tags are tasks of their images. Of a box, ``crowd``, ``score``, ``track_id`` and those in ``label``
    are taken; others are counted.
    """

    name: ClassVar[str] = "cvat"
    description: ClassVar[str] = "CVAT XML 1.1 for images and for video"
    holds: ClassVar[frozenset[Kind]] = frozenset(("boxes", "multi-label"))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("image", "video"))
    Options: ClassVar[type[FormatOptions]] = CvatOptions

    def read(self, path: Path, options: CvatOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
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
                made.found += _video(file, top, options, made)
            else:
                made.found += [_image(file, image, options, made) for image in top.find_all("image")]
        samples = [f.sample for f in made.found]
        tags_alone = {n.find_all("name").__next__().text.strip() for n in _typed(tops, "tag")}
        for task, kind in _kinds(options, samples, tops).items():
            with_classes = Task(kind=kind).has_classes
            used = classes_of(samples, task, kind) if with_classes else ()
            known = [n for n in named if n in used] if kind == "multi-label" else []
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
            whole = any(s.of_kind("image") is None and s.at is None for s in samples)
            form = "video" if whole else "images"
        labels: dict[str, str] = {}
        for task, shape in ((boxes, "rectangle"), (tags, "tag")):
            for name in dataset.info.tasks[task].classes if task is not None else ():
                labels[name] = shape if labels.get(name, shape) == shape else "any"
        if form == "images":
            return _write_images(dataset, samples, target, labels, boxes, tags)
        if boxes is None:
            raise UsageError("CVAT's video form holds boxes; there is no such task", hint="--set form=images")
        return _write_videos(dataset, samples, target, labels, boxes)


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
    made.left_out["marks of occluded boxes"] += box.get("occluded") == "1"
    return LabelledBox(
        label=label,
        box=_sides(box, size),
        at=None if box.get("at") is None else float(box["at"]),
        track=track,
        crowd=crowd.lower() in ("1", "true", "yes"),
        score=None if score is None else float(score),
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


def _image(file: Path, image: Element, options: CvatOptions, made: Imported) -> Found:
    with parsing(file, "image", image.line):
        name, size = image["name"], (float(image["width"]), float(image["height"]))
        boxes: list[LabelledBox] = []
        for box in image.find_all("box"):
            with parsing(file, "box", box.line):
                boxes.append(_box(box, box, size, options, made))
        made.left_out["shapes other than boxes"] += sum(p.name in _OTHERS for p in image.parts)
        tags = tuple(dict.fromkeys(tag["label"] for tag in image.find_all("tag")))
        held = json.loads(image.get("kept") or "{}")
        labels: dict[str, Any] = (
            {options.boxes: tuple(boxes)} if boxes or not tags or "kept" in image.attributes else {}
        )
        labels |= {options.tags: tags} if tags or "tagged" in held else {}
        labels |= _tagged(image, options, made)
        sample = Sample(
            id=image.get("sample") or name,
            media=(medium(name, "image"),),
            split=_DEFAULT.get(image.get("subset") or "", image.get("subset")),
            labels=labels,
        )
        sample = restored(sample, held, made.root, options.boxes)
        return Found(sample, {k: v for k, v in image.attributes.items() if k not in ("name", "kept")})
    raise AssertionError


def _sides(box: Element, size: tuple[float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(box[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
    turned = float(box.get("rotation") or 0)
    if turned:
        left, top, right, bottom = around(left, top, right, bottom, turned, ((left + right) / 2, (top + bottom) / 2))
    return box_of_pixels(left, top, right - left, bottom - top, *size)


def _video(file: Path, top: Element, options: CvatOptions, made: Imported) -> list[Found]:
    source = next((s.text.strip() for s in top.find_all("meta/**/source")), None)
    name = options.video or source
    if not name:
        raise wrong(file, "the XML does not name its video", hint="--set video=FILE")
    size = [next((float(s.text) for s in top.find_all(f"meta/**/original_size/{k}")), 0.0) for k in ("width", "height")]
    rate = video_rate(made.root / name, options.rate)
    boxes: list[tuple[int, LabelledBox]] = []
    for number, track in enumerate(top.find_all("track")):
        made.left_out["tracks of shapes other than boxes"] += any(p.name in _OTHERS for p in track.parts)
        called = None if track.get("alone") else track.get("track") or track.get("id") or str(number)
        for box in track.find_all("box"):
            if box.get("outside") == "1":
                continue
            with parsing(file, "box", box.line):
                frame = int(box["frame"])
                more = {"at": round(float(Fraction(frame) / rate), 6), "track": called}
                boxes.append((frame, _box(box, track, (size[0], size[1]), options, made).model_copy(update=more)))
    boxes.sort(key=lambda b: (b[0], b[1].track or ""))
    with parsing(file, "video"):
        subset = next((_DEFAULT.get(s.text.strip(), s.text.strip()) for s in top.find_all("meta/**/subset")), None)
        labels = {options.boxes: tuple(b for _, b in boxes)}
        whole = Sample(id=name, media=(medium(name, "video"),), split=subset, labels=labels)
        entries = [json.loads(e.text) for e in top.find_all("meta/kept/sample")]
        samples = parted(entries, boxes, whole, made.root, options.boxes, made.left_out) if entries else [whole]
        return [Found(sample, {"source": name}) for sample in samples]
    raise AssertionError


def _attribute(text: str) -> str:
    """A value in quotes."""
    return quoteattr(_sayable(text))


def _sayable(text: str) -> str:
    if found := _NOT_IN_XML.search(text):
        raise UsageError(f"{text!r}: XML cannot hold {found[0]!r}", hint="rename it")
    return text


def _head(name: str, labels: Mapping[str, str], more: str = "", entries: Sequence[Any] = ()) -> str:
    listed = "".join(
        f"<label><name>{escape(_sayable(c))}</name><type>{shape}</type></label>" for c, shape in labels.items()
    )
    meta = f"<task><name>{escape(_sayable(name))}</name><labels>{listed}</labels>{more}</task>"
    if entries:
        meta += "<kept>" + "".join(f"<sample>{escape(plain_json(e))}</sample>" for e in entries) + "</kept>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>{meta}</meta>\n'


def _more(box: LabelledBox, *, alone: bool) -> str:
    """What CVAT's boxes do not say, for ourselves; CVAT passes it over."""
    said = ' crowd="1"' * box.crowd + ("" if box.score is None else f' score="{box.score!r}"')
    if alone:
        said += "" if box.track is None else f" track={_attribute(box.track)}"
        said += "" if box.at is None else f' at="{box.at!r}"'
    return said


def _write_images(
    dataset: Dataset,
    samples: Sequence[Sample],
    target: Path,
    classes: Mapping[str, str],
    boxes: str | None,
    tags: str | None,
) -> Written:
    done = Written(files=[target])
    tell_losses(dataset, samples, done, [boxes, tags])
    out = [_head(dataset.info.name, classes)]
    for sample in samples:
        picture = picture_of(dataset, sample, target, done)
        if picture is None:
            done.left_out["not a picture or frame"] += 1
            continue
        width, height = size_of(dataset, sample)
        held = kept(sample, boxes) | ({"tagged": True} if tags in sample.labels else {})
        subset = f" subset={_attribute(sample.split)}" if sample.split else ""
        named = plain_json({k: v for k, v in held.items() if k != "sample"})
        out.append(
            f'<image id="{done.samples}" name={_attribute(picture)} width="{width}" height="{height}"'
            f" sample={quoteattr(_NOT_IN_XML.sub('?', sample.id))}{subset} kept={quoteattr(named)}>\n"
        )
        for box in sample.labels.get(boxes or "", ()):
            left, top, right, bottom = box.box
            out.append(
                f'<box label={_attribute(box.label)} source="manual" occluded="0" xtl="{left * width:.4f}"'
                f' ytl="{top * height:.4f}" xbr="{right * width:.4f}" ybr="{bottom * height:.4f}" z_order="0"'
                f"{_more(box, alone=True)}></box>\n"
            )
        for tag in sample.labels.get(tags or "", ()):
            out.append(f'<tag label={_attribute(tag)} source="manual"></tag>\n')
        out.append("</image>\n")
        done.samples += 1
    write_whole(target, "".join(out) + "</annotations>\n")
    return done


def _write_videos(
    dataset: Dataset, samples: Sequence[Sample], target: Path, classes: Mapping[str, str], name: str
) -> Written:
    done = Written()
    tell_losses(dataset, samples, done, [name])
    held = list(sequences(samples, name, done))
    for video, split, group, entries in held:
        path = video.path
        place = target if len(held) == 1 and target.suffix == ".xml" else target / f"{PurePosixPath(path).stem}.xml"
        if place in done.files:
            place = target / f"{path.replace('/', '_')}.xml"
        base, number = place, 2
        while place in done.files:
            place, number = base.with_stem(f"{base.stem}-{number}"), number + 1
        more = f"<subset>{escape(_sayable(split))}</subset>" if split else ""
        more += f"<original_size><width>{video.width}</width><height>{video.height}</height></original_size>"
        more += f"<source>{escape(_sayable(path))}</source>"
        body = _tracks(group, name, video, done)
        write_whole(place, _head(dataset.info.name, classes, more, entries) + body + "</annotations>\n")
        done.files.append(place)
        done.samples += len(group)
    return done


def _tracks(samples: Sequence[Sample], name: str, video: Media, done: Written) -> str:
    """Every frame of a track is a key frame; after a gap, and at its end, the track is outside.

    CVAT numbers tracks, and a track has one label: names of others stand beside.
    """
    rate, size = video.frame_rate or Fraction(25), (video.width or 1, video.height or 1)
    tracks: dict[tuple[str | int, str], list[tuple[int, LabelledBox]]] = defaultdict(list)
    alone = 0
    for sample in samples:
        for box in sample.labels.get(name, ()):
            timed = box if box.at is not None else box.model_copy(update={"at": sample.at})
            if timed.at is None:
                done.left_out["boxes without a time"] += 1
                continue
            alone += box.track is None
            tracks[alone if box.track is None else box.track, box.label].append((frame_of(timed, rate), timed))
    numbers = {t for t, _ in tracks if isinstance(t, str) and t.isdecimal() and t.isascii() and str(int(t)) == t}
    taken, free = set(numbers), (str(n) for n in range(len(tracks) + len(numbers) + 1))
    out: list[str] = []
    for (track, label), boxes in tracks.items():
        number = track if isinstance(track, str) and track in numbers else next(n for n in free if n not in taken)
        numbers.discard(number)
        more = ' alone="1"' if isinstance(track, int) else f" track={_attribute(track)}" * (track != number)
        out.append(f'<track id="{number}" label={_attribute(label)} source="manual"{more}>\n')
        boxes.sort(key=lambda b: b[0])
        frames = {f for f, _ in boxes}
        for frame, box in boxes:
            out.append(_shape(frame, box, size, outside=False))
            if frame + 1 not in frames:
                out.append(_shape(frame + 1, box, size, outside=True))
        out.append("</track>\n")
    return "".join(out)


def _shape(frame: int, box: LabelledBox, size: tuple[int, int], *, outside: bool) -> str:
    left, top, right, bottom = box.box
    sides = (left * size[0], top * size[1], right * size[0], bottom * size[1])
    named = " ".join(f'{k}="{v:.4f}"' for k, v in zip(("xtl", "ytl", "xbr", "ybr"), sides, strict=True))
    more = _more(box, alone=False)
    return f'<box frame="{frame}" keyframe="1" outside="{int(outside)}" occluded="0" {named} z_order="0"{more}></box>\n'


FORMAT = Cvat()
