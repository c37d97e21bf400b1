"""Makes bundles with their golden run: of what was trained here, or elsewhere (ONNX, TFLite, TensorFlow)."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from onlooker.bundles.folder import MANIFEST, Bundle, save_bundle
from onlooker.bundles.golden import noise, pack_golden, play
from onlooker.bundles.manifest import SCHEMA, SUFFIXES, Manifest
from onlooker.core.errors import ModelError
from onlooker.core.plugins import load_plugin
from onlooker.core.runtime import Runtime, TensorInfo

__all__ = ["export_bundle", "import_model", "software"]

_PACKAGES = ("onlooker", "numpy", "onnx", "onnxruntime", "openvino", "torch", "tensorflow")


def software() -> dict[str, str]:
    """Versions of the packages here that have a part in making and running models, and of onlooker."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def import_model(
    model: str | Path,
    facts: Mapping[str, Any],
    target: str | Path,
    *,
    golden: Mapping[str, NDArray[Any]] | None = None,
) -> Bundle:
    """Make a bundle of a model file and what is known of it.

    The file is kept as it is; a TensorFlow SavedModel, which is a folder of files, becomes OpenVINO's own form.

    Args:
        model: an .onnx, .tflite, .xml (OpenVINO IR) or .pb (frozen graph) file, or the folder of a SavedModel.
        facts: the fields of a manifest. Instead of ``networks`` it may hold ``input``, the facts of the only input;
            names of tensors may be left out where the model has but one input, or one output.
        target: the folder to make.
        golden: inputs of the golden run (see `onlooker.bundles.play`); without them soft noise is used.

    Raises:
        ModelError: the model cannot be read, or the facts do not fit it.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        try:
            files, form = _model_files(Path(model), Path(work))
            fields = _completed(dict(facts), files[0], form)
            if form != "onnx":
                fields["runtime"] = "openvino"
            return export_bundle(target, fields, {f.name: f for f in files}, golden=golden)
        except ModelError as error:
            raise ModelError(_as_given(error.message, Path(model), target), hint=error.hint) from None


def _as_given(message: str, model: Path, target: Path) -> str:
    """A message that names what was given in place of copies in folders that are gone when it is read."""
    parent = "" if target.parent == Path() else f"{re.escape(str(target.parent))}/"
    copy = rf"{parent}\.{re.escape(target.name)}-\w+(?:/\.?draft(?:-\w+)?)?/([\w.]+\w)"
    return re.sub(copy, lambda found: "the facts" if found[1] == MANIFEST else str(model), message)


def export_bundle(
    target: str | Path,
    manifest: Manifest | Mapping[str, Any],
    files: Mapping[str, Path | bytes],
    *,
    golden: Mapping[str, NDArray[Any]] | None = None,
) -> Bundle:
    """Write a bundle with its golden run, which is recorded in the preferred engine; else as `save_bundle`.

    Args:
        target: the folder to make; it must not exist.
        manifest: a manifest, or its fields; ``files`` in it is filled in, and ``golden`` where it is left out.
        files: the files by name, the golden run left out.
        golden: inputs of the golden run (see `onlooker.bundles.play`); without them soft noise is used.

    Raises:
        ModelError: the target exists, or manifest, files and inputs do not fit each other.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    fields = manifest.model_dump(mode="json", by_alias=True) if isinstance(manifest, Manifest) else dict(manifest)
    own: dict[str, Any] = {"file": "golden.npz", **(fields.pop("golden", None) or {})}
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        draft = save_bundle(Path(work) / "draft", fields, files)
        inputs = dict(golden) if golden is not None else noise(draft.manifest)
        recorded = pack_golden(inputs, play(draft, inputs))
    return save_bundle(target, {**fields, "golden": own}, {**files, own["file"]: recorded})


def _model_files(model: Path, work: Path) -> tuple[list[Path], str]:
    """The files that the bundle holds, the model first, and their format."""
    if model.is_dir():
        if not (model / "saved_model.pb").is_file():
            raise ModelError(f"{model} is no SavedModel: it holds no saved_model.pb", hint="give its folder")
        return _as_ir(model, work), "openvino-ir"
    form = next((f for f, suffix in SUFFIXES.items() if model.suffix.lower() == suffix), None)
    if form is None or not model.is_file():
        raise ModelError(
            f"{str(model)!r} is no model file that can be imported",
            hint=f"give a file that ends with {', '.join(SUFFIXES.values())}, or the folder of a SavedModel",
        )
    copy = work / f"model{SUFFIXES[form]}"
    shutil.copyfile(model, copy)
    if form != "openvino-ir":
        return [copy], form
    weights = model.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{model}: its weights {weights.name} do not lie beside it")
    shutil.copyfile(weights, work / "model.bin")
    return [copy, work / "model.bin"], form


def _as_ir(model: Path, work: Path) -> list[Path]:
    import openvino

    library = cast(Any, openvino)
    try:
        library.save_model(library.Core().read_model(str(model)), str(work / "model.xml"), compress_to_fp16=False)
    except Exception as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelError(f"OpenVINO cannot read the SavedModel {model}: {last}") from None
    return [work / "model.xml", work / "model.bin"]


def _completed(fields: dict[str, Any], file: Path, form: str) -> dict[str, Any]:
    """The facts with what follows from the model filled in."""
    inputs, outputs = _ports(file)
    if "input" in fields:
        if "networks" in fields:
            raise ModelError("facts: expected input or networks, got both")
        network: dict[str, Any] = {"name": "model", "input": fields.pop("input")}
        for key in ("state", "speaks", "tensor"):
            if key in fields:
                network[key] = fields.pop(key)
        fields["networks"] = [network]
    for network in cast(list[dict[str, Any]], fields.get("networks", [])):
        states = cast(dict[str, list[dict[str, Any]]], network.get("state") or {}).get("tensors", [])
        network.setdefault("file", file.name)
        network.setdefault("format", form)
        free = [t.name for t in inputs if t.name not in {s["input"] for s in states}]
        if "tensor" not in network:
            if len(free) != 1:
                raise ModelError(f"facts: tensor: expected the name of the input, one of {', '.join(free)}")
            network["tensor"] = free[0]
        network.setdefault("outputs", [t.name for t in outputs if t.name not in {s["output"] for s in states}])
    for output in cast(list[dict[str, Any]], fields.get("outputs", [])):
        single = cast(list[dict[str, Any]], fields.get("networks", []))
        if output.get("task") != "detection" and "tensor" not in output and len(single) == 1:
            if len(single[0]["outputs"]) != 1:
                raise ModelError(
                    f"facts: output {output.get('name')}: tensor: one of {', '.join(single[0]['outputs'])}"
                )
            output["tensor"] = single[0]["outputs"][0]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    origin = {"created": made, "software": software(), "source": f"{file.suffix[1:]} sha256:{digest}"}
    return {"schema": SCHEMA, **fields, "provenance": {**origin, **fields.get("provenance", {})}}


def _ports(file: Path) -> tuple[list[TensorInfo], list[TensorInfo]]:
    """Inputs and outputs of a model."""
    for name in ("openvino", "onnxruntime"):
        engine: Runtime = load_plugin("runtimes", name)()
        if engine.available() and engine.reads(file):
            model = engine.load(file)
            try:
                return list(model.inputs), list(model.outputs)
            finally:
                model.close()
    raise ModelError(f"no engine here reads {file.name}", hint="pip install openvino onnxruntime")
