"""ActivityNet JSON (version 1.3): labelled segments of videos in seconds (Caba Heilbron et al. 2015)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._checked import an_object
from onlooker.learning.datasets.formats._kept import kept, restored, tell_losses
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
    read_json,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledSpan, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "ActivityNet", "ActivityNetOptions"]

_SUBSETS = {"train": "training", "val": "validation", "test": "testing"}


class ActivityNetOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        absent: whether videos that are not there are passed over.
    """

    task: str = "events"
    absent: bool = True


class ActivityNet:
    """One sample for each video, found by name (``NAME.*``, ``v_NAME.*``) or by ``url`` below the media folder."""

    name: ClassVar[str] = "activitynet"
    description: ClassVar[str] = "ActivityNet JSON: segments of videos"
    holds: ClassVar[frozenset[Kind]] = frozenset(("spans",))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("video", "audio"))
    Options: ClassVar[type[FormatOptions]] = ActivityNetOptions

    def read(self, path: Path, options: ActivityNetOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        values = read_json(path)
        if not isinstance(values, dict) or not isinstance(values.get("database"), dict):
            raise wrong(path, "expected an object with a database")
        root = media or path.parent
        films = (p for p in media_files(root) if kind_of(p) in ("video", "audio"))
        files = [p.relative_to(root).as_posix() for p in films]
        by_name: dict[str, str] = {}
        for file in files:
            stem = Path(file).stem
            by_name.setdefault(stem, file)
            by_name.setdefault(stem.removeprefix("v_"), file)
        made = Imported(root, {}, [])
        classes: dict[str, None] = {}
        there = set(files)
        for name, entry in values["database"].items():
            with parsing(path, f"database.{name}"):
                video = an_object(entry)
                file = video["url"] if video.get("url") in there else by_name.get(name)
                if file is None:
                    if not options.absent:
                        raise wrong(path, f"no video is called {name}", hint="say --media FOLDER")
                    made.left_out["videos that are not there"] += 1
                    continue
                if "annotations" in video:
                    video = {**video, "annotations": _forward(video["annotations"], made)}
                spans = tuple(
                    LabelledSpan(label=a["label"], start=a["segment"][0], end=a["segment"][1], score=a.get("score"))
                    for a in video.get("annotations", ())
                )
                classes |= dict.fromkeys(s.label for s in spans)
                subset = video.get("subset")
                split = _part(subset)
                # a test set is published without its annotations
                labels = {options.task: spans} if "annotations" in video and (spans or split != "test") else {}
                key = video.get("sample") or file
                whole = Sample(id=key, media=(medium(file),), split=split, labels=labels)
                for sample in _samples(whole, video, made, options.task):
                    made.found.append(Found(sample, {"video": name, "subset": subset or ""}))
        if not made.found:
            raise wrong(path, f"none of its {len(values['database'])} videos is in {root}", hint="say --media FOLDER")
        made.tasks[options.task] = Task(kind="spans", classes=_in_order(path, values.get("taxonomy") or (), classes))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: ActivityNetOptions) -> Written:
        """Samples of one video are joined; spans of a sample's part are in the video's time, as they are."""
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("spans",), wanted, self.name)
        done = Written(files=[target])
        tell_losses(dataset, samples, done, [name])
        database: dict[str, Any] = {}
        stems: dict[str, int] = defaultdict(int)
        by_path: dict[tuple[str, str | None], str] = {}
        for sample in samples:
            video = sample.of_kind("video", "audio")
            if video is None:
                done.left_out["without video"] += 1
                continue
            place = (video.path, sample.split)
            if place not in by_path:
                stem = Path(video.path).stem
                stems[stem] += 1
                by_path[place] = stem if stems[stem] == 1 else f"{video.path} {sample.split or ''}".strip()
                database[by_path[place]] = {
                    "duration": video.seconds,
                    "subset": _SUBSETS.get(sample.split or "", sample.split or "training"),
                    "url": video.path,
                    "samples": [],
                    **({"resolution": f"{video.width}x{video.height}"} if video.width else {}),
                }
            held = database[by_path[place]]
            held["samples"].append(kept(sample, name) | {"split": sample.split})
            if name in sample.labels:
                notes = held.setdefault("annotations", [])
                for s in sample.labels[name]:
                    score = {} if s.score is None else {"score": s.score}
                    notes.append({"segment": [s.start, s.end], "label": s.label, **score, "sample": sample.id})
            done.samples += 1
        taxonomy = [{"nodeId": n, "nodeName": c, "parentId": None} for n, c in enumerate(task.classes)]
        whole = {"version": "VERSION 1.3", "taxonomy": taxonomy, "database": database}
        write_whole(target, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return done


def _forward(notes: Any, made: Imported) -> list[Any]:
    """The segments that do not end before they start; the others are counted."""
    good = [n for n in notes if not n["segment"][1] < n["segment"][0]]
    made.left_out["segments that end before they start"] += len(notes) - len(good)
    return good


def _samples(whole: Sample, video: Any, made: Imported, task: str) -> list[Sample]:
    """The samples that a video was written from: each has the segments that name it."""
    entries = video.get("samples") or []
    if not entries:
        return [whole]
    found: list[Sample] = []
    notes, spans = video.get("annotations", ()), whole.labels.get(task, ())
    subset = _SUBSETS.get(entries[0].get("split") or "", entries[0].get("split") or "training")
    for entry in entries:
        held = {k: v for k, v in entry.items() if k != "split" or video.get("subset") == subset}
        alone = len(entries) == 1
        mine = tuple(s for s, n in zip(spans, notes, strict=False) if alone or n.get("sample") == entry["sample"])
        found.append(restored(whole.model_copy(update={"labels": {task: mine}}), held, made.root, task))
    if len(entries) > 1:
        known = {e["sample"] for e in entries}
        made.left_out["segments of no sample"] += sum(n.get("sample") not in known for n in notes)
    return found


def _in_order(path: Path, taxonomy: Any, used: Mapping[str, None]) -> tuple[str, ...]:
    """The leaves of the taxonomy, then what it lacks."""
    with parsing(path, "taxonomy"):
        inner = {node.get("parentId") for node in taxonomy}
        named = [str(node["nodeName"]) for node in taxonomy if node.get("nodeId") not in inner]
        return tuple(dict.fromkeys([*named, *sorted(used)]))
    raise AssertionError


def _part(subset: str | None) -> str | None:
    if not subset:
        return None
    return part_of(subset) or subset


FORMAT = ActivityNet()
