"""One model in int8, by ONNX Runtime's quantiser or by NNCF, as often as wished from one calibration.

Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only inference,
arXiv 1712.05877; NNCF: Kozlov et al. 2020, arXiv 2002.08679.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.compress.onnx_files import checked_model, prepared
from onlooker.learning.compress.onnx_ir import ir_bytes, openvino_model
from onlooker.learning.silence import quiet

__all__ = ["Arrays", "Calibration", "Operators", "Quantiser", "answers", "by_nncf", "layers_of", "require_nncf"]

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Operators: TypeAlias = Literal["convolutions", "heavy", "flow"]
Calibration: TypeAlias = Literal["minmax", "percentile", "entropy"]

HEAVY = ("Conv", "Gemm", "MatMul")
"""Operators that do the work."""
FLOW = (*HEAVY, "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool", "Relu", "Clip", "Reshape", "Transpose")
"""Those between which numbers may stay int8."""
_SETS: dict[str, tuple[str, ...]] = {"convolutions": ("Conv",), "heavy": HEAVY, "flow": FLOW}
_HELD = 8


def layers_of(model: Any) -> list[str]:
    """Names of the nodes of an ONNX model that are worth computing in int8: convolutions and products with weights."""
    known = {i.name for i in model.graph.initializer}
    return [
        n.name for n in model.graph.node if n.op_type in HEAVY and any(name in known for name in n.input[1:2])
    ]  # fmt: skip


class _Reader:
    """Feeds as ONNX Runtime's calibration asks for them."""

    def __init__(self, feeds: Sequence[Arrays]) -> None:
        self._left: Iterator[Arrays] = iter(feeds)

    def get_next(self) -> Any:
        """The next feed, or None."""
        return next(self._left, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Ranges are not asked for."""

    def __iter__(self) -> Iterator[Arrays]:
        return self._left


class Quantiser:
    """Int8 forms of one ONNX model, with weights and activations of 8 bits.

    Args:
        model: the file.
        shapes: of its inputs by name.
        feeds: what it is given.
        folder: for its own files.
        calibration: how ranges of activations are chosen.
        per_channel: whether each channel of a weight has a scale of its own.
        reduce_range: seven bits for weights, for processors without VNNI, where sums of products overflow.
        symmetric: activations are int8 around 0, as TensorRT asks for.

    Raises:
        ModelError: the model is damaged or of a form that cannot be changed.
        UsageError: a library is missing.
    """

    def __init__(
        self,
        model: Path,
        shapes: Mapping[str, Sequence[int]],
        feeds: Sequence[Arrays],
        folder: Path,
        *,
        calibration: Calibration = "minmax",
        per_channel: bool = True,
        reduce_range: bool = False,
        symmetric: bool = False,
    ) -> None:
        self._folder, self._feeds, self._symmetric = folder, feeds, symmetric
        self._calibration, self._per_channel, self._reduce = calibration, per_channel, reduce_range
        self.path = folder / "prepared.onnx"
        found = prepared(model, shapes)
        self.path.write_bytes(found.SerializeToString())
        self.layers = layers_of(found)
        self._made: dict[tuple[str, frozenset[str]], bytes] = {}

    def turns(self, feeds: Sequence[Arrays]) -> list[tuple[float, list[Arrays]]]:
        """What it is timed on: feeds of one cost, and how much of the looks they stand for."""
        return [(1.0, list(feeds))]

    def made(self, operators: Operators, keep: Collection[str] = ()) -> bytes:
        """The model in int8.

        Args:
            operators: which kinds of them.
            keep: names of layers that stay in full precision.

        Raises:
            ModelError: the quantiser failed.
        """
        key = operators, frozenset(keep)
        if key not in self._made:
            self._made[key] = self._quantised(_SETS[operators], list(keep))
        return self._made[key]

    def alone(self, layer: str) -> bytes:
        """The model with a single layer in int8."""
        return self._quantised(HEAVY, [name for name in self.layers if name != layer])

    def _quantised(self, operators: Sequence[str], keep: list[str]) -> bytes:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        method = {
            "minmax": CalibrationMethod.MinMax,
            "percentile": CalibrationMethod.Percentile,
            "entropy": CalibrationMethod.Entropy,
        }[self._calibration]
        ranges = self._folder / "ranges.json"
        # the first call measures the ranges of all tensors; later ones read them
        first = not ranges.is_file()
        out = self._folder / "int8.onnx"
        options: dict[str, Any] = {"MatMulConstBOnly": True, "ActivationSymmetric": self._symmetric}
        if self._calibration == "minmax":
            # the calibrator takes a last part of nothing for an error
            options["CalibMaxIntermediateOutputs"] = next(n for n in range(_HELD, 99) if len(self._feeds) % n)
        kind = QuantType.QInt8 if self._symmetric else QuantType.QUInt8
        with quiet():
            try:
                for kinds, excluded in ([(FLOW, list[str]())] if first else []) + [(tuple(operators), keep)]:
                    quantize_static(
                        str(self.path), str(out), None if ranges.is_file() else cast(Any, _Reader(self._feeds)),
                        quant_format=QuantFormat.QDQ, op_types_to_quantize=list(kinds), nodes_to_exclude=excluded,
                        per_channel=self._per_channel, reduce_range=self._reduce, activation_type=kind,
                        weight_type=QuantType.QInt8, calibrate_method=method, extra_options=options,
                        calibration_cache_path=str(ranges),
                    )  # fmt: skip
            except (ValueError, RuntimeError, KeyError, TypeError, IndexError, AttributeError) as error:
                raise ModelError(f"ONNX Runtime cannot quantise the model: {_said(error)}") from error
        return checked_model(out.read_bytes())

    def errors(self, outputs: Sequence[str], layers: Sequence[str], *, looks: int = 16) -> dict[str, float]:
        """By layer, how far the answers of the model are from the right ones when it alone is in int8: the root of the
        mean square, as a share of that of the answer, at the output where it is largest.

        Args:
            outputs: names that are compared.
            layers: of `layers`.
            looks: so many feeds are tried.
        """
        some = [self._feeds[n * len(self._feeds) // looks] for n in range(min(looks, len(self._feeds)))]
        right = answers(self.path.read_bytes(), outputs, some)
        made: dict[str, float] = {}
        for layer in layers:
            found = answers(self.alone(layer), outputs, some)
            made[layer] = max(_apart(right[name], found[name]) for name in outputs)
        return made


def _apart(right: NDArray[Any], found: NDArray[Any]) -> float:
    scale = float(np.sqrt(np.mean(np.square(right, dtype=np.float64)))) or 1.0
    error = float(np.sqrt(np.mean(np.square(right.astype(np.float64) - found)))) / scale
    return error if np.isfinite(error) else float("inf")


def answers(model: bytes, outputs: Sequence[str], feeds: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """By output (feeds, ...), what ONNX Runtime answers on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows: list[Any] = [session.run(list(outputs), dict(feed)) for feed in feeds]
    return {name: np.stack([row[n] for row in rows]) for n, name in enumerate(outputs)}


def by_nncf(
    model: Path, form: str, shapes: Mapping[str, Sequence[int]], feeds: Sequence[Arrays], keep: Sequence[str] = ()
) -> bytes | tuple[bytes, bytes]:
    """A model in int8 by NNCF's post-training quantisation with correction of biases.

    Args:
        model: the file.
        form: its format; of ONNX it stays ONNX, any other becomes OpenVINO IR.
        shapes: of its inputs.
        feeds: what it is given.
        keep: names of layers that stay in full precision.

    Returns:
        Of ONNX the bytes, else those of .xml and .bin.

    Raises:
        ModelError: NNCF or OpenVINO cannot do it.
        UsageError: NNCF is missing.
    """
    nncf = require_nncf()
    settings: dict[str, Any] = {"subset_size": len(feeds), "fast_bias_correction": True}
    if keep:
        settings["ignored_scope"] = nncf.IgnoredScope(names=list(keep), validate=False)
    with quiet():
        try:
            if form == "onnx":
                made = nncf.quantize(prepared(model, shapes), nncf.Dataset([dict(f) for f in feeds]), **settings)
                return checked_model(made.SerializeToString())
            loaded, names = openvino_model(model, shapes)
            rows = [[feed[name] for name in names] for feed in feeds]
            made = nncf.quantize(loaded, nncf.Dataset(rows), **settings)
            return ir_bytes(made)
        except (ModelError, UsageError):
            raise
        except Exception as error:
            raise ModelError(f"NNCF cannot quantise {model.name}: {_said(error)}") from error


def require_nncf() -> Any:
    """NNCF.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import nncf
    except ImportError:
        raise UsageError("this method needs NNCF", hint="pip install 'onlooker[learn,compress]'") from None
    return nncf


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else '?'}"
