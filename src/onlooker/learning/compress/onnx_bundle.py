"""From the models of a bundle, changed, to a new bundle with its lineage and a golden run of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle, load_bundle, save_bundle
from onlooker.bundles.golden import noise, pack_golden, play, read_golden
from onlooker.bundles.importing import software
from onlooker.bundles.manifest import Head, Manifest, Network, Step
from onlooker.bundles.running import engines
from onlooker.bundles.verify import verify_bundle
from onlooker.core.errors import ModelError
from onlooker.learning.compress.onnx_feed import Verdict, judged_of
from onlooker.learning.compress.step import Settings, StepConfig, Subject, Work, settings_of

__all__ = [
    "Changed",
    "Made",
    "Part",
    "checked",
    "cut_settings",
    "difference",
    "draft_of",
    "needs_models",
    "parts_of",
    "remade",
    "verdict_of",
    "verified",
]

Arrays = dict[str, NDArray[Any]]
Made = bytes | tuple[bytes, bytes]
"""A model: of ONNX its bytes, of OpenVINO IR those of .xml and .bin."""
_LARGEST = 256
_ENGINES, _OTHER_MACHINES = 4.0, 0.25
_SAME_WAY, _LEAST_STEPS = 0.1, 4
"""Share of the largest number that answers by the same way out differ by at most; steps of a golden run at least."""


@dataclass(frozen=True, slots=True)
class Part:
    """A model of a bundle.

    Args:
        file, format: of it.
        shapes: of its inputs by name, the states among them.
        outputs: names that are used, the states among them.
        states: names of the outputs that are states.
    """

    file: str
    format: str
    shapes: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What becomes of a bundle's models.

    Args:
        files: by the file that was, the new model.
        runtime: the engine that the bundle prefers from now on; None: as before.
    """

    files: Mapping[str, Made] = field(default_factory=dict[str, Made])
    runtime: str | None = None


def parts_of(manifest: Manifest) -> list[Part]:
    """The networks, then the head."""
    made: list[Part] = []
    for part in (*manifest.networks, *([manifest.head] if manifest.head else [])):
        shapes = _shapes(part)
        states = part.state.tensors if part.state else ()
        shapes |= {s.input: tuple(s.shape) for s in states}
        after = tuple(s.output for s in states)
        early = (part.exit.output,) if isinstance(part, Network) and part.exit is not None else ()
        made.append(Part(part.file, part.format, shapes, (*part.outputs, *early, *after), after))
    return made


def _shapes(part: Network | Head) -> dict[str, tuple[int, ...]]:
    if isinstance(part, Network):
        early = {part.exit.input: (1,)} if part.exit is not None else {}
        return {part.tensor: tuple(part.input.shape), **early}
    if part.text is not None:
        return {str(part.text_tensor): tuple(part.text.shape)}
    made: dict[str, tuple[int, ...]] = {}
    for i in part.inputs:
        made[i.tensor] = (1, i.size)
        if i.mask is not None:
            made[i.mask] = (1, 1)
    return made


def needs_models(subject: Subject, formats: Sequence[str]) -> str | None:
    """Why the models of a bundle cannot be changed: one is in another format than those. None where they can."""
    for part in parts_of(load_bundle(subject.bundle, check=False).manifest):
        if part.format not in formats:
            return f"{part.file} is in the format {part.format}, expected {' or '.join(formats)}"
    return None


def checked(name: str, refusal: str | None) -> None:
    """Say why a step cannot be done.

    Raises:
        ModelError: it cannot.
    """
    if refusal is not None:
        raise ModelError(f"{name}: {refusal}", hint=f"leave the step {name} out")


def cut_settings(config: StepConfig, **more: bool | int | float | str) -> Settings:
    """As `settings_of`, with words of what came of it cut to so many letters as a lineage holds."""
    cut = {name: value[:_LARGEST] if isinstance(value, str) else value for name, value in more.items()}
    return settings_of(config, **cut)


