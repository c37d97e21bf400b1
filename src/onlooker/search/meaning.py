"""Finds what was said or written by what it means; the vectors are those of the analyzer ``embeddings``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from onlooker.core.errors import ModelMissing, UsageError
from onlooker.core.store import Hit, Query

if TYPE_CHECKING:
    from onlooker.core.observation import Observation
    from onlooker.core.store import Store

__all__ = ["LEAST_COSINE", "by_meaning", "search_meaning", "search_pictures"]

LEAST_COSINE = 0.2
"""Texts less like the question are no answer; see benchmarks/meaning.py."""
_OF_BEST = 0.6
"""Neither are those that are less than this share as like it as the best one."""
_ANALYZER = "embeddings"


def by_meaning(store: Store, text: str, query: Query, asked: bool | None) -> list[list[Hit]]:
    """Rankings of what means something like ``text``: sentences and captions; where it is asked for, pictures too.

    Args:
        store: the library's.
        text: the question.
        query: conditions.
        asked: False: none; None: where the library can; True: it is an error where it cannot.
    """
    if asked is False:
        return []
    shown = search_pictures(store, text, query) if asked else None
    said = search_meaning(store, text, query, required=asked is True and shown is None)
    return [ranking for ranking in (said, shown) if ranking]


def search_meaning(store: Store, text: str, query: Query, *, required: bool) -> list[Hit]:
    """What means something like ``text``, best first: sentences, captions and titles, within what ``query`` allows.

    Args:
        store: the library's.
        text: the question, Chinese or English.
        query: conditions that the found observations meet; its ``text`` is not looked at.
        required: whether it is an error that there are no vectors or no models.

    Raises:
        UsageError: no vectors, ``ModelMissing``: no models, where required.
    """
    vectors = Query(sources=query.sources, kinds=("embedding",), labels=("text",), analyzers=(_ANALYZER,))
    if next(store.query(replace(vectors, limit=1)), None) is None:
        if required:
            raise UsageError(
                "nothing here was analysed for its meaning", hint="run: onlooker analyze --only embeddings"
            )
        return []
    from onlooker.models.sentences import SPACE, shared_encoder

    try:
        encoder = shared_encoder()
    except ModelMissing:
        if required:
            raise
        return []
    near = store.search_vector(SPACE, encoder.one(" ".join(text.split())), replace(vectors, span=query.span))
    least = max(LEAST_COSINE, _OF_BEST * near[0].score) if near else 1.0
    hits: list[Hit] = []
    for hit in near:
        if hit.score < least or (query.limit is not None and len(hits) >= query.limit):
            break
        hits += [Hit(origin, hit.score) for origin in _origins(store, hit.observation, query)]
    return hits


def _origins(store: Store, vector: Observation, query: Query) -> Iterator[Observation]:
    """The observations whose text the vector stands for, where they meet the conditions."""
    kind = str(vector.data["of"])
    if query.kinds and kind not in query.kinds:
        return
    wanted = replace(query, sources=(vector.source,), kinds=(kind,), span=vector.span, text=None, limit=None, offset=0)
    for origin in store.query(wanted):
        if origin.span == vector.span and origin.text == vector.data["words"]:
            yield origin


def search_pictures(store: Store, text: str, query: Query) -> list[Hit] | None:
    """Pictures that show what the text says, best first: the vectors of the analyzer ``pictures``.

    None where there are none, or where the network that reads texts into their space is not here.
    """
    from onlooker.analyzers._clip_towers import TextTower
    from onlooker.models import catalogue

    if query.kinds and "embedding" not in query.kinds:
        return None
    wanted = replace(query, kinds=("embedding",), labels=("image",), text=None)
    first = next(store.query(replace(wanted, limit=1, offset=0)), None)
    if first is None:
        return None
    entries = [e for e in catalogue().values() if e.task == "text-embedding" and e.facts.get("space")]
    for entry in entries:
        if entry.facts["space"] != first.vector_space:
            continue
        try:
            tower = TextTower(entry.name)
        except ModelMissing:
            continue
        try:
            hits = store.search_vector(tower.space, tower.one(text), wanted)
        finally:
            tower.close()
        return [hit for hit in hits if hit.score >= float(entry.facts.get("least", 0.0))]
    return None
