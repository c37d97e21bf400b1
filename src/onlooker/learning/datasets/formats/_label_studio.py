"""Label Studio's results as labels and back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any
from xml.sax.saxutils import quoteattr

from onlooker.learning.datasets.formats.format import around
from onlooker.learning.datasets.manifest import Kind, LabelledBox, LabelledSpan, MediaKind, Sample, Task

__all__ = ["Results", "config_of", "results_of"]


class Results:
    """The regions of one annotation.

    Args:
        result: Label Studio's list.
        rate: gives the frames a second where the task is a video, which counts frames.
        at: seconds of the frame that the task is a picture of.

    Attributes:
        left_out: how many could not be taken.
    """

    def __init__(self, result: Sequence[Any], rate: Callable[[], Fraction] | None, at: float | None) -> None:
        self._result, self._rate, self._at = result, rate, at
        self.left_out = 0

    def labels(self) -> Iterator[tuple[str, Kind, Any]]:
        """Task, kind and label.

        Raises:
            KeyError, ValueError: something is missing or no number.
        """
        boxes: dict[str, list[LabelledBox]] = defaultdict(list)
        spans: dict[str, list[LabelledSpan]] = defaultdict(list)
        for region in self._result:
            name, kind, value = region.get("from_name"), region.get("type"), region.get("value", {})
            match kind:
                case "choices":
                    chosen = [str(c) for c in value["choices"]]
                    yield (
                        (name, "class", chosen[0])
                        if len(chosen) == 1 and not value.get("many")
                        else (
                            name,
                            "multi-label",
                            tuple(chosen),
                        )
                    )
                case "number":
                    yield name, "regression", float(value["number"])
                case "rating":
                    yield name, "regression", float(value["rating"])
                case "textarea":
                    yield name, "text", "\n".join(value["text"]) if isinstance(value["text"], list) else value["text"]
                case "rectanglelabels":
                    boxes[name].append(self._rectangle(region, value))
                case "videorectangle":
                    boxes[name] += self._track(region, value)
                case "labels" | "timelinelabels" | "timeserieslabels" if "ranges" in value or "start" in value:
                    spans[name] += self._spans(kind, value, region)
                case _:
                    self.left_out += 1
        for name, found in boxes.items():
            yield name, "boxes", tuple(sorted(found, key=lambda b: b.at or 0.0))
        for name, held in spans.items():
            yield name, "spans", tuple(held)

    def _rectangle(self, region: Any, value: Any) -> LabelledBox:
        sides = _sides(value, region)
        score, meta = region.get("score"), region.get("meta") or {}
        return LabelledBox(
            label=value["rectanglelabels"][0],
            box=sides,
            at=self._at,
            track=meta.get("track"),
            crowd=bool(meta.get("crowd")),
            score=score,
        )

    def _track(self, region: Any, value: Any) -> list[LabelledBox]:
        """Boxes at the key frames; in between nothing is made up."""
        assert self._rate is not None
        rate = self._rate()
        made: list[LabelledBox] = []
        for key in value["sequence"]:
            at = round(float(Fraction(int(key["frame"]) - 1) / rate), 6)
            label = (value.get("labels") or ["object"])[0]
            meta = region.get("meta") or {}
            crowd, score = bool(meta.get("crowd")), key.get("score")
            track = meta["track"] if "track" in meta else str(region.get("id"))
            box = LabelledBox(label=label, box=_sides(key, region), at=at, track=track, crowd=crowd, score=score)
            made.append(box)
        return made

    def _spans(self, kind: str, value: Any, region: Any) -> list[LabelledSpan]:
        label = str(value[kind][0])
        score = region.get("score")
        if "ranges" not in value:
            return [LabelledSpan(label=label, start=float(value["start"]), end=float(value["end"]), score=score)]
        assert self._rate is not None
        rate = self._rate()
        # frames from 1, the last one belongs to it
        return [
            LabelledSpan(
                label=label,
                start=round(float(Fraction(int(r["start"]) - 1) / rate), 6),
                end=round(float(Fraction(int(r["end"])) / rate), 6),
                score=score,
            )
            for r in value["ranges"]
        ]


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


def results_of(sample: Sample, tasks: Mapping[str, Task], kind: MediaKind) -> tuple[list[Any], Counter[str]]:
    """The regions of a sample's labels, and what has no place in them."""
    made: list[Any] = []
    lost: Counter[str] = Counter()
    media = sample.of_kind("video")
    rateless = kind == "video" and (media is None or media.frame_rate is None)
    for name, label in sample.labels.items():
        if name not in tasks:
            continue
        base = {"from_name": name, "to_name": kind}
        match tasks[name].kind:
            case "class":
                made.append({**base, "type": "choices", "value": {"choices": [label]}})
            case "multi-label":
                made.append({**base, "type": "choices", "value": {"choices": list(label), "many": True}})
            case "regression":
                values = label if isinstance(label, tuple) else (label,)
                lost["numbers besides the first"] += len(values) - 1
                made += [{**base, "type": "number", "value": {"number": v}} for v in values[:1]]
            case "text":
                made.append({**base, "type": "textarea", "value": {"text": [label]}})
            case "boxes" if not rateless:
                lost["boxes without a time"] += sum(b.at is None for b in label) if kind == "video" else 0
                made += _box_regions(base, label, kind, sample)
            case "spans":
                made += _span_regions(base, label, kind, sample)
            case "boxes":
                lost["boxes of videos without a frame rate"] += len(label)
            case _:
                pass
    return made, lost


