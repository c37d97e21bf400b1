"""Merging several ranked lists into one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onlooker.core.observation import Observation
from onlooker.core.store import Hit

__all__ = ["fuse"]


def fuse(rankings: Iterable[Sequence[Hit]], *, constant: int = 60) -> list[Hit]:
    """Reciprocal rank fusion: each list adds 1 / (constant + rank) to its hits' scores.

    Scores of different searches (BM25, cosine) cannot be compared, their ranks can. Method and constant: Cormack,
    Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
    SIGIR 2009.

    Returns:
        Each observation once, best first; equal scores keep the order in which they were first seen.
    """
    scores: dict[str, float] = {}
    found: dict[str, Observation] = {}
    for ranking in rankings:
        seen: set[str] = set()
        for hit in ranking:
            key = hit.observation.id
            if key in seen:
                continue
            seen.add(key)
            scores[key] = scores.get(key, 0.0) + 1.0 / (constant + len(seen))
            found.setdefault(key, hit.observation)
    ordered = sorted(found, key=lambda key: -scores[key])
    return [Hit(found[key], scores[key]) for key in ordered]
