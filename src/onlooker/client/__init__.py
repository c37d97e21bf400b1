"""A typed client of a server: ``onlooker serve``. Needs ``onlooker[server]``.

>>> from onlooker.client import Client                                            # doctest: +SKIP
>>> with Client("http://127.0.0.1:8080", token="olk_...") as client:              # doctest: +SKIP
...     for event in client.stream():
...         print(event.rule, event.camera, event.state)
"""

from __future__ import annotations

from onlooker.client.client import Client
from onlooker.client.errors import ApiError, NotAllowed, NotFound, NotLoggedIn, ServerUnreachable, TooManyRequests
from onlooker.client.models import Camera, Event, EventState, Hit, Job, Me, Observation, Source

__all__ = [
    "ApiError",
    "Camera",
    "Client",
    "Event",
    "EventState",
    "Hit",
    "Job",
    "Me",
    "NotAllowed",
    "NotFound",
    "NotLoggedIn",
    "Observation",
    "ServerUnreachable",
    "Source",
    "TooManyRequests",
]
