"""What the HTML report carries of one source's observations, thinned so that hours of video stay one small page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from onlooker.core.observation import Box, Observation, finite
from onlooker.core.store import Query
from onlooker.reports.people import SpeakerAt, names_of

__all__ = ["BOX_KINDS", "DRAWN", "Gathered", "gather", "item_of", "level", "notes_of", "overlays"]

MOST_ITEMS = 30_000
MOST_FIRST = 22_000
MOST_BOXES = 60_000
MOST_POSES = 8_000
_MOST_DETAILS = 140

BOX_KINDS = ("object", "face")
DRAWN = frozenset({*BOX_KINDS, "pose"})
_LEFT_OUT = frozenset({*DRAWN, "attention", "embedding", "fingerprint", "picture"})
"""Kinds that have no item: one or more in every frame, or nothing to see."""

_FIRST = frozenset(
    {
        "chapter",
        "summary",
        "topic",
        "speech",
        "speaker",
        "text",
        "identity",
        "face_track",
        "fact",
        "safety",
        "sentiment",
    }
)
"""Kinds that the lists beside the picture are made of: they are thinned last."""

_DETAILS = frozenset(
    {"sound", "fact", "attribute", "age", "attention_state", "attention_group", "identity", "safety", "sentiment"}
)
_BOXED = frozenset({"text", "identity", "face_track"})

Ask = Callable[[Query], Iterator[Observation]]


@dataclass(slots=True)
class Gathered:
    """Observations of one source.

    Args:
        kept: by kind, in order of time.
        counts: how many there are of each kind in the library.
        names: names of identified tracks.
    """

    kept: dict[str, list[Observation]] = field(default_factory=dict[str, list[Observation]])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    names: dict[str, str] = field(default_factory=dict[str, str])

    def all(self) -> list[Observation]:
        """Those of all kinds in order of time."""
        found = [o for members in self.kept.values() for o in members]
        return sorted(found, key=lambda o: (o.span.start, o.span.end, o.kind))

    @property
    def thinned(self) -> dict[str, tuple[int, int]]:
        """Kinds of which not all are kept: how many are, and of how many."""
        return {k: (len(m), self.counts[k]) for k, m in self.kept.items() if len(m) < self.counts.get(k, 0)}

    def speakers(self) -> SpeakerAt:
        """Finds the speaker of a sentence."""
        return SpeakerAt(self.kept.get("speaker", ()), self.names)


def level(counts: Mapping[str, int], room: int) -> int:
    """How many of each kind fit into ``room`` when the rare kinds are kept whole.

    >>> level({"shot": 10, "blink": 1000, "sound": 90}, 300)
    200
    """
    left, kinds = room, sorted(counts.values())
    for number, count in enumerate(kinds):
        share = left // (len(kinds) - number)
        if count > share:
            return max(1, share)
        left -= count
    return max(1, kinds[-1]) if kinds else 1


def gather(ask: Ask, source: str, counts: Mapping[str, int] | None = None) -> Gathered:
    """Read the observations that the page lists; of kinds with very many, an even choice over the time.

    Args:
        ask: answers queries.
        source: the source's id.
        counts: of each kind, where the store tells; else all are read once to count them.
    """
    if counts is None:
        counts = Counter(o.kind for o in ask(Query(sources=(source,))))
    listed = {k: n for k, n in counts.items() if k not in _LEFT_OUT}
    found = Gathered(counts=dict(sorted(counts.items())))
    if not listed:
        return found
    rooms, seen = _rooms(listed), Counter[str]()
    for o in ask(Query(sources=(source,), kinds=tuple(listed))):
        number, whole, most = seen[o.kind], listed[o.kind], rooms[o.kind]
        seen[o.kind] += 1
        # the n-th of the chosen is the first at or after n/most of all
        if whole <= most or number * most // whole != (number - 1) * most // whole:
            found.kept.setdefault(o.kind, []).append(replace(o, vector=None, vector_space=None))
    found.names = names_of(found.kept.get("identity", ()), found.kept.get("fact", ()))
    return found


def _rooms(counts: Mapping[str, int]) -> dict[str, int]:
    """How many of each kind are listed."""
    first = {k: n for k, n in counts.items() if k in _FIRST}
    rest = {k: n for k, n in counts.items() if k not in _FIRST}
    most = level(first, MOST_FIRST)
    left = MOST_ITEMS - sum(min(n, most) for n in first.values())
    return {**dict.fromkeys(first, most), **dict.fromkeys(rest, level(rest, left))}


def item_of(observation: Observation, speakers: SpeakerAt) -> dict[str, Any]:
    """One observation as the page knows it; empty fields are left out."""
    o = observation
    item: dict[str, Any] = {
        "id": o.id,
        "kind": o.kind,
        "start": round(o.span.start.seconds, 4),
        "end": round(o.span.end.seconds, 4),
        "label": o.label,
        "text": o.text,
        "track": o.track,
        "score": None if o.score is None else finite(round(o.score, 3)),
        "producer": o.producer.analyzer if o.producer else "",
    }
    for name in ("transition", "role", "period"):
        if isinstance(o.data.get(name), str):
            item[name] = o.data[name]
    if o.kind == "speech":
        item["speaker"] = speakers.of(o)
    if o.kind in _BOXED and o.box is not None and _sound(o.box):
        item["box"] = [round(v, 3) for v in o.box]
    if o.kind in _DETAILS:
        item["more"] = _details(o.data)
    return {k: v for k, v in item.items() if v is not None and v != ""} | {"score": item["score"]}


def _details(data: Mapping[str, Any]) -> str:
    """The kind's own short values as words.

    >>> _details({"loudness_lufs": -23.1, "senses": {"sound": 0.7, "picture": 0.3}, "faces": []})
    'loudness lufs -23.1 · senses: sound 0.7, picture 0.3'
    """
    parts: list[str] = []
    for name, value in data.items():
        said = name.replace("_", " ")
        if isinstance(value, dict):
            inner = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items() if _short(v)]
            parts += [f"{said}: {', '.join(inner)}"] if inner else []
        elif isinstance(value, list) and name != "rests_on":
            parts += (
                [f"{said}: {', '.join(value)}"]
                if value and all(isinstance(v, str) and _short(v) for v in value)
                else []
            )
        elif _short(value):
            parts.append(f"{said} {value:.4g}" if isinstance(value, float) else f"{said} {value}")
    words = " · ".join(parts)
    return words if len(words) <= _MOST_DETAILS else words[: _MOST_DETAILS - 1] + "…"


def _short(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int | str) and 0 < len(str(value)) <= 60


def _sound(box: Box) -> bool:
    return all(map(math.isfinite, box))


# -- what is drawn on the picture --


def overlays(ask: Ask, source: str, found: Gathered) -> tuple[list[dict[str, Any]], list[str]]:
    """Boxes and bodies by moment, a layer for each kind, and what to say of those left out."""
    layers: list[dict[str, Any]] = []
    notes: list[str] = []
    total = sum(found.counts.get(k, 0) for k in BOX_KINDS)
    for kind in (k for k in (*BOX_KINDS, "pose") if found.counts.get(k)):
        many, most = (found.counts[kind], MOST_POSES) if kind == "pose" else (total, MOST_BOXES)
        stride = -(-many // most)
        layer = _Layer(kind, stride)
        for o in ask(Query(sources=(source,), kinds=(kind,))):
            layer.add(o, found.names)
        if layer.times:
            layers.append(layer.as_dict())
        if stride > 1:
            notes.append(f"{kind}: one moment in {stride} is drawn")
    return layers, notes


class _Layer:
    """Rows of one kind by moment: [left, top, right, bottom, label] or [label, x, y, x, y, ...] of a body's points."""

    def __init__(self, kind: str, stride: int) -> None:
        self.kind, self.stride = kind, stride
        self.times: list[float] = []
        self.rows: list[list[list[float]]] = []
        self._labels: dict[str, int] = {}
        self._moments, self._last = 0, math.nan

    def add(self, o: Observation, names: Mapping[str, str]) -> None:
        start = round(o.span.start.seconds, 3)
        if start != self._last:
            self._moments, self._last = self._moments + 1, start
        if (self._moments - 1) % self.stride:
            return
        who = names.get(o.track or "") or o.track
        name = " ".join(p for p in ((o.label or o.kind) if self.kind == "object" else None, who) if p) or self.kind
        row = self._points(o) if self.kind == "pose" else self._box(o)
        if row is None:
            return
        number = self._labels.setdefault(name, len(self._labels))
        if not self.times or self.times[-1] != start:
            self.times.append(start)
            self.rows.append([])
        self.rows[-1].append([number, *row] if self.kind == "pose" else [*row, number])

    @staticmethod
    def _box(o: Observation) -> list[float] | None:
        return [round(v, 3) for v in o.box] if o.box is not None and _sound(o.box) else None

    @staticmethod
    def _points(o: Observation) -> list[float] | None:
        """Each point in thousandths, -1 where a point is not sure."""
        points = o.data.get("keypoints")
        if not isinstance(points, list):
            return None
        row: list[float] = []
        for point in points:
            match point:
                case [int() | float() as x, int() | float() as y, int() | float() as score] if score >= 0.3:
                    row += [round(1000 * x), round(1000 * y)]
                case _:
                    row += [-1, -1]
        return row

    def as_dict(self) -> dict[str, Any]:
        gaps = sorted(b - a for a, b in pairwise(self.times))
        hold = min(2.5, 1.5 * gaps[len(gaps) // 2]) if gaps else 1.0
        return {
            "kind": self.kind,
            "times": self.times,
            "rows": self.rows,
            "labels": list(self._labels),
            "hold": round(hold, 3),
        }


def notes_of(found: Gathered, more: Iterable[str]) -> str:
    """What the page leaves out, in one line."""
    said = [f"{kind}: {kept} of {of} are listed, evenly chosen" for kind, (kept, of) in found.thinned.items()]
    return "; ".join([*said, *more])
