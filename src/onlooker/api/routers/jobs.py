"""Analyses: start, look at, follow, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from onlooker.api.access import Role, names_of
from onlooker.api.addresses import check_address
from onlooker.api.guard import Need, OperatorAny, Ours, ViewerAny
from onlooker.api.jobs import ENDED, Task
from onlooker.api.models import Done, Identity, Limit, Strict
from onlooker.api.problems import ProblemError, not_found, responses
from onlooker.api.streaming import For, Lasting, event_stream, message
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.api.jobs import Job

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
_FOLLOW = Need(Role.viewer)
_LOOK = 0.25
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_STREAM = {200: {"content": {"text/event-stream": {}}, "description": "The job whenever it changes, to its end."}}


class NewJob(Strict):
    """What to analyse: sources of the library by id, or addresses that the server's policy allows."""

    sources: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=list, max_length=100)
    addresses: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(default_factory=list, max_length=100)
    profile: _Word = "default"
    only: list[_Word] = Field(default_factory=list, max_length=100)
    quality: Literal["fast", "balanced", "best"] | None = None
    redo: bool = False


class Progress(BaseModel):
    """How far it is: seconds of the source; ``duration`` is 0 where unknown."""

    source: str
    position: float
    duration: float
    phase: str


class JobInfo(BaseModel):
    """An analysis; times are Unix seconds.

    Attributes:
        addresses: without passwords and query values.
        interrupted: state of a job that the end of the server stopped: start it again to go on where it was.
        result: as ``onlooker analyze --json`` tells.
    """

    id: str
    owner: str
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    addresses: list[str]
    sources: list[str]
    profile: str
    only: list[str]
    quality: str | None
    redo: bool
    created: float
    started: float | None
    ended: float | None
    progress: Progress | None
    result: dict[str, Any] | None
    error: str | None


class JobList(BaseModel):
    """Analyses, the newest first."""

    jobs: list[JobInfo]


def _fields(job: Job) -> dict[str, Any]:
    task = job.task
    return {
        "id": job.id,
        "owner": job.owner,
        "state": job.state,
        "addresses": list(task.addresses),
        "sources": list(task.sources),
        "profile": task.profile,
        "only": list(task.only),
        "quality": task.quality,
        "redo": task.redo,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "progress": job.progress,
        "result": job.result,
        "error": job.error,
    }


def _may(context: Context, caller: Caller, job: Job, role: Role) -> bool:
    """Over everything, or on each of the sources where it is about known ones alone."""
    if (caller.overall or 0) >= role:
        return True
    task = job.task
    infos = [context.info(s) for s in task.sources]
    return len(task.sources) == len(task.addresses) and all(
        info is not None and caller.may(role, names_of(info)) for info in infos
    )


def _job(context: Context, caller: Caller, id: str, role: Role = Role.viewer) -> Job:
    job = context.jobs.get(id)
    if job is None or not _may(context, caller, job, Role.viewer):
        raise not_found("job")
    if not _may(context, caller, job, role):
        raise ProblemError(403, f"it takes the role {role.name} on its sources")
    return job


@router.get("", response_model=JobList)
def list_jobs(context: Ours, caller: ViewerAny, limit: Limit = 100) -> dict[str, Any]:
    """The analyses that the caller may see."""
    found = [j for j in context.jobs.list(1000) if _may(context, caller, j, Role.viewer)]
    return {"jobs": [_fields(j) for j in found[:limit]]}


@router.post("", response_model=JobInfo, status_code=202, responses=responses(400, 403, 404, 422))
def start_job(context: Ours, caller: OperatorAny, body: NewJob) -> dict[str, Any]:
    """Start an analysis. Known sources take the role operator on each; new addresses, over everything."""
    if not body.sources and not body.addresses:
        raise ProblemError(400, "nothing to analyse", hint="give sources or addresses")
    if body.addresses and (caller.overall or 0) < Role.operator:
        raise ProblemError(403, "new sources take the role operator over everything")
    _check_names(body)
    known = [_path(context, caller, s) for s in dict.fromkeys(body.sources)]
    fresh = [check_address(a, context.settings) for a in dict.fromkeys(body.addresses)]
    task = Task(
        (*known, *fresh),
        tuple(dict.fromkeys(body.sources)),
        body.profile,
        tuple(body.only),
        body.quality,
        body.redo,
    )
    return _fields(context.jobs.add(caller.user, task))


def _check_names(body: NewJob) -> None:
    from onlooker.core.plugins import plugin_names
    from onlooker.pipeline.profile import profile_names

    # a profile by its path would read any file
    if body.profile not in profile_names():
        raise UsageError(f"no profile is called {body.profile!r}", hint="see: onlooker profiles list")
    unknown = [n for n in body.only if n not in plugin_names("analyzers")]
    if unknown:
        raise UsageError(f"no analyzer is called {unknown[0]!r}", hint="see: onlooker plugins")


def _path(context: Context, caller: Caller, source: str) -> str:
    """Where a known source still lies."""
    from pathlib import Path

    status = context.source(caller, source, Role.operator)
    if status.info.live:
        raise UsageError("a camera is analysed as it is watched", hint="give a recorded source")
    for path in (*status.paths, status.info.path):
        if "://" in path:
            return check_address(path, context.settings)
        if Path(path).is_file():
            return path
    raise ProblemError(409, "its file is gone", hint="put it back where it was")


@router.get("/{id}", response_model=JobInfo, responses=responses(404))
def get_job(context: Ours, caller: ViewerAny, id: Identity) -> dict[str, Any]:
    """One analysis."""
    return _fields(_job(context, caller, id))


@router.delete("/{id}", response_model=Done, responses=responses(403, 404, 409))
def cancel_job(context: Ours, caller: OperatorAny, id: Identity) -> dict[str, bool]:
    """Stop an analysis; what it did is kept, and the same one started again goes on from there."""
    job = _job(context, caller, id, Role.operator)
    if not context.jobs.cancel(job.id):
        raise ProblemError(409, "it has ended already")
    return {"done": True}


@router.get("/{id}/progress", response_class=StreamingResponse, responses={**_STREAM, **responses(404, 429)})
async def follow_job(
    context: Ours, caller: ViewerAny, request: Request, id: Identity, seconds: For = None
) -> StreamingResponse:
    """The analysis whenever it changes (server-sent events), to its end."""
    await anyio.to_thread.run_sync(_job, context, caller, id)
    lasting = Lasting(context, request, _FOLLOW, seconds)

    async def parts() -> AsyncIterator[bytes]:
        now, last = caller, None
        while (found := lasting.caller(now)) is not None:
            now = found
            job = await anyio.to_thread.run_sync(context.jobs.get, id)
            if job is None or not _may(context, now, job, Role.viewer):
                return
            if job != last:
                last = job
                yield message(_fields(job), event=job.state)
            if job.state in ENDED:
                return
            await asyncio.sleep(min(_LOOK, lasting.left))

    return event_stream(context, caller, parts())
