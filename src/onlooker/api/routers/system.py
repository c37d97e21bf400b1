"""Health, readiness, the description of the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from onlooker import __version__
from onlooker.api.guard import Everybody, Ours, ViewerOverall
from onlooker.api.problems import problem, responses
from onlooker.core.errors import OnlookerError

__all__ = ["router"]

router = APIRouter(tags=["system"])


class Health(BaseModel):
    """It answers."""

    status: str
    version: str


@router.get("/health", response_model=Health)
def get_health(_: Everybody) -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "ok", "version": __version__}


@router.get("/ready", response_model=Health, responses=responses(503))
def get_ready(context: Ours, _: Everybody) -> Any:
    """Whether it can do its work: its databases answer, and it is not about to end."""
    try:
        context.database.fetch("SELECT 1 FROM user LIMIT 1")
        context.journal.latest()
        context.store.counts()
    except OnlookerError:
        return problem(503, "a database does not answer", hint="see the server's log")
    if context.stopping.is_set():
        return problem(503, "the server is about to end")
    return {"status": "ready", "version": __version__}


@router.get("/api/openapi.json", include_in_schema=False)
def get_description(request: Request, _: Everybody) -> JSONResponse:
    """The OpenAPI description."""
    return JSONResponse(request.app.openapi())


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_metrics(context: Ours, _: ViewerOverall) -> Response:
    """Metrics for Prometheus: cameras, analyzers, sinks, jobs, the process. Give it a token of its own."""
    from onlooker.api.metrics import CONTENT, text_of

    return Response(text_of(context), media_type=CONTENT)
