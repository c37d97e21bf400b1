"""What samples say besides media and labels, kept where a format has room: what was written comes back the same.

Whether a label is a proposal is not kept: what comes back from elsewhere was looked at.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats.format import Written, frame_of, medium, read_json, wrong
from onlooker.learning.datasets.manifest import LabelledBox, Media, Sample
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = [
    "INDEX",
    "KEY",
    "kept",
    "own",
    "parted",
    "plain_json",
    "read_index",
    "restored",
    "sequences",
    "tell_losses",
    "write_index",
]

INDEX = "onlooker.json"
KEY = "onlooker"
_FORMS: dict[Any, str] = {dict: "an object", list: "a list", str: "a text"}
_ELSEWHERE = frozenset(("id", "media", "labels", "status"))
_FIELDS = frozenset(Sample.model_fields) - _ELSEWHERE


def kept(sample: Sample, task: str | None = None) -> dict[str, Any]:
    """What `restored` needs, as JSON: the id as ``sample``, and what is not as usual.

    Args:
        sample: whose.
        task: that is written; a sample that lacks its label differs from one in which nothing is.
    """
    held = sample.model_dump(mode="json", exclude=set(_ELSEWHERE), exclude_defaults=True)
    if len(sample.media) != 1 or sample.at is not None:
        held["media"] = [m.path for m in sample.media]
    if task is not None and task not in sample.labels:
        held["labelled"] = False
    return {"sample": sample.id, **held}


def own(held: Mapping[str, Any]) -> dict[str, Any]:
    """What `kept` said, out of an object that others write in too; empty where it is none of ours.

    It is in one key. Before that it lay among the others, always with splits and groups: what merely is called the same
    is not taken for it.
    """
    ours = held.get(KEY)
    if isinstance(ours, dict) and isinstance(ours.get("sample"), str):
        return ours
    flat = isinstance(held.get("sample"), str) and "split" in held and isinstance(held.get("groups"), dict)
    return dict(held) if flat else {}


def restored(sample: Sample, held: Mapping[str, Any], root: Path, task: str) -> Sample:
    """A sample as it was before it was written.

    Args:
        sample: with media and labels as the format gives them.
        held: from `kept`, perhaps with other things in it; what it does not say stays.
        root: that media start from: where those of the sample are not below it, the format's stay.
        task: that was written.

    Raises:
        ValueError: what is held does not fit.
    """
    if not isinstance(held, dict):
        raise ValueError(f"kept: expected an object, got {held!r}")
    values = {k: v for k, v in held.items() if k in _FIELDS}
    paths = held.get("media") or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ValueError(f"media: expected a list of paths, got {paths!r}")
    media = tuple(medium(path) for path in paths)
    if not media or not all((root / m.path).is_file() for m in media):
        media = sample.media
        if sample.of_kind("video", "audio", "series") is None:
            # a picture that was taken out of a video has no time
            values = {k: v for k, v in values.items() if k not in ("at", "span")}
    labels = {k: v for k, v in sample.labels.items() if k != task or v or held.get("labelled") is not False}
    before = {k: getattr(sample, k) for k in _FIELDS}
    key = held.get("sample") or sample.id
    return Sample.model_validate({**before, **values, "id": key, "media": media, "labels": labels})


def plain_json(value: Any) -> str:
    """JSON in ASCII: characters that XML cannot hold are written as numbers."""
    return json.dumps(value)


def write_index(folder: Path, values: Mapping[str, Any], done: Written, *, join: bool = True) -> None:
    """Write what is kept beside the files of a folder, joined with that of earlier ones, such as of other splits."""
    before = read_index(folder)[1] if join else {}
    values = {**values, "samples": {**before, **values["samples"]}}
    write_whole(folder / INDEX, json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    done.files.append(folder / INDEX)


def read_index(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is kept beside the files of a folder: all of it, and its samples by their file; empty where there is none.

    Raises:
        ConfigError: it is there, but not as `write_index` writes it.
    """
    if not (folder / INDEX).is_file():
        return {}, {}
    values = read_json(folder / INDEX)
    samples = values.get("samples") if isinstance(values, dict) else None
    if not isinstance(samples, dict) or not all(isinstance(v, dict) for v in samples.values()):
        raise wrong(folder / INDEX, "expected an object with samples by their file", hint="remove it, or export again")
    for name, form in (("tracks", dict), ("classes", list), ("video", str), ("rate", str)):
        if not isinstance(values.get(name, form()), form):
            raise wrong(folder / INDEX, f"{name}: expected {_FORMS[form]}", hint="remove it, or export again")
    return values, samples


