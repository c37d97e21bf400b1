"""From a network and its exit to a bundle, compared with both, with a golden run that costs what looks cost."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onlooker.bundles.folder import Bundle, load_bundle, save_bundle
from onlooker.bundles.golden import pack_golden, play, tensor_of
from onlooker.bundles.importing import software
from onlooker.bundles.inputs import FrameInput
from onlooker.bundles.manifest import Step
from onlooker.bundles.running import engines
from onlooker.core.errors import ModelError
from onlooker.learning.compress.exiting import Choice, Early, ExitHead, Judging, Late, temperature_of
from onlooker.learning.compress.exiting_graph import INPUT, MAPS, OUTPUT, joined
from onlooker.learning.compress.measure import costs_beside
from onlooker.learning.compress.onnx_bundle import Changed, difference, draft_of, verified
from onlooker.learning.compress.step import Subject, Work, settings_of
from onlooker.learning.compress.trained import Trained, TrainedConfig, folder_of, lineage_of
from onlooker.learning.export.examples import golden_inputs
from onlooker.learning.export.graph import Piece
from onlooker.learning.export.plan import plain_names
from onlooker.learning.export.reference import reference_of
from onlooker.learning.run_folder import RunFolder, dataset_digest
from onlooker.learning.task import Calibration

__all__ = ["Placed", "deployed"]

Arrays = dict[str, NDArray[Any]]
_NEVER, _ALWAYS = 2.0, 0.0
_ALLOWED = 1e-3
_MARGIN = 0.005
"""Looks of the golden run are at least so much more or less confident than the threshold, so that engines agree."""
_LOOKS, _LEAST, _TRIED, _BYTES = 32, 4, 128, 24 << 20


@dataclass(frozen=True, slots=True)
class Placed:
    """An exit that learned, where it stands, and from which confidence on looks leave by it.

    Args:
        head: it.
        cut: see `onlooker.learning.network.Network.trunk`.
        scales: by task, of its logits.
        choice: the threshold.
        judging: the answers to the validation part.
        calibration: of the full network.
    """

    head: ExitHead
    cut: int
    scales: Mapping[str, float]
    choice: Choice
    judging: Judging
    calibration: Mapping[str, Calibration]

    def modules(self, trained: Trained) -> tuple[Early, Late]:
        """Both parts as the bundle runs them, on the CPU."""
        name, facts = next(iter(trained.facts.inputs.items()))
        model = trained.model.cpu().eval()
        temperatures = {n: temperature_of(self.calibration, n) for n in model.tasks}
        views = trained.recipe.training.test_time if model.network(name).takes == "pictures" else ()
        early = Early(
            model, name, self.head.cpu(), self.cut, self.scales, temperatures, views=views,
            lone=isinstance(facts, FrameInput),
        )  # fmt: skip
        return early.eval(), Late(model, name, self.cut).eval()

    def example(self, trained: Trained) -> Tensor:
        """An input of the bundle's network."""
        return torch.zeros(next(iter(trained.facts.inputs.values())).shape)  # type: ignore[union-attr]


