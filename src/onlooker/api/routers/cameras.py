"""Cameras: how they do, the newest picture, motion, live view; adding, removing, reading the configuration again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request, WebSocket
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from onlooker.api.access import EVERY, Role
from onlooker.api.camera_settings import CameraBody, put_camera, remove_camera
from onlooker.api.guard import AdminOverall, Need, Ours, ViewerAny
from onlooker.api.models import CameraName, Done
from onlooker.api.problems import ProblemError, not_found, responses
from onlooker.api.streaming import For, Lasting, until_left

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.recording import Subscription
    from onlooker.station import Station

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/cameras", tags=["cameras"])
_FOLLOW = Need(Role.viewer)
_JPEG = {200: {"content": {"image/jpeg": {}}, "description": "The picture."}}
_MOTION = {200: {"content": {"multipart/x-mixed-replace": {}}, "description": "JPEG after JPEG."}}
Width = Annotated[int | None, Query(ge=16, le=3840, description="Pixels; by default as analysed.")]


class Camera(BaseModel):
    """How a camera is doing; times are Unix seconds, ages and durations seconds.

    Attributes:
        watched: whether this server watches it.
        notes: trouble that people should know of, such as analyzers that do not run.
    """

    name: str
    source: str
    address: str
    watched: bool
    condition: str
    reason: str
    since: float
    last_frame: float | None
    age: float | None
    arriving: float
    analysed: float
    wanted: float
    allowed: float
    drops: dict[str, int]
    reconnects: int
    blind_seconds: float
    watched_seconds: float
    motion: bool
    recording: bool
    spent: dict[str, float]
    counted: dict[str, dict[str, int]]
    width: int
    height: int
    notes: list[str]


class Cameras(BaseModel):
    """The cameras that the caller may see."""

    cameras: list[Camera]


class Changes(BaseModel):
    """What a new configuration changed: names of cameras and sinks; those that it kept went on undisturbed."""

    started: list[str]
    stopped: list[str]
    restarted: list[str]
    kept: list[str]
    rules: bool
    sinks: list[str]


def _known(context: Context) -> list[dict[str, Any]]:
    """All cameras: those that are watched, and those of the library that are not."""
    from onlooker.core.live import CameraStatus

    watched = context.station.status() if context.station else []
    notes = context.station.notes() if context.station else {}
    found = [{**asdict(c), "watched": True, "notes": notes.get(c.name, [])} for c in watched]
    seen = {c.source for c in watched}
    for status in context.store.sources():
        info = status.info
        if info.live and info.id not in seen:
            known = CameraStatus(info.path, info.id, info.tags.get("address", ""), "stopped", "not watched here")
            found.append({**asdict(known), "watched": False, "notes": []})
    return found


@router.get("", response_model=Cameras)
def list_cameras(context: Ours, caller: ViewerAny) -> dict[str, Any]:
    """How the cameras are doing that the caller may see."""
    return {"cameras": [c for c in _known(context) if caller.may(Role.viewer, (c["name"], c["source"]))]}


@router.post("/reload", response_model=Changes, responses=responses(409))
def reload(context: Ours, _: AdminOverall) -> dict[str, Any]:
    """Read the configuration again; cameras that it leaves as they are go on undisturbed."""
    return asdict(context.reload())


@router.get("/{camera}", response_model=Camera, responses=responses(404))
def get_camera(context: Ours, caller: ViewerAny, camera: CameraName) -> dict[str, Any]:
    """How one camera is doing."""
    name = context.camera(caller, camera)
    return next(c for c in _known(context) if c["name"] == name)


@router.put("/{camera}", response_model=Camera, responses=responses(403, 409, 422))
def set_camera(context: Ours, caller: AdminOverall, camera: CameraName, body: CameraBody) -> dict[str, Any]:
    """Add a camera beside those of the configuration file, or change one that was added so."""
    put_camera(context, camera, body)
    return get_camera(context, caller, camera)


@router.delete("/{camera}", response_model=Done, responses=responses(404, 409))
def delete_camera(context: Ours, _: AdminOverall, camera: CameraName) -> dict[str, bool]:
    """Watch a camera no more that was added here; what was seen of it stays."""
    if not remove_camera(context, camera):
        raise not_found("camera added by the API")
    return {"done": True}


# -- looking --


def _watched(context: Context, caller: Caller, name: str) -> Station:
    """The station that watches a camera of which the caller may see all."""
    context.camera(caller, name)
    station = context.station
    if station is None or all(c.name != name for c in station.status()):
        raise ProblemError(409, "the camera is not watched here", hint="onlooker serve --config")
    return station


@router.get("/{camera}/picture", response_class=Response, responses={**_JPEG, **responses(404, 409)})
def get_picture(context: Ours, caller: ViewerAny, camera: CameraName, width: Width = None) -> Response:
    """The newest picture; what the profile's privacy setting hides is hidden."""
    picture = _watched(context, caller, camera).picture(camera, width)
    if picture is None:
        raise ProblemError(409, "no picture has come yet", hint="try again")
    return Response(picture, media_type="image/jpeg")