def _percent(box: LabelledBox) -> dict[str, float]:
    left, top, right, bottom = (v * 100 for v in box.box)
    return {"x": round(left, 6), "y": round(top, 6), "width": round(right - left, 6), "height": round(bottom - top, 6)}


def _box_regions(base: dict[str, Any], boxes: Sequence[LabelledBox], kind: MediaKind, sample: Sample) -> list[Any]:
    if kind != "video":
        made: list[Any] = []
        for n, box in enumerate(boxes):
            meta = {**({"track": box.track} if box.track else {}), **({"crowd": True} if box.crowd else {})}
            value = {**_percent(box), "rotation": 0, "rectanglelabels": [box.label]}
            score = {} if box.score is None else {"score": box.score}
            region = {**base, "id": f"{base['from_name']}-{n}", "type": "rectanglelabels", "value": value}
            made.append({**region, **score, **({"meta": meta} if meta else {})})
        return made
    media = sample.of_kind("video")
    rate = media.frame_rate if media is not None else None
    if rate is None:
        return []
    tracks: dict[tuple[str | int, str, bool], list[LabelledBox]] = defaultdict(list)
    for n, box in enumerate(b for b in boxes if b.at is not None):
        tracks[n if box.track is None else box.track, box.label, box.crowd].append(box)
    made, ids = [], set[str]()
    for (track, _, crowd), held in tracks.items():
        # a region has one label: what changes it goes on in another
        name = key = f"alone-{track}" if isinstance(track, int) else track
        while key in ids:
            key = f"{name}-{len(ids)}"
        ids.add(key)
        meta = {} if key == track else {"track": None if isinstance(track, int) else track}
        meta |= {"crowd": True} if crowd else {}
        sequence = []
        for box in sorted(held, key=lambda b: b.at or 0.0):
            frame = round(Fraction(str(box.at or 0)) * rate) + 1
            sequence.append({"frame": frame, "time": box.at or 0.0, "enabled": True, "rotation": 0, **_percent(box)})
            sequence[-1] |= {} if box.score is None else {"score": box.score}
        value = {"sequence": sequence, "labels": [held[0].label], "duration": media.seconds if media else None}
        region = {**base, "id": key, "type": "videorectangle", "value": value}
        made.append({**region, "meta": meta} if meta else region)
    return made


def _span_regions(base: dict[str, Any], spans: Sequence[LabelledSpan], kind: MediaKind, sample: Sample) -> list[Any]:
    media = sample.of_kind("video")
    rate = media.frame_rate if media is not None and kind == "video" else None
    made: list[Any] = []
    for n, span in enumerate(spans):
        region = {**base, "id": f"{base['from_name']}-{n}"}
        if span.score is not None:
            region["score"] = span.score
        if rate is None:
            value: dict[str, Any] = {"start": span.start, "end": span.end, "labels": [span.label]}
            made.append({**region, "type": "labels", "value": value})
            continue
        first = round(Fraction(str(span.start)) * rate) + 1
        last = max(first, round(Fraction(str(span.end)) * rate))
        value = {"ranges": [{"start": first, "end": last}], "timelinelabels": [span.label]}
        made.append({**region, "type": "timelinelabels", "value": value})
    return made


_CONTROLS = {
    ("boxes", "video"): ("VideoRectangle", "Labels"),
    ("boxes", "image"): ("RectangleLabels", ""),
    ("spans", "video"): ("TimelineLabels", ""),
    ("spans", "audio"): ("Labels", ""),
    ("spans", "text"): ("Labels", ""),
}
_OBJECTS = {"video": "Video", "image": "Image", "audio": "Audio", "text": "Text"}


def config_of(tasks: Mapping[str, Task], kinds: Sequence[MediaKind]) -> str:
    """The labelling set-up: one object for each kind of media, and the controls of the tasks."""
    lines = ["<View>"]
    for kind in kinds:
        lines.append(f'  <{_OBJECTS[kind]} name="{kind}" value="${kind}"/>')
        for name, task in tasks.items():
            lines += _control(name, task, kind)
    return "\n".join([*lines, "</View>", ""])


def _control(name: str, task: Task, kind: MediaKind) -> list[str]:
    names = f'name={quoteattr(name)} toName="{kind}"'
    match task.kind:
        case "class" | "multi-label":
            many = "multiple" if task.kind == "multi-label" else "single"
            choices = [f"    <Choice value={quoteattr(c)}/>" for c in task.classes]
            return [f'  <Choices {names} choice="{many}">', *choices, "  </Choices>"]
        case "regression":
            return [f"  <Number {names}/>"]
        case "text":
            return [f"  <TextArea {names}/>"]
        case _:
            control, around = _CONTROLS.get((task.kind, kind), ("", ""))
    if not control:
        return []
    if around:
        labels = [f"    <Label value={quoteattr(c)}/>" for c in task.classes]
        group = quoteattr(f"{name} labels")
        return [f"  <{control} {names}/>", f'  <{around} name={group} toName="{kind}">', *labels, f"  </{around}>"]
    labels = [f"    <Label value={quoteattr(c)}/>" for c in task.classes]
    return [f"  <{control} {names}>", *labels, f"  </{control}>"]
