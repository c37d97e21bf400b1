"""How samples become arrays: which part, which rate, which size, which labels."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

__all__ = ["Normalise", "Pictures", "Preparation", "Series", "Sound"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pictures(_Model):
    """Pictures of video and images.

    Attributes:
        frames: how many frames of a video, spread evenly over its span; None: as many as ``rate`` gives.
        rate: frames a second; with ``frames`` too, that many at this rate around the middle of the span, held back at
            its limits; None: spread evenly.
        longest: seconds; of a longer span without ``frames`` only so much around its middle.
        width, height: of the arrays in pixels.
        crop: ``none`` bends the picture to the size; ``centre`` cuts its middle in the array's shape; ``pad`` keeps all
            of it between grey bars; ``box`` cuts the sample's first box, in the array's shape.
        margin: for ``box``: how much wider than the box, as a share of it.
        colour: ``rgb`` gives three channels, ``grey`` one.
    """

    frames: int | None = Field(default=None, ge=1, le=10_000)
    rate: float | None = Field(default=None, gt=0, le=1000)
    longest: float = Field(default=60.0, gt=0)
    width: int = Field(default=112, ge=1, le=8192)
    height: int = Field(default=112, ge=1, le=8192)
    crop: Literal["none", "centre", "pad", "box"] = "centre"
    margin: float = Field(default=0.1, ge=0, le=10)
    colour: Literal["rgb", "grey"] = "rgb"

    @model_validator(mode="before")
    @classmethod
    def _says_how_many(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("frames") is None and values.get("rate") is None:
            return {**values, "frames": 16}
        return values


class Sound(_Model):
    """Sound of video and audio.

    Attributes:
        rate: samples a second.
        channels: 1 mixes down, 2 keeps or makes stereo.
        seconds: exactly so much around the middle of the span, silence where there is less; None: the whole span.
        longest: seconds at most where ``seconds`` is None.
    """

    rate: int = Field(default=16_000, ge=1000, le=192_000)
    channels: Literal[1, 2] = 1
    seconds: float | None = Field(default=None, gt=0)
    longest: float = Field(default=60.0, gt=0)


class Series(_Model):
    """Series of measurements, as even steps.

    A step is the mean of the values in it; where there are none, the last value before it.

    Attributes:
        rate: steps a second.
        seconds: exactly so much around the middle of the span, unknown where there is less; None: the whole span.
        columns: which of a series, in order; none named: all.
        hold: seconds that a value stands for at most; after that it is unknown.
        longest: seconds at most where ``seconds`` is None.
    """

    rate: float = Field(default=10.0, gt=0, le=10_000)
    seconds: float | None = Field(default=None, gt=0)
    columns: tuple[str, ...] = ()
    hold: float = Field(default=5.0, ge=0, le=86_400)
    longest: float = Field(default=600.0, gt=0)

    @field_validator("columns", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value or ()

    def steps(self, seconds: float) -> int:
        """How many steps so many seconds have."""
        return max(1, round(seconds * self.rate))


class Normalise(_Model):
    """Facts of the training pictures, sound and series, for ``(value - mean) / deviation``.

    Attributes:
        mean, deviation: of each channel, of pictures in 0..1.
        sound_deviation: root mean square of the sound.
        series_mean, series_deviation: of each column of the series.
        samples: how many were measured.
    """

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    sound_deviation: float | None = None
    series_mean: tuple[float, ...] = ()
    series_deviation: tuple[float, ...] = ()
    samples: int = 0


class Preparation(_Model):
    """What the loader gives of each sample.

    Attributes:
        pictures: how, or None for none.
        sound: how, or None for none.
        series: how, or None for none.
        normalise: facts for the trainer; arrays stay as they are.
    """

    pictures: Pictures | None = Pictures(frames=16)
    sound: Sound | None = None
    series: Series | None = None
    normalise: Normalise | None = None

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # what has no series keeps the digest that it always had
        written: dict[str, Any] = handler(self)
        return {k: v for k, v in written.items() if k != "series" or v is not None}

    def digest(self) -> str:
        """What decides the arrays, in 16 hex digits; facts that only describe them do not count."""
        body = self.model_dump(mode="json", exclude={"normalise"})
        return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=8).hexdigest()
