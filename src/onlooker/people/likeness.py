"""Finds the stored face tracks that are like a face."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.identity.records import last_config
from onlooker.analyzers.identity.samples import SPACES, Sample, distances
from onlooker.analyzers.identity.thresholds import threshold
from onlooker.core.errors import UsageError
from onlooker.core.store import Hit, Query, Store

__all__ = ["face_vector", "nearest_faces"]


def face_vector(picture: NDArray[np.uint8] | str | os.PathLike[str]) -> Sample:
    """The vector of the one face of a picture.

    Args:
        picture: path of a file, or RGB (h, w, 3).

    Raises:
        UsageError: no face, several, or no picture.
    """
    from onlooker.people.pictures import FaceReader

    reader = FaceReader()
    try:
        if not isinstance(picture, np.ndarray):
            return reader.only_face(Path(picture)).sample
        found = reader.faces(picture)
        if len(found) != 1:
            raise UsageError(f"expected one face in the picture, got {len(found)}")
        return found[0].sample
    finally:
        reader.close()


def nearest_faces(store: Store, face: Sample, query: Query) -> list[Hit]:
    """Face tracks whose distance from ``face`` is within the threshold for one person, nearest first.

    ``score`` of a hit is 1 for the same vector and 0.5 at the threshold.
    """
    limit = threshold("face", last_config(store).false_accept_rate)
    faces = replace(query, kinds=("embedding",), labels=("face",), limit=None, offset=0)
    # by cosine they come in nearly the order of their distance: a mean may be one place off, none is left out
    hits: list[Hit] = []
    for hit in store.search_vector(SPACES["face"], face.vector, faces):
        if 1.0 - hit.score > limit:
            break
        unity = hit.observation.data.get("unity", 1.0)
        sample = Sample(hit.observation.vector, float(unity) if isinstance(unity, int | float) else 1.0)
        distance = float(distances([face], [sample], "face")[0, 0])
        if distance <= limit:
            hits.append(Hit(hit.observation, 1.0 - 0.5 * max(0.0, distance) / limit))
    hits.sort(key=lambda hit: -hit.score)
    stop = None if query.limit is None else query.offset + query.limit
    return hits[query.offset : stop]
