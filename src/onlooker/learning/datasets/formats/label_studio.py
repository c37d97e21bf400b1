"""Label Studio JSON: tasks with annotations, and with predictions where a person is to look (labelstud.io)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._checked import an_object, objects
from onlooker.learning.datasets.formats._kept import KEY, kept, own
from onlooker.learning.datasets.formats._label_studio import UNLABELLED, Results, leaves
from onlooker.learning.datasets.formats._label_studio_out import config_of, results_of
from onlooker.learning.datasets.formats._label_studio_video import Clock
from onlooker.learning.datasets.formats._pictures import picture_of
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    classes_of,
    kind_of,
    medium,
    parsing,
    read_json,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, MediaKind, Sample, Task, is_name
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "LabelStudio", "LabelStudioOptions"]

_MORE = ("at", "span", "weight", "weights", "origin", "notes")
_EMPTY: tuple[Kind, ...] = ("boxes", "spans")


class LabelStudioOptions(FormatOptions):
    """Options.

    Attributes:
        prefix: what stands before a path in the media's addresses when written; the default is that of local storage.
        rate: frames a second that Label Studio counted, where neither the results nor the videos say.
        label: class of a region, from ``{label}`` and the names of questions about it: ``{label} {colour}``.
    """

    prefix: str = "/data/local-files/?d="
    rate: float | None = Field(default=None, gt=0)
    label: str = "{label}"


class LabelStudio:
    """Controls become tasks by their name; what is a proposal is written as prediction."""

    name: ClassVar[str] = "label-studio"
    description: ClassVar[str] = "Label Studio JSON, and the labelling set-up beside it"
    holds: ClassVar[frozenset[Kind]] = frozenset(("class", "multi-label", "boxes", "spans", "regression", "text"))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("image", "video", "audio", "text"))
    Options: ClassVar[type[FormatOptions]] = LabelStudioOptions

    def read(self, path: Path, options: LabelStudioOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        values = read_json(path)
        if not isinstance(values, list):
            raise wrong(path, "expected a list of tasks")
        made = Imported(media or path.parent, {}, [])
        told = _Told()
        for n, task in enumerate(values):
            with parsing(path, f"task {n}"):
                held = an_object(task, "it")
                if "data" not in held or not ("annotations" in held or "predictions" in held):
                    raise ValueError("expected data and annotations; export as JSON, not as JSON-MIN")
                made.found.append(_found(held, options, made, told))
        for found in made.found:
            labels = {name: _settled(told.kinds[name], label) for name, label in found.sample.labels.items()}
            found.sample = found.sample.model_copy(update={"labels": labels})
        samples = [f.sample for f in made.found]
        for name, kind in told.kinds.items():
            with_classes = Task(kind=kind).has_classes
            made.tasks[name] = Task(kind=kind, classes=classes_of(samples, name, kind) if with_classes else ())
        made.notes += told.notes()
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: LabelStudioOptions) -> Written:
        """The tasks, and beside them ``NAME.xml`` to paste as labelling set-up.

        A set-up asks for all that it shows in each task, so that pictures, videos, sounds and texts are projects of
        their own: where there are several, each has its ``NAME-KIND.json`` and ``.xml``, and ``NAME.json`` has all.
        """
        done = Written(files=[target])
        tasks: list[Any] = []
        names = {n: t for n, t in dataset.info.tasks.items() if t.kind in self.holds}
        for n in dataset.info.tasks:
            if n not in names:
                done.left_out[f"labels of {n}"] += sum(n in s.labels for s in samples)
        kinds: dict[MediaKind, list[Any]] = {}
        for sample in samples:
            media = sample.media[0] if sample.media else None
            kind: MediaKind = "text" if media is None else media.kind
            data: dict[str, Any] = {}
            ours = {"split": sample.split, "groups": sample.groups, **kept(sample)}
            if sample.at is not None:
                kind = "image"
                data["image"] = options.prefix + (picture_of(dataset, sample, target, done) or "")
            elif media is None or kind == "text":
                data["text"] = sample.text or (media.path if media else "")
            else:
                data[kind] = options.prefix + media.path
            if kind == "video" and (rate := media.frame_rate if media is not None else None) is not None:
                data["fps"] = round(float(rate), 6)
            if media is not None:
                ours["path"] = media.path
            # what may be empty leaves no result: a person who finds nothing says so by an empty annotation
            ours["tasks"] = {n: t.kind for n, t in names.items() if t.kind in _EMPTY and n in sample.labels}
            results, lost = results_of(sample, names, kind)
            done.left_out += lost
            held = {"predictions": [], "annotations": []}
            if results or ours["tasks"]:
                where = "predictions" if sample.status == "proposed" else "annotations"
                held[where] = [{"result": results, **({"model_version": "onlooker"} if where[0] == "p" else {})}]
            tasks.append({"id": len(tasks) + 1, "data": {**data, KEY: ours}, **held})
            kinds.setdefault(kind, []).append(tasks[-1])
            done.samples += 1
        parted: list[MediaKind] = [kind for kind, held in kinds.items() if _tell_parts(held)]
        write_whole(target, _listed(tasks))
        if len(kinds) < 2:
            _set_up(target, names, list(kinds), parted, done)
            return done
        for kind, held in kinds.items():
            part = target.with_name(f"{target.stem}-{kind}{target.suffix}")
            write_whole(part, _listed(held))
            done.files.append(part)
            _set_up(part, names, [kind], parted, done)
        said = ", ".join(f"{target.stem}-{kind}{target.suffix}" for kind in kinds)
        done.notes.append(f"Label Studio takes one kind of task in a project: give it {said}, each with its set-up")
        return done


def _listed(tasks: Sequence[Any]) -> str:
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def _tell_parts(tasks: Sequence[Any]) -> bool:
    """Say above each task which part of its file is meant, where that is not all of it in each."""
    if not any(task["data"][KEY].get("span") for task in tasks):
        return False
    for data in (task["data"] for task in tasks):
        span = data[KEY].get("span")
        data["part"] = f"from {span[0]:g} to {span[1]:g} s" if span else "all of it"
    return True


def _set_up(
    target: Path, names: Mapping[str, Task], kinds: Sequence[MediaKind], parted: Sequence[MediaKind], done: Written
) -> None:
    """Write the labelling set-up that belongs to a file of tasks."""
    write_whole(target.with_suffix(".xml"), config_of(names, kinds, parted))
    done.files.append(target.with_suffix(".xml"))


@dataclass(slots=True)
class _Told:
    """What the tasks of a file say together: the kinds of their labels, and what a user is told of them."""

    kinds: dict[str, Kind] = field(default_factory=dict[str, Kind])
    _said: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    _paths: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict[tuple[str, str], dict[str, None]])

    def take(self, name: str, kind: Kind) -> None:
        before = self.kinds.get(name)
        if before is None or (before == "class" and kind == "multi-label"):
            self.kinds[name] = kind

    def look(self, results: Sequence[Any]) -> None:
        """Remember the paths of taxonomies."""
        for one in results:
            if one["type"] == "taxonomy":
                for leaf, path in leaves(one["value"]):
                    self._paths.setdefault((one["from_name"], leaf), {})[path] = None

    def say(self, about: str, text: str) -> None:
        self._said.setdefault(text, {})[about] = None

    def notes(self) -> list[str]:
        made: list[str] = []
        for text, about in self._said.items():
            more = f" and {len(about) - 3} more" if len(about) > 3 else ""
            made.append(f"{text}: {', '.join([*about][:3])}{more}")
        for (name, leaf), paths in self._paths.items():
            if len(paths) > 1:
                made.append(f"{name}: {', '.join(paths)} are one class, {leaf}")
        return made


def _results(chosen: dict[str, Any], made: Imported) -> list[dict[str, Any]]:
    """The results of an annotation that say something, each with the tag that it is of, its type and its value."""
    kept: list[dict[str, Any]] = []
    for number, result in enumerate(objects(chosen.get("result"), "result")):
        for key in () if result.get("type") == "relation" else ("from_name", "type"):
            if not isinstance(result.get(key), str):
                raise ValueError(f"result.{number}.{key}: expected a name, got {result.get(key)!r}")
        value = an_object(result.get("value", {}), f"result.{number}.value")
        if value.get(result["type"]) == []:
            made.left_out[UNLABELLED] += 1
        else:
            kept.append(result)
    return kept


def _found(task: dict[str, Any], options: LabelStudioOptions, made: Imported, told: _Told) -> Found:
    data = an_object(task["data"], "data")
    ours = own(data)
    annotations = [a for a in objects(task.get("annotations"), "annotations") if not a.get("was_cancelled")]
    proposed = not annotations
    made.left_out["annotations of a task besides its true or last one"] += max(0, len(annotations) - 1)
    annotations = [a for a in annotations if a.get("ground_truth")] or annotations
    predictions = objects(task.get("predictions"), "predictions")
    chosen = annotations[-1] if annotations else next(iter(predictions), {"result": []})
    path = ours.get("path") or (None if ours is data.get(KEY) else _media_path(data, made.root))
    at = ours.get("at")
    held = _results(chosen, made)
    clock = None
    if path is not None and kind_of(path) == "video" and at is None:
        told_of = partial(told.say, path)
        clock = Clock(held, made.root / path, options.rate, bool(ours), told_of, data.get("fps"))
    results = Results(held, clock, at, options.label)
    labels: dict[str, Any] = {}
    for name, kind, label in results.labels():
        told.take(name, kind)
        labels[name] = label
    told.look(held)
    for name, kind in an_object(ours.get("tasks") or {}, "tasks").items():
        if kind in _EMPTY and name not in labels and not (proposed and not task.get("predictions")):
            told.kinds.setdefault(name, kind)
            labels[name] = ()
    made.left_out += results.left_out
    sample = _sample(str(task.get("id")), data, ours, path, told)
    sample = sample.model_copy(update={"labels": labels, "status": "proposed" if proposed and labels else "labelled"})
    fields = {k: str(v) for k, v in {**ours, **data}.items() if isinstance(v, str | int | float)}
    return Found(sample, fields)


def _sample(number: str, data: dict[str, Any], ours: dict[str, Any], path: str | None, told: _Told) -> Sample:
    """The sample of a task, without labels; of columns that are not ours only a split is taken, and a text to read."""
    if ours:
        nested = ours is data.get(KEY)
        return Sample(
            id=ours["sample"],
            media=() if path is None else tuple(medium(p) for p in ours.get("media") or [path]),
            text=ours.get("text") if nested or path is None or "media" in ours else None,
            split=ours.get("split"),
            groups=ours.get("groups") or {},
            **{k: ours[k] for k in _MORE if k in ours},
        )
    text, split = data.get("text"), data.get("split")
    if split is not None and not (isinstance(split, str) and is_name(split)):
        told.say(path or number, "the column split is not taken for splits, as it holds what is no name")
        split = None
    return Sample(
        id=path or number,
        media=() if path is None else (medium(path),),
        text=str(text) if path is None and isinstance(text, str | int | float) else None,
        split=split,
    )


def _settled(kind: Kind, label: Any) -> Any:
    """A single choice as a list, where other samples have several."""
    return (label,) if kind == "multi-label" and isinstance(label, str) else label


def _media_path(data: dict[str, Any], root: Path) -> str | None:
    """The file that a task is about, below ``root``: by its address, else by its name."""
    for value in data.values():
        if not isinstance(value, str) or (kind_of(urlsplit(value).path or value) is None and "?d=" not in value):
            continue
        parts = urlsplit(value)
        query = cast(dict[str, list[str]], parse_qs(parts.query))
        name = query["d"][0] if "d" in query else unquote(parts.path)
        name = name.lstrip("/")
        for tried in _tails(name):
            if (root / tried).is_file():
                return tried
        # uploads have eight digits and a hyphen before their name
        last = PurePosixPath(name).name
        matches = [p for p in root.rglob("*") if p.name in (last, last.partition("-")[2]) and p.is_file()]
        if len(matches) == 1:
            return matches[0].relative_to(root).as_posix()
        if matches:
            raise ValueError(f"{value!r}: there are {len(matches)} files of that name below {root}; say --media FOLDER")
        if kind_of(name) is not None:
            return "/".join(p for p in PurePosixPath(name).parts if p != "..")
    return None


def _tails(name: str) -> list[str]:
    parts = [p for p in PurePosixPath(name).parts if p not in ("..", ".")]
    return ["/".join(parts[n:]) for n in range(len(parts))]


FORMAT = LabelStudio()
