"""Fine-tuning of a trained run on a few new samples among old ones.

What keeps it from forgetting (McCloskey and Cohen 1989): the samples that it learned from are replayed beside the new
ones (Robins 1995), its blocks far from the heads are frozen, the others learn the slower the farther they are (Howard
and Ruder 2018, arXiv 1801.06146), all from the weights that are deployed and with the input facts that they know.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlooker.bundles.folder import Bundle, load_bundle
from onlooker.core.errors import SourceError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.export import export_run
from onlooker.learning.model import Model
from onlooker.learning.recipe import Recipe, Start
from onlooker.learning.run_folder import RunFolder, load_model, read_tensors
from onlooker.learning.training.checkpoint import restore
from onlooker.learning.training.finish import finish
from onlooker.learning.training.loop import fit, parts_of
from onlooker.learning.training.optimise import ScheduleConfig
from onlooker.learning.training.peers import Peers
from onlooker.learning.training.train import Quiet, moved, opened, settle

__all__ = ["STRENGTHS", "Strength", "finetune"]


@dataclass(frozen=True, slots=True)
class Strength:
    """How far the weights may move.

    Args:
        rate: share of the recipe's learning rate.
        frozen: share of each network's blocks, from the input on, that stays as it is.
        layer_decay: factor on the rate for each block farther from the heads.
        epochs: passes over old and new samples.
    """

    rate: float = 0.2
    frozen: float = 0.5
    layer_decay: float = 0.7
    epochs: int = 6


STRENGTHS = (
    Strength(),
    Strength(rate=0.5, frozen=0.25, layer_decay=0.8, epochs=10),
    Strength(rate=1.0, frozen=0.0, layer_decay=0.9, epochs=16),
)
"""From the one that moves least on; what is not fixed by one is tried with the next, from the same weights."""


def finetune(
    run: Path,
    parent: Path,
    dataset: Dataset,
    folder: Path,
    strength: Strength,
    *,
    deadline: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Any = None,
) -> Bundle:
    """A new bundle from a run's weights; what was stopped, or cut short by a deadline, goes on where it was.

    Args:
        run: folder of the run that made the bundle in use.
        parent: the bundle in use, for the lineage.
        dataset: old and new samples; its part ``train`` is learned from, ``val`` calibrates, ``test`` is measured.
        folder: of the new run.
        strength: how.
        deadline: by `time.monotonic`; the epoch that is under way then is the last, one step is made in any case.
        seed: of the order and the augmentation.
        threads: of PyTorch; None: as the recipe says.
        progress: who is told; see `onlooker.learning.training.train.Quiet`.

    Raises:
        UsageError: run and dataset do not fit.
        SourceError: a sample cannot be decoded.
        ModelError: the bundle does not answer as the model does.
    """
    out = RunFolder(folder)
    if (folder / "bundle" / "bundle.json").is_file():
        if len(out.history()) >= strength.epochs:
            return load_bundle(folder / "bundle")
        # of a run that is killed from here on, this bundle must not be taken for its end
        shutil.rmtree(folder / "bundle")
    model, base, facts = load_model(run)
    recipe = _recipe(base, model, parent, dataset, strength, seed, threads)
    narrow = read_tensors(run / "model.safetensors")[1].get("narrow")
    told, peers = progress or Quiet(), Peers()
    settle(recipe)
    with ExitStack() as stack:
        stack.callback(peers.close)
        made = opened(recipe, dataset, facts, model, peers, told, stack)
        if lost := [f"{i}: {why}" for i, why in made.training.failures.items() if i.startswith("feedback")]:
            raise SourceError(f"{lost[0]} ({len(lost)} in all)", hint="check the stored video")
        tuned = moved(recipe, made, out, peers, told)
        if out.begun:
            tuned.standing = restore(folder / "state.safetensors", parts_of(tuned))
        else:
            out.begin(recipe, facts, dataset, hashlib.sha256(recipe.model_dump_json().encode()).hexdigest())
        tuned.deadline = deadline
        fit(tuned)
        said = {"narrow": narrow} if narrow is not None else None
        finish(tuned, made.test, bundle=made.validation is not None, narrow=said)
    if made.validation is None:
        # nothing to calibrate by: what the run found holds on
        out.write("calibration.json", RunFolder(run).read("calibration.json"))
        export_run(folder, folder / "bundle", overwrite=True)
    return load_bundle(folder / "bundle")


def _recipe(
    base: Recipe, model: Model, parent: Path, dataset: Dataset, strength: Strength, seed: int, threads: int | None
) -> Recipe:
    """The run's recipe with little to move by: the last epoch is kept, since the best on old samples is the first."""
    start = Start(weights=str(parent), freeze=_far(model, strength.frozen), layer_decay=strength.layer_decay)
    optimiser = base.optimiser.model_copy(update={"rate": base.optimiser.rate * strength.rate})
    if optimiser.rest_rate is not None:
        optimiser = optimiser.model_copy(update={"rest_rate": optimiser.rest_rate * strength.rate})
    splits = {name: part if part in dataset.info.splits else None for name, part in _PARTS.items()}
    training = base.training.model_copy(
        update={
            "epochs": strength.epochs,
            "ema": min(base.training.ema, 0.9),
            "recalibrate": 0,
            "keep": "last",
            "patience": None,
            "seed": seed,
            "compile": False,
            "conflicts": 0,
            "drop_labels": {},
            "checkpoint_seconds": 5.0,
            "threads": threads if threads is not None else base.training.threads,
        }
    )
    return base.model_copy(
        update={
            "dataset": str(dataset.folder.resolve()),
            "splits": base.splits.model_copy(update={**splits, "train": "train"}),
            "start": start,
            "optimiser": optimiser,
            "schedule": ScheduleConfig(kind="cosine", warmup=0.1),
            "augment": base.augment.model_copy(update={"mixup": 0.0, "cutmix": 0.0}),
            "training": training,
        }
    )


_PARTS = {"validation": "val", "test": "test"}


def _far(model: Model, share: float) -> tuple[str, ...]:
    """Names of the blocks nearest to the input, of each network: so many of its blocks with weights."""
    made: list[str] = []
    for name, encoder in model.encoders.items():
        blocks = list(dict.fromkeys(".".join(n.split(".")[:2]) for n, _ in encoder.named_parameters()))
        made += [f"encoders.{name}.{block}" for block in blocks[: int(len(blocks) * share)]]
    return tuple(made)
