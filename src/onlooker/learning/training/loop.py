"""The loop of training: epochs, steps, losses, gradients, weights; read it from top to bottom."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.balance import Balancing
from onlooker.learning.fusion._dropout import drop_modalities
from onlooker.learning.fusion._ogm import scale_gradients
from onlooker.learning.model import Model
from onlooker.learning.parts import load_part
from onlooker.learning.precision import computing_in
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.training.augment import (
    augment_pictures,
    augment_series,
    augment_spectrum,
    corrupted,
    mixed,
    mixing,
)
from onlooker.learning.training.batches import Batch, Data, normalised
from onlooker.learning.training.checkpoint import Parts, Standing, save
from onlooker.learning.training.conflicts import Conflicts
from onlooker.learning.training.losses import check_finite, losses_of
from onlooker.learning.training.optimise import Mean, rate_at
from onlooker.learning.training.peers import Peers
from onlooker.learning.training.run_events import write_tensorboard
from onlooker.learning.training.score import main_metrics, measured, predict

__all__ = ["Progress", "Run", "fit", "losses_of"]

UNTRIED = "No metric can be told of the part {part!r}: the last epoch is kept, and patience does not count"


class Progress(Protocol):
    """Who is told how a run goes."""

    def decoded(self, done: int, count: int) -> None:
        """So many samples of so many are ready."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step is done."""

    def epoch(self, line: Mapping[str, object]) -> None:
        """An epoch is over."""


@dataclass(slots=True)
class Run:
    """Everything that the loop works with."""

    recipe: Recipe
    folder: RunFolder
    model: Model
    training: Data
    validation: Data | None
    optimisers: list[torch.optim.Optimizer]
    balancing: Balancing
    mean: Mean | None
    standing: Standing
    peers: Peers
    precision: torch.dtype
    progress: Progress
    frozen: Sequence[nn.Module] = ()
    conflicts: Conflicts | None = None
    forward: Model | None = None
    """The model as it is called: compiled, or the model itself."""
    teaching: nn.Module | None = None
    """Changes the losses by what teachers answer: (losses by task, the answer, inputs, what is there, by task how
    much each sample counts) -> losses."""
    deadline: float | None = None
    """By `time.monotonic`; the epoch that is under way then is the last, and ends there."""
    learned: int = 0
    """Batches that `fit` learned from."""
    sure: dict[str, list[Tensor]] = field(default_factory=dict[str, list[Tensor]])
    """By input, with balanced senses, how sure each was by itself in the batches of this step."""
    shared: list[nn.Parameter] = field(init=False)
    own: dict[str, list[nn.Parameter]] = field(init=False)
    """Parameters that several tasks use, and by task those of its heads alone; only what is trained."""

    def __post_init__(self) -> None:
        self.shared, self.own = parameters_of(self.model)
        if self.teaching is not None:
            self.shared += [p for p in self.teaching.parameters() if p.requires_grad]

    @property
    def late(self) -> bool:
        """Whether the deadline is over."""
        return self.deadline is not None and time.monotonic() > self.deadline


def fit(run: Run) -> None:
    """Train until all epochs are over or nothing gets better; ``run.standing.weights`` are the weights to keep."""
    settings, standing = run.recipe.training, run.standing
    steps = run.training.steps
    saved = time.monotonic()
    while standing.epoch < settings.epochs and not standing.stopped:
        learning(run)
        for batch in run.training.batches(standing.epoch, start=standing.step):
            losses = one_step(run, batch)
            for name, loss in losses.items():
                standing.losses[name] = standing.losses.get(name, 0.0) + loss
            standing.batches += 1
            standing.step += 1
            run.learned += 1
            run.progress.step(standing.epoch, standing.step, steps, sum(losses.values()))
            # gradients that wait for more batches are no part of a state
            whole = standing.step < steps and standing.step % settings.accumulate == 0
            if run.peers.first and whole and time.monotonic() - saved > settings.checkpoint_seconds:
                keep_state(run)
                saved = time.monotonic()
            if run.late:
                break
        stop = end_of_epoch(run) or run.late
        if run.peers.first:
            run.folder.log(standing.history)
            keep_state(run)
            saved = time.monotonic()
        if run.peers.agreed(stop):
            break


def learning(run: Run) -> None:
    """Put the model in its state of learning; what is frozen stays as deployed."""
    run.model.train()
    for module in run.frozen:
        module.eval()


