"""Where bundles are timed: on the CPU, on an NVIDIA GPU, or wherever they would be served here."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from onlooker.core.errors import UsageError
from onlooker.models.runtimes.onnxruntime import devices

__all__ = ["DEVICES", "Device", "check_device", "device_facts", "engine_device"]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[Device, ...] = get_args(Device)
"""``auto``: as in serving, a GPU where ONNX Runtime has one and is the faster engine, else the CPU."""

_CUDA = "CUDAExecutionProvider"
_NAMES: dict[Device, str] = {"auto": "auto", "cpu": "CPU", "cuda": _CUDA}


def engine_device(device: Device) -> str:
    """What engines call it; see `onlooker.core.runtime.Runtime.load`."""
    return _NAMES[device]


def check_device(device: str, engine: str | None) -> None:
    """See that bundles can be timed there.

    Args:
        device: as it was asked for.
        engine: the only engine that counts, or None.

    Raises:
        UsageError: there is no such device, here or at all, or the engine does not know it.
    """
    if device not in DEVICES:
        raise UsageError(f"--device: there is no {device!r}", hint=f"one of {', '.join(DEVICES)}")
    if device != "cuda":
        return
    if engine not in (None, "onnxruntime"):
        raise UsageError(f"--device: {engine} runs nothing on cuda", hint="leave --engine out, or take onnxruntime")
    if (lacking := _lacking()) is not None:
        raise UsageError(f"--device: nothing can be timed on cuda here: {lacking}", hint="--device cpu")


def device_facts(device: Device) -> dict[str, Any]:
    """Where looks were timed and models trained, and what was not run and why."""
    import torch

    lacking = _lacking()
    timed = "cpu" if device == "cpu" or lacking else "cuda" if device == "cuda" else "cpu or cuda, the faster engine"
    not_run = {} if lacking is None else {"cuda": lacking}
    if lacking is None and device == "cpu":
        not_run["cuda"] = "not asked for"
    return {"timed": timed, "trained": "cuda" if torch.cuda.is_available() else "cpu", "not_run": not_run}


def _lacking() -> str | None:
    """Why nothing is run on a GPU here, or None."""
    import torch

    if not torch.cuda.is_available():
        return "PyTorch finds no GPU that it can use"
    try:
        found = devices()
    except ImportError:
        return "ONNX Runtime is not installed"
    if _CUDA not in found:
        return "this ONNX Runtime is built without CUDA (pip install onnxruntime-gpu)"
    return None
