"""Files of the library: derived pictures, evidence, recordings. Who may see a file follows from whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from onlooker.api.access import Role, names_of
from onlooker.api.files import RangedFile, inside
from onlooker.api.guard import Ours, ViewerAny
from onlooker.api.problems import not_found, responses
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/files", tags=["files"])
_FOUND = {
    200: {"content": {"*/*": {}}, "description": "The file."},
    206: {"description": "The part of it that was asked for."},
    304: {"description": "It is as you have it."},
}


@router.head("/{path:path}", response_class=Response, include_in_schema=False)
@router.get("/{path:path}", response_class=Response, responses={**_FOUND, **responses(404, 416)})
def get_file(
    context: Ours, caller: ViewerAny, path: Annotated[str, Path(max_length=1000, description="As told in `media`.")]
) -> Response:
    """A file by its path in the library, with one range of bytes, entity tag and conditions."""
    top, _, rest = path.partition("/")
    owner, _, name = rest.partition("/")
    owners = {"media": _of_source, "events": _of_event, "recordings": _of_camera}
    if top not in owners or not owner.strip(".") or not owners[top](context, caller, owner):
        raise not_found("file")
    if top == "events" and name.endswith(".mp4"):
        event = context.journal.get(owner).event
        context.check_unhidden(caller, (event.source, *_names(context, event.source)))
    return RangedFile(inside(context.folder / top / owner, name))


def _names(context: Context, source: str) -> tuple[str, ...]:
    info = context.info(source)
    return () if info is None else names_of(info)


def _of_source(context: Context, caller: Caller, owner: str) -> bool:
    access = context.access(caller, owner)
    return context.info(owner) is not None and access is not None and access.zones is None


def _of_event(context: Context, caller: Caller, owner: str) -> bool:
    try:
        event = context.journal.get(owner).event
    except UsageError:
        return False
    access = context.access(caller, event.source)
    return event.id == owner and access is not None and access.zones is None


def _of_camera(context: Context, caller: Caller, owner: str) -> bool:
    from onlooker.recording.places import camera_folder

    for camera in context.recordings.cameras():
        if camera_folder(context.folder, camera).name == owner:
            names = (camera, context.recordings.source(camera))
            if caller.may(Role.viewer, names):
                context.check_unhidden(caller, names)
                return True
    return False