def one_step(run: Run, batch: Batch) -> dict[str, float]:
    """Learn from one batch; its losses by task."""
    settings, standing = run.recipe.training, run.standing
    number = standing.epoch * run.training.steps + standing.step
    # every chance of this step follows from its number, so that a resumed run takes the same
    seed = (settings.seed * 1_000_003 + number) * 1_009 + run.peers.rank
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    inputs, present = changed(run, batch, generator)
    partner = mixing(run.recipe.augment, len(batch), generator)
    if partner is not None:
        inputs = mixed(inputs, *partner, generator)
    losses, sure, beside = losses_of(run, batch, inputs, present, partner)
    if standing.step % settings.accumulate == 0:
        run.sure = {}
        for optimiser in run.optimisers:
            optimiser.zero_grad(set_to_none=True)
    if run.conflicts is not None and run.conflicts.due(number):
        run.conflicts.add(losses)
    # all that a batch has labels of may be frozen
    if any(loss.requires_grad for loss in losses.values()):
        run.balancing.backward({n: loss / settings.accumulate for n, loss in losses.items()}, run.shared, run.own)
    if beside is not None and beside.requires_grad:
        (beside / settings.accumulate).backward()
    for name, share in sure.items():
        run.sure.setdefault(name, []).append(share)
    if (standing.step + 1) % settings.accumulate == 0 or standing.step + 1 == run.training.steps:
        move(run, number)
    told = {name: float(loss.detach()) for name, loss in losses.items()}
    for name, loss in told.items():
        check_finite(run, math.isfinite(loss), f"the loss of {name}")
    if type(run.balancing).after_step is not Balancing.after_step and losses:
        with torch.no_grad():
            after = losses_of(run, batch, inputs, present, partner).tasks
        run.balancing.after_step({name: float(loss) for name, loss in after.items()})
    return told


def changed(run: Run, batch: Batch, generator: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The batch's inputs, augmented and normalised, and which of them are there."""
    how, facts = run.recipe.augment, run.training.facts
    inputs: dict[str, Tensor] = {}
    for name, given in batch.inputs.items():
        x, takes = given, run.model.network(name).takes
        if takes == "pictures":
            x = augment_pictures(x, how, generator, epoch=run.standing.epoch, numbers=batch.numbers)
        elif takes == "log_mel":
            x = augment_spectrum(x, how, generator)
        elif takes == "series":
            x = augment_series(x, how, generator)
        inputs[name] = normalised(x.to(run.peers.device), facts.inputs[name])
    if how.corrupt and len(inputs) > 1:
        inputs = corrupted(inputs, how.corrupt, generator)
    present = batch.present
    if run.recipe.fusion is not None and run.recipe.fusion.modality_dropout:
        present = drop_modalities(present, run.recipe.fusion.modality_dropout, generator)
    return inputs, {n: p.to(run.peers.device) for n, p in present.items()}


def parameters_of(model: Model) -> tuple[list[nn.Parameter], dict[str, list[nn.Parameter]]]:
    """Those that several tasks share, and by task those of its heads alone; only what is trained."""
    shared = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith(("heads.", "sides."))]
    own: dict[str, list[nn.Parameter]] = {}
    for task in model.tasks:
        heads = [model.heads[task]] if task in model.heads else []
        heads += [side[task] for side in model.sides.values() if task in side]  # type: ignore[operator, index]
        own[task] = [p for head in heads for p in head.parameters() if p.requires_grad]
    return shared, own


def move(run: Run, number: int) -> None:
    """Move the weights along the gradient."""
    settings = run.recipe.training
    trained = [p for o in run.optimisers for g in o.param_groups for p in g["params"]]
    if run.sure and run.recipe.fusion is not None:
        encoders = {name: run.model.encoders[name] for name in run.sure}
        scale_gradients(encoders, {n: torch.stack(s) for n, s in run.sure.items()}, run.recipe.fusion.balance)
    run.peers.average(trained)
    if settings.clip is not None:
        nn.utils.clip_grad_norm_(trained, settings.clip)
    rate = rate_at(run.recipe.schedule, number, settings.epochs * run.training.steps)
    if run.standing.epoch < run.recipe.start.head_epochs:
        for parameter in (*run.shared, *run.balancing.parameters()):
            parameter.grad = None
    for optimiser in run.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = run.recipe.optimiser.rate * group["scale"] * rate
        optimiser.step()
    if run.mean is not None:
        run.mean.update(run.model)


