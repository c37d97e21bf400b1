"""The worst errors with their clips: a strip of small pictures, sound to listen to, truth and answer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Sample
from onlooker.learning.datasets.media import frames_at, open_picture
from onlooker.learning.datasets.page.pictures import listen
from onlooker.learning.evaluate.answers import CLEAN, Answers, TaskAnswers
from onlooker.learning.evaluate.judging import class_numbers, levels, side_by_side
from onlooker.learning.evaluate.page import data_address, escaped, number
from onlooker.learning.evaluate.tasks import Judge
from onlooker.learning.metrics.calibration import softmax

__all__ = ["Wrong", "card", "strip", "worst"]

_FRAMES, _ACROSS, _SIDE = 6, 3, 132
_MOST_TRIED = 4000


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that is wrong.

    Args:
        sample: of which.
        truth, answer: for people.
        score: how bad it is; the higher the worse, in the measure of its task.
        about: what the score is.
    """

    sample: Sample
    truth: str
    answer: str
    score: float
    about: str


def worst(judge: Judge, answers: Answers, count: int) -> list[Wrong]:
    """The worst answers of a task, the worst first; samples that are answered right are not among them."""
    found = answers.tasks[CLEAN][judge.name]
    if not len(found.raw):
        return []
    badness, about = _badness(judge, found)
    owners, rows_of = np.unique(found.owner, return_inverse=True)
    worst_of = np.zeros(len(owners))
    np.maximum.at(worst_of, rows_of, badness)
    by_sample = dict(zip(owners.tolist(), worst_of.tolist(), strict=True))
    order = sorted((p for p in by_sample if by_sample[p] > 0), key=lambda p: -by_sample[p])
    made: list[Wrong] = []
    for place in order[:count]:
        rows = np.flatnonzero(found.owner == place)
        sample = answers.samples[int(place)]
        made.append(
            Wrong(sample, said(sample.labels.get(judge.of)), _answer(judge, found, rows), by_sample[place], about)
        )
    return made


def _badness(judge: Judge, found: TaskAnswers) -> tuple[NDArray[np.float64], str]:
    """(rows,): how bad each is, 0 for right ones, and what that is."""
    raw, values = found.raw, found.values
    chosen = class_numbers(judge.head, raw, judge.facts, judge.calibration)
    scaled = raw / judge.calibration.get("temperature", 1.0)
    if chosen is not None:
        scores = softmax(scaled) if judge.head.task == "classification" else levels(scaled)
        sure = np.take_along_axis(scores, chosen[:, None], 1)[:, 0]
        return np.where(chosen == values, 0.0, sure), "probability of the wrong answer"
    if judge.head.task == "regression":
        return np.abs(raw - values).max(1), "error"
    if judge.head.task == "embedding":
        few = f" (of the first {_MOST_TRIED} samples)" if len(raw) > _MOST_TRIED else ""
        return _nearest(raw, values), f"cosine with the nearest sample, which is of another{few}"
    if judge.head.task in ("multi_label", "dense") and raw.shape == values.shape:
        true = values > 0.5
        sure, decided = side_by_side(raw, judge.facts, judge.calibration)
        apart = np.where(decided == true, 0.0, np.abs(sure - true))
        return apart.reshape(len(raw), -1).max(1), "how far the worst wrong label is from the truth"
    if judge.head.task == "events":
        return _misplaced(judge, raw, values), "1 - f1 of its worst look"
    main = judge.head.main
    ours = [judge.head.metrics(raw[[n]], values[[n]], judge.facts, judge.calibration) for n in range(len(raw))]
    value = np.array([m.get(main.name, 1.0 if main.higher else 0.0) for m in ours])
    return (1 - value if main.higher else value), f"{'1 - ' if main.higher else ''}{main.name} of the sample"


