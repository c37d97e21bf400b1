"""``onlooker bundles``: trained models as they are deployed."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from onlooker.bundles import Bundle, Verification

__all__ = ["app", "print_checks"]

app = typer.Typer(help="Bundles, trained models as they are deployed: verify, show, make.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
Where = Annotated[str, typer.Argument(help="A bundle's folder or zip, or the name of one that was added.")]
Facts = Annotated[Path, typer.Option("--facts", help="A YAML file with what is known of the model.")]
Out = Annotated[Path, typer.Option("--out", help="The folder to make.")]


def print_checks(verification: Verification) -> None:
    """The checks of a bundle, a line each."""
    for check in verification.checks:
        print(f"{check.state:8} {check.name}: {check.detail}")


def _opened(where: str, work: Path) -> Bundle:
    """The bundle at a path, or the added one of that name; a zip is unpacked to ``work``."""
    from onlooker.bundles import load_bundle, unpacked
    from onlooker.bundles.added import added_bundle, added_names

    path = Path(where)
    if path.is_file():
        return unpacked(path, work)
    if not path.exists() and where in added_names():
        return added_bundle(where, check=True)
    return load_bundle(path)


@app.command()
def verify(where: Where, as_json: AsJson = False) -> None:
    """Check all files by their digests and replay the golden run in each engine; exits with 1 if something is bad.

    \b
    Examples:
      onlooker bundles verify runs/fights/bundle
      onlooker bundles verify fights --json
    """
    import tempfile

    from onlooker.bundles import verify_bundle

    with tempfile.TemporaryDirectory(prefix="onlooker-") as work:
        found = verify_bundle(_opened(where, Path(work)))
    if as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        print_checks(found)
        print(f"{'good' if found.good else 'bad':8} {found.digest}")
    if not found.good:
        raise typer.Exit(1)


@app.command()
def show(where: Where, as_json: AsJson = False) -> None:
    """Show what a bundle is fed with, what it gives, how well it did, and where it comes from.

    \b
    Examples:
      onlooker bundles show runs/fights/bundle
      onlooker bundles show fights.zip --json
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="onlooker-") as work:
        bundle = _opened(where, Path(work))
        size = bundle.size
    manifest = bundle.manifest
    if as_json:
        facts = manifest.model_dump(mode="json", by_alias=True)
        print(json.dumps({**facts, "digest": bundle.digest, "size": size, "kinds": manifest.kinds}, ensure_ascii=False))
        return
    for key, value in _rows(bundle, size):
        print(f"{key:12} {value}".rstrip())


def _rows(bundle: Bundle, size: int) -> list[tuple[str, str]]:
    from onlooker.bundles.inputs import SeriesInput

    manifest = bundle.manifest
    rows = [("name", manifest.name), ("title", manifest.title), ("digest", bundle.digest)]
    rows += [("size", f"{size / 1e6:.2f} MB in {len(manifest.files) + 1} files"), ("licence", manifest.licence)]
    for network in manifest.networks:
        state = f", state of {len(network.state.tensors)} tensors" if network.state else ""
        rows.append(("network", f"{network.name}: {network.file} ({network.format}){state}"))
        rows.append(("", f"  {network.input.kind} as {network.tensor} {list(network.input.shape)}"))
        if isinstance(network.input, SeriesInput):
            columns = ", ".join(network.input.columns)
            rows.append(("", f"  {columns}: {network.input.steps} steps at {network.input.rate:g} a second"))
        if network.exit is not None:
            rows.append(("", f"  leaves early from a confidence of {network.exit.default:.3g} on"))
    if manifest.head is not None:
        rows.append(("head", f"{manifest.head.file} ({manifest.head.format})"))
        if manifest.head.text is not None:
            rows.append(("", f"  reads {', '.join(manifest.head.text.kinds)}"))
    for output in manifest.outputs:
        labels = ", ".join(getattr(output, "labels", ())[:8])
        rows.append(
            ("output", f"{output.name}: {output.task}, observed as {output.kind}" + (f": {labels}" if labels else ""))
        )
    if manifest.cut is not None and manifest.cut.crop == "box":
        rows.append(("trained on", f"boxes cut out of pictures, with a margin of {manifest.cut.margin:g}"))
    for metric in manifest.metrics:
        interval = f" [{metric.ci95[0]:.4g}, {metric.ci95[1]:.4g}]" if metric.ci95 else ""
        rows.append(("metric", f"{metric.output or 'all'}: {metric.name} {metric.value:.4g}{interval} {metric.split}"))
    origin = manifest.provenance
    rows += [("parent", origin.parent)] if origin.parent else []
    rows += [("step", f"{step.name} {json.dumps(step.settings)}") for step in origin.steps]
    rows += [(key, value) for key, value in (("made", origin.created), ("from", origin.source)) if value]
    return rows


