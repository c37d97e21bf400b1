"""A bundle's models for other engines and machines: what can be tried here is, what cannot is checked and said so.

Where the lists of operators are from is said in docs/guides/targets.md and with each result.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle
from onlooker.bundles.golden import noise, read_golden, tensor_of
from onlooker.core.errors import ModelError, UsageError
from onlooker.core.plugins import load_plugin
from onlooker.learning.compress.onnx_bundle import Part, difference, parts_of
from onlooker.learning.compress.onnx_files import (
    initialisers_of,
    nodes_of,
    opset_of,
    optimised,
    read_onnx,
    require_onnx,
)
from onlooker.learning.compress.onnx_ir import ir_bytes, openvino_model
from onlooker.learning.compress.onnx_opset import to_opset
from onlooker.learning.compress.target_operators import LISTS, Known

__all__ = ["TARGETS", "Outcome", "reach"]

TARGETS = ("openvino", "onnx:OPSET", "tensorrt", "coreml", "arm")
"""Names that `reach` takes."""
ALLOWED = 1e-3
_LOOKS = 3
_OPSETS = range(7, 26)
Arrays = dict[str, NDArray[Any]]


@dataclass(slots=True)
class Outcome:
    """What came of one model for one target.

    Args:
        target: its name.
        file: the bundle's model.
        ready: whether nothing speaks against it.
        ran: where it was run and compared, or None where it was not run at all.
        difference: largest of its answers, as a share of the largest number; None where it was not run.
        problems: what speaks against it.
        notes: what else there is to say, first what was not run.
        out: the file that was written, or None.
    """

    target: str
    file: str
    ready: bool = True
    ran: str | None = None
    difference: float | None = None
    problems: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return asdict(self)

    def against(self, problem: str) -> None:
        """Something speaks against it."""
        self.ready = False
        self.problems.append(problem)


def reach(bundle: Bundle, targets: Sequence[str], out: Path | None = None) -> list[Outcome]:
    """Try targets with all models of a bundle.

    Args:
        bundle: whose models.
        targets: of `TARGETS`, with a number for OPSET.
        out: a folder to write models to that were made for targets; None: they are tried and not kept.

    Raises:
        UsageError: there is no such target, or ``out`` is there already.
        ModelError: a model of the bundle is damaged.
    """
    if not targets:
        raise UsageError("no target is named", hint=f"--to {','.join(TARGETS)}")
    asked = [_target(name) for name in targets]
    if out is not None and out.exists():
        raise UsageError(f"{out} exists already", hint="give another folder")
    feeds = _feeds(bundle)
    made: list[Outcome] = []
    for name, opset in asked:
        for part in parts_of(bundle.manifest):
            made.append(_one(bundle, part, name, opset, feeds[part.file], out))
    return made


def _target(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"onnx:(\d{1,2})", name)
    if found and int(found[1]) in _OPSETS:
        return "onnx", int(found[1])
    if found:
        raise UsageError(f"{name}: expected an opset from {_OPSETS[0]} to {_OPSETS[-1]}")
    if name not in ("openvino", "tensorrt", "coreml", "arm"):
        raise UsageError(f"there is no target {name!r}", hint=f"there are {', '.join(TARGETS)}")
    return name, 0


def _feeds(bundle: Bundle) -> dict[str, list[Arrays]]:
    """By file, what its model is given: of inputs by the golden run's sizes, numbers like those of preprocessing."""
    random = np.random.default_rng(0)
    made: dict[str, list[Arrays]] = {}
    networks = {n.file: n for n in bundle.manifest.networks}
    golden = bundle.manifest.golden
    known = read_golden(bundle.path(golden.file)) if golden is not None else noise(bundle.manifest, steps=_LOOKS)
    for part in parts_of(bundle.manifest):
        network = networks.get(part.file)
        state = network.state if network is not None else bundle.manifest.head and bundle.manifest.head.state
        first = {s.input: np.full(s.shape, s.initial, s.dtype) for s in (state.tensors if state else ())}
        rows: list[Arrays] = []
        for look in range(_LOOKS):
            feed: Arrays = dict(first)
            for name, shape in part.shapes.items():
                if name in feed:
                    continue
                if network is not None and name == network.tensor:
                    raw = known[f"in.{network.name}"]
                    feed[name] = tensor_of(raw[look % len(raw)], network.input)
                elif network is not None and network.exit is not None and name == network.exit.input:
                    # once by each way, so that both parts are compared
                    feed[name] = np.full(shape, 2.0 * (look % 2), np.float32)
                else:
                    feed[name] = np.abs(random.normal(0, 1, shape)).astype(np.float32)
            rows.append(feed)
        made[part.file] = rows
    return made


