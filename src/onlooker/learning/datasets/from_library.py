"""Samples out of a library: what was observed, what was uncertain, and what people said of events."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from onlooker.core.errors import ConfigError, SourceError, UsageError
from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.store import Query, SourceStatus
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Media, Sample, Task
from onlooker.learning.datasets.media import look_at
from onlooker.learning.datasets.moments import told_apart
from onlooker.sources.identity import Cached, file_of

__all__ = ["LibraryReport", "LibraryRequest", "Verdict", "samples_from_library"]

_MOST_OBSERVATIONS = 50
Queries = Callable[[Query], Iterator[Observation]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said of an event: ``right``, or ``wrong`` for a false alarm."""

    event: Event
    verdict: Literal["right", "wrong"]
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class LibraryRequest:
    """What to take.

    Args:
        kinds: of observations.
        labels: only these; none: all.
        low: least score of an uncertain one.
        high: scores from here on are sure.
        uncertain: whether to take uncertain moments alone.
        gap: seconds between moments of one source, at least.
        padding: seconds around an event.
        limit: samples of each source, the most uncertain first.
    """

    kinds: tuple[str, ...] = ("object",)
    labels: tuple[str, ...] = ()
    low: float = 0.3
    high: float = 0.6
    uncertain: bool = False
    gap: float = 1.0
    padding: float = 1.0
    limit: int = 200


@dataclass(slots=True)
class LibraryReport:
    """What was taken, by reason, and sources that could not be used; ``left`` counts samples that people labelled."""

    new: int = 0
    replaced: int = 0
    left: int = 0
    taken: Counter[str] = field(default_factory=Counter[str])
    failures: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        counts = {"new": self.new, "replaced": self.replaced, "left": self.left}
        return {**counts, "taken": dict(self.taken), "failures": self.failures, "notes": self.notes}


def samples_from_library(
    dataset: Dataset,
    sources: Sequence[SourceStatus],
    query: Queries,
    request: LibraryRequest,
    verdicts: Iterable[Verdict] = (),
    cached: Cached | None = None,
) -> LibraryReport:
    """Add samples of a library to a dataset, which is saved.

    Observations with boxes become frames with boxes (task ``KIND``), others spans (task ``KIND``, or ``KIND in time``
    where it has boxes too), as proposals for a person to look at. Events that people judged become spans with the task
    ``alarm`` (``right``, ``wrong``), which is labelled. Samples that a person has labelled already are left as they
    are, but for what was said of their event; others keep their split, and proposals of other kinds.

    Args:
        dataset: where to.
        sources: of the library.
        query: ``Store.query``.
        request: what to take.
        verdicts: what people said of events.
        cached: ``Store.cached_id``, which spares reading files that did not change.

    Raises:
        UsageError: the range of scores is none, or the dataset's media lie elsewhere.
    """
    if not request.low <= request.high:
        raise UsageError(f"no range of scores: {request.low}..{request.high}", hint="--uncertain 0.3..0.6")
    report = LibraryReport()
    held = list(verdicts)
    files = _files(sources, report, cached)
    root = _root(dataset, files)
    samples: list[Sample] = []
    for info, path in files:
        try:
            # the library's id is the digest of the file's content
            relative = os.path.relpath(path.resolve(), root).replace(os.sep, "/")
            kind = "video" if info.video else "audio"
            media = look_at(root, Media(path=relative, kind=kind, digest=info.id), digest=False)
        except (SourceError, ValueError) as error:
            report.failures[info.path] = str(error)
            continue
        taken = [*_moments(info, media, query, request), *_events(info, media, held, request)]
        for reason, sample in taken:
            report.taken[reason] += 1
            samples.append(sample)
    samples = _by_form(samples, dataset)
    known = {s.id: s for s in dataset.samples}
    apart = told_apart(samples, known)
    fresh = [s for s in apart if not _is_done(known.get(s.id)) or "alarm" in s.labels]
    report.left = len(apart) - len(fresh)
    if fresh and not dataset.samples:
        dataset.info = dataset.info.model_copy(update={"root": os.path.relpath(root, dataset.folder.resolve())})
    try:
        report.new, report.replaced = dataset.put([_joined(known.get(s.id), s) for s in fresh], _tasks(fresh))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    dataset.save()
    return report