def end_of_epoch(run: Run) -> bool:
    """Try the weights, note it, keep the best; whether to stop."""
    settings, standing = run.recipe.training, run.standing
    run.peers.share(run.model)
    line: dict[str, object] = {
        "epoch": standing.epoch,
        "loss": {n: v / max(1, standing.batches) for n, v in standing.losses.items()},
        "rate": run.optimisers[0].param_groups[0]["lr"],
    }
    standing.losses, standing.batches = {}, 0
    with deployed(run) as weights:
        if run.validation is not None and run.peers.first:
            score, metrics = tried(run)
            if not standing.history and standing.best is None:
                check_monitored(run, metrics)
            line |= {"validation": metrics, "score": score}
            if score is None and not any("note" in earlier for earlier in standing.history):
                line["note"] = UNTRIED.format(part=run.recipe.splits.validation)
            if score is not None and (standing.best is None or score > standing.best):
                standing.best, standing.best_epoch, standing.weights = score, standing.epoch, weights
            patience = settings.patience if score is not None else None
            standing.stopped = patience is not None and standing.epoch - standing.best_epoch >= patience
        if standing.best is None or settings.keep == "last" or not standing.weights:
            standing.weights = weights
    standing.history.append(line)
    standing.epoch, standing.step = standing.epoch + 1, 0
    if run.peers.first:
        run.progress.epoch(line)
        if settings.tensorboard:
            write_tensorboard(run.folder.path / "tensorboard", line)
    return standing.stopped


@contextlib.contextmanager
def deployed(run: Run) -> Iterator[dict[str, Tensor]]:
    """A copy of the weights that an epoch ends with; the model has them meanwhile.

    Where there is a running mean it is that, with its norms measured, and the model's own come back afterwards.
    """
    model, mean = run.model, run.mean
    found = model.state_dict() if mean is None else mean.values
    check_finite(run, all(bool(w.isfinite().all()) for w in found.values()), "a weight")
    if mean is None:
        yield copied(model)
        return
    own = copied(model)
    model.load_state_dict(mean.values)
    if run.recipe.training.recalibrate and run.peers.first:
        recalibrate(run)
    yield copied(model)
    model.load_state_dict(own)


def copied(model: nn.Module) -> dict[str, Tensor]:
    """The weights of now, which stay as they are when the model moves on."""
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def tried(run: Run) -> tuple[float | None, dict[str, dict[str, float]]]:
    """The monitored value, higher being better, and all metrics, of the model as it is on the validation part."""
    assert run.validation is not None
    views = run.recipe.training.test_time
    found = predict(run.model, run.validation, device=run.peers.device, precision=run.precision, views=views)
    good = all(bool(np.isfinite(answers).all()) for answers in found.raw.values())
    check_finite(run, good, f"an answer to {run.recipe.splits.validation}")
    metrics = measured(found, run.recipe, run.model.tasks)
    mains = main_metrics(metrics, run.recipe)
    chosen = [mains[run.recipe.training.monitor]] if run.recipe.training.monitor in mains else list(mains.values())
    return (sum(chosen) / len(chosen) if chosen else None), metrics


def check_monitored(run: Run, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Try that what decides which epoch is kept, or when the run stops, has a value.

    Raises:
        UsageError: it has none.
    """
    settings, part = run.recipe.training, run.recipe.splits.validation
    decides = settings.monitor is not None and (settings.keep == "best" or settings.patience is not None)
    if decides and settings.monitor not in main_metrics(metrics, run.recipe):
        raise UsageError(
            f"training.monitor: the part {part!r} gives no value of the task {settings.monitor}",
            hint="label more of it for that task, or monitor another one",
        )


@torch.no_grad()
def recalibrate(run: Run) -> None:
    """Measure the norms' means and deviations on training batches, which the mean of running ones only lags behind.

    As for weights averaged by Izmailov et al. 2018, arXiv 1803.05407.
    """
    norms = [m for m in run.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    learning(run)
    held = [(norm, norm.momentum) for norm in norms if norm.training]
    for norm, _ in held:
        norm.reset_running_stats()
        norm.momentum = None
    generator = torch.Generator().manual_seed(run.recipe.training.seed + 7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.recipe.training.seed + 7)
        batches = itertools.islice(run.training.batches(run.standing.epoch), run.recipe.training.recalibrate)
        for batch in batches:
            inputs, present = changed(run, batch, generator)
            with computing_in(run.precision, run.peers.device):
                run.model(inputs, present)
    for norm, momentum in held:
        norm.momentum = momentum


def keep_state(run: Run) -> None:
    """Write where the run stands."""
    save(run.folder.path / "state.safetensors", run.standing, parts_of(run))


def parts_of(run: Run) -> Parts:
    """What a state is made of."""
    return Parts(run.model, run.optimisers, run.balancing, run.mean, run.conflicts)


def new_balancing(recipe: Recipe) -> Balancing:
    """The recipe's way of balancing."""
    return load_part("balancing", recipe.balancing.kind)(recipe.balancing, list(recipe.tasks))
