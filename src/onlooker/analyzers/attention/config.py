"""Settings of attention."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["HEAVY_FIELDS", "AttentionConfig", "Target"]

HEAVY_FIELDS = frozenset({"least_quality", "least_side", "crop"})


class Target(BaseModel):
    """What is to be looked at: a direction, or a place in metres.

    Directions are as seen by the camera: 0, 0 is into the camera, yaw > 0 to the picture's right, pitch > 0 up.

    Args:
        yaw, pitch: the direction in degrees; the same for all faces, so right for a target far away or a single seat.
        point: (x, y, z) metres from the camera: to the picture's right, down, and into the scene (a screen in the
            camera's plane has z = 0). The direction is then worked out for each face from where it is; yaw and pitch
            are not used.
        field_of_view: of the camera, across the picture, in degrees; used with ``point``.
        tolerance: half the opening of the cone around the direction, in degrees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    yaw: float = Field(default=0.0, ge=-180, le=180)
    pitch: float = Field(default=0.0, ge=-90, le=90)
    point: tuple[float, float, float] | None = None
    field_of_view: float = Field(default=60.0, gt=5, lt=170)
    tolerance: float = Field(default=20.0, gt=0, le=90)


class AttentionConfig(AnalyzerConfig):
    """Settings of `Attention`. All but the first three act on what is stored, without looking at pictures again.

    Args:
        least_quality: faces of a lower quality (0..1) are not judged.
        least_side: faces whose longer side is under this many pixels are not judged.
        crop: side of the square that the network sees, in longer sides of the face's box.
        least_presence: probability, by the network, of a face in the crop from which it is judged.
        target: what is to be looked at.
        gaze: whether eyes decide what is looked at where they are large enough, else the head alone.
        least_eye: width of an eye in pixels from which the gaze is given.
        smooth_seconds: time constant over which angles are smoothed along a track.
        look_seconds: a new state of looking must hold for this long.
        closed: eyes less open than this, against the same person's open eyes (0..1), are closed.
        blink_seconds: shorter closures are blinks, longer ones closed eyes.
        yawn_open: opening of the mouth against its width from which a yawn may be.
        yawn_seconds: how long it must stay so open.
        talk_seconds: width of the window over which the mouth's movement is taken.
        talk_moves: standard deviation of the mouth's opening in it from which the mouth talks.
        group_seconds: spans of `attention_group`.
        drowsy: whether drowsiness is judged.
        perclos_seconds: time over which the share of closed eyes (PERCLOS) is taken.
        perclos: share at which it counts fully.
        closure_seconds: one closure of this length counts fully.
    """

    least_quality: float = Field(default=0.1, ge=0, le=1)
    least_side: int = Field(default=32, ge=16)
    crop: float = Field(default=1.45, gt=1, le=3)
    least_presence: float = Field(default=0.5, ge=0, le=1)
    target: Target = Target()
    gaze: bool = True
    least_eye: float = Field(default=10.0, ge=0)
    smooth_seconds: float = Field(default=0.3, ge=0)
    look_seconds: float = Field(default=0.5, ge=0)
    closed: float = Field(default=0.5, gt=0, lt=1)
    blink_seconds: float = Field(default=0.5, gt=0)
    yawn_open: float = Field(default=0.5, gt=0, le=1)
    yawn_seconds: float = Field(default=1.5, gt=0)
    talk_seconds: float = Field(default=1.2, gt=0)
    talk_moves: float = Field(default=0.025, gt=0)
    group_seconds: float = Field(default=5.0, gt=0)
    drowsy: bool = True
    perclos_seconds: float = Field(default=60.0, gt=0)
    perclos: float = Field(default=0.15, gt=0, le=1)
    closure_seconds: float = Field(default=1.5, gt=0)

    @model_validator(mode="after")
    def _closures(self) -> Self:
        if self.closure_seconds <= self.blink_seconds:
            raise ValueError("closure_seconds: expected more than blink_seconds: a blink does not make drowsy")
        return self

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` leaves out faces under 48 pixels."""
        return {"least_side": 48} if quality == "fast" else {}
