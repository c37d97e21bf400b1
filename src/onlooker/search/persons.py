"""Searching for people: by name, and by a picture of a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Hit, Query, Store
from onlooker.core.time import Span

__all__ = ["search_people"]


def search_people(store: Store, people: Sequence[str], face: Path | None, query: Query, order: str | None) -> list[Hit]:
    """Where people of these names are seen or heard, or a face like that of a picture is seen.

    With kinds in the query: observations of those kinds that are made while they are.

    Raises:
        UsageError: nobody is called so; both are given; no face, or several, in the picture.
    """
    if people and face is not None:
        raise UsageError("--person and --face cannot be given together", hint="leave one out")
    if face is not None:
        from onlooker.people.likeness import face_vector, nearest_faces

        return _by_time(nearest_faces(store, face_vector(face), query), order)
    for name in people:
        _check_known(store, name)
    found = _while_there(store, people, query) if set(query.kinds) - {"identity"} else _of(store, people, query, order)
    stop = None if query.limit is None else query.offset + query.limit
    return [Hit(o, float("nan")) for o in islice(found, query.offset, stop)]


def _by_time(hits: list[Hit], order: str | None) -> list[Hit]:
    return sorted(hits, key=lambda h: (h.observation.source, h.observation.span.start)) if order == "time" else hits


def _check_known(store: Store, name: str) -> None:
    from onlooker.people import People

    People(store).check_known(name)


def _of(store: Store, people: Sequence[str], query: Query, order: str | None) -> Iterator[Observation]:
    wanted = replace(query, kinds=("identity",), labels=tuple(people), limit=None, offset=0)
    return store.query(replace(wanted, order="score" if order == "score" else "time"))


def _while_there(store: Store, people: Sequence[str], query: Query) -> Iterator[Observation]:
    there: dict[str, list[Span]] = {}
    for o in store.query(Query(sources=query.sources, kinds=("identity",), labels=tuple(people))):
        there.setdefault(o.source, []).append(o.span)
    for source, spans in there.items():
        for o in store.query(replace(query, sources=(source,), limit=None, offset=0)):
            if any(span.overlaps(o.span) for span in spans):
                yield o
