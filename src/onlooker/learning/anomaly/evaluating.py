"""How well what is labelled abnormal is told from the rest, as the literature measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles import Bundle
from onlooker.bundles.inputs import ClipInput
from onlooker.bundles.manifest import Network
from onlooker.bundles.outputs import Anomaly
from onlooker.bundles.running import Engine, NetworkRun
from onlooker.core.errors import UsageError
from onlooker.learning.anomaly.budget import alarms, past_mean, smoothed
from onlooker.learning.anomaly.footage import abnormal_ticks, clips_of, judged_videos, span_task
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.bootstrap import drawn, interval, units_of
from onlooker.learning.evaluate.leaks import find_leaks
from onlooker.learning.evaluate.opening import Subject, open_subject
from onlooker.learning.metrics.curves import roc_auc

__all__ = ["Measured", "evaluate_anomaly", "measure", "score_videos"]

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """One video.

    Args:
        sample: which.
        scores: (ticks,), raw; ticks before the first whole clip have the first score.
        truth: (ticks,): whether each is abnormal.
    """

    sample: Sample
    scores: Series
    truth: NDArray[np.bool_]


def _parts(bundle: Bundle) -> tuple[Network, ClipInput, Anomaly]:
    manifest = bundle.manifest
    output = next((o for o in manifest.outputs if isinstance(o, Anomaly)), None)
    network = manifest.networks[0] if len(manifest.networks) == 1 and manifest.head is None else None
    if output is None or network is None or not isinstance(network.input, ClipInput):
        raise UsageError(f"{manifest.name} is no bundle of anomaly learning", hint="onlooker bundles show tells")
    return network, network.input, output


def score_videos(
    bundle: Bundle, dataset: Dataset, samples: Sequence[Sample], task: str, *, engine: str | None = None
) -> list[Measured]:
    """Score videos tick by tick with the bundle's network, as it is deployed.

    Raises:
        UsageError: it is no bundle of anomaly learning, or a video is too short for it.
        SourceError: a video cannot be read.
    """
    network, facts, output = _parts(bundle)
    run = NetworkRun(Engine(bundle, name=engine), network)
    made: list[Measured] = []
    try:
        for sample in samples:
            clips = [
                (c.tick, float(run.step(c.tensor, {})[0][output.tensor].reshape(())))
                for c in clips_of(dataset, sample, facts)
            ]
            if not clips:
                raise UsageError(f"sample {sample.id}: shorter than a clip of {facts.frames} pictures")
            before = facts.frames - 1
            ticks = [*range(clips[0][0] - before, clips[0][0]), *(t for t, _ in clips)]
            scores = np.array([clips[0][1]] * before + [s for _, s in clips])
            made.append(Measured(sample, scores, abnormal_ticks(sample, task, ticks, facts.rate)))
    finally:
        run.close()
    return made


def evaluate_anomaly(
    bundle: Subject | Bundle | str | Path,
    dataset: Dataset | str | Path,
    *,
    split: str | None = "test",
    task: str | None = None,
    engine: str | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The area under the ROC curve over single pictures (frame AUC: Mahadevan et al. 2010), and what alarms are worth.

    Args:
        bundle: of anomaly learning, or its folder, or the folder of its run, of which more leaks are known.
        dataset: or its folder; a task of kind ``spans`` says what is abnormal.
        split: which part is measured; None: all.
        task: that task; None: the only one.
        engine: that runs the bundle; None: the preferred one.
        draws: of the interval, which is over videos.
        seed: of the draws.

    Returns:
        ``{"tasks": {name of the output: values}, "split": ..., "leaks": [...], "notes": [...]}``, see `measure` and
        `find_leaks`; notes say what was left out, such as videos without a label of the task. Near-duplicates are not
        looked for: footage of one camera looks alike.

    Raises:
        UsageError: the dataset has no such split or task or no labels, or the bundle is of another kind.
    """
    if not isinstance(dataset, Dataset):
        dataset = Dataset.load(Path(dataset))
    with ExitStack() as stack:
        subject = _subject(bundle, stack)
        return _evaluated(subject, dataset, split, task, engine=engine, draws=draws, seed=seed)


def _subject(bundle: Subject | Bundle | str | Path, stack: ExitStack) -> Subject:
    if isinstance(bundle, Subject):
        return bundle
    if isinstance(bundle, Bundle):
        return Subject(bundle, bundle.manifest.name)
    inside = Path(bundle) / "bundle"
    return open_subject(str(inside if inside.is_dir() else bundle), stack)