def tell_losses(
    dataset: Dataset, samples: Sequence[Sample], done: Written, written: Sequence[str | None], boxes: Sequence[str] = ()
) -> None:
    """Count what samples say and the format has no place for.

    Args:
        dataset: whose.
        samples: that are written.
        done: where it is counted.
        written: tasks that are.
        boxes: attributes of boxes that have no place.
    """
    lost = {f"labels of {t}": sum(t in s.labels for s in samples) for t in dataset.info.tasks if t not in written}
    lost["marks of proposals: they come back as labelled"] = sum(s.status == "proposed" for s in samples)
    for name in boxes:
        lost[f"boxes' {name}"] = sum(
            getattr(b, name) not in (None, False) for s in samples for t in written for b in s.labels.get(t or "", ())
        )
    done.left_out.update({reason: n for reason, n in lost.items() if n})


def sequences(
    samples: Sequence[Sample], task: str, done: Written
) -> Iterator[tuple[Media, str | None, list[Sample], list[dict[str, Any]]]]:
    """Samples of one video and split together, so far as they do not overlap in time.

    Yields:
        The video, its split, the samples, and for each what is kept of it with the frames that are its own.
    """
    held: dict[tuple[str, str | None], list[Sample]] = defaultdict(list)
    for sample in samples:
        video = sample.of_kind("video")
        if video is None or video.frame_rate is None or not video.width or not video.height:
            done.left_out["without video or frame rate"] += 1
        else:
            held[video.path, sample.split].append(sample)
    for (_, split), group in held.items():
        video = group[0].of_kind("video")
        assert video is not None
        assert video.frame_rate is not None
        lanes: list[list[tuple[tuple[int, int], Sample]]] = []
        extents = [(_extent(s, task, video.frame_rate), n) for n, s in enumerate(group)]
        for extent, number in sorted(extents):
            lane = next((one for one in lanes if one[-1][0][1] < extent[0]), None)
            if lane is None:
                lanes.append(lane := [])
            lane.append((extent, group[number]))
        for lane in lanes:
            yield video, split, [s for _, s in lane], [_entry(s, task, extent) for extent, s in lane]


_ENDLESS = 2**53


def _extent(sample: Sample, task: str, rate: Fraction) -> tuple[int, int]:
    """The first and the last frame of a sample, from 0, with all of its boxes."""
    frames = [frame_of(b, rate) for b in sample.labels.get(task, ()) if b.at is not None]
    if sample.at is not None:
        frames.append(round(Fraction(str(sample.at)) * rate))
    elif sample.span is not None:
        first = round(Fraction(str(sample.span[0])) * rate)
        frames += [first, max(first, round(Fraction(str(sample.span[1])) * rate) - 1)]
    else:
        return 0, _ENDLESS
    return min(frames), max(frames)


def _entry(sample: Sample, task: str, extent: tuple[int, int]) -> dict[str, Any]:
    made = {**kept(sample, task), "frames": list(extent), "split": sample.split}
    boxes = sample.labels.get(task, ())
    return {**made, "timeless": True} if sample.at is not None and all(b.at is None for b in boxes) else made


def parted(
    entries: Sequence[Mapping[str, Any]],
    boxes: Sequence[tuple[int, LabelledBox]],
    whole: Sample,
    root: Path,
    task: str,
    left_out: Counter[str],
) -> list[Sample]:
    """The samples of a sequence as they were before they were written.

    Args:
        entries: from `sequences`.
        boxes: of the sequence, with their frames from 0, in order.
        whole: the sequence as one sample.
        root: that media start from.
        task: that was written.
        left_out: counts boxes on frames of no sample.

    Raises:
        ValueError: what was kept does not fit.
    """
    made: list[Sample] = []
    taken: set[int] = set()
    for entry in entries:
        match entry.get("frames"):
            case [int(first), int(last)]:
                pass
            case other:
                raise ValueError(f"frames: expected the first and the last, got {other!r}")
        mine = [n for n, (frame, _) in enumerate(boxes) if first <= frame <= last]
        taken.update(mine)
        labels = tuple(boxes[n][1] for n in mine)
        if entry.get("timeless"):
            labels = tuple(b.model_copy(update={"at": None}) for b in labels)
        one = whole.model_copy(update={"span": None, "split": None, "groups": {}, "labels": {task: labels}})
        made.append(restored(one, entry, root, task))
    left_out["boxes on frames of no sample"] += len(boxes) - len(taken)
    return made
