"""Sources: list, look at, remove; the timeline at a glance; the video itself and clips of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from onlooker.api import models
from onlooker.api.access import Role, names_of
from onlooker.api.files import RangedFile
from onlooker.api.guard import OperatorAny, Ours, ViewerAny
from onlooker.api.models import Identity
from onlooker.api.problems import ProblemError, responses
from onlooker.core.store import Query as StoreQuery
from onlooker.core.time import Span, Timestamp

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.core.store import SourceStatus

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/sources", tags=["sources"])
_FILE = {200: {"content": {"video/mp4": {}}, "description": "The file."}, 206: {"description": "A part of it."}}
_LONGEST_CLIP = 600.0


def _fields(status: SourceStatus) -> dict[str, Any]:
    info, video = status.info, status.info.video
    return {
        "id": info.id,
        "path": info.path,
        "live": info.live,
        "container": info.container,
        "duration_seconds": None if info.duration is None else round(float(info.duration), 6),
        "size": info.size,
        "begins": info.tags.get("creation_time"),
        "video": video
        and {
            "codec": video.codec,
            "width": video.width,
            "height": video.height,
            "frame_rate": None if video.frame_rate is None else round(float(video.frame_rate), 6),
        },
        "audio": len(info.audio),
        "analyzers": sorted({s.producer.analyzer for s in status.states if s.complete}),
    }


@router.get("", response_model=models.Sources)
def list_sources(context: Ours, caller: ViewerAny) -> dict[str, Any]:
    """The sources that the caller may see."""
    found = [_fields(s) for s in context.visible(caller)]
    return {"count": len(found), "sources": found}


@router.get("/{id}", response_model=models.SourceDetail, responses=responses(404))
def get_source(context: Ours, caller: ViewerAny, id: Identity) -> dict[str, Any]:
    """What is known of a source."""
    status = context.source(caller, id)
    return {
        **_fields(status),
        "counts": dict(context.store.counts(id)),
        "failures": [f.as_dict() for f in context.store.failures(id)],
        "tags": dict(status.info.tags),
    }


@router.delete("/{id}", response_model=models.Done, responses=responses(404))
def remove_source(context: Ours, caller: OperatorAny, id: Identity) -> dict[str, bool]:
    """Remove a source and all that is known of it, for good; takes the role admin on it. Its file stays."""
    context.source(caller, id, Role.admin)
    context.store.remove_source(id)
    context.forget(id)
    return {"done": True}


@router.get("/{id}/timeline", response_model=models.Timeline, responses=responses(404, 400))
def get_timeline(
    context: Ours,
    caller: ViewerAny,
    id: Identity,
    kind: models.Names = None,
    start: Annotated[models.Seconds, Query(alias="from")] = None,
    end: Annotated[models.Seconds, Query(alias="to")] = None,
    buckets: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> dict[str, Any]:
    """How many observations of each kind touch each of ``buckets`` stretches of equal length."""
    info = context.source(caller, id).info
    first = start or 0.0
    last = end if end is not None else float(info.duration or 0) or first + 86_400.0
    if last <= first:
        raise ProblemError(400, "the stretch is empty", hint="give from and to")
    step = (last - first) / buckets
    rows: dict[str, list[int]] = {}
    wanted = StoreQuery(sources=(id,), kinds=tuple(kind or ()), span=Span.of_seconds(first, last))
    for o in context.store.query(wanted):
        row = rows.setdefault(o.kind, [0] * buckets)
        begin = max(0, int((o.span.start.seconds - first) / step))
        stop = min(buckets - 1, int((o.span.end.seconds - first) / step))
        for bucket in range(min(begin, buckets - 1), max(stop, begin) + 1):
            row[min(bucket, buckets - 1)] += 1
    return {
        "source": id,
        "start_seconds": first,
        "step_seconds": step,
        "rows": [{"kind": name, "counts": counts} for name, counts in sorted(rows.items())],
    }


@router.get("/{id}/video", response_class=Response, responses={**_FILE, **responses(403, 404, 409, 416)})
def get_video(context: Ours, caller: ViewerAny, id: Identity) -> Response:
    """The video as it was analysed, with ranges; where the library hides people or things, for admins alone."""
    return RangedFile(_original(context, caller, id))


@router.get("/{id}/clip", response_class=Response, responses={**_FILE, **responses(403, 404, 409, 416)})
def get_clip(
    context: Ours,
    caller: ViewerAny,
    id: Identity,
    start: Annotated[float, Query(alias="from", ge=0, le=1e9, allow_inf_nan=False)],
    end: Annotated[float, Query(alias="to", ge=0, le=1e9, allow_inf_nan=False)],
) -> Response:
    """A stretch of the video, cut at keyframes without coding it anew; at most ten minutes."""
    from onlooker.sources.cut import cut_copy

    path = _original(context, caller, id)
    if not 0 < end - start <= _LONGEST_CLIP:
        raise ProblemError(400, "a clip lasts up to 600 s", hint="give from and to")
    folder = tempfile.TemporaryDirectory(prefix="onlooker-clip-")
    out = Path(folder.name) / "clip.mp4"
    try:
        cut_copy(str(path), [Span(Timestamp.of_seconds(start), Timestamp.of_seconds(end))], out)
    except BaseException:
        folder.cleanup()
        raise
    return RangedFile(out, name=f"{id[:12]}-{start:g}-{end:g}.mp4", after=folder.cleanup)


def _original(context: Context, caller: Caller, id: str) -> Path:
    """The file of a source, if it is still the one that was analysed, and the caller may see all that is on it."""
    status = context.source(caller, id)
    context.check_unhidden(caller, names_of(status.info))
    for known in (*status.paths, status.info.path):
        path = Path(known)
        if "://" in known or not path.is_file():
            continue
        stat = path.stat()
        if context.store.cached_id(str(path.resolve()), stat.st_size, stat.st_mtime_ns) == status.info.id:
            return path.resolve()
    raise ProblemError(409, "its file is gone or was changed", hint="put it back, or analyse it again")
