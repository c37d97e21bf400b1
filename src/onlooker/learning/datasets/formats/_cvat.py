"""CVAT XML 1.1 as it is written."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._kept import kept, plain_json, sequences, tell_losses
from onlooker.learning.datasets.formats._pictures import pictures_of, size_of
from onlooker.learning.datasets.formats.format import Written, frame_of
from onlooker.learning.datasets.manifest import LabelledBox, Media, Sample
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["write_images", "write_videos"]

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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


def write_images(
    dataset: Dataset,
    samples: Sequence[Sample],
    target: Path,
    classes: Mapping[str, str],
    boxes: str | None,
    tags: str | None,
) -> Written:
    """The form for images: classes with their shapes, and the tasks of boxes and of tags."""
    done = Written(files=[target])
    tell_losses(dataset, samples, done, [boxes, tags])
    out = [_head(dataset.info.name, classes)]
    for sample, picture in pictures_of(dataset, samples, target, done):
        width, height = size_of(dataset, sample)
        held = kept(sample, boxes) | ({"tagged": True} if tags in sample.labels else {})
        named = plain_json({k: v for k, v in held.items() if k != "sample"})
        out.append(
            f'<image id="{done.samples}" name={_attribute(picture)} width="{width}" height="{height}"'
            f" sample={quoteattr(_NOT_IN_XML.sub('?', sample.id))} kept={quoteattr(named)}>\n"
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


def write_videos(
    dataset: Dataset, samples: Sequence[Sample], target: Path, classes: Mapping[str, str], name: str
) -> Written:
    """The form for video, one file for each; ``target`` is the file, or the folder where there are several."""
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
    """Every frame of a track is a key frame; after a gap, and at its end inside of the video, the track is outside.

    CVAT numbers tracks, and a track has one label: names of others stand beside.
    """
    rate, size = video.frame_rate or Fraction(25), (video.width or 1, video.height or 1)
    count = round(Fraction(str(video.seconds)) * rate) if video.seconds else None
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
            if frame + 1 not in frames and frame + 1 != count:
                out.append(_shape(frame + 1, box, size, outside=True))
        out.append("</track>\n")
    return "".join(out)


def _shape(frame: int, box: LabelledBox, size: tuple[int, int], *, outside: bool) -> str:
    left, top, right, bottom = box.box
    sides = (left * size[0], top * size[1], right * size[0], bottom * size[1])
    named = " ".join(f'{k}="{v:.4f}"' for k, v in zip(("xtl", "ytl", "xbr", "ybr"), sides, strict=True))
    more = _more(box, alone=False)
    return f'<box frame="{frame}" keyframe="1" outside="{int(outside)}" occluded="0" {named} z_order="0"{more}></box>\n'
