"""Fits the weights of the two logistic decisions (cut, dissolve) on montages; run by ``shots.py fit``.

It prints the weights; they are written into the package by hand, so that a change is seen in review.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.shots import cuts, gradual
from onlooker.analyzers.shots.grid import grid_of
from onlooker.analyzers.shots.similarity import Similarity
from onlooker.core.media import Frame, ReadRequest
from onlooker.sources import open_source

Clips = Sequence[tuple[Path, dict[str, Any]]]


class Whole:
    """All distances of one clip at once, padded at both ends as the detector pads them."""

    def __init__(self, path: Path) -> None:
        source = open_source(str(path))
        video = source.info.video
        assert video is not None
        assert video.frame_rate
        self.pace = min(4, max(1, round(float(video.frame_rate) / 30)))
        grids = np.stack([grid_of(item) for item in source.read(ReadRequest()) if isinstance(item, Frame)])
        source.close()
        self.frames, self.pad = len(grids), 64 * self.pace
        padded = np.pad(grids, ((self.pad, self.pad), (0, 0)), mode="edge")
        self.similarity = Similarity(len(padded))
        for start in range(0, len(padded), 32):
            self.similarity.push(padded[start : start + 32])
        self.squared, self.correlation = self.similarity.squared(), self.similarity.correlation()
        self.step = self.steps(self.squared)

    @staticmethod
    def steps(squared: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.sqrt(np.diagonal(squared, 1))])


def cut_examples(clips: Clips) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of every candidate outside gradual transitions, and whether it is a cut."""
    rows, truth = [], []
    for path, labels in clips:
        whole = Whole(path)
        pad, end = whole.pad, whole.pad + whole.frames
        at = cuts.cut_candidates(whole.step, pad + 5, end - 5, whole.pace)
        features = cuts.cut_features(whole.similarity, whole.squared, whole.correlation, whole.step, at, whole.pace)
        soft = [(a - 2, b + 2) for _, a, b in labels["gradual"]] + [(a - 2, b + 2) for a, b in labels["ignore"]]
        for place, row in zip(at - pad, features, strict=True):
            is_cut = int(place) in labels["cuts"]
            if is_cut or not any(a <= place <= b for a, b in soft):
                rows.append(row)
                truth.append(float(is_cut))
    return np.array(rows), np.array(truth)


def _windows(whole: Whole) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    pad, pace = whole.pad, whole.pace
    blocked = whole.similarity.deviation() < gradual.FLAT
    at = cuts.cut_candidates(whole.step, pad + 1, pad + whole.frames, pace)
    score = cuts.cut_scores(cuts.cut_features(whole.similarity, whole.squared, whole.correlation, whole.step, at, pace))
    blocked[at[score > 0.5]] = True
    for edge in gradual.flat_edges(whole.similarity.deviation(), whole.correlation, pace):
        low, high = sorted((edge.at, edge.far if edge.soft else edge.at))
        blocked[low : high + 1] = True
    stands = gradual.without_flashes(whole.squared, whole.step, pace)
    squared, correlation = (m[np.ix_(stands, stands)] for m in (whole.squared, whole.correlation))
    step = whole.steps(squared)
    for length in (n * pace for n in gradual.LENGTHS):
        starts, features = gradual.window_features(
            squared, correlation, step, blocked, pad, pad + whole.frames, length, pace
        )
        likely = gradual.window_scores(features)
        for a, row, p in zip(starts.tolist(), features, likely, strict=True):
            middle, b = a + length // 2, a + length
            # pans are refused by a test of their own, so the weights need not tell them apart
            explained = whole.similarity.explained_by_shift
            if p < 0.05 or explained(a, middle) + explained(middle, b) >= 1.2:
                yield a - pad, b - pad, row


def dissolve_examples(clips: Clips) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of windows that are a dissolve to two thirds or more, and of those that touch no transition."""
    rows, truth = [], []
    for path, labels in clips:
        dissolves = [(a - 1, b + 1) for kind, a, b in labels["gradual"] if kind == "dissolve"]
        others = [(a - 3, b + 3) for kind, a, b in labels["gradual"] if kind != "dissolve"]
        others += [(a - 3, b + 3) for a, b in labels["ignore"]] + [(c - 1, c) for c in labels["cuts"]]
        for a, b, row in _windows(Whole(path)):
            if any(a < last and first < b for first, last in others):
                continue
            shares = [max(0, min(b, y) - max(a, x)) / (max(b, y) - min(a, x)) for x, y in dissolves]
            best = max(shares, default=0)
            if best == 0 or best >= 0.65:
                rows.append(row)
                truth.append(float(best > 0))
    return np.array(rows), np.array(truth)


def fit(features: NDArray[np.float64], truth: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Logistic regression by Newton's method."""
    weights = np.zeros(features.shape[1])
    damping = decay * len(features)
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(features @ weights, -40, 40)))
        curve = (features * (p * (1 - p))[:, None]).T @ features + damping * np.eye(len(weights))
        weights -= np.linalg.solve(curve, features.T @ (p - truth) + damping * weights)
    return weights


def fit_all(clips: Clips) -> None:
    """Fit both and print the weights."""
    features, truth = cut_examples(clips)
    print("cuts.WEIGHTS", fit(features, truth, 1e-4).round(2).tolist(), f"{len(truth)} examples")
    features, truth = dissolve_examples(clips)
    print("gradual.WEIGHTS", fit(features, truth, 1e-5).round(2).tolist(), f"{len(truth)} examples")
