"""Models as OpenVINO holds them, and its own form of files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onlooker.core.errors import ModelError

__all__ = ["ir_bytes", "openvino_model"]


def openvino_model(path: Path, shapes: Mapping[str, Sequence[int]]) -> tuple[Any, list[str]]:
    """A model of any format that OpenVINO reads, with its inputs fixed, and their names in its order.

    Args:
        path: of it.
        shapes: of its inputs.

    Raises:
        ModelError: it cannot be read, or takes other inputs.
    """
    import openvino

    library: Any = openvino
    try:
        loaded = library.Core().read_model(str(path))
    except Exception as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(f"OpenVINO cannot read {path.name}: {last[:200]}") from None
    names = [_name_of(port, shapes) for port in loaded.inputs]
    try:
        loaded.reshape({port: list(shapes[name]) for port, name in zip(loaded.inputs, names, strict=True)})
    except Exception as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(f"{path.name} does not take the inputs {dict(shapes)}: {last[:200]}") from None
    return loaded, names


def _name_of(port: Any, shapes: Mapping[str, Sequence[int]]) -> str:
    for name in port.get_names():
        if name in shapes:
            return name
    raise ModelError(f"the model's input {port} is none of {', '.join(shapes)}")


def ir_bytes(model: Any, *, half: bool = False) -> tuple[bytes, bytes]:
    """An OpenVINO model as the bytes of .xml and .bin; ``half``: with weights of 16 bits."""
    import openvino

    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        path = Path(folder) / "model.xml"
        library: Any = openvino
        library.save_model(model, str(path), compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