def _by_form(samples: Sequence[Sample], dataset: Dataset) -> list[Sample]:
    """Samples of which spans of a kind that has boxes too are a task of their own."""
    boxed = {n for n, t in dataset.info.tasks.items() if t.kind == "boxes"}
    boxed |= {n for s in samples for n, v in s.labels.items() if v and isinstance(v[0], LabelledBox)}
    made: list[Sample] = []
    for sample in samples:
        labels = {
            f"{n} in time" if n in boxed and v and isinstance(v[0], LabelledSpan) else n: v
            for n, v in sample.labels.items()
        }
        made.append(sample.model_copy(update={"labels": labels}))
    return made


def _is_done(sample: Sample | None) -> bool:
    return sample is not None and sample.status == "labelled"


def _joined(old: Sample | None, new: Sample) -> Sample:
    """What is proposed or said now, beside what the sample has from before."""
    if old is None:
        return new
    observed = dict.fromkeys([*old.origin.get("observations", ()), *new.origin.get("observations", ())])
    more = {"observations": [*observed][:_MOST_OBSERVATIONS]} if observed else {}
    same = any(m.path == new.media[0].path for m in old.media)
    return old.model_copy(
        update={
            "media": old.media if same else new.media,
            "span": new.span,
            "groups": {**old.groups, **new.groups},
            "labels": {**old.labels, **new.labels},
            "status": new.status,
            "origin": {**old.origin, **new.origin, **more},
            "notes": new.notes or old.notes,
        }
    )


def _files(
    sources: Sequence[SourceStatus], report: LibraryReport, cached: Cached | None
) -> list[tuple[SourceInfo, Path]]:
    found: list[tuple[SourceInfo, Path]] = []
    for source in sources:
        paths = (source.info.path, *source.paths)
        path = file_of(paths, source.info.id, cached)
        if path is not None:
            found.append((source.info, path))
        elif any(Path(p).is_file() for p in paths):
            report.failures[source.info.path] = "its file has other content than what was analysed: analyse it again"
        else:
            report.failures[source.info.path] = "its file is not there, or it is a live source"
    return found


def _root(dataset: Dataset, files: Sequence[tuple[SourceInfo, Path]]) -> Path:
    if not files:
        return dataset.root.resolve()
    common = Path(os.path.commonpath([str(p.resolve().parent) for _, p in files]))
    if not dataset.samples:
        return common
    root = dataset.root.resolve()
    if common != root and root not in common.parents:
        raise UsageError(f"media of the dataset lie in {root}, those of the library in {common}", hint="take a new one")
    return root


def _moments(info: SourceInfo, media: Media, query: Queries, request: LibraryRequest) -> list[tuple[str, Sample]]:
    frames: dict[float, list[Observation]] = {}
    spans: list[Observation] = []
    for kind in request.kinds:
        for o in query(Query(sources=(info.id,), kinds=(kind,), labels=request.labels)):
            if o.box is not None and media.kind == "video":
                frames.setdefault(round(o.span.start.seconds, 6), []).append(o)
            elif o.label is not None:
                spans.append(o)
    chosen = _spread({at: _doubt(held, request) for at, held in frames.items()}, request)
    made = [_frame(info, media, at, frames[at], request) for at in chosen]
    if spans:
        made += _spans(info, media, spans, request)
    return made


def _doubt(observations: Sequence[Observation], request: LibraryRequest) -> float:
    """How uncertain the most uncertain one is: 1 in the middle of the range, 0 at its limits, below that outside."""
    middle, half = (request.low + request.high) / 2, max((request.high - request.low) / 2, 1e-9)
    return max(1 - abs(o.score - middle) / half if o.score is not None else -1.0 for o in observations)


