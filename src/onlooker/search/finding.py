"""One ranking of what fits words, a likeness, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from onlooker.core.store import Hit, Query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onlooker.core.store import Store

__all__ = ["LOOK", "Wanted", "find"]

LOOK = "look-1"
"""The vector space of keyframes and of pictures that a search is given."""
_CANDIDATES = 1000
"""How deep each ranking is read before rankings are fused."""


@dataclass(frozen=True)
class Wanted:
    """What is searched for besides the filters: words, a likeness, or both."""

    text: str | None = None
    vector: NDArray[Any] | None = None
    space: str = LOOK


def find(
    store: Store, wanted: Wanted, query: Query, order: str | None = None, meaning: bool | None = False
) -> list[Hit]:
    """Observations that fit, best first where something is searched for, else in order of time.

    Args:
        store: the library's.
        wanted: words, likeness.
        query: conditions.
        order: ``best``, ``time`` or ``score``; None: best where there is something to rank by.
        meaning: whether what means the same in other words is found too; None: where the library can.

    Returns:
        Hits; their score is NaN where nothing was ranked.
    """
    from onlooker.search.meaning import by_meaning
    from onlooker.timeline import fuse

    ranked = bool(wanted.text and wanted.text.strip()) or wanted.vector is not None
    if not ranked or (order in ("time", "score") and wanted.vector is None and not meaning):
        plain = replace(query, text=wanted.text, order="score" if order == "score" else "time")
        return [Hit(o, float("nan")) for o in store.query(plain)]
    stop = None if query.limit is None else query.offset + query.limit
    deep = replace(query, offset=0, limit=None if stop is None else max(stop, _CANDIDATES))
    rankings: list[list[Hit]] = []
    if wanted.text and wanted.text.strip():
        rankings.append(store.search_text(wanted.text, deep))
        rankings += by_meaning(store, wanted.text, deep, meaning)
    if wanted.vector is not None:
        rankings.append(store.search_vector(wanted.space, wanted.vector, deep))
    hits = (rankings[0] if len(rankings) == 1 else fuse(rankings))[query.offset : stop]
    if order == "time":
        place = {s.info.id: i for i, s in enumerate(store.sources())}
        hits.sort(key=lambda hit: (place[hit.observation.source], hit.observation.span.start))
    elif order == "score":
        hits.sort(key=lambda hit: -(hit.observation.score or 0.0))
    return hits
