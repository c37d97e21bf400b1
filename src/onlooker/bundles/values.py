"""The small typed values that a bundle's manifest is made of, and the limits that keep a hostile one harmless."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "MAX_ELEMENTS",
    "Digest",
    "FileName",
    "Format",
    "Label",
    "Name",
    "Part",
    "Seconds",
    "Shape",
    "Share",
    "TensorName",
    "Words",
    "elements",
]

MAX_ELEMENTS = 1 << 26
"""Most numbers of one tensor: 256 MiB of float32."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""A plain name: bundles have no folders, so that no name can lead out of one."""
# no control characters: these texts are shown in terminals
TensorName = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Words = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Shape = Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_ELEMENTS)], ...], Field(max_length=8)]
Format = Literal["onnx", "openvino-ir", "tf-frozen", "tflite"]
"""Forms of model file: ONNX; OpenVINO's own (an .xml with its .bin); a frozen TensorFlow graph; TFLite."""


class Part(BaseModel):
    """Base of all parts of a manifest: nothing unknown, nothing converted, nothing infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def elements(shape: tuple[int, ...]) -> int:
    """How many numbers an array of that shape has.

    >>> elements((1, 3, 2))
    6
    """
    count = 1
    for side in shape:
        count *= side
    return count