def _spread(doubts: dict[float, float], request: LibraryRequest) -> list[float]:
    """Moments with ``gap`` between them, the most uncertain first, given in order of time."""
    able = [m for m in doubts if not request.uncertain or doubts[m] >= 0]
    chosen: list[float] = []
    for moment in sorted(able, key=lambda m: (-doubts[m], m)):
        if all(abs(moment - c) >= request.gap for c in chosen):
            chosen.append(moment)
        if len(chosen) == request.limit:
            break
    return sorted(chosen)


def _frame(
    info: SourceInfo, media: Media, at: float, observations: Sequence[Observation], request: LibraryRequest
) -> tuple[str, Sample]:
    labels: dict[str, list[LabelledBox]] = {}
    for o in observations:
        assert o.box is not None
        box = (float(o.box.left), float(o.box.top), float(o.box.right), float(o.box.bottom))
        score = None if o.score is None else round(float(o.score), 6)
        made = LabelledBox(label=o.label or o.kind, box=box, at=at, track=o.track, score=score)
        labels.setdefault(o.kind, []).append(made)
    reason = "uncertain" if _doubt(observations, request) >= 0 else "observed"
    origin = {"source": info.id, "reason": reason, "observations": [o.id for o in observations][:_MOST_OBSERVATIONS]}
    sample = Sample(
        id=f"{info.id[:12]}#{at:g}",
        media=(media,),
        at=at,
        groups={"source": info.id},
        labels={k: tuple(v) for k, v in labels.items()},
        status="proposed",
        origin=origin,
    )
    return reason, sample


def _spans(
    info: SourceInfo, media: Media, observations: Sequence[Observation], request: LibraryRequest
) -> list[tuple[str, Sample]]:
    """One sample for each source: all that lasted, to be looked at along its time line."""
    labels: dict[str, list[LabelledSpan]] = {}
    doubtful = False
    for o in observations:
        doubt = _doubt([o], request)
        if request.uncertain and doubt < 0:
            continue
        doubtful = doubtful or doubt >= 0
        score = None if o.score is None else round(float(o.score), 6)
        start, end = (round(t.seconds, 6) for t in (o.span.start, o.span.end))
        span = LabelledSpan(label=o.label or o.kind, start=max(0.0, start), end=max(0.0, end), score=score)
        labels.setdefault(o.kind, []).append(span)
    if not labels:
        return []
    reason = "uncertain" if doubtful else "observed"
    sample = Sample(
        id=info.id[:12],
        media=(media,),
        groups={"source": info.id},
        labels={k: tuple(v) for k, v in labels.items()},
        status="proposed",
        origin={"source": info.id, "reason": reason},
    )
    return [(reason, sample)]


def _events(
    info: SourceInfo, media: Media, verdicts: Sequence[Verdict], request: LibraryRequest
) -> Iterator[tuple[str, Sample]]:
    for said in verdicts:
        event = said.event
        if event.source != info.id:
            continue
        start = max(0.0, event.start / 1e9 - request.padding)
        end = (event.start if event.end is None else event.end) / 1e9 + request.padding
        if media.seconds is not None:
            end = min(end, media.seconds)
        if end <= start:
            continue
        origin = {"source": info.id, "event": event.id, "rule": event.rule, "reason": f"said to be {said.verdict}"}
        sample = Sample(
            id=f"event {event.id}",
            media=(media,),
            span=(round(start, 6), round(end, 6)),
            groups={"source": info.id},
            labels={"alarm": said.verdict},
            origin=origin,
            notes=f"{event.rule}: {said.note}" if said.note else event.rule,
        )
        yield f"said to be {said.verdict}", sample


def _tasks(samples: Sequence[Sample]) -> dict[str, Task]:
    names: dict[str, dict[str, None]] = {}
    kinds: dict[str, Any] = {}
    for sample in samples:
        for task, label in sample.labels.items():
            if task == "alarm":
                kinds[task], names[task] = "class", {"right": None, "wrong": None}
                continue
            kind = "boxes" if label and isinstance(label[0], LabelledBox) else "spans"
            kinds[task] = kind
            names.setdefault(task, {}).update(dict.fromkeys(p.label for p in label))
    return {n: Task(kind=kinds[n], classes=tuple(sorted(held))) for n, held in names.items()}
