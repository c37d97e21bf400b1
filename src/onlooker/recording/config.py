"""What a camera's configuration says of its recording."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field

__all__ = ["Mode", "RecordSettings"]

Mode = Literal["off", "continuous", "motion", "event"]


def _mode(value: Any) -> Any:
    # in YAML 1.1 the word off is a truth value
    return "off" if value is False else value


class RecordSettings(BaseModel):
    """The section ``record`` of a camera.

    >>> RecordSettings(mode="motion", bytes="20GB").bytes
    20000000000
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Annotated[Mode, BeforeValidator(_mode)] = Field(
        default="off", description="off, continuous, on motion, or on event (motion records events too)."
    )
    days: float | None = Field(default=7.0, gt=0, description="Keep recordings this long; null: no limit.")
    bytes: ByteSize | None = Field(default=None, gt=0, description="Keep at most this much of the camera: 20GB.")
    event_days: float | None = Field(default=30.0, gt=0, description="Keep what events hold this long; null: no limit.")
    before: float = Field(default=10.0, ge=0, le=300, description="Seconds before motion that are recorded too.")
    after: float = Field(default=10.0, ge=0, le=3600, description="Seconds after motion that are recorded too.")
    file: float = Field(default=60.0, gt=0, le=3600, description="Seconds after which a new file begins.")
    fragment: float = Field(default=2.0, gt=0, le=60, description="At most so many seconds are lost by a crash.")
    memory: ByteSize = Field(
        default=ByteSize(64_000_000),
        gt=0,
        description="At most this much waits in memory: before motion, and for the disk.",
    )
    keep_free: ByteSize = Field(default=ByteSize(200_000_000), ge=0, description="Leave this much of the disk free.")
    when_full: Literal["overwrite", "pause"] = Field(
        default="overwrite",
        description="When the disk is full: overwrite the oldest files that no event holds, or pause.",
    )