def draft_of(bundle: Bundle, changed: Changed, folder: Path) -> Bundle:
    """A bundle with other models, without a golden run, to be tried.

    Args:
        bundle: whose models are changed.
        changed: how.
        folder: to make.

    Raises:
        ModelError: it is no bundle.
    """
    fields, files = _changed(bundle, changed)
    return save_bundle(folder, fields, files)


def verdict_of(
    bundle: Bundle, changed: Changed, work: Work, samples: int, *, max_drop: float | None = None
) -> Verdict | None:
    """How good a bundle with other models is by the validation part; None without labels.

    Args:
        bundle: whose models are changed.
        changed: how.
        work: of the step.
        samples: at most so many.
        max_drop: largest loss.

    Raises:
        ModelError: it is worse than it may be.
    """
    judged = judged_of(bundle, work, samples=samples)
    if judged is None:
        return None
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=work.folder) as held:
        verdict = judged.verdict(draft_of(bundle, changed, Path(held) / "draft"))
    if max_drop is not None and not (drop := judged.verdict(bundle).drop(verdict)) <= max_drop:
        raise ModelError(
            f"{bundle.manifest.name}: it loses {drop:.3g} on the validation part, allowed are {max_drop:g}",
            hint="a larger max_drop, or the step half",
        )
    return verdict


def _changed(bundle: Bundle, changed: Changed) -> tuple[dict[str, Any], dict[str, Path | bytes]]:
    """Fields of the manifest and files, without a golden run and without weights for fine-tuning, which were of the
    model as it was.
    """
    fields = bundle.manifest.model_dump(mode="json", by_alias=True)
    gone = {fields.pop("weights", None), (fields.pop("golden", None) or {}).get("file")}
    if changed.runtime is not None:
        fields["runtime"] = changed.runtime
    files: dict[str, Path | bytes] = {
        name: bundle.path(name) for name in bundle.manifest.files if name not in gone and name not in changed.files
    }
    for part in (*fields["networks"], *([fields["head"]] if fields.get("head") else [])):
        made = changed.files.get(part["file"])
        if isinstance(made, bytes):
            files[part["file"]] = made
        elif made is not None:
            files.pop(part["file"].removesuffix(".xml") + ".bin", None)
            stem = part["file"].rsplit(".", 1)[0]
            part["file"], part["format"], fields["runtime"] = f"{stem}.xml", "openvino-ir", "openvino"
            files[f"{stem}.xml"], files[f"{stem}.bin"] = made
    return fields, files


def remade(
    subject: Subject,
    changed: Changed,
    work: Work,
    step: Step,
    *,
    allowed: float,
    verdict: Verdict | None = None,
    exact: bool = False,
) -> Subject:
    """The bundle after a step that changed its models.

    Args:
        subject: before it.
        changed: its models.
        work: of the step.
        step: for the lineage; how far answers are from those before is added to its settings.
        allowed: largest difference of an answer of the golden run, as a share of the largest number of its tensor.
        verdict: how good it is by the validation part, which takes the place of what was measured of the parent.
        exact: answers are those of the parent, so that what was measured of it holds.

    Raises:
        ModelError: it does not run, its answers are further away than is allowed, or it does not pass ``verify``.
    """
    before = load_bundle(subject.bundle)
    fields, files = _changed(before, changed)
    with tempfile.TemporaryDirectory(prefix=".remade-", dir=work.folder) as held:
        draft = save_bundle(Path(held) / "draft", fields, files)
        inputs = _golden_inputs(before)
        expected = play(before, inputs)
        found = {name: play(draft, inputs, engine=name) for name in engines(draft)}
        if any(n.exit is not None for n in before.manifest.networks):
            inputs, expected, found = _alike(inputs, expected, found)
        first = next(iter(found.values()))
        apart = max(difference(expected, outputs) for outputs in found.values())
        if not apart <= allowed:
            raise ModelError(
                f"{before.manifest.name}: after {step.name} its answers differ by {apart:.2g} of their largest number, "
                f"allowed are {allowed:g}", hint=f"leave the step {step.name} out",
            )  # fmt: skip
        step = step.model_copy(update={"settings": {**step.settings, "difference": round(apart, 6)}})
        fields["golden"] = {"file": "golden.npz", **_tolerance(before, expected, found)}
        files["golden.npz"] = pack_golden(inputs, first)
        fields["provenance"] = _provenance(before, step)
        if not exact:
            fields["metrics"] = _metrics(verdict, work)
        made = save_bundle(work.folder / "bundle", fields, files)
    return verified(made, subject, step)


