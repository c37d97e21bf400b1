"""One HTML file that holds everything but the video: timeline, pictures, search; it works from disk and offline."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from onlooker.core.observation import Observation, finite
from onlooker.core.store import Failure, Query, SourceStatus
from onlooker.reports.picture import small_picture

__all__ = ["ReportInput", "build_report", "link_to"]

MOST_ITEMS = 20_000
MOST_BOXES = 60_000
MOST_PICTURE_BYTES = 24_000_000
_DENSE = frozenset({"object", "fingerprint", "picture"})


@dataclass(frozen=True, slots=True)
class ReportInput:
    """What a report is made of.

    Args:
        sources: in the order shown.
        observations: answers queries (``Store.query``).
        failures: failures by source id.
        folder: the library folder, for pictures.
        videos: address of each source's video by source id, as the page shall use it.
    """

    sources: Sequence[SourceStatus]
    observations: Callable[[Query], Iterator[Observation]]
    failures: Mapping[str, Sequence[Failure]]
    folder: Path
    videos: Mapping[str, str]


def link_to(video: str, beside: Path) -> str:
    """How a page at ``beside`` refers to a video: relative where both lie near each other, else as a file address."""
    if "://" in video:
        return video
    path = Path(video).resolve()
    try:
        relative = os.path.relpath(path, beside.resolve().parent)
    except ValueError:
        return path.as_uri()
    return path.as_uri() if relative.startswith("../../..") else quote(relative)


def build_report(given: ReportInput, made: str) -> str:
    """The page.

    Args:
        given: see `ReportInput`.
        made: one line for the foot of the page.
    """
    budget = [MOST_PICTURE_BYTES]
    data = {"made": made, "sources": [_source(given, s, budget) for s in given.sources]}
    title = ", ".join(Path(s.info.path).name for s in given.sources[:3])
    # inside a script element only "<" can end it; the rest of JSON is harmless there
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    folder = resources.files("onlooker.reports") / "html"
    page = (folder / "report.html").read_text(encoding="utf-8")
    parts = {
        "@@TITLE@@": html.escape(f"{title} · onlooker"),
        "@@CSS@@": (folder / "report.css").read_text(encoding="utf-8"),
        "@@JS@@": (folder / "report.js").read_text(encoding="utf-8"),
        "@@DATA@@": text,
    }
    # in one pass, so that nothing in a name or in the data is taken for a mark
    page = re.sub("|".join(parts), lambda found: parts[found[0]], page)
    return page.encode("utf-8", "replace").decode("utf-8")


def _source(given: ReportInput, source: SourceStatus, budget: list[int]) -> dict[str, Any]:
    info = source.info
    items: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    left_out = 0
    for observation in given.observations(Query(sources=(info.id,))):
        counts[observation.kind] += 1
        if observation.kind in _DENSE:
            continue
        if len(items) >= MOST_ITEMS:
            left_out += 1
            continue
        items.append(_item(observation, given.folder, budget))
    boxes, boxes_left = _boxes(given, info.id)
    notes = [f"{left_out} observations beyond the first {MOST_ITEMS} are in the library only"] if left_out else []
    notes += [f"{boxes_left} boxes beyond the first {MOST_BOXES} are not drawn"] if boxes_left else []
    return {
        "id": info.id,
        "name": Path(info.path).name or info.path,
        "about": _about(source),
        "video": given.videos.get(info.id, ""),
        "duration": float(info.duration) if info.duration is not None else None,
        "end": max((i["end"] for i in items), default=0.0),
        "items": items,
        "keyframes": [i for i in items if i["kind"] == "keyframe"],
        "boxes": boxes,
        "counts": dict(sorted(counts.items())),
        "failures": [_failure(f) for f in given.failures.get(info.id, ())],
        "producers": [f"{s.producer}{'' if s.complete else ' (not finished)'}" for s in source.states],
        "left_out": "; ".join(notes),
    }


def _item(observation: Observation, folder: Path, budget: list[int]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": observation.id,
        "kind": observation.kind,
        "start": round(observation.span.start.seconds, 4),
        "end": round(observation.span.end.seconds, 4),
        "label": observation.label,
        "text": observation.text,
        "track": observation.track,
        "score": None if observation.score is None else finite(round(observation.score, 3)),
        "producer": observation.producer.analyzer if observation.producer else "",
    }
    if isinstance(observation.data.get("transition"), str):
        item["transition"] = observation.data["transition"]
    if observation.kind == "keyframe" and observation.media:
        small = _small(folder / observation.media[0]) if budget[0] > 0 else None
        if small is not None:
            budget[0] -= len(small)
            item["picture"] = "data:image/jpeg;base64," + base64.b64encode(small).decode()
    return item


def _small(path: Path) -> bytes | None:
    """The picture at 320 px, which is what the page shows, or None where it cannot be read."""
    image = small_picture(path, 320, 320)
    if image is None:
        return None
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _boxes(given: ReportInput, source: str) -> tuple[dict[str, Any], int]:
    """Boxes by moment, for drawing on the video."""
    times: list[float] = []
    rows: list[list[list[float]]] = []
    labels: dict[str, int] = {}
    count = left = 0
    for o in given.observations(Query(sources=(source,), kinds=("object", "face"))):
        if o.box is None or not all(map(math.isfinite, o.box)):
            continue
        if count >= MOST_BOXES:
            left += 1
            continue
        count += 1
        name = " ".join(p for p in (o.label or o.kind, o.track) if p)
        start = round(o.span.start.seconds, 3)
        if not times or times[-1] != start:
            times.append(start)
            rows.append([])
        rows[-1].append([*(round(v, 3) for v in o.box), labels.setdefault(name, len(labels))])
    gaps = sorted(b - a for a, b in pairwise(times))
    hold = min(2.5, 1.5 * gaps[len(gaps) // 2]) if gaps else 1.0
    return {"times": times, "rows": rows, "labels": list(labels), "hold": round(hold, 3)}, left


def _about(source: SourceStatus) -> str:
    info = source.info
    parts = [f"{float(info.duration):.1f} s" if info.duration is not None else "length unknown"]
    if info.video:
        rate = f", {float(info.video.frame_rate):.4g} frames/s" if info.video.frame_rate else ""
        parts.append(f"{info.video.codec} {info.video.width}×{info.video.height}{rate}")
    parts += [f"{a.codec} {a.sample_rate} Hz{f' ({a.language})' if a.language else ''}" for a in info.audio]
    return " · ".join(parts)


def _failure(failure: Failure) -> str:
    who = f"{failure.analyzer}: " if failure.analyzer else ""
    where = f" ({failure.span})" if failure.span else ""
    return f"{who}{failure.message}{where}"