@app.command("from-run")
def from_run(
    run: Annotated[Path, typer.Argument(help="The folder of a run of training that is over.")],
    out: Out,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Put it in the place of a bundle there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the bundle of a trained model; its answers are compared with the model's in each engine.

    \b
    Examples:
      onlooker bundles from-run runs/fights --out fights
      onlooker bundles from-run runs/fights --out fights --overwrite --json
    """
    from onlooker.bundles import verify_bundle
    from onlooker.learning.parts import require_torch

    require_torch()
    from onlooker.learning.export import export_run

    _print_made(out, verify_bundle(export_run(run, out, overwrite=overwrite)), as_json=as_json)


@app.command("import-onnx")
def import_onnx(
    model: Annotated[Path, typer.Argument(help="An .onnx, .tflite or .xml (OpenVINO) file.")],
    facts: Facts,
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of an ONNX, TFLite or OpenVINO file; see docs/guides/bundles.md for the facts.

    \b
    Examples:
      onlooker bundles import-onnx light.onnx --facts light.yaml --out bundles/light
    """
    _import(model, facts, out, as_json=as_json)


@app.command("import-tf")
def import_tf(
    model: Annotated[Path, typer.Argument(help="A frozen graph (.pb), a .tflite file, or a SavedModel's folder.")],
    facts: Facts,
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of a TensorFlow model through the engine that reads it; TensorFlow is not needed.

    \b
    Examples:
      onlooker bundles import-tf detector.pb --facts detector.yaml --out bundles/detector
      onlooker bundles import-tf saved_model --facts light.yaml --out bundles/light
    """
    _import(model, facts, out, as_json=as_json)


@app.command()
def targets(
    where: Where,
    to: Annotated[str, typer.Option("--to", help="Targets, joined by commas.")] = "openvino,tensorrt,coreml,arm",
    out: Annotated[Path | None, typer.Option("--out", help="A folder to write the models for them to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try a bundle's models for other engines and machines; exits with 1 where something speaks against one.

    Targets: openvino (its own form), onnx:OPSET (another version of the operators), both run here and compared;
    tensorrt, coreml (operators, types and shapes are compared with a list), arm. What was not run is said.

    \b
    Examples:
      onlooker bundles targets fights --to openvino,onnx:17
      onlooker bundles targets runs/fights/bundle --to tensorrt,coreml,arm --json
      onlooker bundles targets fights --to onnx:17,openvino --out fights-elsewhere
    """
    import tempfile

    from onlooker.learning.parts import require_torch

    require_torch()
    from onlooker.learning.compress.targets import reach

    with tempfile.TemporaryDirectory(prefix="onlooker-") as work:
        found = reach(_opened(where, Path(work)), [t.strip() for t in to.split(",") if t.strip()], out)
    ready = all(one.ready for one in found)
    if as_json:
        print(json.dumps({"ready": ready, "targets": [one.as_dict() for one in found]}, ensure_ascii=False))
    else:
        for one in found:
            run = f"ran in {one.ran}, largest difference {one.difference:.2g}" if one.ran else "not run"
            print(f"{'ready' if one.ready else 'not ready':10} {one.target:10} {one.file}: {run}")
            for line in (*one.problems, *one.notes, *([f"written: {one.out}"] if one.out else [])):
                print(f"{'':21} {line}")
    if not ready:
        raise typer.Exit(1)


def _import(model: Path, facts: Path, out: Path, *, as_json: bool) -> None:
    from onlooker.bundles import import_model, verify_bundle

    if not model.exists():
        raise UsageError(f"there is no model {str(model)!r}", hint="check the path")
    _print_made(out, verify_bundle(import_model(model, _read(facts), out)), as_json=as_json)


def _print_made(out: Path, found: Verification, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"path": str(out), **found.as_dict()}, ensure_ascii=False))
    else:
        print_checks(found)
        print(f"{out}: made; run: onlooker models add {out}")
    if not found.good:
        raise typer.Exit(1)


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}", hint="give a YAML file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(values).__name__}", hint="see docs/guides/bundles.md")
    return values
