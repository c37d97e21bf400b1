"""ActivityNet JSON (version 1.3): labelled segments of videos in seconds (Caba Heilbron et al. 2015)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from onlooker.learning.datasets.dataset import Dataset
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
        for name, video in values["database"].items():
            with parsing(path, f"database.{name}"):
                file = video["url"] if video.get("url") in there else by_name.get(name)
                if file is None:
                    if not options.absent:
                        raise wrong(path, f"no video is called {name}", hint="say --media FOLDER")
                    made.left_out["videos that are not there"] += 1
                    continue
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
                sample = Sample(id=key, media=(medium(file),), split=split, labels=labels)
                made.found.append(Found(sample, {"video": name, "subset": subset or ""}))
        if not made.found:
            raise wrong(path, f"none of its {len(values['database'])} videos is in {root}", hint="say --media FOLDER")
        made.tasks[options.task] = Task(kind="spans", classes=tuple(sorted(classes)))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: ActivityNetOptions) -> Written:
        """Samples of one video are joined; spans of a sample's part are in the video's time, as they are."""
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("spans",), wanted, self.name)
        done = Written(files=[target])
        database: dict[str, Any] = {}
        stems: dict[str, int] = defaultdict(int)
        by_path: dict[str, str] = {}
        for sample in samples:
            video = sample.of_kind("video", "audio")
            if video is None:
                done.left_out["without video"] += 1
                continue
            if video.path not in by_path:
                stem = Path(video.path).stem
                stems[stem] += 1
                by_path[video.path] = stem if stems[stem] == 1 else video.path
                database[by_path[video.path]] = {
                    "duration": video.seconds,
                    "subset": _SUBSETS.get(sample.split or "", sample.split or "training"),
                    "url": video.path,
                    "sample": sample.id,
                    **({"resolution": f"{video.width}x{video.height}"} if video.width else {}),
                }
            held = database[by_path[video.path]]
            if name in sample.labels:
                notes = held.setdefault("annotations", [])
                for s in sample.labels[name]:
                    score = {} if s.score is None else {"score": s.score}
                    notes.append({"segment": [s.start, s.end], "label": s.label, **score})
            done.samples += 1
        taxonomy = [{"nodeId": n, "nodeName": c, "parentId": None} for n, c in enumerate(task.classes)]
        whole = {"version": "VERSION 1.3", "taxonomy": taxonomy, "database": database}
        write_whole(target, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return done


def _part(subset: str | None) -> str | None:
    if not subset:
        return None
    return part_of(subset) or subset


FORMAT = ActivityNet()
