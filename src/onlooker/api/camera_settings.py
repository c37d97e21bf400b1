"""Cameras that were added over the API: kept in the server's database, watched beside those of the configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SecretStr

from onlooker.api.addresses import CAMERA_SCHEMES, check_address
from onlooker.api.models import Strict
from onlooker.api.problems import ProblemError
from onlooker.core.errors import ConfigError, ForbiddenAddress, UsageError

if TYPE_CHECKING:
    from onlooker.api.context import Context
    from onlooker.api.database import ServerDatabase
    from onlooker.station import WatchConfig

__all__ = ["CameraBody", "added", "merged", "put_camera", "remove_camera"]

Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]
Address = Annotated[SecretStr, Field(min_length=1, max_length=2000)]


class Record(Strict):
    """What is recorded of a camera, and how long it is kept."""

    mode: Literal["off", "continuous", "motion", "event"] = "off"
    days: float | None = Field(default=None, gt=0, le=36_500, allow_inf_nan=False)
    bytes: int | None = Field(default=None, gt=0, le=2**60)
    event_days: float | None = Field(default=None, gt=0, le=36_500, allow_inf_nan=False)


class CameraBody(Strict):
    """A camera; addresses are written with user and password where it needs them, and never shown again."""

    url: Address
    analyse: Address | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    rate: float = Field(default=5.0, gt=0, le=120, allow_inf_nan=False)
    priority: int = Field(default=1, ge=1, le=10)
    gate: bool = True
    timeout: Seconds = 10.0
    profile: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    audio: bool = True
    record: Record = Record()


def added(database: ServerDatabase) -> dict[str, dict[str, Any]]:
    """Settings of the cameras that were added, by name."""
    return {n: json.loads(s) for n, s in database.fetch("SELECT name, settings FROM camera ORDER BY name")}


def merged(config: WatchConfig, cameras: dict[str, dict[str, Any]]) -> WatchConfig:
    """The configuration with the cameras that were added; a camera of the file goes before one of the same name."""
    from onlooker.station.config import CameraConfig

    own = {n: CameraConfig.model_validate(s) for n, s in cameras.items() if n not in config.cameras}
    return config.model_copy(update={"cameras": {**config.cameras, **own}})


def put_camera(context: Context, name: str, body: CameraBody) -> None:
    """Add or change a camera, and begin to watch it.

    Raises:
        ProblemError: 409: the configuration file has it, or nothing is watched here.
        ForbiddenAddress, UsageError: an address is not allowed; ConfigError: a setting is wrong.
    """
    from onlooker.pipeline.profile import profile_names
    from onlooker.station import load_watch
    from onlooker.station.config import CameraConfig

    if context.station is None or context.config is None:
        raise ProblemError(409, "no cameras are watched here", hint="onlooker serve --config")
    if name in load_watch(context.config).cameras:
        raise ProblemError(409, "the configuration file has this camera", hint="change it there")
    for address in (body.url, body.analyse):
        if address is not None:
            _check(context, address.get_secret_value())
    if body.profile is not None and body.profile not in profile_names():
        raise UsageError(f"no profile is called {body.profile!r}", hint="see: onlooker profiles list")
    settings = _settings(body)
    try:
        CameraConfig.model_validate(settings)
    except ValueError:
        raise ConfigError("these settings do not go together", hint="see the watch configuration's schema") from None
    before = added(context.database).get(name)
    _store(context.database, name, settings)
    try:
        context.reload()
    except BaseException:
        _store(context.database, name, before)
        raise


def remove_camera(context: Context, name: str) -> bool:
    """Watch a camera no more; False where none was added under that name."""
    if not context.database.write("DELETE FROM camera WHERE name = ?", (name,)):
        return False
    if context.station is not None and context.config is not None:
        context.reload()
    return True


def _store(database: ServerDatabase, name: str, settings: dict[str, Any] | None) -> None:
    if settings is None:
        database.write("DELETE FROM camera WHERE name = ?", (name,))
    else:
        database.write("INSERT OR REPLACE INTO camera VALUES (?, ?)", (name, json.dumps(settings)))


def _check(context: Context, address: str) -> None:
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme not in CAMERA_SCHEMES:
        raise UsageError("not the address of a camera", hint=f"one of {', '.join(CAMERA_SCHEMES)}")
    if scheme.startswith("http") and not context.settings.private_sources:
        # the station follows redirects by the configuration's policy, which is for what the operator wrote
        raise ForbiddenAddress(
            "web cameras are added in the configuration file", hint="or serve with --allow-private-sources"
        )
    check_address(address, context.settings)


def _settings(body: CameraBody) -> dict[str, Any]:
    settings = body.model_dump(exclude_none=True)
    record = settings.pop("record")
    for address in ("url", "analyse"):
        if address in settings:
            settings[address] = settings[address].get_secret_value()
    return {**settings, "record": record}
