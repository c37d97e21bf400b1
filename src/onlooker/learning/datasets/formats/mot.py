"""MOTChallenge folders: ``seqinfo.ini`` and ``gt/gt.txt``.

Its columns: frame, id, left, top, width, height, conf, class, visibility.
"""

from __future__ import annotations

import configparser
import csv
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    box_of_pixels,
    frame_of,
    kind_of,
    medium,
    only_task,
    parsing,
    sample_id,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Mot", "MotOptions"]

_CLASSES = {
    1: "pedestrian",
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "occluder full",
    12: "reflection",
}


class MotOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        label: class of boxes that name none.
        every: 0 makes one sample of each sequence; n makes one of every n-th frame.
        classes: names by number, in place of MOTChallenge's own.
        ignored: whether to keep boxes that are marked not to be counted (conf 0), as crowd.
        file: which file below the sequence.
    """

    task: str = "objects"
    label: str = "person"
    every: int = Field(default=0, ge=0)
    classes: dict[int, str] = Field(default_factory=lambda: dict(_CLASSES))
    ignored: bool = False
    file: str = "gt/gt.txt"


class Mot:
    """A folder for each sequence, with a video or ``img1``."""

    name: ClassVar[str] = "mot"
    description: ClassVar[str] = "MOTChallenge sequences: boxes with tracks"
    holds: ClassVar[frozenset[Kind]] = frozenset(("boxes",))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("video",))
    Options: ClassVar[type[FormatOptions]] = MotOptions

    def read(self, path: Path, options: MotOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        depth = len(Path(options.file).parts)
        folders = [p.parents[depth - 1] for p in sorted(path.glob(f"**/{options.file}"))]
        if not folders:
            raise wrong(path, f"no sequence ({options.file})", hint="name a sequence or a folder of sequences")
        made = Imported(media or path, {}, [])
        used: dict[str, None] = {}
        for folder in folders:
            facts = _facts(folder)
            boxes = _boxes(folder / options.file, options, facts, made)
            used |= dict.fromkeys(b.label for held in boxes.values() for b in held)
            with parsing(folder, "media"):
                made.found += _samples(folder, made.root, facts, boxes, options)
        order = [c for c in options.classes.values() if c in used]
        made.tasks[options.task] = Task(kind="boxes", classes=tuple(dict.fromkeys([*order, *sorted(used)])))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: MotOptions) -> Written:
        """One folder for each video; classes by their number in the task, counted from 1."""
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("boxes",), wanted, self.name)
        done = Written()
        videos: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            video = sample.of_kind("video")
            if video is None or video.frame_rate is None or not video.width or not video.height:
                done.left_out["without video or frame rate"] += 1
            else:
                videos[video.path].append(sample)
        for path, held in videos.items():
            folder = target / Path(path).with_suffix("")
            rows = _rows(held, name, task, done)
            write_whole(folder / "gt" / "gt.txt", "".join(rows))
            write_whole(folder / "seqinfo.ini", _info(held[0], path, task))
            done.files += [folder / "gt" / "gt.txt", folder / "seqinfo.ini"]
            done.samples += len(held)
        return done


def _facts(folder: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string((folder / "seqinfo.ini").read_text(encoding="utf-8"))
        facts = {k: v for section in parser.sections() for k, v in parser.items(section)}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigError(f"cannot read {folder / 'seqinfo.ini'}: {error}", hint="MOTChallenge has one") from None
    for needed in ("framerate", "imwidth", "imheight"):
        try:
            good = Fraction(facts.get(needed, "0")) > 0
        except (ValueError, ZeroDivisionError):
            good = False
        if not good:
            raise wrong(folder / "seqinfo.ini", f"{needed}: expected a number, got {facts.get(needed)!r}")
    return facts


def _boxes(path: Path, options: MotOptions, facts: dict[str, str], made: Imported) -> dict[int, list[LabelledBox]]:
    """Boxes by frame, counted from 0."""
    rate, size = Fraction(facts["framerate"]), (float(facts["imwidth"]), float(facts["imheight"]))
    names = [v for k, v in sorted(facts.items()) if k.startswith("class.")]
    held: dict[int, list[LabelledBox]] = defaultdict(list)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    for line, row in enumerate(csv.reader(text.splitlines()), 1):
        if not row:
            continue
        with parsing(path, "row", line):
            frame, track = int(float(row[0])), row[1].strip()
            if frame < 1:
                raise ValueError(f"frames count from 1, got {frame}")
            crowd = float(row[6]) == 0 if len(row) > 6 else False
            if crowd and not options.ignored:
                made.left_out["boxes not to be counted"] += 1
                continue
            # ten columns are of 2015, where the last three are a place in the world
            number = int(float(row[7])) if 7 < len(row) < 10 else -1
            named = names[number - 1] if names and 0 < number <= len(names) else None
            label = named or options.classes.get(number, f"class {number}") if number >= 0 else options.label
            left, top, wide, high = (float(v) for v in row[2:6])
            sides = box_of_pixels(left, top, wide, high, *size)
            at = round(float((frame - 1) / rate), 6)
            box = LabelledBox(label=label, box=sides, at=at, track=None if track == "-1" else track, crowd=crowd)
            held[frame - 1].append(box)
    return held


def _samples(
    folder: Path, root: Path, facts: dict[str, str], boxes: dict[int, list[LabelledBox]], options: MotOptions
) -> list[Found]:
    rate = Fraction(facts["framerate"])
    fields = {"sequence": facts.get("name") or folder.resolve().name}
    groups = {"source": fields["sequence"]}
    count = int(facts.get("seqlength") or 0) or max(boxes, default=-1) + 1
    video = _video(folder, facts, root)
    if video is None:
        pictures = sorted(p for p in (folder / facts.get("imdir", "img1")).glob("*") if kind_of(p) == "image")
        if not pictures:
            raise wrong(folder, "no video and no pictures (img1)", hint="name the video in seqinfo.ini: video=FILE")
        made: list[Found] = []
        for frame in range(0, min(count, len(pictures)), options.every or 1):
            path = pictures[frame].relative_to(root).as_posix()
            alone = [b.model_copy(update={"at": None}) for b in boxes.get(frame, ())]
            labels = {options.task: tuple(alone)}
            made.append(Found(Sample(id=path, media=(medium(path, "image"),), groups=groups, labels=labels), fields))
        return made
    path = video.relative_to(root).as_posix()
    if not options.every:
        flat = tuple(b for frame in sorted(boxes) for b in boxes[frame])
        end = round(float(count / rate), 6)
        sample = Sample(
            id=path, media=(medium(path, "video"),), span=(0.0, end), groups=groups, labels={options.task: flat}
        )
        return [Found(sample, fields)]
    made = []
    for frame in range(0, count, options.every):
        at = round(float(frame / rate), 6)
        labels = {options.task: tuple(boxes.get(frame, ()))}
        key = sample_id(path, at=at)
        sample = Sample(id=key, media=(medium(path, "video"),), at=at, groups=groups, labels=labels)
        made.append(Found(sample, fields))
    return made


def _video(folder: Path, facts: dict[str, str], root: Path) -> Path | None:
    named = facts.get("video")
    if named:
        if Path(named).is_absolute() or ".." in Path(named).parts:
            raise wrong(folder / "seqinfo.ini", f"video: expected a file of the sequence, got {named!r}")
        found = [p for p in (folder / named, root / named) if p.is_file()]
        if not found:
            raise wrong(folder / "seqinfo.ini", f"video: {named} is not there", hint="or say --media FOLDER")
        return found[0]
    return next((p for p in sorted(folder.iterdir()) if kind_of(p) == "video"), None)


def _rows(samples: Sequence[Sample], name: str, task: Task, done: Written) -> list[str]:
    tracks: dict[str, int] = {}
    rows: list[tuple[int, int, str]] = []
    for sample in samples:
        video = sample.of_kind("video")
        assert video is not None
        assert video.frame_rate is not None
        width, height = video.width or 1, video.height or 1
        for box in sample.labels.get(name, ()):
            if box.at is None and sample.at is None:
                done.left_out["boxes without a time"] += 1
                continue
            timed = box if box.at is not None else box.model_copy(update={"at": sample.at})
            frame = frame_of(timed, video.frame_rate) + 1
            number = -1
            if box.track is not None:
                number = tracks.setdefault(box.track, int(box.track) if _free(box.track, tracks) else _next(tracks))
            left, top, right, bottom = box.box
            place = (left * width, top * height, (right - left) * width, (bottom - top) * height)
            sides = ",".join(f"{v:.4f}" for v in place)
            kind = task.classes.index(box.label) + 1
            rows.append((frame, number, f"{frame},{number},{sides},{int(not box.crowd)},{kind},1\n"))
    return [text for _, _, text in sorted(rows)]


def _free(track: str, tracks: dict[str, int]) -> bool:
    return track.isdecimal() and int(track) > 0 and str(int(track)) == track and int(track) not in tracks.values()


def _next(tracks: dict[str, int]) -> int:
    return max(tracks.values(), default=0) + 1


def _info(sample: Sample, path: str, task: Task) -> str:
    video = sample.of_kind("video")
    assert video is not None
    rate, seconds = video.frame_rate or Fraction(25), Fraction(str(video.seconds or 0))
    if any("\n" in c for c in task.classes) or "\n" in path:
        raise UsageError("a name with a line break has no place in seqinfo.ini", hint="rename it")
    lines: list[Any] = ["[Sequence]", f"name={Path(path).with_suffix('').as_posix()}", f"frameRate={rate}"]
    lines += [f"seqLength={round(seconds * rate)}", f"imWidth={video.width}", f"imHeight={video.height}"]
    lines += [f"video={path}", *(f"class.{n:04d}={c}" for n, c in enumerate(task.classes, 1))]
    return "\n".join(lines) + "\n"


FORMAT = Mot()
