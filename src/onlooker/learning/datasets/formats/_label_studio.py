"""Label Studio's results as labels: those that share an id are one region with what was said of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onlooker.learning.datasets.formats._checked import an_object, objects
from onlooker.learning.datasets.formats._label_studio_video import Clock
from onlooker.learning.datasets.formats.format import around, filled
from onlooker.learning.datasets.manifest import Kind, LabelledBox, LabelledSpan

__all__ = ["UNLABELLED", "Results", "leaves"]

UNLABELLED = "regions and choices without a label"
_ANSWERS = frozenset(("choices", "number", "rating", "taxonomy", "textarea"))
_BOXES = frozenset(("rectangle", "rectanglelabels", "videorectangle"))
_SPANS = frozenset(("labels", "timelinelabels", "timeserieslabels"))
# what the value of a region has, and so that of an answer about one
_PLACES = frozenset(("x", "start", "ranges", "sequence", "points", "vertices", "rle", "globalOffsets"))


class Results:
    """The results of one annotation.

    Args:
        result: Label Studio's list.
        clock: tells times where the task is a video, which counts frames.
        at: seconds of the frame that the task is a picture of.
        label: class of a region, from ``{label}`` and the names of questions about it.

    Attributes:
        left_out: what could not be taken, counted by reason.
    """

    def __init__(self, result: Sequence[Any], clock: Clock | None, at: float | None, label: str = "{label}") -> None:
        self._result, self._clock, self._at, self._label = result, clock, at, label
        self._asked = frozenset(re.findall(r"\{([^{}]+)\}", label))
        self.left_out = Counter[str]()
        self._by_id: dict[str, list[Any]] = defaultdict(list)
        for one in result:
            if isinstance(one.get("id"), str) and one.get("type") != "relation":
                self._by_id[one["id"]].append(one)

    def labels(self) -> Iterator[tuple[str, Kind, Any]]:
        """Task, kind and label.

        Raises:
            KeyError, ValueError: something is missing or no number.
        """
        said: dict[str, tuple[Kind, Any]] = {}
        boxes: dict[str, list[LabelledBox]] = defaultdict(list)
        spans: dict[str, list[LabelledSpan]] = defaultdict(list)
        for one in self._result:
            name, kind, value = one.get("from_name"), one.get("type"), one.get("value") or {}
            beside = {r["type"] for r in self._beside(one)}
            if kind in _ANSWERS and (beside - _ANSWERS or _PLACES & value.keys()):
                if name not in self._asked:
                    self.left_out[f"answers about single regions called {name}"] += 1
            elif kind in _ANSWERS:
                self.left_out["answers to a question besides its last"] += name in said
                said[name] = _answer(kind, value)
            elif kind in _BOXES:
                boxes[name] += self._boxes(one, value)
            elif kind == "labels" and (beside & _BOXES or (beside - _ANSWERS and not _timed(value))):
                pass  # it is the class of another result
            elif kind in _SPANS and _timed(value):
                spans[name] += self._spans(one, value)
            else:
                self.left_out[f"results of type {kind}"] += 1
        for name, (kind, label) in said.items():
            yield name, kind, label
        for name, found in boxes.items():
            yield name, "boxes", tuple(sorted(found, key=lambda b: b.at or 0.0))
        for name, held in spans.items():
            yield name, "spans", tuple(held)

    def _beside(self, one: Any) -> list[Any]:
        """The other results of the same region."""
        return [r for r in self._by_id.get(one.get("id"), ()) if r is not one] if isinstance(one.get("id"), str) else []

    def _class(self, one: Any, usual: str = "") -> str:
        """The class of a region, or nothing."""
        beside = self._beside(one)
        named = [v for r in (one, *beside) for v in _named(r)]
        names = list(dict.fromkeys(named))
        self.left_out["labels of regions besides their first"] += max(0, len(names) - 1)
        own = names[0] if names else usual
        if self._label == "{label}":
            return own
        answers = {r["from_name"]: _text(r) for r in beside if r["type"] in _ANSWERS}
        fields = {**dict.fromkeys(self._asked, ""), **answers, "label": own}
        return (filled(self._label, fields) or "").strip() or own

    def _boxes(self, region: Any, value: Mapping[str, Any]) -> list[LabelledBox]:
        meta = region.get("meta") or {}
        if region["type"] != "videorectangle":
            label = self._class(region)
            if not label:
                self.left_out[UNLABELLED] += 1
                return []
            more = {"track": meta.get("track"), "crowd": bool(meta.get("crowd")), "score": region.get("score")}
            return [LabelledBox(label=label, box=_sides(value, region), at=self._at, **more)]
        label, crowd = self._class(region, "object"), bool(meta.get("crowd"))
        track = meta["track"] if "track" in meta else str(region.get("id"))
        return [
            LabelledBox(
                label=label, box=_sides(place, region), at=at, track=track, crowd=crowd, score=place.get("score")
            )
            for at, place in self._frames(region).places(value)
        ]

    def _spans(self, region: Any, value: Mapping[str, Any]) -> list[LabelledSpan]:
        label, score = self._class(region), region.get("score")
        if not label:
            self.left_out[UNLABELLED] += 1
            return []
        if "ranges" not in value:
            return [LabelledSpan(label=label, start=float(value["start"]), end=float(value["end"]), score=score)]
        times = [self._frames(region).span(within) for within in objects(value["ranges"], "ranges")]
        return [LabelledSpan(label=label, start=start, end=end, score=score) for start, end in times]

    def _frames(self, region: Any) -> Clock:
        if self._clock is None:
            raise ValueError(f"{region['from_name']}: frames are counted, and there is no video")
        return self._clock


def leaves(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The last part of each path that was chosen in a taxonomy, and the whole path."""
    paths = [[str(p) for p in path] if isinstance(path, list) else [str(path)] for path in value["taxonomy"]]
    return [(path[-1], "/".join(path)) for path in paths if path]


