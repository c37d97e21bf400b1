"""Settings of a link, of the motion gate and of the analysis."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from onlooker.core.errors import UsageError
from onlooker.sources.policy import without_credentials

__all__ = ["AnalysisSettings", "GateSettings", "LinkSettings"]


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How a camera is connected.

    Args:
        address: ``rtsp://``, ``rtsps://``, ``rtmp://``, ``srt://``, ``udp://``, ``http(s)://`` (a file, HLS or MJPEG),
            ``webcam:0`` or a path; may hold a user and a password, which are never shown.
        transport: how RTSP brings its packets.
        timeout: seconds within which a connection must stand.
        stall: seconds without a picture after which the camera counts as stalled and is connected anew.
        first_wait, most_wait: seconds before the first attempt after a failure, and at most; each failure in a row
            doubles the wait.
        jitter: share of a wait, 0..1, by which it is shortened at random, so that many cameras do not come at once.
        decode: whether pictures are decoded; without it, packets alone are handed over.
        audio_rate: samples a second of the sound, or None for none.
        audio_block: length of a block of sound in seconds.
        realtime: whether a file is played at its own speed; otherwise as fast as it is taken, and the camera's time is
            the file's.
        loop: whether a file is played over and over.
    """

    address: str
    transport: Literal["tcp", "udp"] = "tcp"
    timeout: float = 10.0
    stall: float = 10.0
    first_wait: float = 0.5
    most_wait: float = 30.0
    jitter: float = 0.3
    decode: bool = True
    audio_rate: int | None = None
    audio_block: Fraction = Fraction(1)
    realtime: bool = True
    loop: bool = False

    def __post_init__(self) -> None:
        if not self.address or "\0" in self.address:
            raise UsageError("a camera needs an address", hint="give rtsp://HOST/PATH, webcam:0 or a path")
        for name in ("timeout", "stall", "first_wait"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name}: expected more than 0 seconds, got {getattr(self, name)}")
        if self.most_wait < self.first_wait:
            raise UsageError(f"most_wait: expected {self.first_wait} seconds or more, got {self.most_wait}")
        if not 0 <= self.jitter <= 1:
            raise UsageError(f"jitter: expected 0..1, got {self.jitter}")

    @property
    def shown(self) -> str:
        """The address as it may be shown: no user, no password, no query values."""
        return without_credentials(self.address)

    def __repr__(self) -> str:
        # the generated one would show the password
        return f"LinkSettings({self.shown!r}, transport={self.transport!r})"


class GateSettings(BaseModel):
    """When the motion gate is open; see `onlooker.live.gate.MotionGate`.

    Args:
        difference: grey levels (of 255) by which a pixel of the 160 x 90 picture must change.
        share: share of changed pixels from which there is motion.
        apart: seconds between the compared pictures at least, so that slow motion is seen.
        hold: seconds for which the gate stays open after motion.
        glance: seconds after which it lets one picture through even without motion; 0: never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    difference: int = Field(default=12, ge=1, le=255)
    share: float = Field(default=0.001, gt=0, le=1)
    apart: float = Field(default=0.5, gt=0, le=10)
    hold: float = Field(default=5.0, ge=0)
    glance: float = Field(default=10.0, ge=0)


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How a camera is analysed.

    Args:
        rate: frames a second at most.
        gate: of the heavy analyzers; None: they look at every frame.
        rotation: seconds after which the analyzers are flushed and opened anew, so that memory stays flat.
        threads: how many a model may use.
    """

    rate: float = 5.0
    gate: GateSettings | None = None
    rotation: float = 3600.0
    threads: int = 1
