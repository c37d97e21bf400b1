"""How alike two texts are."""

from __future__ import annotations

import numpy as np

__all__ = ["edit_distance", "likeness"]


def edit_distance(one: str, other: str) -> int:
    """Least number of characters to put in, take out or replace (Levenshtein 1966).

    >>> edit_distance("kitten", "sitting")
    3
    """
    if len(one) < len(other):
        one, other = other, one
    steps = np.arange(len(other) + 1)
    row = steps.copy()
    code = np.array([ord(c) for c in other], np.int64)
    for number, character in enumerate(one, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (code != ord(character)))
        row = np.concatenate([[number], best])
        # taking characters of the row in, one after the other, as a running minimum
        row = np.minimum.accumulate(row - steps) + steps
    return int(row[-1])


def likeness(one: str, other: str) -> float:
    """1 - edit distance / length of the longer, without spaces and capitals; 1 for two empty texts.

    >>> likeness("Good day", "good  day")
    1.0
    """
    a, b = ("".join(t.split()).casefold() for t in (one, other))
    return 1.0 if a == b else 1 - edit_distance(a, b) / max(len(a), len(b))
