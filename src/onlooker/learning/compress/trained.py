"""What steps that train have in common: from a subject's run to a new run and its bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import nn

from onlooker.bundles import load_bundle
from onlooker.bundles.manifest import Step
from onlooker.learning.compress.step import Settings, StepConfig, Subject, Work
from onlooker.learning.export import export_run
from onlooker.learning.facts import Facts
from onlooker.learning.model import Model
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder, load_model
from onlooker.learning.training.loop import Run
from onlooker.learning.training.refit import Refit, gentler

__all__ = ["Trained", "TrainedConfig", "folder_of", "lineage_of", "needs_run"]


class TrainedConfig(StepConfig):
    """Base of the settings of steps that train.

    Attributes:
        epochs: of fine-tuning; 0: only the norms are measured anew.
        rate: share of the recipe's learning rates.
    """

    epochs: int = Field(default=2, ge=0, le=10_000)
    rate: float = Field(default=0.3, gt=0, le=10)


def needs_run(subject: Subject) -> str | None:
    """Why a step that trains cannot be done, or None."""
    if subject.run is None:
        return "only the bundle is known, not the run that it was made of: give the folder of the run"
    return None


class Trained:
    """The model of a subject's run, and what fine-tunes it; to be closed.

    Args:
        subject: with a run.
        config: of the step.
        work: of the step.
        recipe, facts, model: of the new run, where they are not those of the subject.
    """

    def __init__(
        self,
        subject: Subject,
        config: TrainedConfig,
        work: Work,
        made: tuple[Model, Recipe, Facts] | None = None,
    ) -> None:
        assert subject.run is not None
        self.subject, self.config, self.work = subject, config, work
        self.model, recipe, self.facts = made or load_model(subject.run)
        self.folder = RunFolder(work.folder / "run")
        self.recipe = gentler(
            recipe, epochs=config.epochs, rate=config.rate, seed=work.seed, threads=work.threads,
            dataset=work.dataset.folder, training=work.training, validation=work.validation,
        )  # fmt: skip
        self.refit = Refit(
            self.recipe, self.facts, self.model, work.dataset, self.folder, deadline=work.deadline,
            progress=_Told(config.step, work.told, config.epochs),
        )  # fmt: skip
        self.model.to(self.refit.peers.device)

    def __enter__(self) -> Trained:
        return self

    def __exit__(self, *args: object) -> None:
        self.refit.__exit__(*args)

    def train(self, teaching: nn.Module | None = None) -> Run:
        """Fine-tune as the settings say; see `Refit.train`."""
        return self.refit.train(self.model, epochs=self.config.epochs, teaching=teaching)

    def finish(self, run: Run, settings: Settings) -> Subject:
        """The new run and its bundle.

        Args:
            run: the last that was trained.
            settings: of the step, for the lineage.
        """
        assert self.subject.run is not None
        steps = (*self.subject.steps, Step(name=self.config.step, settings=self.really(settings)))
        digest = RunFolder(self.subject.run).environment["recipe"]
        self.refit.finish(run, digest=digest, lineage=lineage_of(self.subject, steps[-1]))
        export_run(self.folder.path, self.work.folder / "bundle", overwrite=True)
        return Subject(self.work.folder / "bundle", self.folder.path, steps, self.refit.cut_short)

    def really(self, settings: Settings) -> Settings:
        """The settings of the step with the epochs that were learned, where the deadline ended them."""
        if not self.refit.cut_short:
            return settings
        epochs = round(self.refit.share * self.config.epochs, 2)
        return settings | {"epochs": epochs, "epochs_asked": self.config.epochs}


def lineage_of(subject: Subject, step: Step) -> dict[str, Any]:
    """Fields of the provenance of what is made of a subject by one more step."""
    before = load_bundle(subject.bundle, check=False)
    told = before.manifest.provenance
    return {
        "parent": before.digest,
        "steps": [s.model_dump(mode="json") for s in (*told.steps, step)],
        "source": f"onlooker compress {before.manifest.name}",
    }


class _Told:
    """Progress of the loop as that of a step: epochs of epochs."""

    def __init__(self, name: str, told: Callable[[str, int, int], None] | None, epochs: int) -> None:
        self._name, self._told, self._epochs = name, told, epochs

    def decoded(self, done: int, count: int) -> None:
        """Samples are ready."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step is done."""
        if self._told is not None:
            self._told(self._name, epoch * steps + step, self._epochs * steps)

    def epoch(self, line: object) -> None:
        """An epoch is over."""


def folder_of(subject: Subject) -> Path:
    """The subject's run."""
    assert subject.run is not None
    return subject.run
