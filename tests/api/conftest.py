"""A library that all tests of the server share, and a running server over it."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs onlooker[server]")

from api.served import serving
from onlooker import Library
from onlooker.core.media import SourceInfo, VideoInfo
from onlooker.core.observation import Attachment, Box, Observation, Producer
from onlooker.core.store import Batch, RunState
from onlooker.core.time import Span, Timestamp

FRONT, YARD = "f" * 32, "e" * 32
WATCH = Producer("objects", "1", "c" * 64)


@pytest.fixture(scope="session", autouse=True)
def quick_hashes():
    """Passwords hashed with little work; that the real work is much is a test of its own."""
    from argon2 import PasswordHasher

    from onlooker.api import accounts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        accounts._nobody.cache_clear()
        yield


def camera(identity: str, name: str) -> SourceInfo:
    """A camera as the station adds it."""
    video = VideoInfo("h264", 640, 360, "yuv420p", Fraction(25), Fraction(1, 90000))
    tags = {"creation_time": "2026-05-01T08:00:00.000000+00:00"}
    return SourceInfo(identity, name, "rtsp", None, None, video, (), live=True, tags=tags)


def seen(second: float, left: float, number: int = 0) -> Observation:
    span = Span.of_seconds(second, second + 1)
    box = Box(left, 0.5, left + 0.1, 0.9)
    return Observation(span, "object", 0.9, "person", box, f"person-{number}", ordinal=number)


@pytest.fixture(scope="session")
def master(data, tmp_path_factory):
    """Analysed once: two clips, and two cameras with objects and pictures in the store."""
    folder = tmp_path_factory.mktemp("server") / "lib"
    clips = [str(data("clips/carphone.mp4")), str(data("clips/traffic_car_overhead.mp4"))]
    with Library.open(folder) as library:
        library.analyze(clips, only=["shots", "keyframes"], workers=1)
        for identity, name in ((FRONT, "front"), (YARD, "yard")):
            library.store.add_source(camera(identity, name))
            picture = Attachment("keyframes/000001.jpg", b"\xff\xd8" + identity.encode(), "image/jpeg")
            shown = Observation(
                Span.of_seconds(1, 2),
                "keyframe",
                vector=np.eye(185, dtype=np.float32)[0],
                vector_space="look-1",
                attachments=(picture,),
            )
            said = Observation(Span.of_seconds(2, 3), "text", text=f"secret of {name}")
            made = [seen(0, 0.1), seen(4, 0.7, 1), shown, said]
            made = [o.of(identity, WATCH, o.ordinal) for o in made]
            state = RunState(WATCH, Timestamp.of_seconds(10), True, 10, 1.0)
            library.store.commit(Batch(identity, made, states=[state]))
    return folder


@pytest.fixture
def folder(master, tmp_path):
    """A library of its own for a test that changes it."""
    return shutil.copytree(master, tmp_path / "lib")


@pytest.fixture(scope="module")
def served(master, tmp_path_factory):
    """A server that the tests of a module share; users: admin, operator and viewer of all, front and yard of one."""
    own = shutil.copytree(master, tmp_path_factory.mktemp("served") / "lib")
    with serving(own) as running:
        running.user("admin", ("*", "admin"))
        for role in ("operator", "viewer"):
            running.user(role, ("*", role), password=None)
        running.user("front", ("front", "viewer"), password=None)
        running.user("yard", ("yard", "operator"), password=None)
        yield running
