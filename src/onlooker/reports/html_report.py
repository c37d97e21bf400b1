"""One HTML file that holds everything but the video: timeline, pictures, search; it works from disk and offline."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from onlooker.core.observation import Observation, finite
from onlooker.core.store import Failure, Query, SourceStatus
from onlooker.reports.people import Person, gather_people
from onlooker.reports.picture import small_picture
from onlooker.reports.report_items import gather, item_of, notes_of, overlays

__all__ = ["ReportInput", "build_report", "link_to"]

MOST_PEOPLE = 300
MOST_PICTURE_BYTES = 24_000_000
_SCRIPTS = ("report.js", "lanes.js", "panels.js", "start.js")


@dataclass(frozen=True, slots=True)
class ReportInput:
    """What a report is made of.

    Args:
        sources: in the order shown.
        observations: answers queries (``Store.query``).
        failures: failures by source id.
        folder: the library folder, for pictures.
        videos: address of each source's video by source id, as the page shall use it.
        counts: observations of each kind of a source (``Store.counts``); counted by reading where it is not given.
    """

    sources: Sequence[SourceStatus]
    observations: Callable[[Query], Iterator[Observation]]
    failures: Mapping[str, Sequence[Failure]]
    folder: Path
    videos: Mapping[str, str]
    counts: Callable[[str], Mapping[str, int]] | None = None


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
        "@@JS@@": "".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS),
        "@@DATA@@": text,
    }
    # in one pass, so that nothing in a name or in the data is taken for a mark
    page = re.sub("|".join(parts), lambda found: parts[found[0]], page)
    return page.encode("utf-8", "replace").decode("utf-8")


def _source(given: ReportInput, source: SourceStatus, budget: list[int]) -> dict[str, Any]:
    info = source.info
    found = gather(given.observations, info.id, given.counts(info.id) if given.counts else None)
    speakers = found.speakers()
    items = [_with_picture(item_of(o, speakers), o, given.folder, budget) for o in found.all()]
    layers, notes = overlays(given.observations, info.id, found)
    people = gather_people(found.kept.get("identity", ()), found.kept.get("face_track", ()))
    notes += [f"{len(people) - MOST_PEOPLE} more people are in the library only"] if len(people) > MOST_PEOPLE else []
    return {
        "id": info.id,
        "name": Path(info.path).name or info.path,
        "about": _about(source),
        "video": given.videos.get(info.id, ""),
        "duration": float(info.duration) if info.duration is not None else None,
        "end": max((i["end"] for i in items), default=0.0),
        "items": items,
        "names": found.names,
        "people": [_person(p, given.folder, budget) for p in people[:MOST_PEOPLE]],
        "layers": layers,
        "counts": dict(found.counts),
        "failures": [_failure(f) for f in given.failures.get(info.id, ())],
        "producers": [f"{s.producer}{'' if s.complete else ' (not finished)'}" for s in source.states],
        "left_out": notes_of(found, notes),
    }


def _with_picture(item: dict[str, Any], o: Observation, folder: Path, budget: list[int]) -> dict[str, Any]:
    if o.kind == "keyframe" and o.media:
        item["picture"] = _embedded(folder / o.media[0], 320, budget)
    return {k: v for k, v in item.items() if k != "picture" or v}


def _person(person: Person, folder: Path, budget: list[int]) -> dict[str, Any]:
    # pictures as the library has them: what its privacy settings hid is hidden here
    return {
        "name": person.name,
        "known": person.known,
        "seconds": round(person.seconds, 2),
        "score": person.score and finite(round(person.score, 3)),
        "spans": [[round(o.span.start.seconds, 3), round(o.span.end.seconds, 3), o.id] for o in person.spans],
        "picture": _embedded(folder / person.picture, 160, budget) if person.picture else None,
    }


def _embedded(path: Path, size: int, budget: list[int]) -> str | None:
    """A picture for the page itself, or None where it cannot be read or the page has no room left."""
    small = _small(path, size) if budget[0] > 0 else None
    if small is None:
        return None
    budget[0] -= len(small)
    return "data:image/jpeg;base64," + base64.b64encode(small).decode()


def _small(path: Path, size: int) -> bytes | None:
    """The picture at the size that the page shows, or None where it cannot be read."""
    image = small_picture(path, size, size)
    if image is None:
        return None
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


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