def deployed(
    subject: Subject, config: TrainedConfig, work: Work, trained: Trained, placed: Placed, *, least_gain: float
) -> Subject:
    """The bundle with the exit; its lineage tells place, threshold, share that leaves, drop and gain.

    Args:
        subject: with its run.
        config: of the step.
        work: of the step.
        trained: the network.
        placed: its exit.
        least_gain: looks must take so many times less time than before.

    Raises:
        ModelError: an engine here does not answer as the parts do, or nothing is gained.
    """
    before = load_bundle(subject.bundle)
    early, late = placed.modules(trained)
    network, tasks = before.manifest.networks[0], list(trained.model.tasks)
    x = placed.example(trained)
    with torch.no_grad():
        maps = early(x)[0]
    first, second = (
        Piece(network.file, early, {network.tensor: x}, []), Piece(network.file, late, {MAPS: maps}, tasks),
    )  # fmt: skip
    file = joined(first, second, tasks)
    with tempfile.TemporaryDirectory(prefix=".exit-", dir=work.folder) as held:
        plain = draft_of(before, Changed({network.file: file}), Path(held) / "plain")
        fields = plain.manifest.model_dump(mode="json", by_alias=True)
        exit_ = {"input": INPUT, "default": placed.choice.threshold, "output": OUTPUT}
        fields["networks"] = [{**fields["networks"][0], "exit": exit_}]
        fields["metrics"] = _metrics(trained, placed, work)
        files: dict[str, Path | bytes] = {name: plain.path(name) for name in plain.manifest.files}
        draft = save_bundle(Path(held) / "draft", fields, files)
        inputs = _golden(trained, draft, early, placed.choice)
        fields["golden"] = {"file": "golden.npz", **_compared(before, draft, early, inputs)}
        files["golden.npz"] = pack_golden(inputs, play(draft, inputs))
        reference = reference_of(draft, trained.recipe, RunFolder(folder_of(subject)).environment["dataset"])
        fields["reference"] = None if reference is None else reference.model_dump(mode="json")
        timed = save_bundle(Path(held) / "timed", fields, files)
        costs = costs_beside({"before": before, "after": timed})
        gain = costs["before"].latency_ms / costs["after"].latency_ms
        if gain < least_gain:
            raise ModelError(
                f"{before.manifest.name}: early_exit: a look takes {costs['after'].latency_ms:g} ms on the average, "
                f"{costs['before'].latency_ms:g} ms without: nothing is gained", hint="leave the step early_exit out",
            )  # fmt: skip
        choice = placed.choice
        told = trained.really(settings_of(
            config, place=placed.cut, threshold=choice.threshold, share=round(choice.share, 4),
            drop=round(100 * choice.drop, 4), engine=costs["after"].engine, speed_up=round(gain, 3),
        ))  # fmt: skip
        step = Step(name="early_exit", settings=told)
        fields["runtime"] = costs["after"].engine
        made_on = {"software": software(), "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        fields["provenance"] = {**fields["provenance"], **made_on, **lineage_of(subject, step)}
        made = save_bundle(work.folder / "bundle", fields, files)
    return replace(verified(made, subject, step), cut_short=trained.refit.cut_short)


def _metrics(trained: Trained, placed: Placed, work: Work) -> list[dict[str, Any]]:
    """What was measured on the validation part, with the exit."""
    names, digest = plain_names(trained.recipe.tasks, "task"), dataset_digest(work.dataset)
    made: list[dict[str, Any]] = []
    for task, raw in placed.judging.answers(placed.choice.threshold).items():
        known = placed.judging.known[task]
        facts, own = trained.model.tasks[task], placed.calibration.get(task, {})
        values = trained.model.head(task).metrics(raw[known], placed.judging.values[task][known], facts, own)
        split = trained.recipe.splits.validation or ""
        made += [
            {"output": names[task], "name": name, "value": float(value), "split": split, "dataset": digest,
             "count": int(known.sum())}
            for name, value in values.items() if np.isfinite(value)
        ]  # fmt: skip
    return made


def _golden(trained: Trained, draft: Bundle, early: Early, choice: Choice) -> Arrays:
    """Samples spread evenly over the validation part, of which as large a share leaves as of the whole part; so the
    mean time of the golden run is that of a look. None is near the threshold.
    """
    network = draft.manifest.networks[0]
    real, _ = golden_inputs(trained.recipe, draft.manifest, _TRIED, tried=_TRIED)
    rows = next(iter(real.values()))
    sure = _confidences(early, network.input, rows)
    clear = np.abs(sure - choice.threshold) > _MARGIN
    early_ones, late_ones = (
        np.flatnonzero(clear & (sure >= choice.threshold)),
        np.flatnonzero(clear & (sure < choice.threshold)),
    )
    most = float(max(_LEAST, min(_LOOKS, _BYTES // max(1, rows[0].nbytes))))
    for places, share in ((early_ones, choice.share), (late_ones, 1 - choice.share)):
        most = min(most, len(places) / share) if len(places) and share else most
    leaving = round(most * choice.share)
    chosen = [*_spread(early_ones, leaving), *_spread(late_ones, round(most) - leaving)]
    if not chosen:
        raise ModelError(
            f"{draft.manifest.name}: early_exit: all looks are as confident as the threshold", hint="more epochs"
        )
    return {f"in.{network.name}": rows[sorted(chosen)]}


def _spread(places: NDArray[np.intp], count: int) -> list[int]:
    """So many of them, spread evenly."""
    count = min(count, len(places))
    return [int(places[n * len(places) // count]) for n in range(count)]


def _confidences(early: Early, facts: Any, rows: NDArray[Any]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.array([float(early(torch.from_numpy(tensor_of(raw, facts)))[-1]) for raw in rows], np.float32)


def _compared(before: Bundle, draft: Bundle, early: Early, inputs: Arrays) -> dict[str, float]:
    """Compare the answers of each engine here: those of looks that may not leave with the bundle before, those of looks
    that all leave with the exit in PyTorch. Gives the golden run's tolerances.
    """
    network = draft.manifest.networks[0]
    rows = next(iter(inputs.values()))
    with torch.no_grad():
        made = [early(torch.from_numpy(tensor_of(raw, network.input)))[1:-1] for raw in rows]
    at_exit = {f"out.{n}": np.stack([r[k].numpy() for r in made]) for k, n in enumerate(network.outputs)}
    at_end = play(before, inputs)
    worst = 0.0
    for engine in engines(draft):
        for expected, threshold in ((at_end, _NEVER), (at_exit, _ALWAYS)):
            found = play(draft, inputs, engine=engine, exit=threshold)
            apart = difference(expected, found)
            if not apart <= _ALLOWED:
                raise ModelError(
                    f"{draft.manifest.name}: early_exit: in {engine} the answers of the "
                    f"{'exit' if threshold == _ALWAYS else 'whole network'} differ by {apart:.2g} of their largest "
                    f"number, allowed are {_ALLOWED:g}", hint="leave the step early_exit out",
                )  # fmt: skip
            largest = max(float(np.abs(array - found[name]).max(initial=0)) for name, array in expected.items())
            worst = max(worst, largest)
    return {"tolerance": max(_ALLOWED, 4 * worst), "relative": _ALLOWED}
