"""Recordings of cameras: what there is, what is missing, and stretches as one file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from onlooker.api import models
from onlooker.api.access import Role
from onlooker.api.files import RangedFile
from onlooker.api.guard import Ours, ViewerAny
from onlooker.api.models import CameraName
from onlooker.api.problems import ProblemError, not_found, responses

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/recordings", tags=["recordings"])
_LONGEST = 6 * 3600.0
_CLIP = {200: {"content": {"video/mp4": {}}, "description": "One playable file."}, 206: {"description": "A part."}}
From = Annotated[float, Query(alias="from", ge=0, le=1e9, allow_inf_nan=False, description="Seconds of the camera.")]
To = Annotated[float, Query(alias="to", ge=0, le=1e9, allow_inf_nan=False)]


class RecordedCamera(BaseModel):
    """A camera that was ever recorded; ``zero`` is the wall time (Unix seconds) of its second 0."""

    camera: str
    source: str
    zero: float
    bytes: int


class RecordedCameras(BaseModel):
    """The cameras that were ever recorded."""

    cameras: list[RecordedCamera]


class Segment(BaseModel):
    """One file: seconds of the camera, wall time in Unix seconds; ``path`` is below ``/api/v1/files/``."""

    camera: str
    source: str
    path: str
    start: float
    end: float
    wall_start: float
    wall_end: float
    bytes: int
    open: bool
    left_out: str | None


class Gap(BaseModel):
    """A stretch that is not recorded, and why."""

    camera: str
    start: float
    end: float
    reason: str


class Recorded(BaseModel):
    """What there is of a stretch, and what is missing."""

    camera: str
    zero: float
    segments: list[Segment]
    gaps: list[Gap]


def _camera(context: Context, caller: Caller, name: str) -> str:
    """A recorded camera that the caller may see all of.

    Raises:
        ProblemError: 404.
    """
    if name not in context.recordings.cameras() or not caller.may(Role.viewer, (name, context.recordings.source(name))):
        raise not_found("recording")
    return name


@router.get("", response_model=RecordedCameras)
def list_cameras(context: Ours, caller: ViewerAny) -> dict[str, Any]:
    """The recorded cameras that the caller may see."""
    recordings = context.recordings
    found = [
        {"camera": name, "source": recordings.source(name), "zero": zero, "bytes": recordings.bytes(name)}
        for name, zero in recordings.cameras().items()
        if caller.may(Role.viewer, (name, recordings.source(name)))
    ]
    return {"cameras": found}


@router.get("/{camera}", response_model=Recorded, responses=responses(404))
def list_segments(
    context: Ours,
    caller: ViewerAny,
    camera: CameraName,
    start: Annotated[models.Seconds, Query(alias="from")] = None,
    end: Annotated[models.Seconds, Query(alias="to")] = None,
) -> dict[str, Any]:
    """Files and gaps of a stretch, or of all of it."""
    _camera(context, caller, camera)
    segments = context.recordings.segments(camera, _nanoseconds(start), _nanoseconds(end))
    first = _nanoseconds(start) or 0
    last = _nanoseconds(end) if end is not None else max((s.end for s in segments), default=first)
    gaps = context.recordings.gaps(camera, first, last) if last is not None and last > first else []
    return {
        "camera": camera,
        "zero": context.recordings.zero(camera),
        "segments": [s.as_dict() for s in segments],
        "gaps": [g.as_dict() for g in gaps],
    }


@router.get("/{camera}/export", response_class=Response, responses={**_CLIP, **responses(404, 416)})
def export(context: Ours, caller: ViewerAny, camera: CameraName, start: From, end: To) -> Response:
    """A stretch as one playable MP4, from the keyframe before it, without coding it anew; at most six hours."""
    context.check_unhidden(caller, (_camera(context, caller, camera), context.recordings.source(camera)))
    if not 0 < end - start <= _LONGEST:
        raise ProblemError(400, "an export lasts up to six hours", hint="give from and to")
    folder = tempfile.TemporaryDirectory(prefix="onlooker-export-")
    out = Path(folder.name) / "export.mp4"
    try:
        context.recordings.export(camera, round(start * 1e9), round(end * 1e9), out)
    except BaseException:
        folder.cleanup()
        raise
    return RangedFile(out, name=f"{camera}-{start:g}-{end:g}.mp4", after=folder.cleanup)


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
