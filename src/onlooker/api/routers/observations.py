"""Observations: single facts, by conditions or by id; and search."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query

from onlooker.api import models
from onlooker.api.access import Role, names_of
from onlooker.api.guard import Ours, ViewerAny
from onlooker.api.models import Identity, Names
from onlooker.api.problems import ProblemError, not_found, responses
from onlooker.core.errors import UsageError
from onlooker.core.store import Query as StoreQuery
from onlooker.core.time import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.core.observation import Observation

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["timeline"])
_FAR = 1e9
Start = Annotated[models.Seconds, Query(alias="from")]
End = Annotated[models.Seconds, Query(alias="to")]
Score = Annotated[float | None, Query(ge=-1e9, le=1e9, allow_inf_nan=False)]


@router.get("/observations", response_model=models.Observations, responses=responses(400, 404))
def list_observations(
    context: Ours,
    caller: ViewerAny,
    source: Names = None,
    kind: Names = None,
    label: Names = None,
    track: Names = None,
    analyzer: Names = None,
    start: Start = None,
    end: End = None,
    text: models.Words = None,
    min_score: Score = None,
    max_score: Score = None,
    limit: models.Limit = 100,
    offset: models.Offset = 0,
) -> dict[str, Any]:
    """Observations that fit all conditions, in order of source and time. Of cameras that the caller may see in some
    zones alone, only what stands in one of them, and without pictures.
    """
    query = StoreQuery(
        kinds=tuple(kind or ()),
        labels=tuple(label or ()),
        tracks=tuple(track or ()),
        analyzers=tuple(analyzer or ()),
        span=span_of(start, end),
        text=text or None,
        min_score=min_score,
        max_score=max_score,
    )
    found = list(islice(_seen(context, caller, query, source), offset, offset + limit + 1))
    return {"observations": found[:limit], "offset": offset, "more": len(found) > limit}


@router.get("/observations/{id}", response_model=models.Observation, responses=responses(404))
def get_observation(context: Ours, caller: ViewerAny, id: Identity) -> dict[str, Any]:
    """One observation by its whole id."""
    try:
        found = context.store.get(id)
    except UsageError:
        raise not_found("observation") from None
    access = context.access(caller, found.source)
    if found.id != id or access is None:
        raise not_found("observation")
    if access.zones is None:
        return found.as_dict()
    info = context.info(found.source)
    if info is None or not context.stands_in(info, access.zones, found.box):
        raise not_found("observation")
    return {**found.as_dict(), "media": []}


def span_of(start: float | None, end: float | None) -> Span | None:
    """The stretch that is asked for, or None for all.

    Raises:
        ProblemError: 400: it ends before it begins.
    """
    if start is None and end is None:
        return None
    first, last = -_FAR if start is None else start, _FAR if end is None else end
    if last < first:
        raise ProblemError(400, f"from {first:g} is after to {last:g}", hint="swap them")
    return Span.of_seconds(first, last)


def _seen(context: Context, caller: Caller, query: StoreQuery, sources: list[str] | None) -> Iterator[dict[str, Any]]:
    """What the caller may see of what fits, source by source where it is not all of them."""
    if not sources and caller.overall:
        yield from (o.as_dict() for o in context.store.query(query))
        return
    chosen = sources or [s.info.id for s in context.store.sources()]
    for identity in chosen:
        info = context.info(identity)
        access = None if info is None else caller.access(names_of(info))
        if info is None or access is None or access.role < Role.viewer:
            if sources:
                raise not_found("source")
            continue
        for o in context.store.query(replace(query, sources=(identity,))):
            if access.zones is None:
                yield o.as_dict()
            elif context.stands_in(info, access.zones, o.box):
                yield _without_pictures(o)


def _without_pictures(observation: Observation) -> dict[str, Any]:
    return {**observation.as_dict(), "media": []}
