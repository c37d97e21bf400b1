"""Going on with a model that is there, in the form and with the weights that it has: what compression trains by.

All that a recipe says of data, augmentation, missing labels, fusion and balancing holds, as in
`onlooker.learning.training.train`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onlooker.learning.compress.narrow import said_of
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.facts import Facts
from onlooker.learning.model import Model
from onlooker.learning.recipe import Recipe, Splits, Start
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.training.batches import Batch, normalised
from onlooker.learning.training.finish import finish
from onlooker.learning.training.loop import Run, changed, copied, fit, losses_of, recalibrate, tried
from onlooker.learning.training.peers import Peers
from onlooker.learning.training.train import Quiet, moved, opened, settle

__all__ = ["Refit", "gentler"]

_RECALIBRATED = 16


def gentler(
    recipe: Recipe,
    *,
    epochs: int,
    rate: float,
    seed: int,
    threads: int,
    dataset: Path,
    training: str | None,
    validation: str | None,
) -> Recipe:
    """The recipe by which a model of it is trained further.

    Args:
        recipe: by which it was trained.
        epochs: passes over the training part; 0 counts as 1, as recipes have at least one.
        rate: share of the recipe's learning rates.
        seed: of the new run.
        threads: that it may use.
        dataset: its folder.
        training: the part to learn from; None: that of the recipe.
        validation: the part to choose by; None: that of the recipe.
    """
    own = recipe.optimiser
    rates = {"rate": own.rate * rate, "rest_rate": own.rest_rate and own.rest_rate * rate}
    settings = {"epochs": max(1, epochs), "seed": seed, "threads": threads, "patience": None, "compile": False}
    splits = Splits(train=training or recipe.splits.train, validation=validation or recipe.splits.validation, test=None)
    return recipe.model_copy(
        update={
            "dataset": str(dataset.resolve()),
            "splits": splits,
            "start": Start(),
            "optimiser": own.model_copy(update=rates),
            "training": recipe.training.model_copy(update=settings),
        }
    )


class Refit:
    """The data of a recipe, and what is trained on them; to be closed.

    Args:
        recipe: of the new run; its test part is not opened.
        facts: of the model.
        model: any of the recipe's tasks; what is trained may be another one of the same inputs and tasks.
        dataset: the samples.
        folder: of the new run.
        deadline: by `time.monotonic`.
        progress: who is told.

    Attributes:
        cut_short: whether the deadline ended learning before all epochs were over.
    """

    def __init__(
        self,
        recipe: Recipe,
        facts: Facts,
        model: Model,
        dataset: Dataset,
        folder: RunFolder,
        *,
        deadline: float | None = None,
        progress: Any = None,
    ) -> None:
        self.recipe, self.folder, self.deadline, self.told = recipe, folder, deadline, progress or Quiet()
        self._dataset = dataset
        self._learned, self._asked, self.cut_short = 0, 0, False
        self._stack = ExitStack()
        settle(recipe)
        self.peers = Peers()
        self._stack.callback(self.peers.close)
        without_test = recipe.model_copy(update={"splits": recipe.splits.model_copy(update={"test": None})})
        try:
            self._made = opened(without_test, dataset, facts, model, self.peers, self.told, self._stack)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Refit:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _run(self, model: Model, recipe: Recipe, teaching: nn.Module | None) -> Run:
        run = moved(recipe, replace(self._made, model=model), self.folder, self.peers, self.told, teaching)
        run.deadline = self.deadline
        return run

    def train(self, model: Model, *, epochs: int, teaching: nn.Module | None = None) -> Run:
        """Train, and keep the weights that answer best on the validation part, be they those of the beginning.

        With no epochs, or none of the time left, only the norms are measured anew.

        Args:
            model: in its form; its weights are changed.
            epochs: passes over the training part.
            teaching: see `Run.teaching`.
        """
        settings = self.recipe.training.model_copy(update={"epochs": max(1, epochs)})
        recipe = self.recipe.model_copy(update={"training": settings})
        run = self._run(model, recipe, teaching)
        _keep_as_it_is(run)
        if epochs and not run.late:
            fit(run)
        self.note(run.learned, epochs)
        model.load_state_dict(run.standing.weights)
        return run

    def note(self, batches: int, epochs: int) -> None:
        """Note that learning is over, from so many batches where so many epochs were meant."""
        self._learned, self._asked = self._learned + batches, self._asked + epochs * self.steps
        late = self.deadline is not None and time.monotonic() > self.deadline
        self.cut_short = self.cut_short or (late and batches < epochs * self.steps)

    @property
    def share(self) -> float:
        """What was learned of all epochs that were meant."""
        return self._learned / self._asked if self._asked else 1.0

    def losses(self, model: Model, batches: int) -> Iterator[dict[str, Tensor]]:
        """The losses of a model on some batches of the training part, augmented, in its deployed state."""
        run = self._run(model, self.recipe, None)
        model.eval()
        for batch in itertools.islice(self._made.training.batches(), batches):
            inputs, present = self.tensors(batch)
            yield losses_of(run, batch, inputs, present, None)[0]

    def first(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The first batch of the training part as the networks get it, and what is there."""
        return next(self.batches(1))

    def batches(self, count: int) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """Some batches of the training part as the networks get them, not augmented, and what is there."""
        for batch in itertools.islice(self._made.training.batches(), count):
            yield self.tensors(batch)

    def augmented(self, model: Model, epoch: int) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """The batches of an epoch of the training part with their inputs as the loop gives them, augmented."""
        run = self._run(model, self.recipe, None)
        run.standing.epoch = epoch
        for number, batch in enumerate(self._made.training.batches(epoch)):
            seed = (self.recipe.training.seed * 1_000_003 + epoch * self._made.training.steps + number) * 1_009
            yield batch, changed(run, batch, torch.Generator().manual_seed(seed))[0]

    @property
    def steps(self) -> int:
        """Batches of an epoch of the training part."""
        return self._made.training.steps

    def validation(self) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """The batches of the validation part with their inputs; none where there is no such part."""
        for batch in self._made.validation.batches() if self._made.validation is not None else ():
            yield batch, self.tensors(batch)[0]

    def tensors(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A batch as the networks get it, and what is there."""
        device, facts = self.peers.device, self._made.facts
        inputs = {n: normalised(x.to(device), facts.inputs[n]) for n, x in batch.inputs.items()}
        return inputs, {n: p.to(device) for n, p in batch.present.items()}

    def finish(self, run: Run, *, digest: str, lineage: Mapping[str, Any]) -> None:
        """Write the run folder: recipe, facts, weights, calibration and metrics of the validation part, lineage.

        Args:
            run: the last that `train` gave.
            digest: of the recipe, as the first run wrote it.
            lineage: fields of the bundle's provenance: the parent's digest, the steps.
        """
        history = list(run.standing.history)
        self.folder.begin(self.recipe, self._made.facts, self._dataset, digest)
        self.folder.log(history)
        self.folder.write("lineage.json", json.loads(json.dumps(lineage)))
        finish(run, None, bundle=False, narrow=said_of(run.model))
        (self.folder.path / "state.safetensors").unlink(missing_ok=True)


def _keep_as_it_is(run: Run) -> None:
    """Note the weights of now as the first to keep, with the norms measured anew where that answers better."""
    model, standing = run.model, run.standing
    standing.weights = copied(model)
    if run.validation is None:
        return
    standing.best = tried(run)[0]
    own, run.recipe = (
        run.recipe,
        run.recipe.model_copy(
            update={"training": run.recipe.training.model_copy(update={"recalibrate": _RECALIBRATED})}
        ),
    )
    recalibrate(run)
    run.recipe = own
    score = tried(run)[0]
    if score is not None and standing.best is not None and score > standing.best:
        standing.best, standing.weights = score, copied(model)
    model.load_state_dict(standing.weights)