def _misplaced(judge: Judge, raw: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """1 - F1 of the moments of each look; 0 where nothing is and nothing is answered."""
    _, decided = side_by_side(raw, judge.facts, judge.calibration)
    made = np.zeros(len(raw))
    for row in np.flatnonzero((decided | (values > 0)).reshape(len(raw), -1).any(1)):
        metrics = judge.head.metrics(raw[[row]], values[[row]], judge.facts, judge.calibration)
        made[row] = 1 - metrics.get("f1", 1.0)
    return made


def _nearest(vectors: NDArray[Any], individuals: NDArray[Any]) -> NDArray[np.float64]:
    """Cosine of the nearest other where that is of another individual though the own is there again; else 0."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    made = np.zeros(len(unit))
    for row in range(min(len(unit), _MOST_TRIED)):
        cosines = unit @ unit[row]
        cosines[row] = -2
        mates = individuals == individuals[row]
        mates[row] = False
        nearest = int(cosines.argmax())
        if mates.any() and not mates[nearest]:
            made[row] = max(1e-6, float(cosines[nearest]))
    return made


def said(label: Any) -> str:
    """A label in words.

    >>> said(("car", "bus")), said(()), said(2.5)
    ('car, bus', 'nothing', '2.5')
    """
    if isinstance(label, tuple):
        return ", ".join(_part(part) for part in label[:12]) or "nothing"
    return _part(label)


def _part(part: Any) -> str:
    score = getattr(part, "score", None)
    sure = f" ({score:.2f})" if score is not None else ""
    if isinstance(part, LabelledSpan):
        return f"{part.label} {part.start:.2f}-{part.end:.2f} s{sure}"
    if isinstance(part, LabelledBox):
        return f"{part.label}{sure}"
    return number(part) if isinstance(part, int | float) else str(part)


def _answer(judge: Judge, found: TaskAnswers, rows: NDArray[np.intp]) -> str:
    raw, calibration = found.raw[rows], judge.calibration
    if judge.head.task == "classification":
        scores = softmax(raw[0] / calibration.get("temperature", 1.0))
        best = np.argsort(-scores, kind="stable")[:3]
        return ", ".join(f"{judge.facts.classes[n]} {scores[n]:.0%}" for n in best)
    if judge.head.task == "embedding":
        return "nearest to another individual"
    since, until = found.times[rows[0]]
    facts = replace(judge.facts, seconds=float(until - since) or None)
    parts = judge.head.decode(raw, facts, calibration)
    if not judge.per_look:
        return said(parts[0])
    moved: list[Any] = []
    for row, spans in zip(rows, parts, strict=True):
        begin = float(found.times[row][0])
        if not isinstance(spans, tuple):
            moved.append(spans)
            continue
        for span in spans:
            whole = isinstance(span, LabelledSpan)
            moved.append(
                span.model_copy(update={"start": span.start + begin, "end": span.end + begin}) if whole else span
            )
    return said(tuple(moved))


def strip(dataset: Dataset, sample: Sample) -> bytes | None:
    """A JPEG of up to six frames of a sample, or of its picture; None where there is nothing to see.

    Raises:
        SourceError: it cannot be decoded.
    """
    media = sample.of_kind("video", "image")
    if media is None:
        return None
    path = dataset.path(media)
    if media.kind == "image":
        pictures = [open_picture(path, "rgb")]
    else:
        start, end = sample.span or (0.0, media.seconds or 0.0)
        moments = [sample.at] if sample.at is not None else [start + (end - start) * (n + 0.5) / 6 for n in range(6)]
        frames = frames_at(path, [Fraction(round(m * 1000), 1000) for m in moments], media)
        pictures = [Image.fromarray(f.image(2 * _SIDE, 0)) for f in frames]
    across = min(_ACROSS, len(pictures))
    side = _SIDE if len(pictures) > 1 else 3 * _SIDE
    small = [_fitted(p, side) for p in pictures]
    wide, high = max(p.width for p in small), max(p.height for p in small)
    sheet = Image.new("RGB", (across * wide, -(-len(small) // across) * high))
    for place, picture in enumerate(small):
        sheet.paste(picture, (place % across * wide, place // across * high))
    held = io.BytesIO()
    sheet.save(held, "JPEG", quality=74)
    return held.getvalue()


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    """At most ``side`` pixels wide and high; tiny ones are enlarged dot by dot."""
    larger = max(picture.size)
    if larger * 2 <= side:
        factor = side // larger
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    made = picture.copy()
    made.thumbnail((side, side))
    return made


def card(dataset: Dataset, wrong: Wrong) -> str:
    """One error as HTML; what cannot be decoded is shown with the reason."""
    sample = wrong.sample
    seen = heard = problem = ""
    try:
        picture = strip(dataset, sample)
        if picture is not None:
            seen = f'<img alt="{escaped(sample.id)}" src="{data_address(picture, "image/jpeg")}">'
        heard = _heard(dataset, sample)
    except (OnlookerError, OSError) as error:
        problem = f'<div class="bad">{escaped(error)}</div>'
    source = ", ".join(f"{sort}: {name}" for sort, name in sample.groups.items())
    where = ", ".join(m.path for m in sample.media)
    part = f" {sample.span[0]:g}-{sample.span[1]:g} s" if sample.span else ""
    lines = [
        f'<div class="id">{escaped(sample.id)}</div>',
        f"<div><b>truth</b> {escaped(wrong.truth)}</div>",
        f"<div><b>answer</b> {escaped(wrong.answer)}</div>",
        f'<div class="soft">{escaped(wrong.about)}: {number(wrong.score)}</div>',
        f'<div class="soft">{escaped(where + part)}{escaped(" · " + source) if source else ""}</div>',
        f"<div>{escaped(sample.text)}</div>" if sample.text else "",
        problem,
    ]
    return f"<article>{seen}{heard}<div>{''.join(lines)}</div></article>"


def _heard(dataset: Dataset, sample: Sample) -> str:
    """The sound of a sample, that of a video too."""
    media = sample.of_kind("audio") or next((m for m in sample.media if m.kind == "video" and m.sound), None)
    if media is None:
        return ""
    only = sample.model_copy(update={"media": (media.model_copy(update={"kind": "audio"}),)})
    sound = listen(dataset, only).get("sound")
    return f'<audio controls preload="none" src="{sound}"></audio>' if sound else ""


def cards(dataset: Dataset, errors: Sequence[Wrong], budget: int) -> str:
    """Errors as HTML, as many as fit into so many characters."""
    made: list[str] = []
    for wrong in errors:
        one = card(dataset, wrong)
        budget -= len(one)
        if budget < 0:
            break
        made.append(one)
    return f'<div class="cards">{"".join(made)}</div>' if made else ""