def _one(bundle: Bundle, part: Part, target: str, opset: int, feeds: list[Arrays], out: Path | None) -> Outcome:
    path = bundle.path(part.file)
    told = Outcome(f"onnx:{opset}" if target == "onnx" else target, part.file)
    if target == "openvino":
        model, _ = openvino_model(path, part.shapes)
        xml, weights = ir_bytes(model)
        _tried(told, path, {".xml": xml, ".bin": weights}, part, feeds, out, ("openvino",))
        return told
    if part.format != "onnx":
        told.against(f"it is in the format {part.format}, and only OpenVINO reads it")
        return told
    if target == "onnx":
        _converted(told, path, opset, part, feeds, out)
    elif target == "arm":
        _arm(told, path, part, feeds)
    else:
        told.notes.append(f"not run: {_NAMES[target]} is not here; operators, shapes and types were looked up")
        _listed(told, optimised(path, part.shapes), LISTS[target])
        if told.ready and out is not None:
            told.out = str(_put(out / target, path.stem, {".onnx": optimised(path, part.shapes)}))
    return told


_NAMES: Mapping[Literal["tensorrt", "coreml"] | str, str] = {"tensorrt": "TensorRT", "coreml": "Core ML"}


def _converted(told: Outcome, path: Path, opset: int, part: Part, feeds: list[Arrays], out: Path | None) -> None:
    """To another opset, and run."""
    onnx = require_onnx()
    told.notes.append(f"from opset {opset_of(read_onnx(path))}")
    try:
        changed = to_opset(onnx.load_from_string(optimised(path, part.shapes)), opset)
    except ModelError as error:
        told.against(str(error))
        return
    data = changed.SerializeToString(deterministic=True)
    _tried(told, path, {".onnx": data}, part, feeds, out, ("onnxruntime", "openvino"))


def _arm(told: Outcome, path: Path, part: Part, feeds: list[Arrays]) -> None:
    """ONNX Runtime and OpenVINO are built for arm64 from the same sources; whether it runs is only known there."""
    here = platform.machine().lower()
    operators = {n.op_type for n in nodes_of(read_onnx(path))}
    _compare(told, path, path, part, feeds, ("onnxruntime",))
    if here in ("aarch64", "arm64"):
        told.ran = f"{told.ran} on {here}"
        return
    told.ran = None
    told.difference = None
    told.notes.insert(0, f"not run on ARM: this machine is {here}; onnxruntime is published for arm64 and runs it here")
    if {"QuantizeLinear", "DequantizeLinear"} & operators:
        told.notes.append("ARM computes int8 by other instructions and may round otherwise: verify the bundle there")


