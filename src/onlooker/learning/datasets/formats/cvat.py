"""CVAT XML 1.1: boxes and tags of images, tracks of videos (docs.cvat.ai, XML annotation format)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import ClassVar
from xml.sax.saxutils import escape, quoteattr

from pydantic import Field

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
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
    frame_of,
    medium,
    parsing,
    task_of_kind,
    video_rate,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Cvat", "CvatOptions"]


_OTHERS = ("polygon", "polyline", "points", "cuboid", "mask", "ellipse", "skeleton")


class CvatOptions(FormatOptions):
    """Options.

    Attributes:
        boxes: name of the task that boxes and tracks belong to.
        tags: name of the task that tags of images belong to.
        video: file of the video below the media folder, where the XML does not name it.
        rate: frames a second, where the video does not say.
        form: to write: ``images``, or ``video`` with one file for each video.
    """

    boxes: str = "objects"
    tags: str = "tags"
    video: str | None = None
    rate: float | None = Field(default=None, gt=0)
    form: str = Field(default="", pattern="^(images|video|)$")


class Cvat:
    """For images one sample each, for a video one sample; attributes are left out."""

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
        for file in files:
            top = read_xml(file)
            if top.name != "annotations":
                raise wrong(file, f"expected <annotations>, got <{top.name}>", top.line)
            named += [n.text.strip() for n in top.find_all("meta/**/label/name")]
            if any(True for _ in top.find_all("track")) or not any(True for _ in top.find_all("image")):
                made.found.append(_video(file, top, options, made))
            else:
                made.found += [_image(file, image, options, made) for image in top.find_all("image")]
        samples = [f.sample for f in made.found]
        kinds: list[tuple[str, Kind]] = [(options.boxes, "boxes"), (options.tags, "multi-label")]
        for task, kind in kinds:
            if any(task in s.labels for s in samples):
                used = classes_of(samples, task, kind)
                known = [n for n in named if n in used] if kind == "multi-label" else named
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
        labels = [c for t in (boxes, tags) if t is not None for c in dataset.info.tasks[t].classes]
        head = _head(dataset.info.name, list(dict.fromkeys(labels)))
        if form == "images":
            return _write_images(dataset, samples, target, head, boxes, tags)
        if boxes is None:
            raise UsageError("CVAT's video form holds boxes; there is no such task", hint="--set form=images")
        return _write_videos(dataset, samples, target, labels, boxes)


def _image(file: Path, image: Element, options: CvatOptions, made: Imported) -> Found:
    with parsing(file, "image", image.line):
        name, size = image["name"], (float(image["width"]), float(image["height"]))
        boxes: list[LabelledBox] = []
        for box in image.find_all("box"):
            with parsing(file, "box", box.line):
                boxes.append(LabelledBox(label=box["label"], box=_sides(box, size)))
        made.left_out["shapes other than boxes"] += sum(p.name in _OTHERS for p in image.parts)
        tags = tuple(dict.fromkeys(tag["label"] for tag in image.find_all("tag")))
        labels = {options.boxes: tuple(boxes)} if boxes or not tags else {}
        labels |= {options.tags: tags} if tags else {}
        subset = image.get("subset") or None
        sample = Sample(
            id=image.get("sample") or name, media=(medium(name, "image"),), split=_split(subset), labels=labels
        )
        return Found(sample, {k: v for k, v in image.attributes.items() if k != "name"})
    raise AssertionError


def _split(subset: str | None) -> str | None:
    return None if subset in (None, "default") else subset


def _sides(box: Element, size: tuple[float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(box[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
    turned = float(box.get("rotation") or 0)
    if turned:
        left, top, right, bottom = around(left, top, right, bottom, turned, ((left + right) / 2, (top + bottom) / 2))
    return box_of_pixels(left, top, right - left, bottom - top, *size)


def _video(file: Path, top: Element, options: CvatOptions, made: Imported) -> Found:
    source = next((s.text.strip() for s in top.find_all("meta/**/source")), None)
    name = options.video or source
    if not name:
        raise wrong(file, "the XML does not name its video", hint="--set video=FILE")
    size = [next((float(s.text) for s in top.find_all(f"meta/**/original_size/{k}")), 0.0) for k in ("width", "height")]
    rate = video_rate(made.root / name, options.rate)
    boxes: list[LabelledBox] = []
    for number, track in enumerate(top.find_all("track")):
        made.left_out["tracks of shapes other than boxes"] += any(p.name in _OTHERS for p in track.parts)
        for box in track.find_all("box"):
            if box.get("outside") == "1":
                continue
            with parsing(file, "box", box.line):
                at = round(float(Fraction(int(box["frame"])) / rate), 6)
                boxes.append(
                    LabelledBox(
                        label=track["label"],
                        box=_sides(box, (size[0], size[1])),
                        at=at,
                        track=track.get("id") or str(number),
                    )
                )
    boxes.sort(key=lambda b: (b.at or 0.0, b.track or ""))
    with parsing(file, "video"):
        sample = Sample(id=name, media=(medium(name, "video"),), labels={options.boxes: tuple(boxes)})
    return Found(sample, {"source": name})


def _head(name: str, labels: Sequence[str], more: str = "") -> str:
    listed = "".join(f"<label><name>{escape(c)}</name></label>" for c in labels)
    task = f"<task><name>{escape(name)}</name><labels>{listed}</labels>{more}</task>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>{task}</meta>\n'


def _write_images(
    dataset: Dataset, samples: Sequence[Sample], target: Path, head: str, boxes: str | None, tags: str | None
) -> Written:
    done = Written(files=[target])
    out = [head]
    for sample in samples:
        picture = picture_of(dataset, sample, target, done)
        if picture is None:
            done.left_out["not a picture or frame"] += 1
            continue
        width, height = size_of(dataset, sample)
        subset = f" subset={quoteattr(sample.split)}" if sample.split else ""
        out.append(
            f'<image id="{done.samples}" name={quoteattr(picture)} width="{width}" height="{height}"'
            f" sample={quoteattr(sample.id)}{subset}>\n"
        )
        for box in sample.labels.get(boxes or "", ()):
            left, top, right, bottom = box.box
            out.append(
                f'<box label={quoteattr(box.label)} source="manual" occluded="0" xtl="{left * width:.4f}"'
                f' ytl="{top * height:.4f}" xbr="{right * width:.4f}" ybr="{bottom * height:.4f}" z_order="0"></box>\n'
            )
        for tag in sample.labels.get(tags or "", ()):
            out.append(f'<tag label={quoteattr(tag)} source="manual"></tag>\n')
        out.append("</image>\n")
        done.samples += 1
    write_whole(target, "".join(out) + "</annotations>\n")
    return done


def _write_videos(
    dataset: Dataset, samples: Sequence[Sample], target: Path, labels: Sequence[str], name: str
) -> Written:
    done = Written()
    held: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        video = sample.of_kind("video")
        if video is None or video.frame_rate is None or not video.width:
            done.left_out["without video or frame rate"] += 1
        else:
            held[video.path].append(sample)
    for path, group in held.items():
        place = target if len(held) == 1 and target.suffix == ".xml" else target / f"{PurePosixPath(path).stem}.xml"
        if place in done.files:
            place = target / f"{path.replace('/', '_')}.xml"
        video = group[0].of_kind("video")
        assert video is not None
        more = f"<original_size><width>{video.width}</width><height>{video.height}</height></original_size>"
        more += f"<source>{escape(path)}</source>"
        body = _tracks(group, name, video.frame_rate or Fraction(25), (video.width or 1, video.height or 1), done)
        write_whole(place, _head(dataset.info.name, list(dict.fromkeys(labels)), more) + body + "</annotations>\n")
        done.files.append(place)
        done.samples += len(group)
    return done


def _tracks(samples: Sequence[Sample], name: str, rate: Fraction, size: tuple[int, int], done: Written) -> str:
    """Every frame of a track is a key frame; after a gap, and at its end, the track is outside."""
    tracks: dict[tuple[str, str], list[tuple[int, LabelledBox]]] = defaultdict(list)
    alone = 0
    for sample in samples:
        for box in sample.labels.get(name, ()):
            timed = box if box.at is not None else box.model_copy(update={"at": sample.at})
            if timed.at is None:
                done.left_out["boxes without a time"] += 1
                continue
            key = box.track
            if key is None:
                key, alone = f"alone {alone}", alone + 1
            tracks[key, box.label].append((frame_of(timed, rate), timed))
    out: list[str] = []
    for (track, label), boxes in tracks.items():
        out.append(f'<track id={quoteattr(track)} label={quoteattr(label)} source="manual">\n')
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
    return f'<box frame="{frame}" keyframe="1" outside="{int(outside)}" occluded="0" {named} z_order="0"></box>\n'


FORMAT = Cvat()
