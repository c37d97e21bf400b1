"""Search: by words, by what they mean, by likeness to a moment, by who is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query

from onlooker.api import models
from onlooker.api.guard import Ours, ViewerAny
from onlooker.api.models import Names
from onlooker.api.problems import not_found, responses
from onlooker.api.routers.observations import End, Score, Start, span_of
from onlooker.core.errors import UsageError
from onlooker.core.store import Hit
from onlooker.core.store import Query as StoreQuery

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.search import Wanted

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/search", tags=["search"])


@router.get("", response_model=models.Hits, responses=responses(400, 404, 409))
def search(
    context: Ours,
    caller: ViewerAny,
    text: models.Words = None,
    source: Names = None,
    kind: Names = None,
    label: Names = None,
    track: Names = None,
    person: Annotated[Names, Query(description="Names, or unknown-N: where they are seen or heard.")] = None,
    like: Annotated[str | None, Query(max_length=64, description="Looks like this: an observation's id.")] = None,
    meaning: Annotated[bool | None, Query(description="Also the same in other words; by default where it can.")] = None,
    start: Start = None,
    end: End = None,
    min_score: Score = None,
    order: models.Order | None = None,
    limit: models.Limit = 20,
    offset: models.Offset = 0,
) -> dict[str, Any]:
    """Moments that fit. Only sources that the caller may see all of are looked at."""
    from onlooker.search import find

    chosen = _chosen(context, caller, source)
    if chosen is None:
        return {"count": 0, "hits": []}
    query = StoreQuery(
        sources=chosen,
        kinds=tuple(kind or ()),
        labels=tuple(label or ()),
        tracks=tuple(track or ()),
        span=span_of(start, end),
        min_score=min_score,
        limit=limit,
        offset=offset,
    )
    if person:
        hits = _people(context, caller, person, replace(query, text=text or None), order)
    else:
        hits = find(context.store, _wanted(context, caller, text, like), query, order, meaning)
    return {"count": len(hits), "hits": [_dict(hit) for hit in hits]}


def _chosen(context: Context, caller: Caller, asked: list[str] | None) -> tuple[str, ...] | None:
    """Ids to look at; empty: all; None: nothing can be seen."""
    if asked:
        return tuple(context.source(caller, identity).info.id for identity in asked)
    if caller.overall:
        return ()
    return tuple(s.info.id for s in context.visible(caller)) or None


def _wanted(context: Context, caller: Caller, text: str | None, like: str | None) -> Wanted:
    from onlooker.search import LOOK, Wanted

    if like is None:
        return Wanted(text)
    try:
        found = context.store.get(like)
    except UsageError:
        raise not_found("observation") from None
    context.source(caller, found.source)
    if found.vector is None:
        raise UsageError("this observation has no vector to compare with", hint="give a keyframe or a face")
    return Wanted(text, found.vector, found.vector_space or LOOK)


def _people(context: Context, caller: Caller, names: list[str], query: StoreQuery, order: str | None) -> list[Hit]:
    from onlooker.search import search_people

    try:
        return search_people(context.store, names, None, query, order)
    except UsageError:
        # whether somebody is known by name is not for those who see some cameras only
        if caller.overall:
            raise
        return []


def _dict(hit: Hit) -> dict[str, Any]:
    # NaN marks what was not ranked; JSON has no NaN
    return {**hit.observation.as_dict(), "score_search": None if hit.score != hit.score else round(hit.score, 6)}
