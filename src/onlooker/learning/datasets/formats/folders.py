"""A folder for each class, with a folder for each split around them where there are splits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from onlooker.bundles.series import SUFFIX, sidecar_of
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._kept import INDEX, kept, read_index, restored, tell_losses, write_index
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    in_order,
    media_files,
    medium,
    only_task,
    parsing,
    part_of,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, MediaKind, Sample, Task

__all__ = ["FORMAT", "FolderOptions", "Folders"]


class FolderOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        kind: ``class``, ``identity`` or ``ordinal``.
        only: only files whose path matches this pattern.
        labelled: whether folders are classes; otherwise files are taken as they lie, without labels.
        splits: whether top folders called train, val or test are splits; without it they are where no other folder
            lies beside them, and classes where they hold files beside folders of other classes.
    """

    task: str = "class"
    kind: Kind = "class"
    only: str = "*"
    labelled: bool = True
    splits: bool | None = None


class Folders:
    """``[SPLIT/]CLASS/FILE``; without class folders set ``labelled=false``.

    ``yard.series.csv`` beside ``yard.mp4`` is the series of that sample. What is written has ids beside it.
    """

    name: ClassVar[str] = "folders"
    description: ClassVar[str] = "a folder for each class, optionally inside train, val and test"
    holds: ClassVar[frozenset[Kind]] = frozenset(("class",))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("video", "image", "audio", "text", "series"))
    Options: ClassVar[type[FormatOptions]] = FolderOptions

    def read(self, path: Path, options: FolderOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        if options.kind not in ("class", "identity", "ordinal"):
            raise UsageError(f"folders hold class, identity or ordinal, not {options.kind}")
        found: list[Found] = []
        left = Imported(path, {}, found)
        classes: dict[str, None] = {}
        files = media_files(path, series=True)
        beside = {f for f in files if f.name.endswith(SUFFIX)} & {sidecar_of(f) for f in files if f.suffix != ".csv"}
        index, known = read_index(path)
        split_folders = _split_folders(path, [f.relative_to(path).parts for f in files], options, left, known)
        for file in files:
            if file in beside:
                continue
            inside = file.relative_to(path)
            if _unnameable(inside.as_posix()):
                left.left_out["names that are not UTF-8 or have a backslash"] += 1
                continue
            if not inside.match(options.only):
                left.left_out["not matching only"] += 1
                continue
            parts = list(inside.parts[:-1])
            held = known.get(inside.as_posix(), {})
            split = held.get("split") if held else split_folders.get(parts[0]) if parts else None
            if parts and split is not None and (not held or parts[0] == split):
                parts = parts[1:]
            if options.labelled and not parts:
                left.left_out["not in a class folder"] += 1
                continue
            labels = {options.task: parts[0]} if options.labelled else {}
            classes |= dict.fromkeys(labels.values())
            name = inside.as_posix()
            names = [name, *([sidecar_of(name).as_posix()] if sidecar_of(file) in beside else [])]
            with parsing(path / INDEX, name):
                one = Sample(id=name, media=tuple(map(medium, names)), split=split, labels=labels)
                found.append(Found(restored(one, held, path, options.task)))
        if not found:
            raise wrong(path, "no media in class folders", hint="lay them out as CLASS/FILE, or set labelled=false")
        if options.labelled:
            known_classes = () if options.kind == "identity" else in_order(classes)
            if index and options.kind != "identity":
                before = [c for c in index.get("classes") or () if isinstance(c, str)]
                known_classes = tuple(dict.fromkeys([*before, *known_classes]))
            left.tasks[options.task] = Task(kind=options.kind, classes=known_classes)
        return left

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: FolderOptions) -> Written:
        """Copies files; parts of files have no place."""
        wanted = options.task if "task" in options.model_fields_set else None
        task, facts = only_task(dataset, ("class", "identity", "ordinal"), wanted, self.name)
        done, index = Written(), dict[str, Any]()
        tell_losses(dataset, samples, done, [task])
        for sample in samples:
            main = [m for m in sample.media if m.kind != "series"] or list(sample.media)
            beside = [m for m in sample.media if m not in main]
            if sample.span is not None or sample.at is not None or len(main) != 1 or len(beside) > 1:
                done.left_out["part of a file, or several files"] += 1
                continue
            label = sample.labels.get(task)
            if label is None or label[0] == "." or "/" in label or (sample.split is None and part_of(label)):
                done.left_out["no label that can name a folder"] += 1
                continue
            source = dataset.path(main[0])
            place = target / (sample.split or "") / label / source.name
            number = 1
            while place.exists():
                place, number = place.with_name(f"{source.stem}-{number}{source.suffix}"), number + 1
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)
                for series in beside:
                    shutil.copyfile(dataset.path(series), sidecar_of(place))
            except OSError as error:
                raise UsageError(f"cannot write {place}: {error.strerror}", hint="check the folder") from None
            done.samples += 1
            done.files += [place, *([sidecar_of(place)] if beside else [])]
            index[place.relative_to(target).as_posix()] = kept(sample)
        write_index(target, {"classes": facts.classes, "samples": index}, done)
        return done


def _split_folders(
    path: Path, inside: Sequence[tuple[str, ...]], options: FolderOptions, made: Imported, known: Mapping[str, Any]
) -> dict[str, str]:
    """The splits of top folders that are taken as such, by folder; what was decided is noted.

    Raises:
        UsageError: folders called as splits hold folders, and others lie beside them.
    """
    tops = dict.fromkeys(parts[0] for parts in inside if len(parts) > 1 and parts[0][0] != ".")
    named = {top: split for top in tops if (split := part_of(top)) is not None}
    others = [top for top in tops if top not in named]
    if not named or options.splits is False or all("/".join(parts) in known for parts in inside):
        return {}
    if others and options.labelled and options.splits is None:
        said, beside = ", ".join(named), ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
        if any(parts[0] in named and len(parts) > 2 for parts in inside):
            raise UsageError(
                f"{path}: {said} can be splits or classes: {beside} beside them are no splits",
                hint="--set splits=true or --set splits=false",
            )
        made.notes.append(f"taken as classes, not as splits: {said} (for {beside} beside; else --set splits=true)")
        return {}
    made.notes.append("taken as splits: " + ", ".join(n if n == s else f"{n} as {s}" for n, s in named.items()))
    return named


def _unnameable(path: str) -> bool:
    """Whether no manifest can hold a path: a backslash parts folders elsewhere, and undecoded bytes are no text."""
    return "\\" in path or any("\ud800" <= c <= "\udfff" for c in path)


FORMAT = Folders()
