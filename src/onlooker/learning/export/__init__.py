"""From the folder of a run to the bundle that is deployed.

Pictures, clips and sound become one network; a network with a streaming form runs window by window with its state; a
model of several senses becomes a network for each and a head that joins them, with masks for what is missing; a text is
read by the head. Before a bundle is kept, its answers are compared with the trained model's in each engine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from onlooker.bundles.folder import MANIFEST, Bundle, load_bundle, save_bundle
from onlooker.bundles.golden import pack_golden, play
from onlooker.bundles.manifest import SCHEMA
from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.export.examples import golden_inputs
from onlooker.learning.export.graph import to_onnx
from onlooker.learning.export.lineage import cut_of, measured_metrics, origin
from onlooker.learning.export.parity import ALLOWED, beyond, compare
from onlooker.learning.export.plan import Plan, check_plan, plan
from onlooker.learning.export.reference import reference_of
from onlooker.learning.run_folder import RunFolder, load_model

__all__ = ["check_plan", "export_run"]

_STEPS = 3


def export_run(run: Path, target: Path, *, overwrite: bool = False) -> Bundle:
    """Make a bundle of a run that is over.

    The comparison with the trained model is written to the run folder as ``parity.json``.

    Args:
        run: the folder of the run.
        target: the folder of the bundle.
        overwrite: put it in the place of a bundle that is there.

    Raises:
        UsageError: the run is not over, the target exists, or bundles cannot hold such a model.
        ModelError: the bundle's answers differ from the trained model's by more than 0.001, as a share of the largest
            number of the tensor where that is above 1.
    """
    _check_target(target, overwrite=overwrite)
    model, recipe, facts = load_model(run)
    folder = RunFolder(run)
    made = plan(model, recipe, facts, folder.read("calibration.json"))
    fields = {
        "schema": SCHEMA,
        "name": recipe.name,
        "title": recipe.title,
        "licence": recipe.export.licence,
        "licence_note": recipe.export.licence_note,
        "networks": made.networks,
        "outputs": made.outputs,
        "metrics": measured_metrics(folder, recipe),
        "provenance": origin(folder, recipe),
        "cut": cut_of(recipe),
        **({"head": made.head} if made.head else {}),
    }
    files: dict[str, Path | bytes] = {piece.file: to_onnx(piece) for piece in made.pieces}
    if recipe.export.weights:
        fields["weights"] = "weights.safetensors"
        files["weights.safetensors"] = run / "model.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        draft = save_bundle(Path(work) / "draft", fields, files)
        inputs, real = golden_inputs(recipe, draft.manifest, _golden_steps(made))
        found = compare(made, draft, model, recipe, inputs)
        folder.write("parity.json", {"inputs": "samples" if real else "noise", **found})
        if wrong := beyond(found):
            raise ModelError(
                f"{run}: the bundle does not answer as the trained model does: {'; '.join(wrong)}",
                hint="parity.json in the run folder holds all differences",
            )
        largest = max(t["largest"] for tensors in found["engines"].values() for t in tensors.values())
        fields["golden"] = {"file": "golden.npz", "tolerance": max(ALLOWED, 4 * largest), "relative": ALLOWED}
        files["golden.npz"] = pack_golden(inputs, play(draft, inputs))
        if (reference := reference_of(draft, recipe, folder.environment["dataset"])) is not None:
            fields["reference"] = reference.model_dump(mode="json")
        save_bundle(Path(work) / "made", fields, files)
        if target.exists():
            target.rename(Path(work) / "before")
        (Path(work) / "made").rename(target)
    return load_bundle(target, check=False)


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.exists():
        return
    if not overwrite:
        raise UsageError(f"{target} exists already", hint="give another folder")
    if not (target / MANIFEST).is_file():
        raise UsageError(f"{target} is no bundle that could be replaced", hint="give another folder")


def _golden_steps(made: Plan) -> int:
    """So many that a streaming form has seen a whole clip and goes on."""
    return _STEPS if made.windows is None else -(-made.windows.net.steps // made.windows.window) + 2
