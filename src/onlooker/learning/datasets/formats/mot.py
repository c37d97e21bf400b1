"""MOTChallenge folders: ``seqinfo.ini`` and ``gt/gt.txt``.

Its columns: frame, id, left, top, width, height, conf, class, visibility.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._checked import a_number
from onlooker.learning.datasets.formats._kept import parted, sequences, tell_losses, write_index
from onlooker.learning.datasets.formats._numbered import numbered_pictures
from onlooker.learning.datasets.formats._seqinfo import LONGEST, SEQINFO, facts_of
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
    part_of,
    sample_id,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, Media, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Mot", "MotOptions"]

_COLUMNS = ("frame", "id", "left", "top", "width", "height", "conf", "class")
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
    """A folder for each sequence, with a video or ``img1``, inside of folders of splits or not.

    What is written also has, in ``onlooker.json``, its video, exact rate, samples and names of tracks: some readers
    take no more in ``seqinfo.ini`` than MOTChallenge has there. ``gt/labels.txt`` names the classes, as CVAT does.
    """

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
        named: dict[str, None] = {}
        for folder in folders:
            facts = facts_of(folder, (folder / options.file).with_name("labels.txt"))
            boxes = _boxes(folder / options.file, options, facts, made)
            used |= dict.fromkeys(b.label for held in boxes.values() for b in held)
            named |= dict.fromkeys(facts["classes"])
            split = next(filter(None, map(part_of, folder.relative_to(path).parts[:-1])), None)
            with parsing(folder, "media"):
                made.found += _samples(folder, made, facts, boxes, options, split)
        order = [c for c in options.classes.values() if c in used and c not in named]
        made.tasks[options.task] = Task(kind="boxes", classes=tuple(dict.fromkeys([*named, *order, *sorted(used)])))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: MotOptions) -> Written:
        """One folder for each video, in that of its split; classes by their number in the task, counted from 1.

        Samples that overlap in time go into several.
        """
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("boxes",), wanted, self.name)
        done = Written()
        tell_losses(dataset, samples, done, [name], ["score"])
        for video, split, held, entries in sequences(samples, name, done):
            folder = base = target / (split or "") / Path(video.path).with_suffix("")
            number = 1
            while folder / SEQINFO in done.files:
                folder, number = base.with_name(f"{base.name}-{number + 1}"), number + 1
            rows, tracks = _rows(held, name, task, done)
            texts = {
                folder / "gt" / "gt.txt": "".join(rows),
                folder / "gt" / "labels.txt": "".join(f"{c}\n" for c in task.classes),
                folder / SEQINFO: _info(video, folder.relative_to(target), task),
            }
            for place, text in texts.items():
                write_whole(place, text)
                done.files.append(place)
            names = {str(n): track for track, n in tracks.items() if track != str(n)}
            more = {"video": video.path, "rate": video.rate, "tracks": names}
            index = {str(n): entry for n, entry in enumerate(entries, 1)}
            write_index(folder, {**more, "samples": index}, done, join=False)
            done.samples += len(held)
        return done


def _boxes(path: Path, options: MotOptions, facts: dict[str, Any], made: Imported) -> dict[int, list[LabelledBox]]:
    """Boxes by frame, counted from 0."""
    rate, size = facts["rate"], (float(facts["imwidth"]), float(facts["imheight"]))
    names, ours, tracks = facts["classes"], bool(facts["samples"]), facts["tracks"]
    held: dict[int, list[LabelledBox]] = defaultdict(list)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    for line, row in enumerate(csv.reader(text.splitlines()), 1):
        if not row:
            continue
        with parsing(path, "row", line):
            if len(row) < 6:
                raise ValueError(f"expected at least 6 columns, got {len(row)}")
            # ten columns are of 2015, where the last three are a place in the world
            columns = _COLUMNS if len(row) < 10 else _COLUMNS[:7]
            said = {name: a_number(v, name) for name, v in zip(columns, row, strict=False) if name != "id"}
            # some tools write all columns with a point
            frame, track = int(said["frame"]), re.sub(r"\.0*$", "", row[1].strip())
            if not 1 <= frame <= LONGEST:
                raise ValueError(f"frames count from 1 to {LONGEST}, got {frame}")
            crowd = said.get("conf") == 0
            # what a detector wrote
            made.left_out["scores of boxes"] += said.get("conf", 1) not in (-1, 0, 1)
            if crowd and not (options.ignored or ours):
                made.left_out["boxes not to be counted"] += 1
                continue
            number = int(said.get("class", -1))
            named = names[number - 1] if names and 0 < number <= len(names) else None
            label = named or options.classes.get(number, f"class {number}") if number >= 0 else options.label
            sides = box_of_pixels(said["left"], said["top"], said["width"], said["height"], *size)
            at = round(float((frame - 1) / rate), 6)
            box = LabelledBox(
                label=label, box=sides, at=at, track=None if track == "-1" else tracks.get(track, track), crowd=crowd
            )
            held[frame - 1].append(box)
    return held


def _samples(
    folder: Path,
    made: Imported,
    facts: dict[str, Any],
    boxes: dict[int, list[LabelledBox]],
    options: MotOptions,
    split: str | None,
) -> list[Found]:
    root, rate = made.root, facts["rate"]
    fields = {"sequence": facts.get("name") or folder.resolve().name}
    groups = {"source": fields["sequence"]}
    count = int(facts.get("seqlength") or 0) or max(boxes, default=-1) + 1
    video = _video(folder, facts, root)
    if video is None:
        like = Found(Sample(id="-", text="-", split=split, groups=groups), fields)
        count = max(count, max(boxes, default=-1) + 1)
        pictures = numbered_pictures(folder, facts.get("imdir", "img1"), count, made)
        return _pictures(pictures, made, boxes, options, like)
    if not video.is_relative_to(root):
        raise wrong(folder, f"its video {video.name} is not below {root}", hint="--media names the folder above all")
    path = video.relative_to(root).as_posix()
    if not options.every and facts["samples"]:
        pairs = [(frame, box) for frame in sorted(boxes) for box in boxes[frame]]
        whole = Sample(id=path, media=(medium(path, "video"),))
        parts = parted(facts["samples"], pairs, whole, root, options.task, made.left_out)
        return [Found(sample, fields) for sample in parts]
    if not options.every:
        flat = tuple(b for frame in sorted(boxes) for b in boxes[frame])
        end = round(float(count / rate), 6)
        sample = Sample(
            id=path,
            media=(medium(path, "video"),),
            span=(0.0, end),
            split=split,
            groups=groups,
            labels={options.task: flat},
        )
        return [Found(sample, fields)]
    found: list[Found] = []
    for frame in range(0, count, options.every):
        at = round(float(frame / rate), 6)
        labels = {options.task: tuple(boxes.get(frame, ()))}
        key = sample_id(path, at=at)
        sample = Sample(id=key, media=(medium(path, "video"),), at=at, split=split, groups=groups, labels=labels)
        found.append(Found(sample, fields))
    return found


def _pictures(
    pictures: Sequence[tuple[int, Path]],
    made: Imported,
    boxes: dict[int, list[LabelledBox]],
    options: MotOptions,
    like: Found,
) -> list[Found]:
    """A sample for each picture of a sequence, of a split and with groups and fields like another."""
    shown = {frame for frame, _ in pictures}
    made.left_out["boxes of frames without a picture"] += sum(len(boxes[f]) for f in boxes if f not in shown)
    found: list[Found] = []
    for frame, picture in pictures[:: options.every or 1]:
        path = picture.relative_to(made.root).as_posix()
        labels = {options.task: tuple(b.model_copy(update={"at": None}) for b in boxes.get(frame, ()))}
        more = {"id": path, "media": (medium(path, "image"),), "labels": labels, "text": None}
        found.append(Found(like.sample.model_copy(update=more), like.fields))
    return found


def _video(folder: Path, facts: dict[str, Any], root: Path) -> Path | None:
    named = str(facts.get("video") or "")
    if named:
        if Path(named).is_absolute() or ".." in Path(named).parts:
            raise wrong(folder / SEQINFO, f"video: expected a file of the sequence, got {named!r}")
        found = [p for p in (folder / named, root / named) if p.is_file()]
        if not found:
            raise wrong(folder / SEQINFO, f"video: {named} is not there", hint="or say --media FOLDER")
        return found[0]
    return next((p for p in sorted(folder.iterdir()) if kind_of(p) == "video" and p.name[0] != "."), None)


def _rows(samples: Sequence[Sample], name: str, task: Task, done: Written) -> tuple[list[str], dict[str, int]]:
    """Lines in order of their frames, and the number of each track."""
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
    return [text for _, _, text in sorted(rows)], tracks


def _free(track: str, tracks: dict[str, int]) -> bool:
    return track.isdecimal() and int(track) > 0 and str(int(track)) == track and int(track) not in tracks.values()


def _next(tracks: dict[str, int]) -> int:
    return max(tracks.values(), default=0) + 1


def _info(video: Media, place: Path, task: Task) -> str:
    rate, seconds = video.frame_rate or Fraction(25), Fraction(str(video.seconds or 0))
    if any(len(c.splitlines()) != 1 or c != c.strip() for c in task.classes) or len(place.name.splitlines()) != 1:
        raise UsageError("a name with a line break or blanks around it has no place in MOT", hint="rename it")
    lines: list[Any] = ["[Sequence]", f"name={place.as_posix()}", "imDir=img1", f"frameRate={max(1, round(rate))}"]
    lines += [f"seqLength={round(seconds * rate)}", f"imWidth={video.width}", f"imHeight={video.height}", "imExt=.jpg"]
    return "\n".join(lines) + "\n"


FORMAT = Mot()
