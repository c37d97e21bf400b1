"""Gathers what the page shows, and puts it together with its style and script."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Sample
from onlooker.learning.datasets.page.pictures import Look, curves, listen, look

__all__ = ["PageRequest", "build_page"]

_MOST_BYTES = 48_000_000
_MOST_BOXES = 80


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which samples.

    Args:
        split: only these; None: all.
        label: ``TASK`` or ``TASK=CLASS``: only samples with that label; None: all.
        ids: only these.
        limit: at most so many, taken evenly from all.
        size: greatest side of a picture in pixels.
    """

    split: str | None = None
    label: str | None = None
    ids: Sequence[str] = ()
    limit: int = 200
    size: int = 240


def build_page(dataset: Dataset, request: PageRequest) -> tuple[str, int]:
    """The page, and how many samples it shows.

    What cannot be decoded is shown with the reason.

    Raises:
        UsageError: there is no such split, task, class or sample, or nothing to show.
    """
    chosen = _chosen(dataset, request)
    if not chosen:
        raise UsageError(f"{dataset.folder} has no such sample to show", hint="see onlooker dataset stats")
    spread = [chosen[n * len(chosen) // request.limit] for n in range(request.limit)]
    shown = chosen if len(chosen) <= request.limit else spread
    budget = [_MOST_BYTES]
    info = dataset.info
    data = {
        "name": info.name,
        "description": info.description,
        "total": len(dataset.samples),
        "tasks": {n: {"kind": t.kind, "classes": list(t.classes)} for n, t in info.tasks.items()},
        "splits": list(info.splits),
        "samples": [_sample(dataset, s, request.size, budget) for s in shown],
    }
    # inside a script element only "<" can end it; the rest of JSON is harmless there
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    folder = resources.files(__package__ or "")
    script = (folder / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "@@TITLE@@": html.escape(info.name),
        "@@CSS@@": (folder / "page.css").read_text(encoding="utf-8"),
        "@@JS@@": script,
        "@@HASH@@": f"sha256-{digest}",
        "@@DATA@@": text,
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    # in one pass, so that nothing in a name is taken for a mark
    page = re.sub("|".join(parts), lambda found: parts[found[0]], page)
    return page.encode("utf-8", "replace").decode("utf-8"), len(shown)


def _chosen(dataset: Dataset, request: PageRequest) -> list[Sample]:
    samples = dataset.of_split(request.split)
    if request.ids:
        known = {s.id for s in samples}
        missing = next((i for i in request.ids if i not in known), None)
        if missing is not None:
            raise UsageError(f"no sample is called {missing!r}", hint="see the ids in samples.jsonl")
        samples = [s for s in samples if s.id in request.ids]
    if request.label is None:
        return samples
    task, _, name = request.label.partition("=")
    if task not in dataset.info.tasks:
        raise UsageError(f"there is no task {task!r}", hint=f"there are {', '.join(dataset.info.tasks) or 'none'}")
    kind = dataset.info.tasks[task]
    if name and kind.has_classes and name not in kind.classes:
        raise UsageError(f"{task} has no class {name!r}", hint=f"it has {', '.join(kind.classes[:20])}")
    found = [s for s in samples if task in s.labels]
    return [s for s in found if not name or name in (kind.names(s.labels[task]) or [str(s.labels[task])])]


def _sample(dataset: Dataset, sample: Sample, size: int, budget: list[int]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": sample.id,
        "split": sample.split,
        "status": sample.status,
        "groups": sample.groups,
        "text": sample.text,
        "notes": sample.notes,
        "weight": sample.weight,
        "labels": {name: _label(value) for name, value in sample.labels.items()},
        "about": ", ".join(_about(sample)),
        "looks": [],
    }
    media = sample.timed
    if media is not None and media.seconds:
        made["seconds"] = media.seconds
        made["part"] = list(sample.span) if sample.span else None
        made["spans"] = [
            [s.label, s.start, s.end] for v in sample.labels.values() if isinstance(v, tuple) for s in v if _is_span(s)
        ]
    boxes = [b for v in sample.labels.values() if isinstance(v, tuple) for b in v if isinstance(b, LabelledBox)]
    try:
        if budget[0] > 0:
            made["looks"] = [_look(one, boxes, sample) for one in look(dataset, sample, boxes, size)]
            made |= listen(dataset, sample)
            made["curves"] = curves(dataset, sample)
    except OnlookerError as error:
        made["problem"] = str(error)
    budget[0] -= sum(len(one["picture"]) for one in made["looks"]) + len(made.get("sound") or "")
    budget[0] -= 8 * sum(len(line["points"]) for line in made.get("curves") or ())
    return made


def _is_span(value: Any) -> bool:
    return isinstance(value, LabelledSpan)


def _about(sample: Sample) -> list[str]:
    said: list[str] = []
    for media in sample.media:
        facts = [media.kind]
        facts += [f"{media.width}×{media.height}"] if media.width else []
        facts += [f"{media.seconds:.2f} s"] if media.seconds is not None else []
        facts += [f"of {len(media.columns)} column{'s'[: len(media.columns) > 1]}"] if media.columns else []
        said.append(" ".join(facts))
    if sample.span is not None:
        said.append(f"{sample.span[0]:g}-{sample.span[1]:g} s")
    if sample.at is not None:
        said.append(f"at {sample.at:g} s")
    return said


def _label(value: Any) -> Any:
    """What the page says of a label: words."""
    if isinstance(value, tuple):
        if not value:
            return ["nothing"]
        names = [v.label if isinstance(v, LabelledBox | LabelledSpan) else str(v) for v in value]
        counts = {n: names.count(n) for n in dict.fromkeys(names)}
        return [n if c == 1 else f"{n} ×{c}" for n, c in counts.items()]
    return [f"{value:g}" if isinstance(value, float) else str(value)]


def _look(one: Look, boxes: Sequence[LabelledBox], sample: Sample) -> dict[str, Any]:
    near = [b for b in boxes if b.at is None or (one.at is not None and abs(b.at - one.at) <= one.lasts / 2 + 1e-3)]
    if sample.at is not None:
        near = list(boxes)
    return {
        "picture": "data:image/jpeg;base64," + base64.b64encode(one.jpeg).decode(),
        "width": one.width,
        "height": one.height,
        "at": None if one.at is None else round(one.at, 3),
        "boxes": [[b.label if b.track is None else f"{b.label} {b.track}", *b.box] for b in near[:_MOST_BOXES]],
    }