def verified(made: Bundle, subject: Subject, step: Step) -> Subject:
    """A bundle that a step made of ``subject`` as the subject that follows, without a run.

    Raises:
        ModelError: it does not pass ``verify``.
    """
    checks = verify_bundle(made)
    if not checks.good:
        bad = "; ".join(f"{c.name}: {c.detail}" for c in checks.checks if c.state == "bad")
        raise ModelError(f"{made.manifest.name}: after {step.name} it is no working bundle: {bad}")
    return Subject(made.folder, None, (*subject.steps, step))


def _golden_inputs(bundle: Bundle) -> Arrays:
    golden = bundle.manifest.golden
    if golden is None:
        return noise(bundle.manifest)
    return {k: v for k, v in read_golden(bundle.path(golden.file)).items() if k.startswith("in.")}


def _alike(inputs: Arrays, expected: Arrays, found: Mapping[str, Arrays]) -> tuple[Arrays, Arrays, dict[str, Arrays]]:
    """The steps of a golden run in which all leave by the same way, so that its tolerance is that of numbers; all of
    them where these are too few.
    """
    count = len(next(iter(inputs.values())))
    alike = np.ones(count, bool)
    for outputs in found.values():
        for name, array in expected.items():
            scale = float(np.abs(array).max(initial=0)) or 1.0
            apart = np.abs(array.astype(np.float64) - outputs[name]).reshape(count, -1).max(1)
            alike &= apart <= _SAME_WAY * scale
    if alike.sum() < min(count, _LEAST_STEPS):
        return inputs, expected, dict(found)

    def kept(arrays: Arrays) -> Arrays:
        return {name: array[alike] for name, array in arrays.items()}

    return kept(inputs), kept(expected), {name: kept(outputs) for name, outputs in found.items()}


def difference(expected: Arrays, found: Arrays) -> float:
    """The largest difference of a number as a share of the largest of its tensor; infinite where one is not finite."""
    worst = 0.0
    for name, array in expected.items():
        other = found.get(name)
        if other is None or other.shape != array.shape or not np.isfinite(other).all():
            return float("inf")
        scale = float(np.abs(array).max(initial=0)) or 1.0
        worst = max(worst, float(np.abs(array.astype(np.float64) - other).max(initial=0)) / scale)
    return worst


def _tolerance(before: Bundle, expected: Arrays, found: Mapping[str, Arrays]) -> dict[str, float]:
    """Engines, and processors, round int8 differently: four times the difference between the engines here, and a
    quarter of what the step changed, are allowed.
    """
    golden = before.manifest.golden
    least, relative = (golden.tolerance, golden.relative) if golden is not None else (1e-3, 1e-3)
    first = next(iter(found.values()))

    def largest(one: Arrays, other: Arrays) -> float:
        return max(float(np.abs(a.astype(np.float64) - other[n]).max(initial=0)) for n, a in one.items())

    between = max(largest(first, other) for other in found.values())
    return {
        "tolerance": max(least, _ENGINES * between, _OTHER_MACHINES * largest(expected, first)),
        "relative": relative,
    }


def _provenance(before: Bundle, step: Step) -> dict[str, Any]:
    told = before.manifest.provenance
    return {
        **told.model_dump(mode="json"),
        "parent": before.digest,
        "steps": [s.model_dump(mode="json") for s in (*told.steps, step)],
        "software": software(),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": f"onlooker compress {before.manifest.name}",
    }


def _metrics(verdict: Verdict | None, work: Work) -> list[dict[str, Any]]:
    """What was measured by the validation part."""
    if verdict is None:
        return []
    return [
        {"output": output, "name": name, "value": value, "split": work.validation or "", "count": verdict.count}
        for output, (name, value, _) in verdict.metrics.items()
        if np.isfinite(value)
    ]
