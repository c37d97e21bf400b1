"""Every metric says what a well-kept library says, or what counting by hand says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics import functional as tmf
from torchmetrics.functional import classification as tm

from onlooker.learning.metrics import boxes as box_metrics
from onlooker.learning.metrics import calibration as cal
from onlooker.learning.metrics import curves, labels, moments, numbers, spans, verification

SEEDS = range(4)


@pytest.fixture(params=SEEDS)
def random(request: pytest.FixtureRequest):
    return np.random.default_rng(request.param)


def scored(random: np.random.Generator, count: int = 300, decimals: int = 2):
    """Scores with ties, and labels that go with them more often than not."""
    positive = random.random(count) < 0.3
    return np.clip(random.normal(0.4 + 0.2 * positive, 0.2), 0, 1).round(decimals), positive


def as_torch(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]


def test_curves(random: np.random.Generator):
    scores, positive = scored(random)
    s, p = as_torch(scores, positive.astype(np.int64))
    assert curves.roc_auc(scores, positive) == pytest.approx(float(tm.binary_auroc(s, p)), abs=1e-6)
    assert curves.average_precision(scores, positive) == pytest.approx(
        float(tm.binary_average_precision(s, p)), abs=1e-6
    )
    # torchmetrics takes the nearest threshold, not the point in between
    least = 1 / min(positive.sum(), (~positive).sum())
    assert curves.equal_error_rate(scores, positive) == pytest.approx(float(tm.binary_eer(s, p)), abs=3 * least)


def test_equal_error_rate_is_exact_where_scores_are_fine(random: np.random.Generator):
    scores, positive = scored(random, 20_000, 12)
    s, p = as_torch(scores, positive.astype(np.int64))
    assert curves.equal_error_rate(scores, positive) == pytest.approx(float(tm.binary_eer(s, p)), abs=3e-4)


def test_best_threshold_is_the_best_of_all(random: np.random.Generator):
    scores, positive = scored(random)
    found = curves.best_threshold(scores, positive)
    assert found is not None
    s, p = as_torch(scores, positive.astype(np.int64))
    tried = {t: float(tm.binary_f1_score(s, p, threshold=max(0.0, float(t) - 1e-9))) for t in np.unique(scores)}
    assert found[1] == pytest.approx(max(tried.values()), abs=1e-6)
    assert float(tm.binary_f1_score(s, p, threshold=found[0])) == pytest.approx(found[1], abs=1e-6)


def test_labels(random: np.random.Generator):
    classes = 5
    true = np.concatenate([np.arange(classes), random.integers(0, classes, 200)])
    said = np.where(random.random(len(true)) < 0.5, true, random.integers(0, classes, len(true)))
    table = labels.confusion(said, true, classes)
    s, t = as_torch(said, true)
    assert table.tolist() == tm.multiclass_confusion_matrix(s, t, classes).tolist()
    several = {"num_classes": classes, "average": "macro"}
    assert labels.accuracy(table) == pytest.approx(float(tm.multiclass_accuracy(s, t, classes, average="micro")))
    assert labels.balanced_accuracy(table) == pytest.approx(float(tm.multiclass_accuracy(s, t, **several)))
    assert labels.macro_f1(table) == pytest.approx(float(tm.multiclass_f1_score(s, t, **several)))
    assert labels.kappa(table) == pytest.approx(float(tm.multiclass_cohen_kappa(s, t, classes, "quadratic")), abs=1e-6)
    by_class = labels.class_table(table, tuple("abcde"))
    for name, metric in (
        ("precision", tm.multiclass_precision),
        ("recall", tm.multiclass_recall),
        ("f1", tm.multiclass_f1_score),
    ):
        wanted = metric(s, t, classes, average=None).tolist()
        assert [row[name] for row in by_class.values()] == pytest.approx(wanted)


def test_calibration(random: np.random.Generator):
    raw = random.normal(size=(400, 4)) * 3
    true = np.where(random.random(400) < 0.4, raw.argmax(1), random.integers(0, 4, 400))
    r, t = as_torch(raw, true)
    scores = cal.softmax(raw)
    np.testing.assert_allclose(scores, r.softmax(1).numpy(), atol=1e-12)
    assert cal.nll(raw, true) == pytest.approx(float(torch.nn.functional.cross_entropy(r, t)))
    wanted = float(tm.multiclass_calibration_error(r.softmax(1), t, 4, n_bins=15))
    assert cal.calibration_error(scores.max(1), scores.argmax(1) == true) == pytest.approx(wanted, abs=1e-6)
    one, yes = as_torch(raw[:, 0], (true == 0).astype(np.int64))
    wanted = float(tm.binary_calibration_error(one.sigmoid(), yes, n_bins=15))
    assert cal.calibration_error(cal.sigmoid(raw[:, 0]), true == 0) == pytest.approx(wanted, abs=1e-6)
    wanted = float(torch.nn.functional.binary_cross_entropy_with_logits(one, yes.double()))
    assert cal.binary_nll(raw[:, 0], true == 0) == pytest.approx(wanted)
    bins = cal.reliability(scores.max(1), scores.argmax(1) == true, 10)
    assert bins.counts.sum() == 400
    assert (bins.counts @ bins.accuracy) / 400 == pytest.approx((scores.argmax(1) == true).mean())


def test_temperature_is_the_one_that_was_put_in(random: np.random.Generator):
    logits = random.normal(size=(20_000, 3)) * 2
    true = (cal.softmax(logits).cumsum(1) < random.random((20_000, 1))).sum(1)
    for temperature in (0.5, 1.0, 4.0):
        raw = logits * temperature
        found = cal.fitted_temperature(lambda t, raw=raw: cal.nll(raw / t, true) or 0.0)
        assert found == pytest.approx(temperature, rel=0.05)


def test_sigmoid_bears_any_number():
    assert cal.sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
    assert cal.binary_nll(np.array([-1e4, 1e4]), np.array([0, 1])) == 0.0


def test_numbers(random: np.random.Generator):
    true = random.normal(size=(80, 3)) * [1, 10, 100]
    said = true + random.normal(size=(80, 3)) * [0.5, 2, 90]
    s, t = as_torch(said, true)
    assert numbers.mean_absolute_error(said, true) == pytest.approx(float(tmf.mean_absolute_error(s, t)))
    wanted = tmf.mean_squared_error(s, t, squared=False, num_outputs=3).mean()
    assert numbers.root_mean_squared_error(said, true) == pytest.approx(float(wanted))
    assert numbers.r2(said, true) == pytest.approx(float(tmf.r2_score(s, t)))
    assert numbers.correlation(said, true) == pytest.approx(float(tmf.pearson_corrcoef(s, t).mean()))


def test_verification_is_that_of_all_pairs(random: np.random.Generator):
    whose = np.sort(random.integers(0, 30, 200))
    vectors = (random.normal(size=(30, 8))[whose] + random.normal(size=(200, 8)) * 1.2).astype(np.float32)
    pairs = verification.pairs_of(vectors, whose)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, first, second = unit @ unit.T, *np.triu_indices(200, 1)
    scores, same = cosines[first, second], whose[first] == whose[second]
    assert pairs.same.sum() == same.sum()
    assert pairs.other.sum() == (~same).sum()
    found = verification.verification(pairs)
    assert found is not None
    s, p = as_torch(scores, same.astype(np.int64))
    assert found.auc == pytest.approx(float(tm.binary_auroc(s, p)), abs=1e-4)
    assert found.equal_error == pytest.approx(curves.equal_error_rate(scores, same), abs=2e-3)
    assert (scores[~same] > found.threshold).mean() == pytest.approx(found.equal_error, abs=5e-3)
    at_one_percent = np.quantile(scores[~same], 0.99)
    assert found.accepted == pytest.approx((scores[same] > at_one_percent).mean(), abs=5e-3)
    np.fill_diagonal(cosines, -2)
    mates = np.bincount(whose)[whose] > 1
    assert pairs.nearest == pytest.approx((whose[cosines.argmax(1)] == whose)[mates].mean())


def test_a_vector_drawn_twice_is_no_pair():
    random = np.random.default_rng(0)
    vectors, whose = random.normal(size=(40, 4)).astype(np.float32), np.arange(40) // 2
    again = np.tile(np.arange(40), 2)
    once, twice = verification.pairs_of(vectors, whose), verification.pairs_of(vectors[again], whose[again])
    assert twice.same.sum() == 4 * once.same.sum()
    assert twice.nearest == once.nearest
    assert verification.verification(twice) == pytest.approx(verification.verification(once))


def runs_by_hand(on: np.ndarray) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    for n, value in enumerate(on):
        if value and made and made[-1][1] == n:
            made[-1] = (made[-1][0], n + 1)
        elif value:
            made.append((n, n + 1))
    return made


def overlap_by_hand(a: tuple[int, int], b: tuple[int, int]) -> float:
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


@pytest.mark.parametrize("least", [0.1, 0.25, 0.5, 0.75])
def test_spans_are_those_of_counting_by_hand(random: np.random.Generator, least: float):
    true = np.repeat(random.random((6, 10, 3)) < 0.4, 3, axis=1)
    found = np.where(random.random(true.shape) < 0.85, true, ~true)
    right = total = 0
    for sample in range(6):
        for label in range(3):
            ours, theirs = runs_by_hand(found[sample, :, label]), runs_by_hand(true[sample, :, label])
            total += len(ours) + len(theirs)
            best = [max(((overlap_by_hand(a, b), n) for n, b in enumerate(theirs)), default=(0.0, -1)) for a in ours]
            right += len({n for share, n in best if share >= least})
    assert spans.span_f1(found, true, least) == pytest.approx(2 * right / total)


def test_span_precision(random: np.random.Generator):
    true = np.repeat(random.random((5, 8, 2)) < 0.4, 3, axis=1)
    scores = np.clip(true * 0.8 + 0.1 + random.normal(0, 0.01, true.shape), 0, 1)
    assert spans.span_average_precision(scores, true, true, (0.5, 0.9)) == 1.0
    # one run is missed by all of it, one that is not there is surer than all others
    first = spans.stretches(true)
    found, sure = true.copy(), scores.copy()
    found[first.sample[0], first.start[0] : first.end[0], first.label[0]] = False
    part = spans.span_average_precision(sure, found, true, (0.5,))
    ours = (first.label == first.label[0]).sum()
    assert part == pytest.approx(((ours - 1) / ours + 1) / 2)
    assert spans.span_average_precision(scores, true & False, true, (0.5,)) == 0.0
    assert spans.span_average_precision(scores, true, true & False, (0.5,)) is None
    assert spans.span_f1(true & False, true & False, 0.5) is None


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 3.0])
def test_moments_are_those_of_counting_by_hand(random: np.random.Generator, tolerance: float):
    there = random.random((5, 20, 2)) < 0.12
    at = np.where(there, np.arange(20)[:, None] + random.random(there.shape), np.inf)
    scores = random.random((5, 20, 2)).round(3)
    parts = []
    for label in range(2):
        rows: list[tuple[float, tuple[int, int] | None]] = []
        for sample in range(5):
            series = [-1.0, *scores[sample, :, label], -1.0]
            real = [t for t in at[sample, :, label] if np.isfinite(t)]
            for step in range(20):
                if series[step + 1] > series[step] and series[step + 1] >= series[step + 2]:
                    apart = min(((abs(step + 0.5 - t), n) for n, t in enumerate(real)), default=(99.0, 0))
                    rows.append((series[step + 1], (sample, apart[1]) if apart[0] <= tolerance else None))
        taken: set[tuple[int, int]] = set()
        hits = precision = 0.0
        for rank, (_, event) in enumerate(sorted(rows, key=lambda r: -r[0]), 1):
            if event is not None and event not in taken:
                taken.add(event)
                hits += 1
                precision += hits / rank
        parts.append(precision / there[..., label].sum())
    assert moments.moment_average_precision(scores, at, (tolerance,)) == pytest.approx(np.mean(parts), abs=0.02)


def test_boxes_are_those_of_coco():
    known = json.loads((Path(__file__).parent / "tasks" / "coco_boxes.json").read_text())
    found, true = ([np.array(rows).reshape(-1, 6) for rows in known[side]] for side in ("found", "true"))
    compared = box_metrics.matches(found, true, 3)
    wanted = np.array(known["average_precision"])
    assert 0 < wanted.min() + 0.01 < wanted.max() < 1
    np.testing.assert_allclose(box_metrics.box_average_precision(compared), wanted, atol=1e-5)
    # drawn again, each as often as it is named, is as if those pictures were there
    drawn = np.array([0, 0, 3, 5, 5, 5, 11, 2])
    again = box_metrics.matches([found[n] for n in drawn], [true[n] for n in drawn], 3)
    np.testing.assert_allclose(
        box_metrics.box_average_precision(compared, drawn), box_metrics.box_average_precision(again), atol=1e-9
    )


def test_what_cannot_be_told_is_none():
    one, none = np.array([0.3, 0.6]), np.zeros(0)
    assert curves.roc_auc(one, np.array([1, 1])) is None
    assert curves.roc_auc(none, none) is None
    assert curves.average_precision(one, np.array([0, 0])) is None
    assert curves.equal_error_rate(one, np.array([0, 0])) is None
    assert curves.best_threshold(one, np.array([0, 0])) is None
    empty = labels.confusion(none.astype(int), none.astype(int), 3)
    for metric in (labels.accuracy, labels.balanced_accuracy, labels.macro_f1, labels.kappa):
        assert metric(empty) is None
    assert labels.kappa(labels.confusion(np.array([1, 1]), np.array([1, 1]), 3)) is None
    absent = labels.class_table(labels.confusion(np.array([0, 1]), np.array([0, 0]), 3), ("a", "b", "c"))
    assert absent == {
        "a": {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2.0},
        "b": {"precision": 0.0, "f1": 0.0, "support": 0.0},
        "c": {"support": 0.0},
    }
    assert numbers.r2(np.ones((3, 1)), np.ones((3, 1))) is None
    assert numbers.correlation(np.ones((3, 1)), np.arange(3.0)[:, None]) is None
    assert verification.verification(verification.pairs_of(np.eye(2, dtype=np.float32), np.array([0, 1]))) is None
    assert verification.pairs_of(np.zeros((0, 4), np.float32), np.zeros(0)).nearest is None
    assert moments.moment_average_precision(np.zeros((0, 4, 2)), np.zeros((0, 4, 2)), (1.0,)) is None
    nothing = box_metrics.matches([np.zeros((0, 6))], [np.zeros((0, 6))], 2)
    assert (box_metrics.box_average_precision(nothing) == -1).all()
