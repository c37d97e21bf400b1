"""YOLO text files: one for each image, ``class x y width height`` in fractions of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._pictures import picture_of
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    kind_of,
    media_files,
    medium,
    only_task,
    parsing,
    part_of,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Yolo", "YoloOptions"]


class YoloOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        images: folder of the images below the path.
        labels: folder of the text files below the path.
        names: class names: a text file with one a line, or a YAML file with ``names``; without it ``data.yaml`` of the
            path, and where there is none, the numbers.
    """

    task: str = "objects"
    images: str = "images"
    labels: str = "labels"
    names: Path | None = None


class Yolo:
    """An image without a text file, or with an empty one, shows nothing of the classes."""

    name: ClassVar[str] = "yolo"
    description: ClassVar[str] = "YOLO text files: boxes of images"
    holds: ClassVar[frozenset[Kind]] = frozenset(("boxes",))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("image",))
    Options: ClassVar[type[FormatOptions]] = YoloOptions

    def read(self, path: Path, options: YoloOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        folder = media or path / options.images
        labels = path / options.labels
        if not labels.is_dir():
            raise wrong(labels, "no folder of labels", hint="--set labels=FOLDER")
        names = _names(path, options)
        root = folder if media else path
        made = Imported(root, {}, [])
        used: set[int] = set()
        for file in (f for f in media_files(folder) if kind_of(f) == "image"):
            name = file.relative_to(root).as_posix()
            inside = file.relative_to(folder)
            boxes = _boxes(labels / inside.with_suffix(".txt"), names, used)
            split = part_of(inside.parts[0]) if len(inside.parts) > 1 else None
            sample = Sample(id=name, media=(medium(name, "image"),), split=split, labels={options.task: boxes})
            made.found.append(Found(sample))
        if not made.found:
            raise wrong(folder, "no pictures")
        known = names or [str(n) for n in range(max(used, default=-1) + 1)]
        made.tasks[options.task] = Task(kind="boxes", classes=tuple(known))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: YoloOptions) -> Written:
        """Text files and ``data.yaml``; images stay where they are."""
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("boxes",), wanted, self.name)
        done = Written()
        for sample in samples:
            picture = picture_of(dataset, sample, target / "data.yaml", done)
            if picture is None:
                done.left_out["not a picture or frame"] += 1
                continue
            lines: list[str] = []
            for box in sample.labels.get(name, ()):
                left, top, right, bottom = box.box
                sides = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                lines.append(f"{task.classes.index(box.label)} " + " ".join(f"{v:.7f}" for v in sides) + "\n")
            place = target / options.labels / Path(picture).with_suffix(".txt")
            write_whole(place, "".join(lines))
            done.files.append(place)
            done.samples += 1
        facts = {"path": str(dataset.root), "names": dict(enumerate(task.classes))}
        write_whole(target / "data.yaml", yaml.safe_dump(facts, allow_unicode=True, sort_keys=False))
        done.files.append(target / "data.yaml")
        return done


def _names(path: Path, options: YoloOptions) -> list[str]:
    file = options.names or path / "data.yaml"
    if options.names is None and not file.is_file():
        return []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="check --set names=FILE") from None
    if file.suffix not in (".yaml", ".yml"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    with parsing(file, "names"):
        try:
            names: Any = yaml.safe_load(text)["names"]
        except yaml.YAMLError as error:
            raise ValueError(f"not YAML: {error}") from None
        return [str(names[n]) for n in range(len(names))]
    return []


def _boxes(path: Path, names: Sequence[str], used: set[int]) -> tuple[LabelledBox, ...]:
    if not path.is_file():
        return ()
    boxes: list[LabelledBox] = []
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        with parsing(path, "box", line):
            number, x, y, wide, high = text.split()[:5]
            at = int(number)
            if at < 0 or (names and at >= len(names)):
                raise ValueError(f"there is no class {at}")
            used.add(at)
            half = float(wide) / 2, float(high) / 2
            sides = float(x) - half[0], float(y) - half[1], float(x) + half[0], float(y) + half[1]
            left, top, right, bottom = (round(v, 7) for v in sides)
            boxes.append(LabelledBox(label=names[at] if names else str(at), box=(left, top, right, bottom)))
    return tuple(boxes)


FORMAT = Yolo()
