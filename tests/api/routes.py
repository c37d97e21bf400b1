"""All routes, and for each an object of the camera ``yard`` that it could be asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from fastapi.routing import APIRoute

from api.conftest import FRONT, YARD
from onlooker.api.guard import Need, guard_of, guarded_routes
from onlooker.api.jobs import Task
from onlooker.api.routers import routers
from onlooker.core.event import Event, event_id
from onlooker.core.observation import Box
from onlooker.core.store import Query

BODIES = {
    "POST /api/v1/login": {"user": "nobody", "password": "x"},
    "POST /api/v1/link": {"secret": "x", "password": "x" * 12},
    "POST /api/v1/events/{id}/feedback": {"verdict": "wrong"},
    "POST /api/v1/mutes": {"camera": "yard"},
    "POST /api/v1/jobs": {"sources": [YARD]},
    "POST /api/v1/rules/check": {"text": "version: 1"},
    "POST /api/v1/rules/test": {"sources": [YARD]},
    "POST /api/v1/rules/explain": {"source": YARD, "at": 1},
    "POST /api/v1/tokens": {"name": "x"},
    "POST /api/v1/password": {"old": "x", "new": "x" * 12},
    "POST /api/v1/users": {"name": "eve", "roles": [{"camera": "*", "role": "admin"}]},
    "PUT /api/v1/users/{name}/roles": {"roles": [{"camera": "*", "role": "admin"}]},
    "PUT /api/v1/cameras/{camera}": {"url": "rtsp://192.0.2.1/x"},
    "POST /api/v1/people/name": {"what": "unknown-1", "name": "x"},
    "POST /api/v1/people/merge": {"name": "x", "other": "y"},
    "POST /api/v1/people/split": {"name": "x"},
    "POST /api/v1/people/reject": {"name": "x", "track": "y"},
}
QUERY = {
    "/api/v1/stream/events": {"for": 0.2},
    "/api/v1/jobs/{id}/progress": {"for": 0.2},
    "/api/v1/cameras/{camera}/motion": {"for": 0.2},
    "/api/v1/sources/{id}/clip": {"from": 0, "to": 1},
    "/api/v1/recordings/{camera}/export": {"from": 0, "to": 1},
}


class Route(NamedTuple):
    method: str
    path: str
    need: Need | None

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


def all_routes() -> list[Route]:
    found = []
    for router in routers():
        for route in guarded_routes(router):
            methods = sorted(route.methods or ()) if isinstance(route, APIRoute) else ["WS"]
            found += [Route(method, route.path, guard_of(route)) for method in methods]
    return found


def events_of(served, source: str, camera: str, count: int = 2) -> list[str]:
    """Events of a camera in the journal, with a snapshot and a clip."""
    made = []
    for number in range(count):
        identity = event_id("door", source, number, "")
        folder = served.context.folder / "events" / identity
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "snapshot.jpg").write_bytes(b"\xff\xd8" + camera.encode())
        (folder / "clip.mp4").write_bytes(bytes(range(256)) * 40)
        evidence = {
            "snapshot": f"events/{identity}/snapshot.jpg",
            "clip": f"events/{identity}/clip.mp4",
        }
        start = number * 10**9
        event = Event(
            identity,
            "door",
            source,
            camera,
            "new",
            start,
            None,
            "high",
            0.9,
            "person",
            Box(0.1, 0.5, 0.2, 0.9),
            evidence=evidence,
            wall=datetime(2026, 5, 1, 8, 0, number, tzinfo=UTC),
        )
        served.context.journal.take(event)
        made.append(identity)
    return made


def objects_of_yard(served) -> dict[str, dict[str, str]]:
    """For each path with parameters, the values that name something of the camera ``yard``."""
    context = served.context
    (event, *_) = events_of(served, YARD, "yard")
    events_of(served, FRONT, "front")
    observation = next(iter(context.store.query(Query(sources=(YARD,)))))
    context.recordings._index.put_camera("yard", YARD, 0.0, "{}")
    job = context.jobs.add("admin", Task(("/nowhere/yard.mp4",), (YARD,)))
    mute = context.journal.mute(None, "yard", by="admin")
    token = context.credentials.issue("yard", "of yard")[0]
    return {
        "sources": {"id": YARD},
        "observations": {"id": observation.id},
        "events": {"id": event},
        "jobs": {"id": job.id},
        "cameras": {"camera": "yard"},
        "recordings": {"camera": "yard"},
        "files": {"path": f"media/{YARD}/keyframes/000001.jpg"},
        "mutes": {"number": str(mute.number)},
        "tokens": {"id": token.id},
        "users": {"name": "yard"},
        "people": {"name": "unknown-1"},
        "static": {"name": "page.js"},
    }


def filled(path: str, objects: dict[str, dict[str, str]]) -> str:
    """A path with the values of its part; a part that is not known here must be added above."""
    if "{" not in path:
        return path
    part = path.removeprefix("/api/v1/").lstrip("/").split("/")[0]
    values = objects[part]
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    assert "{" not in path, f"no value for {path}: add it to tests/api/routes.py"
    return path
