"""A run of training from a recipe to a bundle."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.preparation import Preparation
from onlooker.learning.export import check_plan
from onlooker.learning.facts import Facts, check_tasks, find_facts, preparation_of
from onlooker.learning.model import Model, build_model
from onlooker.learning.precision import multiplies_bfloat16
from onlooker.learning.recipe import Recipe, Splits, load_recipe
from onlooker.learning.recipe_lines import telling_lines
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.training.batches import Batch, Data, fits_in_memory, normalised
from onlooker.learning.training.checkpoint import Standing, check_same, restore
from onlooker.learning.training.checks import check_gradients, check_settings
from onlooker.learning.training.conflicts import Conflicts
from onlooker.learning.training.estimate import Estimate, estimate
from onlooker.learning.training.finish import finish
from onlooker.learning.training.left_out import keep_left_out, left_out, words_of
from onlooker.learning.training.loop import Progress, Run, fit, new_balancing, parts_of
from onlooker.learning.training.optimise import Mean, make_optimisers
from onlooker.learning.training.peers import Peers
from onlooker.learning.training.report import write_run_report
from onlooker.learning.training.start import factors, freeze, take_weights

__all__ = ["Estimate", "Made", "Quiet", "estimate", "moved", "opened", "settle", "train"]

_FACTS_FROM = 1024


class Quiet:
    """Progress that nobody is told of."""

    def decoded(self, done: int, count: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, line: Mapping[str, object]) -> None:
        """Nothing."""

    def begun(self, estimate: Estimate, notes: Sequence[str]) -> None:
        """Nothing."""


def train(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    out: Path,
    resume: bool = False,
    progress: Any = None,
    bundle: bool = True,
) -> RunFolder:
    """Train as a recipe says.

    Args:
        path: of the recipe.
        overrides: ``key.key=value`` settings on top of it.
        out: the run folder to make, or to go on with.
        resume: go on with a run that was stopped; a run that is over is only finished.
        progress: who is told.
        bundle: make the bundle at the end.

    Returns:
        The folder; see `onlooker.learning.run_folder`.

    Raises:
        ConfigError, UsageError: recipe, settings and dataset do not fit.
        SourceError: a sample cannot be decoded.
    """
    recipe = load_recipe(path, overrides)
    digest = hashlib.sha256(path.read_bytes() + repr(sorted(overrides)).encode()).hexdigest()
    folder = RunFolder(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, no folder", hint="give another --out")
    if out.exists() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} is not empty", hint="--resume goes on with it; or give another --out")
    told = progress or Quiet()
    peers = Peers()
    settle(recipe)
    dataset = Dataset.load((path.parent / recipe.dataset).resolve())
    resumed = resume and folder.begun
    if resumed:
        check_same(folder, recipe, dataset)
    elif resume and out.exists() and any(out.iterdir()) and not (out / "recipe.yaml").is_file():
        raise UsageError(f"{out} holds no run to go on with", hint="give another --out")
    with telling_lines(path, overrides), ExitStack() as stack:
        stack.callback(peers.close)
        made = _prepared(recipe, dataset, folder, resumed, peers, told, stack)
        if not resumed:
            check_settings(recipe, dataset, made.facts, made.model, made.training.samples, peers.count)
            check_plan(recipe, made.facts, bundle=bundle)
        first = next(made.training.batches())
        run, notes = _run(recipe, made, first, folder, peers, told)
        if resumed:
            run.standing = restore(folder.path / "state.safetensors", parts_of(run))
        else:
            check_gradients(recipe, run.model, per_task=run.balancing.per_task)
        costs = estimate(run, first)
        if peers.first and not resumed:
            folder.begin(recipe, made.facts, dataset, digest)
        peers.share(run.model)
        told.begun(costs, notes)
        fit(run)
        if peers.first:
            keep_left_out(folder, made.parts(recipe))
            finish(run, made.test, bundle=bundle)
            # what is streamed is all seen by now
            if keep_left_out(folder, made.parts(recipe)):
                write_run_report(folder.path)
    return folder


def opened(
    recipe: Recipe, dataset: Dataset, facts: Facts, model: Model, peers: Peers, told: Progress, stack: ExitStack
) -> Made:
    """The data of each part for a model that is there; closed with the stack.

    Raises:
        UsageError: recipe and dataset do not fit.
    """
    samples, cache = _samples(recipe, dataset, stack)
    return _opened(recipe, dataset, facts, model, samples, peers, told, stack, cache)


def settle(recipe: Recipe) -> None:
    """Threads and determinism of this process."""
    if recipe.training.threads is not None:
        torch.set_num_threads(recipe.training.threads)
    if recipe.training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


@dataclass(slots=True)
class Made:
    """A model and the data of each part."""

    facts: Facts
    model: Model
    training: Data
    validation: Data | None
    test: Data | None

    def parts(self, recipe: Recipe) -> dict[str, Data]:
        """The data by the names of their parts."""
        splits = recipe.splits
        held = ((splits.train, self.training), (splits.validation, self.validation), (splits.test, self.test))
        return {name: data for name, data in held if name is not None and data is not None}


def _prepared(
    recipe: Recipe, dataset: Dataset, folder: RunFolder, resumed: bool, peers: Peers, told: Progress, stack: ExitStack
) -> Made:
    """Facts, the model and the data of each part."""
    preparation = preparation_of(recipe, dataset)
    samples, cache = _samples(recipe, dataset, stack)
    facts = folder.facts() if resumed else _found(recipe, dataset, samples, preparation, cache)
    return _opened(recipe, dataset, facts, build_model(recipe, facts), samples, peers, told, stack, cache)


def _opened(
    recipe: Recipe, dataset: Dataset, facts: Facts, model: Model, samples: Sequence[Sample], peers: Peers,
    told: Progress, stack: ExitStack, cache: ClipCache | None,
) -> Made:  # fmt: skip
    """The data of each part for a model."""
    preparation = preparation_of(recipe, dataset)
    workers = recipe.training.workers
    workers = max(0, (os.cpu_count() or 1) - 1) if workers is None else workers

    def part(name: str | None, chosen: Sequence[Sample], *, learn: bool = False) -> Data | None:
        if name is None or not chosen:
            return None
        fits = recipe.training.in_memory
        data = Data(
            dataset, chosen, preparation, facts, recipe.tasks, tasks=model.tasks, batch=recipe.training.batch,
            seed=recipe.training.seed, shuffle=learn, balanced=recipe.training.balanced if learn else None,
            shard=(peers.rank, peers.count) if learn else (0, 1), workers=workers, cache=cache,
            in_memory=fits_in_memory(len(chosen), facts) if fits is None else fits, progress=told.decoded, part=name,
        )  # fmt: skip
        stack.callback(data.close)
        return data

    def split(name: str | None) -> list[Sample]:
        return _labelled(dataset.of_split(name), recipe) if name and _there(name, dataset) else []

    training = part(recipe.splits.train, samples, learn=True)
    assert training is not None
    validation = part(recipe.splits.validation, split(recipe.splits.validation))
    return Made(facts, model, training, validation, part(recipe.splits.test, split(recipe.splits.test)))


def _there(split: str, dataset: Dataset) -> bool:
    """Whether the dataset has the part, or all of those that are joined by ``+``."""
    return all(part in dataset.info.splits for part in split.split("+"))


def _check_splits(recipe: Recipe, dataset: Dataset) -> None:
    """A part that nobody named may be missing; one that the recipe names is misspelt.

    Raises:
        UsageError: the dataset has no part of that name.
    """
    usual, known = Splits(), ", ".join(dataset.info.splits) or "none: onlooker dataset split makes them"
    for field in ("train", "validation", "test"):
        name = getattr(recipe.splits, field)
        if name is not None and (field == "train" or name != getattr(usual, field)) and not _there(name, dataset):
            raise UsageError(f"splits.{field}: {dataset.folder} has no split {name!r}", hint=f"there are {known}")


def _samples(recipe: Recipe, dataset: Dataset, stack: ExitStack) -> tuple[list[Sample], ClipCache | None]:
    """The samples to learn from, and the cache of decoded ones."""
    check_tasks(recipe, dataset)
    _check_splits(recipe, dataset)
    samples = _fewer_labels(_labelled(dataset.of_split(recipe.splits.train), recipe), recipe)
    if not samples:
        raise UsageError(
            f"the part {recipe.splits.train!r} has no labelled sample of any task", hint="onlooker dataset stats"
        )
    if not recipe.training.cache:
        return samples, None
    return samples, stack.enter_context(ClipCache(dataset.folder / "cache", recipe.training.cache))


def _labelled(samples: Sequence[Sample], recipe: Recipe) -> list[Sample]:
    """Those that have a label of any task, by a person."""
    wanted = {head.of or name for name, head in recipe.tasks.items()}
    return [s for s in samples if s.status == "labelled" and wanted & s.labels.keys()]


def _fewer_labels(samples: list[Sample], recipe: Recipe) -> list[Sample]:
    """The samples without the labels that are to be dropped: the same ones for a seed, with whatever other tasks."""
    for name, share in sorted(recipe.training.drop_labels.items()):
        of = recipe.tasks[name].of or name
        random = np.random.default_rng([recipe.training.seed, zlib.crc32(name.encode())])
        dropped = random.random(len(samples)) < share
        samples = [
            s.model_copy(update={"labels": {k: v for k, v in s.labels.items() if k != of}}) if drop else s
            for s, drop in zip(samples, dropped, strict=True)
        ]
    return _labelled(samples, recipe)


def _found(
    recipe: Recipe, dataset: Dataset, samples: Sequence[Sample], preparation: Preparation, cache: ClipCache | None
) -> Facts:
    """Facts from some samples, spread evenly over the training part."""
    some = [samples[n * len(samples) // min(len(samples), _FACTS_FROM)] for n in range(min(len(samples), _FACTS_FROM))]
    with Loader(dataset, preparation, samples=some, shuffle=False, cache=cache, on_error="skip") as loader:
        try:
            return find_facts(recipe, dataset, samples, preparation, loader.epoch())
        except UsageError as error:
            if not loader.failures:
                raise
            # what the dataset seems to lack may only be what could not be decoded
            (sample, why), *others = loader.failures.items()
            count = f"{1 + len(others)} of {len(some)} samples could not be decoded"
            raise UsageError(
                f"{error.message}; {count}, such as {sample}: {why}", hint="onlooker dataset check tells all"
            ) from None


def _run(recipe: Recipe, made: Made, first: Batch, folder: RunFolder, peers: Peers, told: Any) -> tuple[Run, list[str]]:
    """The model at its start with all that moves it, and what there is to say."""
    model, notes = made.model, []
    for name, x in first.inputs.items():
        model.network(name).prepare(normalised(x, made.facts.inputs[name]))
    # after it, so that what the data would set is not put over what was learned
    if recipe.start.weights is not None:
        notes.append(take_weights(model, recipe.start.weights))
    notes += words_of(left_out(made.parts(recipe)))
    return moved(recipe, made, folder, peers, told), notes


def moved(
    recipe: Recipe, made: Made, folder: RunFolder, peers: Peers, told: Any, teaching: nn.Module | None = None
) -> Run:
    """A model as it is, with all that moves it.

    Args:
        recipe: how.
        made: the model and its data.
        folder: where it is kept.
        peers: that train together.
        told: how it goes.
        teaching: of a run that learns from teachers too.

    Raises:
        UsageError: nothing is left to train.
    """
    model = made.model.to(peers.device)
    if recipe.training.channels_last:
        _channels_last(model)
    frozen = freeze(model, recipe.start.freeze)
    balancing = new_balancing(recipe).to(peers.device)
    own = dict(balancing.named_parameters())
    if teaching is not None:
        own |= {f"teaching.{n}": p for n, p in teaching.named_parameters() if p.requires_grad}
    optimisers = make_optimisers(model, recipe.optimiser, factors(model, recipe.start), own)
    if not any(p.requires_grad for p in model.parameters()):
        raise UsageError("start.freeze: nothing is left to train")
    mean = Mean(model, recipe.training.ema) if recipe.training.ema else None
    conflicts = _conflicts(model, recipe) if recipe.training.conflicts and len(recipe.tasks) > 1 else None
    run = Run(
        recipe, folder, model, made.training, made.validation, optimisers, balancing, mean, Standing(), peers,
        _precision(recipe, peers.device), told, frozen, conflicts, teaching=teaching,
    )  # fmt: skip
    if recipe.training.compile:
        run.forward = torch.compile(model)  # type: ignore[assignment]
    return run


def _conflicts(model: Model, recipe: Recipe) -> Conflicts:
    """Collects how the tasks' gradients lie to each other, for each network and the fusion."""
    groups = {f"network {n}": list(m.parameters()) for n, m in model.encoders.items()}
    if model.fusion is not None:
        groups["fusion"] = list(model.fusion.parameters())
    trained = {n: [p for p in held if p.requires_grad] for n, held in groups.items()}
    return Conflicts(list(recipe.tasks), trained, recipe.training.conflicts)


def _precision(recipe: Recipe, device: torch.device) -> torch.dtype:
    asked = recipe.training.precision
    fast = multiplies_bfloat16(device.type) if asked == "auto" else asked == "bfloat16"
    return torch.bfloat16 if fast else torch.float32


def _channels_last(model: nn.Module) -> None:
    forms = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.ndim in forms:
            parameter.data = parameter.data.contiguous(memory_format=forms[parameter.ndim])
