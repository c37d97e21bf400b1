"""ONNX Runtime: reads ONNX; the faster one for very small networks."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.core.runtime import LoadedModel, RuntimeReport, TensorInfo
from onlooker.models.runtimes._checks import checked

__all__ = ["PLUGIN", "OnnxRuntime", "devices"]

PLUGIN = "onlooker.models.runtimes.onnxruntime:OnnxRuntime"
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# full precision, as bundles are held to what they answered elsewhere; and no search of seconds at each new shape
_SETTINGS = {_CUDA: {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}}
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "uint8": "uint8",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "bool": "bool",
}


class OnnxRuntime:
    """The second engine."""

    name = "onnxruntime"

    def available(self) -> bool:
        """Whether the package is installed."""
        return importlib.util.find_spec("onnxruntime") is not None

    def reads(self, path: Path) -> bool:
        """By the file's suffix."""
        return path.suffix.lower() == ".onnx"

    def has_gpu(self) -> bool:
        """Whether there is an NVIDIA GPU, and the package is built for it."""
        # without a driver the package need not even be imported
        return self.available() and _driver() and _CUDA in devices()

    def load(
        self,
        path: Path,
        *,
        threads: int = 1,
        device: str = "auto",
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> LoadedModel:
        """Load a session; ``shapes`` can only fix dimensions that the model leaves free.

        ``auto`` takes an NVIDIA GPU where the package is built for it (onnxruntime-gpu) and finds one, else the CPU; a
        provider's own name asks for that one.

        Raises:
            ModelError: the file cannot be read, a shape is fixed otherwise in the model, or there is no such provider
                that can be used here.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        providers = _providers(device, onnxruntime.get_available_providers())
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=[(p, _SETTINGS.get(p, {})) for p in providers]
            )
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"ONNX Runtime cannot load {path.name}: {first}", hint="pull the model again, or export it anew"
            ) from None
        used = session.get_providers()[0]
        # a provider that cannot begin is left out by the engine without a word, which would call the CPU a GPU
        if device != "auto" and used != providers[0]:
            raise ModelError(
                f"ONNX Runtime cannot use {device} here",
                hint=f"the device, its driver or libraries that fit onnxruntime {onnxruntime.__version__} are missing",
            )
        report = RuntimeReport("onnxruntime", onnxruntime.__version__, used, threads, "f32")
        return _Loaded(session, report, shapes or {})


def devices() -> list[str]:
    """What ``auto`` takes the first of: ``CUDAExecutionProvider`` where there is a GPU, and the CPU's."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [p for p in (_CUDA, _CPU) if p in available and (p != _CUDA or _driver())]


def _providers(device: str, available: Sequence[str]) -> list[str]:
    wanted = devices() if device == "auto" else [_CPU if device == "CPU" else device]
    if wanted[0] not in available:
        raise ModelError(f"ONNX Runtime has no {device} here", hint=f"there are {', '.join(available)}")
    if wanted[0] == _CUDA and not _driver():
        raise ModelError(
            f"ONNX Runtime cannot use {device} here: there is no NVIDIA driver", hint="nvidia-smi shows it"
        )
    if _CUDA in wanted:
        _find_libraries()
    return wanted


@cache
def _driver() -> bool:
    """Whether NVIDIA's driver is there; without it the engine would complain at each model."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


@cache
def _find_libraries() -> None:
    """Load CUDA's libraries where they came as Python packages, which the engine does not search by itself."""
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        # it prints what it does not find; whether the provider begins is seen later
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def _info(port: Any, shapes: Mapping[str, Sequence[int]]) -> TensorInfo:
    shape = tuple(d if isinstance(d, int) else -1 for d in port.shape)
    if port.name in shapes:
        fixed = tuple(shapes[port.name])
        if len(fixed) != len(shape) or any(d not in (-1, f) for d, f in zip(shape, fixed, strict=True)):
            raise ModelError(f"input {port.name} has the shape {shape} and cannot become {fixed} here")
        shape = fixed
    kind = str(port.type).removeprefix("tensor(").removesuffix(")")
    return TensorInfo(port.name, shape, _DTYPES.get(kind) or kind)


class _Loaded:
    def __init__(self, session: Any, report: RuntimeReport, shapes: Mapping[str, Sequence[int]]) -> None:
        self._session = session
        known = [p.name for p in session.get_inputs()]
        if unknown := sorted(set(shapes) - set(known)):
            raise ModelError(f"shapes: expected names of {known}, got {unknown}")
        self.inputs: Sequence[TensorInfo] = [_info(p, shapes) for p in session.get_inputs()]
        self.outputs: Sequence[TensorInfo] = [_info(p, {}) for p in session.get_outputs()]
        self.report = report

    def run(self, inputs: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """See `LoadedModel.run`."""
        if self._session is None:
            raise ModelError("the model was closed")
        named = checked(inputs, self.inputs)
        try:
            return list(self._session.run(None, named))
        except Exception as error:
            raise ModelError(f"ONNX Runtime failed: {str(error).strip().splitlines()[0]}") from None

    def close(self) -> None:
        """Release the session."""
        self._session = None