def _evaluated(
    subject: Subject,
    dataset: Dataset,
    split: str | None,
    task: str | None,
    *,
    engine: str | None,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    _, facts, output = _parts(subject.bundle)
    name = span_task(dataset, task)
    samples, notes = judged_videos(dataset, split, name)
    if not samples:
        raise UsageError(
            f"{dataset.folder}{f' in {split}' if split else ''}: {'; '.join(notes)}", hint="see onlooker dataset stats"
        )
    videos = score_videos(subject.bundle, dataset, samples, name, engine=engine)
    values = measure(videos, output, facts.rate, overlap=dataset.info.overlap, draws=draws, seed=seed)
    if split is None:
        notes.append("all parts are measured, also what may have been learned from")
    leaks, unseen = find_leaks(subject, dataset, samples, near=False)
    told = [leak.as_dict() for leak in leaks]
    return {"tasks": {output.name: values}, "split": split, "leaks": told, "notes": notes + unseen}


def measure(
    videos: Sequence[Measured],
    output: Anomaly,
    rate: float,
    *,
    overlap: Sequence[str] = (),
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """What the scores of videos are worth.

    Returns:
        ``value``: micro AUC, of all pictures of all videos together, not normalised by video, smoothed by a Gaussian of
        half the bundle's ``smooth_seconds``, which looks ahead as the literature does; ``ci95`` over videos;
        ``per_video_normalised``: the same after each video's scores were brought to 0..1; ``macro``: mean of the AUC of
        the single videos, without those in ``one_class``, which are all normal or all abnormal; ``causal``: micro and
        macro with the bundle's own smoothing over the past alone, as live; ``unsmoothed``: micro; ``alarms``: at the
        bundle's threshold, how many spans there are, how many of them touch what is abnormal, how many of the abnormal
        videos have one, and the false ones an hour of normal pictures.
    """
    seconds = output.spans.smooth_seconds
    truths = [v.truth for v in videos]
    ahead = [smoothed(v.scores, seconds / 2 * rate) for v in videos]
    past = [past_mean(v.scores, round(seconds * rate)) for v in videos]
    mixed = [v.sample.id for v in videos if v.truth.all() or not v.truth.any()]
    every, truth = np.concatenate(ahead), np.concatenate(truths)
    owner = np.concatenate([np.full(len(v.truth), n) for n, v in enumerate(videos)])

    def auc(rows: NDArray[np.intp]) -> Mapping[str, float]:
        found = roc_auc(every[rows], truth[rows])
        return {} if found is None else {"auc": found}

    units = units_of([v.sample for v in videos], overlap)
    spread = drawn(auc, owner, units, draws=draws, seed=seed, seconds=20.0).values.get("auc", np.zeros(0))
    bounds = interval(spread)
    return {
        "metric": "auc",
        "value": _micro(ahead, truths),
        "ci95": None if bounds is None else list(bounds),
        "per_video_normalised": _micro([_to_unit(s) for s in ahead], truths),
        "macro": _macro(ahead, truths),
        "by_video": {v.sample.id: roc_auc(s, v.truth) for v, s in zip(videos, ahead, strict=True)},
        "one_class": mixed,
        "smoothing": f"Gaussian with a deviation of {seconds / 2:g} s, which looks ahead",
        "causal": {"micro": _micro(past, truths), "macro": _macro(past, truths), "seconds": seconds},
        "unsmoothed": _micro([v.scores for v in videos], truths),
        "pictures": len(truth),
        "abnormal": int(truth.sum()),
        "alarms": _alarmed(past, truths, output, rate),
    }


def _micro(scores: Sequence[Series], truths: Sequence[NDArray[np.bool_]]) -> float | None:
    return roc_auc(np.concatenate(scores), np.concatenate(truths))


def _macro(scores: Sequence[Series], truths: Sequence[NDArray[np.bool_]]) -> float | None:
    found = [a for s, t in zip(scores, truths, strict=True) if (a := roc_auc(s, t)) is not None]
    return float(np.mean(found)) if found else None


def _to_unit(scores: Series) -> Series:
    return (scores - scores.min()) / max(float(np.ptp(scores)), 1e-12)


def _alarmed(
    scores: Sequence[Series], truths: Sequence[NDArray[np.bool_]], output: Anomaly, rate: float
) -> dict[str, Any]:
    spans = right = found = 0
    for series, truth in zip(scores, truths, strict=True):
        hits = [bool(truth[a:b].any()) for a, b, _ in alarms(series, output.threshold, rate, output.spans).spans]
        spans, right, found = spans + len(hits), right + sum(hits), found + any(hits)
    hours = sum(int((~t).sum()) for t in truths) / rate / 3600
    return {
        "threshold": output.threshold,
        "spans": spans,
        "right": right,
        "abnormal_videos": sum(bool(t.any()) for t in truths),
        "found_videos": found,
        "false_per_hour": round((spans - right) / hours, 2) if hours else None,
    }
