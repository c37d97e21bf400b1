"""The application: opens a library's parts, puts the routes together, and says what they are (OpenAPI)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from onlooker import __version__
from onlooker.api import problems
from onlooker.api.accounts import Accounts
from onlooker.api.attempts import Attempts
from onlooker.api.audit import Audit
from onlooker.api.camera_settings import added, merged
from onlooker.api.context import Context
from onlooker.api.credentials import Credentials
from onlooker.api.database import ServerDatabase
from onlooker.api.guard import check_guarded, guard_of
from onlooker.api.jobs import Jobs
from onlooker.api.middleware import Records, Shield
from onlooker.api.problems import Problem
from onlooker.api.routers import routers
from onlooker.api.settings import ServerSettings
from onlooker.api.tail import EventTail
from onlooker.api.telemetry import Traces, tracer
from onlooker.core.errors import ConfigError

if TYPE_CHECKING:
    from onlooker.station import Station

__all__ = ["create_app", "watching"]

_DESCRIPTION = """What a library knows of its videos and cameras.

Log in with `POST /api/v1/login` (a cookie; requests that change something send the header `X-CSRF-Token`), or send
`Authorization: Bearer <token>`. What you may not see is answered as if it were not there (404). Times named
`..._seconds` are seconds of the source; times of users, tokens and jobs are Unix seconds. Errors are
`application/problem+json`.
"""


@contextlib.contextmanager
def watching(config: Path, folder: Path | None = None) -> Iterator[Station]:
    """A station that watches the cameras of a configuration and those that were added over the API.

    Args:
        config: the watch configuration.
        folder: the library folder; by default as the configuration says.

    Raises:
        ConfigError: it is wrong, or names no library.
    """
    from onlooker.station import Station, load_watch
    from onlooker.timeline import open_store

    loaded = load_watch(config)
    folder = folder or loaded.library
    if folder is None:
        raise ConfigError(f"{config}: names no library", hint="give --library")
    database = ServerDatabase(folder)
    try:
        loaded = merged(loaded, added(database))
    finally:
        database.close()
    with (
        contextlib.closing(open_store(folder)) as store,
        contextlib.closing(Station(loaded, folder, store=store)) as made,
    ):
        made.start()
        yield made


_COMMON = (400, 401, 403, 408, 413, 421, 422, 429, 503)
_UPLOADS = ("/api/v1/people/",)


def create_app(
    folder: Path,
    station: Station | None = None,
    settings: ServerSettings | None = None,
    *,
    config: Path | None = None,
) -> FastAPI:
    """A server for a library.

    Args:
        folder: the library folder; made if there is none.
        station: the cameras that this process watches, over the same folder; see `watching`.
        settings: how it is set up.
        config: the watch configuration of the station, which can be read again.

    Raises:
        StoreError: the library cannot be opened.
    """
    settings = settings or ServerSettings()
    context = _open(folder, station, settings, config)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        context.jobs.start()
        following = asyncio.create_task(context.tail.run())
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await asyncio.to_thread(_close, context)

    app = FastAPI(
        title="onlooker",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.context = context
    for router in routers():
        check_guarded(router)
        app.include_router(router, responses=problems.responses(*_COMMON))
    problems.install(app)
    app.add_middleware(Shield, context=context, uploads=_UPLOADS)
    app.add_middleware(Records, context=context)
    traced = tracer()
    if traced is not None:
        app.add_middleware(Traces, tracer=traced)
    app.openapi = lambda: _described(app)  # pyright: ignore[reportAttributeAccessIssue]
    return app


def _open(folder: Path, station: Station | None, settings: ServerSettings, config: Path | None) -> Context:
    from onlooker.events import Journal
    from onlooker.recording import Recordings
    from onlooker.sources.policy import without_credentials
    from onlooker.timeline import open_store

    with contextlib.ExitStack() as opened:
        store = station.store if station else open_store(folder)
        if station is None:
            opened.callback(store.close)
        database = ServerDatabase(folder)
        opened.callback(database.close)
        journal = station.journal if station else Journal.open(folder)
        if station is None:
            opened.callback(journal.close)
        recordings = station.recordings if station else Recordings(folder)
        opened.pop_all()
    accounts = Accounts(database, settings.link_hours * 3600)
    idle, longest = settings.session_hours * 3600, settings.session_days * 86_400
    return Context(
        folder,
        settings,
        database,
        store,
        journal,
        recordings,
        station,
        config,
        accounts,
        Credentials(database, accounts, idle, longest),
        Attempts(database),
        Audit(database),
        Jobs(database, folder, settings.jobs, settings.private_sources, without_credentials),
        EventTail(journal),
    )


def _close(context: Context) -> None:
    context.jobs.close()
    if context.station is None:
        context.journal.close()
        context.recordings.close()
        context.store.close()
    context.database.close()


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description: errors and how to log in included."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    parts = made.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    shape = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(shape.pop("$defs", {}))
    schemas["Problem"] = shape
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": app.state.context.settings.cookie},
    }
    for path, method in _public():
        made["paths"][path][method]["security"] = []
    made["security"] = [{"token": []}, {"session": []}]
    app.openapi_schema = made
    return made


def _public() -> list[tuple[str, str]]:
    """Described routes that everybody may call."""
    from fastapi.routing import APIRoute

    return [
        (route.path, method.lower())
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for need in [guard_of(route)]
        if need is not None and need.role is None
        for method in sorted(route.methods or ())
    ]
