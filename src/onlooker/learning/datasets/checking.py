"""Checks of a dataset: files, labels, balance, and that nothing is on two sides."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.clips import end_of
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.likeness import Likeness, Pair, near_pairs, prints_of
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Media, Sample
from onlooker.learning.datasets.media import first_error
from onlooker.learning.datasets.targets import class_counts
from onlooker.sources.identity import content_id

__all__ = ["CheckReport", "Finding", "check_dataset"]

Level = Literal["error", "warning", "note"]
_SLACK = 0.005
_UNEVEN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; ``samples`` are ids."""

    level: Level
    code: str
    message: str
    samples: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {"level": self.level, "code": self.code, "message": self.message, "samples": list(self.samples)}


@dataclass(slots=True)
class CheckReport:
    """All findings, and what was looked at: counts that make 'nothing found' mean something."""

    findings: list[Finding] = field(default_factory=list[Finding])
    looked_at: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def good(self) -> bool:
        """Whether there are no errors."""
        return not any(f.level == "error" for f in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        counts = Counter(f.level for f in self.findings)
        return {
            "good": self.good,
            "errors": counts["error"],
            "warnings": counts["warning"],
            "looked_at": self.looked_at,
            "findings": [f.as_dict() for f in self.findings],
        }


def check_dataset(
    dataset: Dataset,
    *,
    deep: bool = False,
    near_duplicates: bool = True,
    limits: Likeness | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> CheckReport:
    """Look at everything.

    Args:
        dataset: which.
        deep: decode files whole, not at three places only.
        near_duplicates: whether to compare what samples show and sound like.
        limits: from where on they are nearly the same.
        progress: called with what is done, how far, and of how many.
    """
    report = CheckReport()
    broken = _files(dataset, report, deep, progress)
    report.findings += _conflicts(dataset)
    report.findings += _places(dataset)
    report.findings += _sounds(dataset)
    report.findings += _columns(dataset)
    report.findings += _balance(dataset)
    report.findings += _groups(dataset, report)
    if near_duplicates:
        report.findings += _duplicates(dataset, report, broken, limits, progress)
    order = {"error": 0, "warning": 1, "note": 2}
    report.findings.sort(key=lambda f: order[f.level])
    report.looked_at["samples"] = len(dataset.samples)
    return report


def _files(
    dataset: Dataset, report: CheckReport, deep: bool, progress: Callable[[str, int, int], None] | None
) -> set[str]:
    """Decode every file once; gives the paths that cannot be used."""
    users: dict[str, tuple[Media, list[str]]] = {}
    for sample in dataset.samples:
        for media in sample.media:
            users.setdefault(media.path, (media, []))[1].append(sample.id)
    broken: set[str] = set()
    for number, (path, (media, ids)) in enumerate(users.items()):
        finding = _file(dataset, media, deep)
        if finding is not None:
            broken.add(path)
            report.findings.append(Finding(finding[0], finding[1], f"{path}: {finding[2]}", tuple(ids)))
        if progress is not None:
            progress("files", number + 1, len(users))
    report.looked_at["files"] = len(users)
    return broken


def _file(dataset: Dataset, media: Media, deep: bool) -> tuple[Level, str, str] | None:
    path = dataset.path(media)
    if not path.is_file():
        return "error", "missing-file", "is not there"
    try:
        changed = media.digest is not None and content_id(path) != media.digest
    except OnlookerError as error:
        return "error", "broken-file", error.message
    reason = first_error(path, media, deep=deep)
    if reason is not None:
        return "error", "broken-file", reason
    return ("error", "changed-file", "is another file than was imported") if changed else None


def _mark(sample: Sample) -> str:
    """The same for samples that show the same."""
    media = sorted(m.digest or m.path for m in sample.media)
    return json.dumps([media, sample.span, sample.at, sample.text])


def _conflicts(dataset: Dataset) -> Iterator[Finding]:
    held: dict[str, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        held[_mark(sample)].append(sample)
    for same in held.values():
        if len(same) < 2:
            continue
        ids = tuple(s.id for s in same)
        different = False
        for task in dataset.info.tasks:
            labels = {repr(s.labels[task]): s.labels[task] for s in same if task in s.labels}
            if len(labels) > 1:
                different = True
                shown = " and ".join(_short(v) for v in labels.values())
                yield Finding("error", "label-conflict", f"{task}: the same content is labelled {shown}", ids)
        if not different:
            yield Finding("warning", "repeated", f"the same content is there {len(same)} times", ids)


def _short(label: Any) -> str:
    said = str(label) if isinstance(label, str | float) else repr(label)
    return said if len(said) <= 60 else said[:57] + "..."


def _places(dataset: Dataset) -> Iterator[Finding]:
    """Boxes, spans and moments that lie where there is nothing."""
    for sample in dataset.samples:
        media = sample.timed
        end = media.seconds if media is not None else None
        frame = 1 / float(media.frame_rate) if media is not None and media.frame_rate else 0.05
        limit = None if end is None else end + frame
        if limit is not None:
            moment = sample.at if sample.at is not None else sample.span[0] if sample.span else None
            if moment is not None and end is not None and moment >= end:
                message = f"it begins at {moment:g} s, but the file ends at {end:g} s"
                yield Finding("error", "beyond-end", message, (sample.id,))
            elif sample.span is not None and sample.span[1] > limit:
                message = f"it lasts to {sample.span[1]:g} s, but the file ends at {end:g} s"
                yield Finding("error", "beyond-end", message, (sample.id,))
        for task, label in sample.labels.items():
            if isinstance(label, tuple):
                for part in label:
                    if isinstance(part, LabelledBox):
                        yield from _box(sample, task, part, limit)
                    elif isinstance(part, LabelledSpan):
                        yield from _span(sample, task, part, limit)


def _sounds(dataset: Dataset) -> Iterator[Finding]:
    """Sounds that are over before the middle of the video beside them, around which they are heard."""
    for sample in dataset.samples:
        video, sound = sample.of_kind("video", "image"), sample.of_kind("audio")
        if video is None or video.kind == "image" or sound is None or sample.at is not None:
            continue
        if video.seconds is None or sound.seconds is None:
            continue
        start, end = sample.span or (0.0, video.seconds)
        middle = (start + end_of(video, start, end)) / 2
        if sound.seconds < middle:
            message = f"its sound ends at {sound.seconds:g} s, before the middle of its video at {middle:g} s"
            yield Finding("warning", "sound-ends-early", f"{message}, around which it is heard", (sample.id,))


def _columns(dataset: Dataset) -> Iterator[Finding]:
    """Series that lack columns, or have others than most."""
    prepare = dataset.info.prepare
    wanted = prepare.series.columns if prepare is not None and prepare.series is not None else ()
    held: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for sample in dataset.samples:
        media = sample.of_kind("series")
        if media is not None and media.columns is not None:
            held[tuple(sorted(media.columns))].append(sample.id)
    if not held:
        return
    usual = max(held, key=lambda c: len(held[c]))
    for columns, ids in held.items():
        if missing := [c for c in wanted if c not in columns]:
            message = f"its series has no column {', '.join(missing)}, which prepare.series.columns names"
            yield Finding("error", "series-columns", message, tuple(ids))
        elif not wanted and columns != usual:
            message = f"its series has the columns {', '.join(columns)}; most have {', '.join(usual)}"
            yield Finding("error", "series-columns", message, tuple(ids))


def _box(sample: Sample, task: str, box: LabelledBox, limit: float | None) -> Iterator[Finding]:
    left, top, right, bottom = box.box
    where = f"{task}: the box of {box.label} at {[round(v, 3) for v in box.box]}"
    if left >= 1 or top >= 1 or right <= 0 or bottom <= 0:
        yield Finding("error", "box-outside", f"{where} is off the picture", (sample.id,))
    elif left < -_SLACK or top < -_SLACK or right > 1 + _SLACK or bottom > 1 + _SLACK:
        yield Finding("warning", "box-over-edge", f"{where} goes over the picture's edge", (sample.id,))
    if left == right or top == bottom:
        yield Finding("warning", "box-empty", f"{where} has no area", (sample.id,))
    if box.at is not None and limit is not None and not 0 <= box.at < limit:
        yield Finding("error", "box-beyond-end", f"{where} lies at {box.at:g} s, where nothing is shown", (sample.id,))


def _span(sample: Sample, task: str, span: LabelledSpan, limit: float | None) -> Iterator[Finding]:
    where = f"{task}: {span.label} from {span.start:g} to {span.end:g} s"
    if span.start < -0.001 or (limit is not None and span.end > limit):
        yield Finding("error", "span-beyond-end", f"{where} goes beyond the file", (sample.id,))
    elif sample.span is not None and (span.end < sample.span[0] or span.start > sample.span[1]):
        yield Finding("warning", "span-outside", f"{where} lies outside of the sample's own part", (sample.id,))
    if span.start == span.end:
        yield Finding("warning", "span-empty", f"{where} has no length", (sample.id,))


def _balance(dataset: Dataset) -> Iterator[Finding]:
    info = dataset.info
    for name, task in info.tasks.items():
        labelled = [s for s in dataset.samples if name in s.labels]
        if not labelled:
            yield Finding("warning", "empty-task", f"{name}: no sample is labelled")
            continue
        if len(labelled) < len(dataset.samples):
            missing = len(dataset.samples) - len(labelled)
            yield Finding("note", "missing-labels", f"{name}: {missing} of {len(dataset.samples)} have no label")
        if not task.has_classes:
            continue
        counts = class_counts(labelled, name, task)
        for label in (c for c, n in counts.items() if not n):
            yield Finding("warning", "empty-class", f"{name}: there is nothing of {label}")
        there = {c: n for c, n in counts.items() if n}
        if there and max(there.values()) > _UNEVEN * min(there.values()):
            most, least = max(there, key=lambda c: there[c]), min(there, key=lambda c: there[c])
            message = f"{name}: {there[most]} of {most}, but {there[least]} of {least}"
            yield Finding("warning", "uneven", message)
        for split in info.splits if task.kind in ("class", "ordinal", "multi-label") else ():
            inside = class_counts([s for s in labelled if s.split == split], name, task)
            empty = [c for c, n in inside.items() if not n and counts[c]]
            if empty:
                yield Finding(
                    "warning", "class-not-in-split", f"{name}: {split} has nothing of {', '.join(empty[:10])}"
                )
    without = sum(s.split is None for s in dataset.samples)
    if info.splits and without:
        yield Finding("note", "no-split", f"{without} samples are in no split")


def _groups(dataset: Dataset, report: CheckReport) -> Iterator[Finding]:
    """Sources, persons and files that are on two sides."""
    sides: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for sample in dataset.samples:
        if sample.split is None:
            continue
        for sort, name in sample.groups.items():
            if sort not in dataset.info.overlap:
                sides[sort, name][sample.split].append(sample.id)
        for media in sample.media:
            sides["file", media.digest or media.path][sample.split].append(sample.id)
    for (sort, name), by_split in sides.items():
        if len(by_split) > 1:
            ids = tuple(i for held in by_split.values() for i in held[:5])
            code = "content-on-two-sides" if sort == "file" else "group-on-two-sides"
            shown = f"the same file ({ids[0]})" if sort == "file" else f"the {sort} {name}"
            yield Finding("error", code, f"{shown} is in {' and '.join(by_split)}", ids)
    report.looked_at["groups"] = sum(sort != "file" for sort, _ in sides)


def _duplicates(
    dataset: Dataset,
    report: CheckReport,
    broken: set[str],
    limits: Likeness | None,
    progress: Callable[[str, int, int], None] | None,
) -> Iterator[Finding]:
    samples = [s for s in dataset.samples if not any(m.path in broken for m in s.media)]

    def told(done: int, of: int) -> None:
        if progress is not None:
            progress("looks and sounds", done, of)

    prints = prints_of(dataset, samples, told)
    for place, reason in prints.failures.items():
        yield Finding("error", "not-compared", reason, (samples[place].id,))
    pairs = near_pairs(prints, limits)
    report.looked_at["compared"] = len(set(prints.count) | set(prints.heard.tolist()))
    report.looked_at["near_duplicates"] = len(pairs)
    inside = 0
    for pair in pairs:
        first, second = samples[pair.first], samples[pair.second]
        if _mark(first) == _mark(second) or _shared_file(first, second):
            continue
        if first.split is not None and second.split is not None and first.split != second.split:
            yield _leak(pair, first, second)
        else:
            inside += 1
    if inside:
        message = f"{inside} pairs of near-duplicates on one side"
        yield Finding("note", "near-duplicates", message, _ids(samples, pairs))


def _shared_file(first: Sample, second: Sample) -> bool:
    """Parts of one file on two sides are told as such."""
    return bool({m.digest or m.path for m in first.media} & {m.digest or m.path for m in second.media})


def _leak(pair: Pair, first: Sample, second: Sample) -> Finding:
    message = f"{first.id} ({first.split}) and {second.id} ({second.split}) are nearly the same {pair.sort} "
    return Finding("error", "near-duplicate-on-two-sides", f"{message}({pair.score:.3f})", (first.id, second.id))


def _ids(samples: Sequence[Sample], pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(samples[n].id for p in pairs[:10] for n in (p.first, p.second)))
