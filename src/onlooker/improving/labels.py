"""From feedback to samples: what is labelled by it, what a person must still label, and what shall stay as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Classification, Dense, Events, MultiLabel, Ordinal, Output, tensors
from onlooker.bundles.series import sidecar_of
from onlooker.core.errors import SourceError, UsageError
from onlooker.core.observation import Observation
from onlooker.improving.feedback import Feedback, Said
from onlooker.learning.datasets.manifest import LabelledSpan, Media, Sample
from onlooker.learning.datasets.media import look_at
from onlooker.shadow.compare import Span, overlap

__all__ = ["KEPT", "PACE", "Material", "Taught", "output_of", "samples_of", "taught_of", "windows", "without"]

_INSIDE = 0.8
"""Share of a sample that must lie in an observation for its label to hold."""
_MOSTLY = 0.5
"""Share of a sample in which a label must hold, where labels hold side by side."""
KEPT = "kept as observed"
"""Reason of a sample of what the bundle in use says."""
_MOST_KEPT = 240
_MOST_WINDOWS = 24
"""Of one stretch."""
PACE = 0.5
"""Seconds of the stretches, half overlapping, of which single pictures are the middle."""


@dataclass(frozen=True, slots=True)
class Taught:
    """An output that feedback can teach.

    Args:
        output: of the bundle.
        task: the dataset's task that it learns.
    """

    output: Output
    task: str

    @property
    def labels(self) -> tuple[str, ...]:
        """All of the output."""
        return self.output.labels  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def ignored(self) -> tuple[str, ...]:
        """Those that are not observed."""
        return self.output.ignore  # pyright: ignore[reportAttributeAccessIssue]

    def sure(self, said: Said) -> str | None:
        """The one label that holds where ``said`` speaks, for outputs of which one label holds; None: not known."""
        if said.verdict != "wrong":
            return said.label
        if said.instead is not None:
            return said.instead
        others = [label for label in self.labels if label != said.label]
        if len(others) == 1:
            return others[0]
        return self.ignored[0] if len(self.ignored) == 1 and said.label not in self.ignored else None


@dataclass(slots=True)
class Material:
    """Samples out of a library.

    Args:
        new: labelled by feedback, by its key.
        proposed: by its key, one sample of a stretch whose label a person must say.
        kept: what the bundle in use said elsewhere, as labels.
    """

    new: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])
    proposed: dict[str, Sample] = field(default_factory=dict[str, Sample])
    kept: list[Sample] = field(default_factory=list[Sample])


def taught_of(manifest: Manifest, heads: Mapping[str, Any]) -> list[Taught]:
    """The outputs that feedback can teach.

    Args:
        manifest: of the bundle.
        heads: by task of the recipe, its settings.
    """
    made = []
    for output in manifest.outputs:
        if isinstance(output, Classification | MultiLabel | Ordinal | Dense | Events):
            own = tensors(output)[0]
            made.append(Taught(output, getattr(heads.get(own), "of", None) or own))
    return made


def output_of(said: Said, taught: Iterable[Taught]) -> Taught:
    """The output that feedback speaks of.

    Raises:
        UsageError: there is none that can learn it.
    """
    for one in taught:
        if said.label in one.labels and said.kind in (None, one.output.kind):
            return one
    raise UsageError(
        f"{said.analyzer}: feedback on {said.kind or 'observations'} {said.label!r} cannot be learned from",
        hint="improve teaches labels of stretches and moments; for boxes use onlooker dataset from-library",
    )


def _learned_by(one: Feedback, taught: Iterable[Taught]) -> Taught:
    """The output that learns from feedback.

    Raises:
        UsageError: none does, or what is said to hold instead is no label of it.
    """
    about, instead = output_of(one.said, taught), one.said.instead
    if instead is not None and instead not in about.labels:
        raise UsageError(
            f"feedback {one.key}: {instead!r} cannot hold instead of {one.said.label!r}: {about.output.name} has "
            f"{', '.join(about.labels)}",
            hint=f"onlooker feedback remove {one.key}, and say it again",
        )
    return about


def windows(span: Span, length: float, limit: float, *, most: int = _MOST_WINDOWS) -> list[Span]:
    """Stretches of ``length`` seconds in a span, half overlapping; of a short span the one around its middle.

    >>> windows((4.0, 8.0), 2.0, 100.0)
    [(4.0, 6.0), (5.0, 7.0), (6.0, 8.0)]
    >>> windows((0.0, 1.0), 2.0, 1.5)
    [(0.0, 1.5)]
    """
    start, end = span
    if end - start <= length:
        first = max(0.0, min((start + end - length) / 2, limit - length))
        return [(round(first, 3), round(min(limit, first + length), 3))]
    count = min(most, max(2, 1 + int((end - start - length) / (length / 2) + 1e-6)))
    return [(round(at, 3), round(at + length, 3)) for at in (float(v) for v in np.linspace(start, end - length, count))]


def samples_of(
    feedback: Sequence[Feedback],
    taught: Sequence[Taught],
    observed: Mapping[str, Sequence[Observation]],
    files: Mapping[str, tuple[Path, float]],
    length: float | None,
    *,
    measured: bool = False,
) -> Material:
    """Samples that teach what was said.

    Args:
        feedback: on sources whose files are there.
        taught: outputs that can learn.
        observed: by source id, what the bundle in use observes of it.
        files: by source id, the video and how many seconds it has.
        length: seconds of a clip; None: the model looks at single pictures.
        measured: whether the model takes the series of measurements beside a video.

    Raises:
        UsageError: feedback speaks of what cannot be learned.
    """
    made, media = Material(), {source: _media(*file, measured) for source, file in files.items()}
    pace = length if length is not None else PACE
    outputs = {one.key: _learned_by(one, taught) for one in feedback}
    for one in feedback:
        own, limit = media[one.said.source], files[one.said.source][1]
        about = outputs[one.key]
        beside = [f for f in feedback if f.said.source == one.said.source and outputs[f.key] is about]
        single = not isinstance(about.output, MultiLabel | Dense | Events)
        if single and about.sure(one.said) is None:
            labels = {about.task: one.said.label}
            made.proposed[one.key] = _sample(f"feedback {one.key}", own, one.span, length, labels, one, proposed=True)
            continue
        cuts = windows(one.span, pace, limit)
        made.new[one.key] = [
            _sample(
                f"feedback {one.key} {n}", own, cut, length,
                {about.task: _label(about, cut, observed.get(one.said.source, ()), beside, one)}, one,
            )
            for n, cut in enumerate(cuts)
        ]  # fmt: skip
    made.kept = _kept(feedback, taught, observed, {n: (media[n], files[n][1]) for n in media}, length)
    return made


def _media(path: Path, seconds: float, measured: bool) -> tuple[Media, ...]:
    """A video of the library, and the series beside it, from the root of the file system."""
    root, series = Path(path.anchor), sidecar_of(path)
    media = Media(path=str(path.resolve().relative_to(root)), kind="video", seconds=seconds)
    try:
        made = look_at(root, media, digest=False)
    except SourceError:
        made = look_at(root, media.model_copy(update={"kind": "audio"}), digest=False)
    if not measured or not series.is_file():
        return (made,)
    beside = Media(path=str(series.resolve().relative_to(root)), kind="series")
    return made, look_at(root, beside, digest=False)


def _sample(
    id: str,
    media: tuple[Media, ...],
    span: Span,
    length: float | None,
    labels: dict[str, Any],
    one: Feedback | None,
    *,
    proposed: bool = False,
) -> Sample:
    place: dict[str, Any] = {"span": span}
    if length is None and not proposed:
        place = {"at": round((span[0] + span[1]) / 2, 3)}
    origin: dict[str, Any] = {"reason": KEPT} if one is None else {"feedback": one.key}
    return Sample(
        id=id, media=media, labels=labels, split="train", status="proposed" if proposed else "labelled",
        origin=origin, notes="" if one is None else json.dumps(one.as_dict(), ensure_ascii=False), **place,
    )  # fmt: skip


def _label(
    about: Taught, cut: Span, observed: Sequence[Observation], feedback: Sequence[Feedback], one: Feedback
) -> Any:
    """The label of a stretch: what was said of this output, and beside it what was observed and not called wrong."""
    output = about.output
    if not isinstance(output, MultiLabel | Dense | Events):
        return about.sure(one.said)
    said = [f.said for f in feedback if overlap(f.span, cut) > 0]
    wrong = [(s.label, (s.start, s.end)) for s in said if s.verdict == "wrong"]
    spans: list[tuple[str, Span]] = []
    for o in observed:
        if o.kind != output.kind or o.data.get("task") != output.name or overlap(_span(o), cut) <= 0:
            continue
        gone = [stretch for label, stretch in wrong if label == o.label]
        if not isinstance(output, Events):
            spans += [(o.label or "", part) for part in without(_span(o), gone) if overlap(part, cut) > 0]
        elif not any(overlap(_span(o), stretch) > 0 for stretch in gone):
            # of a moment no part is left
            spans.append((o.label or "", _span(o)))
    spans += [(s.label, (s.start, s.end)) for s in said if s.verdict != "wrong"]
    spans += [(s.instead, (s.start, s.end)) for s in said if s.verdict == "wrong" and s.instead is not None]
    if isinstance(output, MultiLabel):
        # however short: what was said to be there is there
        own = one.said.instead if one.said.verdict == "wrong" else one.said.label
        labels = dict.fromkeys(n for n, _ in spans)
        return tuple(n for n in labels if n == own or _share(cut, [s for x, s in spans if x == n]) >= _MOSTLY)
    return tuple(LabelledSpan(label=n, start=s[0], end=s[1]) for n, s in dict.fromkeys(spans))


def without(span: Span, stretches: Iterable[Span]) -> list[Span]:
    """What is left of a span.

    >>> without((0.0, 60.0), [(11.0, 12.0)])
    [(0.0, 11.0), (12.0, 60.0)]
    """
    left = [span]
    for start, end in stretches:
        left = [p for a, b in left for p in ((a, min(b, start)), (max(a, end), b)) if p[1] > p[0]]
    return left


def _share(cut: Span, parts: Iterable[Span]) -> float:
    """The share of a stretch that parts cover, which may overlap."""
    left = without(cut, parts)
    return 1 - sum(end - start for start, end in left) / (cut[1] - cut[0])


def _span(o: Observation) -> Span:
    return o.span.start.seconds, o.span.end.seconds


def _kept(
    feedback: Sequence[Feedback],
    taught: Sequence[Taught],
    observed: Mapping[str, Sequence[Observation]],
    files: Mapping[str, tuple[tuple[Media, ...], float]],
    length: float | None,
) -> list[Sample]:
    """What the bundle in use says elsewhere, as labels, so that it is not forgotten (Li and Hoiem 2016,
    arXiv 1606.09282: the old network's answers on the new data stand for what it knew).
    """
    singles = {t.output.name: t for t in taught if isinstance(t.output, Classification | Ordinal)}
    made: list[tuple[float, Sample]] = []
    for source, observations in observed.items():
        media, limit = files[source]
        judged = [f.span for f in feedback if f.said.source == source and f.said.verdict != "right"]
        for o in observations:
            about = singles.get(str(o.data.get("task")))
            if about is None or o.label is None:
                continue
            for cut in windows(_span(o), length if length is not None else PACE, limit):
                inside = overlap(cut, _span(o)) / (cut[1] - cut[0])
                if inside < _INSIDE or any(overlap(cut, span) > 0 for span in judged):
                    continue
                id = f"kept {source[:12]} {about.task} {cut[0]:g}"
                made.append((o.score or 0.0, _sample(id, media, cut, length, {about.task: o.label}, None)))
    made.sort(key=lambda pair: -pair[0])
    return [sample for _, sample in made[:_MOST_KEPT]]
