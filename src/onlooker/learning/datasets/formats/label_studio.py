"""Label Studio JSON: tasks with annotations, and with predictions where a person is to look (labelstud.io)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._checked import an_object, objects
from onlooker.learning.datasets.formats._kept import kept
from onlooker.learning.datasets.formats._label_studio import Results, config_of, results_of
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
    video_rate,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "LabelStudio", "LabelStudioOptions"]

_MORE = ("weight", "weights", "origin", "notes")
_EMPTY: tuple[Kind, ...] = ("boxes", "spans")


class LabelStudioOptions(FormatOptions):
    """Options.

    Attributes:
        prefix: what stands before a path in the media's addresses when written; the default is that of local storage.
        rate: frames a second of videos, where they do not say.
    """

    prefix: str = "/data/local-files/?d="
    rate: float | None = None


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
        kinds: dict[str, Kind] = {}
        for n, task in enumerate(values):
            with parsing(path, f"task {n}"):
                held = an_object(task, "it")
                if "data" not in held or not ("annotations" in held or "predictions" in held):
                    raise ValueError("expected data and annotations; export as JSON, not as JSON-MIN")
                made.found.append(_found(held, options, made, kinds))
        for found in made.found:
            labels = {name: _settled(kinds[name], label) for name, label in found.sample.labels.items()}
            found.sample = found.sample.model_copy(update={"labels": labels})
        samples = [f.sample for f in made.found]
        for name, kind in kinds.items():
            with_classes = Task(kind=kind).has_classes
            made.tasks[name] = Task(kind=kind, classes=classes_of(samples, name, kind) if with_classes else ())
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: LabelStudioOptions) -> Written:
        """The tasks, and beside them ``NAME.xml`` to paste as labelling set-up."""
        done = Written(files=[target, target.with_suffix(".xml")])
        tasks: list[Any] = []
        names = {n: t for n, t in dataset.info.tasks.items() if t.kind in self.holds}
        for n in dataset.info.tasks:
            if n not in names:
                done.left_out[f"labels of {n}"] += sum(n in s.labels for s in samples)
        kinds: dict[MediaKind, None] = {}
        for sample in samples:
            media = sample.media[0] if sample.media else None
            kind: MediaKind = "text" if media is None else media.kind
            data: dict[str, Any] = {"split": sample.split, "groups": sample.groups, **kept(sample)}
            if sample.at is not None:
                kind = "image"
                data["image"] = options.prefix + (picture_of(dataset, sample, target, done) or "")
                data |= {"at": sample.at, "video": media.path if media else ""}
            elif media is None or kind == "text":
                data["text"] = sample.text or (media.path if media else "")
            else:
                data[kind] = options.prefix + media.path
            if sample.span is not None:
                data["span"] = list(sample.span)
            if media is not None:
                data["path"] = media.path
            kinds[kind] = None
            # what may be empty leaves no result: a person who finds nothing says so by an empty annotation
            data["tasks"] = {n: t.kind for n, t in names.items() if t.kind in _EMPTY and n in sample.labels}
            results, lost = results_of(sample, names, kind)
            done.left_out += lost
            held = {"predictions": [], "annotations": []}
            if results or data["tasks"]:
                where = "predictions" if sample.status == "proposed" else "annotations"
                held[where] = [{"result": results, **({"model_version": "onlooker"} if where[0] == "p" else {})}]
            tasks.append({"id": len(tasks) + 1, "data": data, **held})
            done.samples += 1
        write_whole(target, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
        write_whole(target.with_suffix(".xml"), config_of(names, list(kinds)))
        return done


def _results(chosen: dict[str, Any], made: Imported) -> list[dict[str, Any]]:
    """The results of an annotation that say something, each with the tag that it is of, its type and its value."""
    kept: list[dict[str, Any]] = []
    for number, result in enumerate(objects(chosen.get("result"), "result")):
        for key in () if result.get("type") == "relation" else ("from_name", "type"):
            if not isinstance(result.get(key), str):
                raise ValueError(f"result.{number}.{key}: expected a name, got {result.get(key)!r}")
        value = an_object(result.get("value", {}), f"result.{number}.value")
        if value.get(result["type"]) == []:
            made.left_out["regions and choices without a label"] += 1
        else:
            kept.append(result)
    return kept


def _found(task: dict[str, Any], options: LabelStudioOptions, made: Imported, kinds: dict[str, Kind]) -> Found:
    data = an_object(task["data"], "data")
    annotations = [a for a in objects(task.get("annotations"), "annotations") if not a.get("was_cancelled")]
    proposed = not annotations
    made.left_out["annotations of a task besides its true or last one"] += max(0, len(annotations) - 1)
    annotations = [a for a in annotations if a.get("ground_truth")] or annotations
    predictions = objects(task.get("predictions"), "predictions")
    chosen = annotations[-1] if annotations else next(iter(predictions), {"result": []})
    path = data.get("path") or _media_path(data, made.root)
    at = data.get("at")
    with_video = path is not None and kind_of(path) == "video" and at is None

    def rate() -> Fraction:
        return video_rate(made.root / (path or ""), options.rate)

    results = Results(_results(chosen, made), rate if with_video else None, at)
    labels: dict[str, Any] = {}
    for name, kind, label in results.labels():
        before = kinds.get(name)
        if before in ("class", "multi-label") and kind == "multi-label":
            kinds[name] = "multi-label"
        elif before is None:
            kinds[name] = kind
        labels[name] = label
    for name, kind in (data.get("tasks") or {}).items():
        if kind in _EMPTY and name not in labels and not (proposed and not task.get("predictions")):
            kinds.setdefault(name, kind)
            labels[name] = ()
    made.left_out["shapes other than boxes and spans"] += results.left_out
    text = data.get("text") if path is None or "media" in data else None
    key = data.get("sample") or path or str(task.get("id"))
    span = data.get("span")
    sample = Sample(
        id=str(key),
        media=() if path is None else tuple(medium(p) for p in data.get("media") or [path]),
        text=text,
        at=at,
        span=None if span is None else (span[0], span[1]),
        split=data.get("split"),
        groups=data.get("groups") or {},
        labels=labels,
        status="proposed" if proposed and labels else "labelled",
        **{k: data[k] for k in _MORE if k in data},
    )
    fields = {k: str(v) for k, v in data.items() if isinstance(v, str | int | float)}
    return Found(sample, fields)


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
