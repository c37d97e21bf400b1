"""Values as people write them in rule files: durations, speeds, times of day, points of the picture."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from onlooker.core.schedule import Seconds, TimeOfDay

__all__ = ["Fraction01", "Labels", "Point", "Seconds", "Speed", "TimeOfDay", "nanoseconds", "speed_unit"]

_SPEEDS = {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "widths/s": 1.0}
_SPEED = re.compile(r"(\d+(?:\.\d+)?)\s*(m/s|km/h|mph|widths/s)")


def _speed(value: Any) -> Any:
    match = _SPEED.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"not a speed: {value!r}; write '5 km/h', '1.4 m/s', '20 mph' or '0.2 widths/s'")
    return value.strip()


Speed = Annotated[
    str,
    BeforeValidator(_speed),
    WithJsonSchema({"type": "string", "pattern": rf"^\s*{_SPEED.pattern}\s*$"}),
]
"""``5 km/h``, ``1.4 m/s`` or ``20 mph`` on a calibrated ground, ``0.2 widths/s`` in the picture."""


def speed_unit(speed: str) -> tuple[float, bool]:
    """Metres a second and True, or picture widths a second and False.

    >>> speed_unit("36 km/h"), speed_unit("0.2 widths/s")
    ((10.0, True), (0.2, False))
    """
    match = _SPEED.fullmatch(speed)
    assert match is not None
    return round(float(match[1]) * _SPEEDS[match[2]], 9), match[2] != "widths/s"


Fraction01 = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction01, Fraction01]
"""x and y in fractions of the displayed picture, (0, 0) at the top left."""


def _labels(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Labels = Annotated[
    tuple[str, ...],
    BeforeValidator(_labels),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One name, or a list of which any will do."""


def nanoseconds(seconds: float) -> int:
    """Whole nanoseconds.

    >>> nanoseconds(0.5)
    500000000
    """
    return round(seconds * 1_000_000_000)
