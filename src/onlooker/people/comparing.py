"""Vectors of people beside each other: which are new, which do not belong, and who looks like somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from onlooker.analyzers.identity.decide import Track
from onlooker.analyzers.identity.records import Enrolled, Person
from onlooker.analyzers.identity.samples import Modality, distances, mean_sample
from onlooker.analyzers.identity.thresholds import threshold

__all__ = ["least_alike", "odd_ones", "twins_of", "unlike"]


def unlike(known: Sequence[Enrolled], more: Iterable[Enrolled]) -> list[Enrolled]:
    """Those of ``more`` that are not the same vector as one known."""
    kept: list[Enrolled] = []
    for one in more:
        if not any(np.array_equal(one.sample.vector, k.sample.vector) for k in [*known, *kept]):
            kept.append(one)
    return kept


def twins_of(people: Mapping[str, Person], name: str) -> list[str]:
    """Whether somebody else enrolled looks the same."""
    own, others = people[name].faces, [p for p in people.values() if p.name != name and p.faces]
    if not own or not others:
        return []
    means = [mean_sample([e.sample for e in p.faces]) for p in others]
    far = distances([mean_sample([e.sample for e in own])], means, "face")[0]
    limit = threshold("face", 0.001)
    return [f"{name} looks like {p.name}" for p, d in zip(others, far.tolist(), strict=True) if d <= limit]


def odd_ones(enrolled: Sequence[Enrolled], modality: Modality) -> list[str]:
    """Pictures that are like none of the others."""
    if len(enrolled) < 2:
        return []
    near = distances([e.sample for e in enrolled], [e.sample for e in enrolled], modality)
    np.fill_diagonal(near, np.inf)
    limit = threshold(modality, 0.05)
    return [
        f"{e.origin} does not look like the others" for e, n in zip(enrolled, near.min(1), strict=True) if n > limit
    ]


def least_alike(tracks: Sequence[Track]) -> list[Track]:
    """The smaller of two groups, by average linkage."""
    if len(tracks) < 2:
        return []
    groups = [[i] for i in range(len(tracks))]
    near = distances([t.sample for t in tracks], [t.sample for t in tracks], tracks[0].modality)
    while len(groups) > 2:
        means = np.array([[near[np.ix_(a, b)].mean() for b in groups] for a in groups])
        np.fill_diagonal(means, np.inf)
        i, j = sorted(divmod(int(means.argmin()), len(groups)))
        groups[i] += groups.pop(j)
    return [tracks[i] for i in min(groups, key=len)]
