"""OpenVINO: reads ONNX, TFLite, TensorFlow frozen graphs and its own IR."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.core.runtime import LoadedModel, RuntimeReport, TensorInfo
from onlooker.models.runtimes._checks import checked

__all__ = ["PLUGIN", "OpenVinoRuntime"]

PLUGIN = "onlooker.models.runtimes.openvino:OpenVinoRuntime"
_core: Any = None
_core_lock = threading.Lock()


def _shared_core() -> Any:
    """One core a process: making it costs more than compiling a small model."""
    global _core
    with _core_lock:
        if _core is None:
            import openvino

            _core = openvino.Core()
    return _core


class OpenVinoRuntime:
    """The default engine."""

    name = "openvino"

    def available(self) -> bool:
        """Whether the package is installed."""
        return importlib.util.find_spec("openvino") is not None

    def reads(self, path: Path) -> bool:
        """By the file's suffix."""
        return path.suffix.lower() in (".onnx", ".tflite", ".pb", ".xml")

    def has_gpu(self) -> bool:
        """No: it computes on the processor, as answers are to be the same on other machines."""
        return False

    def load(
        self,
        path: Path,
        *,
        threads: int = 1,
        device: str = "auto",
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> LoadedModel:
        """Read, fix shapes, compile for low latency in full precision.

        Raises:
            ModelError: the file cannot be read or compiled.
        """
        core = _shared_core()
        target = "CPU" if device == "auto" else device
        # bf16, which some processors would choose by themselves, gives other results on other machines
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        try:
            model = core.read_model(str(path))
            if shapes:
                model.reshape({name: list(shape) for name, shape in shapes.items()})
            compiled = core.compile_model(model, target, options if target == "CPU" else {})
        except Exception as error:
            first = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"OpenVINO cannot load {path.name}: {first}", hint="pull the model again, or export it anew"
            ) from None
        import openvino

        version = str(openvino.__version__).split("-")[0]
        return _Loaded(compiled, RuntimeReport("openvino", version, target, threads, "f32"))


def _info(port: Any, number: int) -> TensorInfo:
    # a tensor may have several names after fusing: the graph's own name of it goes before
    own = str(port.node.friendly_name).split("/sink_port_")[0]
    names = sorted(port.get_names(), key=lambda name: (name != own, name))
    shape = tuple(-1 if d.is_dynamic else int(d.get_length()) for d in port.get_partial_shape())
    return TensorInfo(names[0] if names else str(number), shape, port.get_element_type().to_dtype().name)


class _Loaded:
    def __init__(self, compiled: Any, report: RuntimeReport) -> None:
        self._compiled = compiled
        self._local = threading.local()
        self.inputs: Sequence[TensorInfo] = [_info(p, i) for i, p in enumerate(compiled.inputs)]
        self.outputs: Sequence[TensorInfo] = [_info(p, i) for i, p in enumerate(compiled.outputs)]
        self.report = report

    def run(self, inputs: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """See `LoadedModel.run`."""
        if self._compiled is None:
            raise ModelError("the model was closed")
        named = checked(inputs, self.inputs)
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        try:
            result = request.infer([named[t.name] for t in self.inputs], share_inputs=True)
        except Exception as error:
            raise ModelError(f"OpenVINO failed: {str(error).strip().splitlines()[-1]}") from None
        return [result[port].copy() for port in self._compiled.outputs]

    def close(self) -> None:
        """Release the compiled model."""
        self._compiled = None
        self._local = threading.local()
