"""Events: list, look at; acknowledge, judge, mute; their evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from onlooker.api.access import EVERY, Role, names_of
from onlooker.api.event_models import (
    Acknowledge,
    Event,
    Events,
    History,
    Mute,
    Mutes,
    NewMute,
    Severity,
    SinkList,
    State,
    Verdict,
)
from onlooker.api.files import RangedFile, inside
from onlooker.api.guard import OperatorAny, Ours, ViewerAny, ViewerOverall
from onlooker.api.models import Done, Identity, Limit, Names, Offset
from onlooker.api.problems import ProblemError, not_found, responses
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.events import EventQuery, EventRecord

__all__ = ["router", "shown"]

router = APIRouter(prefix="/api/v1", tags=["events"])
_BATCH = 200
_FILE = {206: {"description": "The part of it that was asked for."}, 304: {"description": "It is as you have it."}}
_PICTURE = {200: {"content": {"image/jpeg": {}}, "description": "The picture."}, **_FILE}
_CLIP = {200: {"content": {"video/mp4": {}}, "description": "The clip."}, **_FILE}


def _without_files(fields: dict[str, Any]) -> dict[str, Any]:
    gone = {"snapshot": None, "clip": None, "clip_sha256": None}
    return {**fields, "evidence": {k: v for k, v in fields["evidence"].items() if k not in gone} | gone}


def shown(context: Context, caller: Caller, source: str, fields: dict[str, Any]) -> dict[str, Any]:
    """An event as the caller may see it: those who see zones alone get no pictures."""
    access = context.access(caller, source)
    return fields if access is not None and access.zones is None else _without_files(fields)


def _visible(context: Context, caller: Caller, query: EventQuery) -> Iterator[dict[str, Any]]:
    """All events that fit and may be seen, page by page."""
    if not caller.overall:
        reach = set(context.reachable(caller))
        chosen = reach & set(query.sources) if query.sources else reach
        if not chosen:
            return
        query = replace(query, sources=tuple(sorted(chosen)))
    offset = 0
    while True:
        page = context.journal.query(replace(query, limit=_BATCH, offset=offset))
        for record in page:
            if caller.overall or context.sees_event(caller, record.event):
                yield shown(context, caller, record.event.source, record.as_dict())
        if len(page) < _BATCH:
            return
        offset += _BATCH


def _event(context: Context, caller: Caller, id: str, role: Role = Role.viewer) -> EventRecord:
    """An event that the caller has the role on.

    Raises:
        ProblemError: 404, or 403 where the role is not enough.
    """
    try:
        record = context.journal.get(id)
    except UsageError:
        raise not_found("event") from None
    if record.event.id != id or not context.sees_event(caller, record.event):
        raise not_found("event")
    if not context.sees_event(caller, record.event, role):
        raise ProblemError(403, f"it takes the role {role.name} on this camera")
    return record


@router.get("/events", response_model=Events, responses=responses(400))
def list_events(
    context: Ours,
    caller: ViewerAny,
    rule: Names = None,
    source: Names = None,
    camera: Names = None,
    state: Annotated[list[State] | None, Query(max_length=3)] = None,
    severity: Annotated[Severity | None, Query(description="The least.")] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    acknowledged: bool | None = None,
    verdict: Literal["right", "wrong"] | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """Events that fit all conditions, the newest first; ``since`` and ``until`` are wall times with a zone."""
    from onlooker.events import EventQuery

    query = EventQuery(
        rules=tuple(rule or ()),
        sources=tuple(source or ()),
        cameras=tuple(camera or ()),
        states=tuple(state or ()),
        severity=severity,
        since=since,
        until=until,
        acknowledged=acknowledged,
        verdict=verdict,
    )
    found = list(islice(_visible(context, caller, query), offset, offset + limit + 1))
    return {"events": found[:limit], "offset": offset, "more": len(found) > limit}


@router.get("/events/{id}", response_model=Event, responses=responses(404))
def get_event(context: Ours, caller: ViewerAny, id: Identity) -> dict[str, Any]:
    """One event by its whole id."""
    record = _event(context, caller, id)
    return shown(context, caller, record.event.source, record.as_dict())


@router.get("/events/{id}/states", response_model=History, responses=responses(404))
def get_states(context: Ours, caller: ViewerAny, id: Identity) -> dict[str, Any]:
    """All states of an event in order."""
    record = _event(context, caller, id)
    states = [shown(context, caller, record.event.source, e.as_dict()) for e in context.journal.states(id)]
    return {"states": states}


@router.get("/events/{id}/snapshot", response_class=Response, responses={**_PICTURE, **responses(404, 416)})
def get_snapshot(context: Ours, caller: ViewerAny, id: Identity) -> Response:
    """The picture of an event."""
    return _evidence(context, caller, id, "snapshot")


@router.get("/events/{id}/clip", response_class=Response, responses={**_CLIP, **responses(404, 416)})
def get_clip(context: Ours, caller: ViewerAny, id: Identity) -> Response:
    """The clip of an event, with what came before and after."""
    return _evidence(context, caller, id, "clip")


def _evidence(context: Context, caller: Caller, id: str, what: str) -> Response:
    record = _event(context, caller, id)
    access = context.access(caller, record.event.source)
    path = record.evidence.get(what)
    prefix = f"events/{id}/"
    if access is None or access.zones is not None or not isinstance(path, str) or not path.startswith(prefix):
        raise not_found(what)
    if what == "clip":
        info = context.info(record.event.source)
        context.check_unhidden(caller, (record.event.source,) if info is None else names_of(info))
    return RangedFile(inside(context.folder / "events" / id, path.removeprefix(prefix)))


@router.post("/events/{id}/acknowledge", response_model=Event, responses=responses(404))
def acknowledge(context: Ours, caller: OperatorAny, id: Identity, body: Acknowledge | None = None) -> dict[str, Any]:
    """Say that somebody has seen to it."""
    _event(context, caller, id, Role.operator)
    context.journal.acknowledge(id, caller.user, body.note if body else "")
    return get_event(context, caller, id)


@router.post("/events/{id}/feedback", response_model=Event, responses=responses(404))
def give_feedback(context: Ours, caller: OperatorAny, id: Identity, body: Verdict) -> dict[str, Any]:
    """Say whether it is right or a false alarm; it is kept for learning."""
    _event(context, caller, id, Role.operator)
    context.journal.feedback(id, body.verdict, caller.user, body.note)
    return get_event(context, caller, id)


def _may_mute(context: Context, caller: Caller, camera: str | None, role: Role) -> bool:
    return caller.may(role, (EVERY,)) if camera is None else caller.may(role, (camera,))


@router.get("/mutes", response_model=Mutes)
def list_mutes(context: Ours, caller: ViewerAny) -> dict[str, Any]:
    """The mutes in force of cameras that the caller may see."""
    found = context.journal.mutes()
    return {"mutes": [m.as_dict() for m in found if _may_mute(context, caller, m.camera, Role.viewer)]}


@router.post("/mutes", response_model=Mute, status_code=201, responses=responses(400, 403, 404))
def add_mute(context: Ours, caller: OperatorAny, body: NewMute) -> dict[str, Any]:
    """Tell no sink of such events. On one camera it takes the role operator there; on all, over everything."""
    if body.rule is None and body.camera is None:
        raise ProblemError(400, "neither a rule nor a camera", hint="say which events to mute")
    if body.camera is not None and not caller.may(Role.viewer, (body.camera,)):
        raise not_found("camera")
    if not _may_mute(context, caller, body.camera, Role.operator):
        raise ProblemError(403, "it takes the role operator on that")
    until: datetime | None = body.until
    return context.journal.mute(body.rule, body.camera, until, by=caller.user, note=body.note).as_dict()


@router.delete("/mutes/{number}", response_model=Done, responses=responses(403, 404))
def remove_mute(context: Ours, caller: OperatorAny, number: int) -> dict[str, bool]:
    """End a mute."""
    found = [m for m in context.journal.mutes() if m.number == number]
    if not found or not _may_mute(context, caller, found[0].camera, Role.viewer):
        raise not_found("mute")
    if not _may_mute(context, caller, found[0].camera, Role.operator):
        raise ProblemError(403, "it takes the role operator on that")
    context.journal.unmute(number)
    return {"done": True}


@router.get("/sinks", response_model=SinkList)
def list_sinks(context: Ours, _: ViewerOverall) -> dict[str, Any]:
    """How the sinks are doing. They are set by the configuration alone."""
    found = context.station.delivery.status() if context.station else context.journal.sinks()
    return {"sinks": [s.as_dict() for s in found]}