def _listed(told: Outcome, data: bytes, known: Known) -> None:
    """Compare operators, types and shapes with what an engine is documented to take."""
    onnx = require_onnx()
    model = onnx.load_from_string(data)
    told.notes.append(f"list: {known.source}")
    operators: dict[str, int] = {}
    for node in nodes_of(model):
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    for name in sorted(operators.keys() - known.operators):
        told.against(f"the operator {name} ({operators[name]} times) is not on the list")
    for name in sorted(operators.keys() & known.limits.keys()):
        told.notes.append(f"{name}: {known.limits[name]}")
    if (opset := opset_of(model)) > known.opset:
        told.against(f"opset {opset}, the list goes to {known.opset}: --to onnx:{known.opset}")
    if not known.zero_points and (shifted := _shifted(model)):
        told.against(f"int8 lies around another number than 0 in {shifted} places: compress with symmetric activations")
    if 3 in _axes(model, "Conv") and "Conv" in known.limits:
        told.against("Conv has three axes")
    types = {i.data_type for i in initialisers_of(model) if not i.name.endswith("zero_point")}
    types |= {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    named = {onnx.TensorProto.DataType.Name(t).lower() for t in types}
    if strange := sorted(named - known.types):
        told.against(f"tensors of {', '.join(strange)} are not on the list")
    free = [
        v.name for v in model.graph.input if any(not d.HasField("dim_value") for d in v.type.tensor_type.shape.dim)
    ]  # fmt: skip
    if free:
        told.against(f"the shape of {', '.join(free)} is not fixed")


def _shifted(model: Any) -> int:
    """How many scales have a zero point that is not 0."""
    onnx = require_onnx()
    held = {i.name: onnx.numpy_helper.to_array(i) for i in initialisers_of(model)}
    points = [n.input[2] for n in nodes_of(model) if n.op_type.endswith("eLinear") and len(n.input) > 2]
    return sum(name not in held or bool(held[name].any()) or held[name].dtype == np.uint8 for name in points)


def _axes(model: Any, operator: str) -> set[int]:
    """How many axes in space the kernels of an operator have."""
    sizes = {i.name: len(i.dims) - 2 for i in initialisers_of(model)}
    return {sizes[n.input[1]] for n in nodes_of(model) if n.op_type == operator and n.input[1] in sizes}


def _tried(
    told: Outcome, path: Path, files: Mapping[str, bytes], part: Part, feeds: list[Arrays], out: Path | None,
    engines: Sequence[str],
) -> None:  # fmt: skip
    """Write a model, run it beside the bundle's own, and keep it where a folder is given."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="onlooker-") as held:
        made = _put(Path(held) / "made", path.stem, files)
        _compare(told, path, made, part, feeds, engines)
    if told.ready and out is not None:
        told.out = str(_put(out / told.target.replace(":", "-"), path.stem, files))


def _put(folder: Path, stem: str, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, data in files.items():
        (folder / f"{stem}{suffix}").write_bytes(data)
    return folder / f"{stem}{next(iter(files))}"


def _compare(
    told: Outcome, own: Path, made: Path, part: Part, feeds: list[Arrays], engines: Sequence[str]
) -> None:  # fmt: skip
    """Run both and tell the difference."""
    usual = "onnxruntime" if own.suffix == ".onnx" else "openvino"
    expected = _answers(usual, own, part, feeds)
    ran: list[str] = []
    worst = 0.0
    for engine in engines:
        try:
            found = _answers(engine, made, part, feeds)
        except ModelError as error:
            told.against(f"{engine}: {error}")
            continue
        apart = difference(expected, found)
        ran.append(engine)
        worst = max(worst, apart)
        if not apart <= ALLOWED:
            told.against(f"in {engine} answers differ by {apart:.2g} of their largest number")
    told.ran = " and ".join(ran) + " here" if ran else None
    told.difference = worst if ran else None


def _answers(engine: str, path: Path, part: Part, feeds: list[Arrays]) -> Arrays:
    runtime: Any = load_plugin("runtimes", engine)()
    if not runtime.available():
        raise ModelError(f"{engine} is not installed")
    model = runtime.load(path, shapes=part.shapes)
    try:
        names = [t.name for t in model.outputs]
        rows = [dict(zip(names, model.run(feed), strict=True)) for feed in feeds]
    finally:
        model.close()
    return {name: np.stack([row[name] for row in rows]) for name in part.outputs}
