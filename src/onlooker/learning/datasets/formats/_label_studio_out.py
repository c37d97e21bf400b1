"""Labels as Label Studio's results, and the labelling set-up that shows them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any
from xml.sax.saxutils import quoteattr

from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, MediaKind, Sample, Task

__all__ = ["config_of", "results_of"]


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
        sequence = _sequence(held, rate)
        value = {"sequence": sequence, "labels": [held[0].label], "duration": media.seconds if media else None}
        region = {**base, "id": key, "type": "videorectangle", "value": value}
        made.append({**region, "meta": meta} if meta else region)
    return made


def _sequence(boxes: Sequence[LabelledBox], rate: Fraction) -> list[dict[str, Any]]:
    """Key frames of one object, which is switched off where its boxes do not go on in the next frame.

    Label Studio shows as its frame ``n`` the picture at ``n / rate`` seconds, and has no frame 0.
    """
    held = sorted(boxes, key=lambda b: b.at or 0.0)
    numbers = [round(Fraction(str(box.at or 0)) * rate) for box in held]
    made: list[dict[str, Any]] = []
    for number, after, box in zip(numbers, [*numbers[1:], None], held, strict=True):
        key = {"frame": max(1, number), "time": box.at or 0.0, "enabled": after is not None and after <= number + 1}
        made.append({**key, "rotation": 0, **_percent(box), **({} if box.score is None else {"score": box.score})})
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


def config_of(tasks: Mapping[str, Task], kinds: Sequence[MediaKind], parted: Sequence[MediaKind] = ()) -> str:
    """The labelling set-up: one object for each kind of media, and the controls of the tasks.

    Args:
        tasks: by name.
        kinds: of media.
        parted: those whose tasks say which part of a file is meant.
    """
    lines = ["<View>"]
    for kind in kinds:
        if kind in parted:
            lines.append('  <Header value="$part"/>')
        counted = ' frameRate="$fps"' if kind == "video" else ""
        lines.append(f'  <{_OBJECTS[kind]} name="{kind}" value="${kind}"{counted}/>')
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