@router.get("/{camera}/motion", response_class=StreamingResponse, responses={**_MOTION, **responses(404, 409, 429)})
async def get_motion(
    context: Ours,
    caller: ViewerAny,
    request: Request,
    camera: CameraName,
    width: Width = None,
    rate: Annotated[float, Query(gt=0, le=25, allow_inf_nan=False, description="Pictures a second.")] = 5.0,
    seconds: For = None,
) -> StreamingResponse:
    """Pictures in motion (motion JPEG), for whoever cannot play the live view."""
    station = await anyio.to_thread.run_sync(_watched, context, caller, camera)
    counted = context.stream(caller)
    counted.__enter__()

    async def parts() -> AsyncIterator[bytes]:
        lasting, now, last = Lasting(context, request, _FOLLOW, seconds), caller, b""
        try:
            while (found := lasting.caller(now)) is not None and _still(context, found, camera):
                now, begun = found, time.monotonic()
                picture = await anyio.to_thread.run_sync(station.picture, camera, width)
                if picture is not None and picture != last:
                    last = picture
                    yield _part(picture)
                await asyncio.sleep(max(0.0, begun + 1 / rate - time.monotonic()))
        finally:
            counted.__exit__(None, None, None)

    return StreamingResponse(parts(), media_type="multipart/x-mixed-replace; boundary=picture")


def _part(picture: bytes) -> bytes:
    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


def _still(context: Context, caller: Caller, camera: str) -> bool:
    watched = [c.source for c in context.station.status() if c.name == camera] if context.station else []
    return caller.may(Role.viewer, (camera, *watched)) or caller.may(Role.viewer, (EVERY,))


@router.websocket("/{camera}/live")
async def get_live(context: Ours, caller: ViewerAny, socket: WebSocket, camera: CameraName) -> None:
    """The live view: a JSON text ``{"mime"}`` for Media Source Extensions, then the bytes of a fragmented MP4.

    When the camera connects anew another such text and a new beginning follow.
    """
    station = await anyio.to_thread.run_sync(_watched, context, caller, camera)
    await anyio.to_thread.run_sync(context.check_unhidden, caller, (camera,))
    with context.stream(caller):
        await socket.accept()
        await until_left(socket, _play(context, caller, socket, station, camera))


async def _play(context: Context, caller: Caller, socket: WebSocket, station: Station, camera: str) -> None:
    lasting = Lasting(context, socket, _FOLLOW, None)
    loop, fresh = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(fresh.set)

    def subscribe() -> Subscription:
        return station.feed(camera).subscribe(wake=wake)

    while True:
        viewer = await anyio.to_thread.run_sync(subscribe)
        try:
            await socket.send_json({"mime": f'video/mp4; codecs="{viewer.codecs}"'})
            await socket.send_bytes(viewer.initial)
            while not viewer.closed:
                found = lasting.caller(caller)
                if found is None or not _still(context, found, camera):
                    return
                caller = found
                for part in viewer.take():
                    await asyncio.wait_for(socket.send_bytes(part), context.settings.stall_seconds)
                if not viewer.closed:
                    try:
                        await asyncio.wait_for(fresh.wait(), lasting.left)
                    except TimeoutError:
                        continue
                    fresh.clear()
        finally:
            viewer.close()
        if viewer.closed != "ended":
            return
