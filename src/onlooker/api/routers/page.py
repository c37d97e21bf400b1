"""The status page: a few files without any inline script, which the content security policy forbids."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, Literal

from fastapi import APIRouter
from starlette.responses import Response

from onlooker.api.guard import Everybody

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_TYPES: Final = {
    "index.html": "text/html",
    "page.js": "text/javascript",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
}


@cache
def _read(name: str) -> bytes:
    return (files("onlooker.api") / "static" / name).read_bytes()


@router.get("/")
def get_page(_: Everybody) -> Response:
    """The page."""
    return Response(_read("index.html"), media_type=_TYPES["index.html"], headers={"Cache-Control": "no-cache"})


@router.get("/static/{name}")
def get_part(_: Everybody, name: Literal["page.js", "page.css", "icon.svg"]) -> Response:
    """Its script, style and icon."""
    return Response(_read(name), media_type=_TYPES[name], headers={"Cache-Control": "no-cache"})