def _timed(value: Mapping[str, Any]) -> bool:
    return "ranges" in value or "start" in value


def _named(result: Any) -> list[str]:
    """The labels that a result gives its region."""
    value = an_object(result.get("value") or {}, "value")
    names = [] if result["type"] in _ANSWERS else value.get(result["type"]) or value.get("labels") or []
    return [str(n) for n in names] if isinstance(names, list) else []


def _answer(kind: str, value: Mapping[str, Any]) -> tuple[Kind, Any]:
    if kind in ("number", "rating"):
        return "regression", float(value[kind])
    if kind == "textarea":
        return "text", "\n".join(value["text"]) if isinstance(value["text"], list) else value["text"]
    chosen = list(dict(leaves(value))) if kind == "taxonomy" else [str(c) for c in value["choices"]]
    return ("class", chosen[0]) if len(chosen) == 1 and not value.get("many") else ("multi-label", tuple(chosen))


def _text(result: Any) -> str:
    """An answer in words."""
    _, answer = _answer(result["type"], an_object(result.get("value"), "value"))
    return ", ".join(answer) if isinstance(answer, tuple) else f"{answer:g}" if isinstance(answer, float) else answer


def _sides(value: Any, region: Any) -> tuple[float, float, float, float]:
    """Fractions from percents; one that is turned (about its left top corner) gets the upright box around it."""
    left, top = float(value["x"]) / 100, float(value["y"]) / 100
    right, bottom = left + float(value["width"]) / 100, top + float(value["height"]) / 100
    turned = float(value.get("rotation") or 0)
    if turned:
        # turns are of pixels; without their number the picture counts as square
        wide, high = float(region.get("original_width") or 1), float(region.get("original_height") or 1)
        held = around(left * wide, top * high, right * wide, bottom * high, turned, (left * wide, top * high))
        left, top, right, bottom = held[0] / wide, held[1] / high, held[2] / wide, held[3] / high
    return round(left, 7), round(top, 7), round(right, 7), round(bottom, 7)
