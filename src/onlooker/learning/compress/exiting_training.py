"""Exits learn on the frozen network, and are tried on the validation part."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from onlooker.core.errors import ModelError
from onlooker.learning.compress.exiting import ExitHead, Judging, maps_shape, temperature_of
from onlooker.learning.compress.teaching import soft_loss, weighed
from onlooker.learning.compress.trained import Trained, TrainedConfig
from onlooker.learning.metrics.calibration import fitted_temperature, nll
from onlooker.learning.precision import computing_in, multiplies_bfloat16
from onlooker.learning.task import Calibration
from onlooker.learning.training.batches import Batch
from onlooker.learning.views import views_of_inputs

__all__ = ["Learning", "judged", "taught"]


class Learning(TrainedConfig):
    """Settings of what an exit is and how it learns.

    Attributes:
        epochs: passes over the training part.
        rate: of learning, by AdamW, of the exit alone.
        cells: parts of each map along each side, whose means the exit sees.
        hidden: numbers of the exit's hidden layer.
        dropout: share of them that is left out in training.
        soft: share of the full network's answers in the loss; the rest is that of the labels.
        temperature: of probabilities in the loss.
    """

    epochs: int = Field(default=10, ge=1, le=10_000)
    rate: float = Field(default=3e-3, gt=0, le=1)
    cells: int = Field(default=3, ge=1, le=16)
    hidden: int = Field(default=64, ge=1, le=4096)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    soft: float = Field(default=0.7, ge=0, le=1)
    temperature: float = Field(default=2.0, gt=0, le=100)


def taught(trained: Trained, cuts: Sequence[int], config: Learning) -> dict[int, ExitHead]:
    """By place, an exit that learned what the full network answers to the training part, augmented.

    Args:
        trained: the network, which stays as it is, with its data; learning ends at its deadline.
        cuts: places.
        config: settings.
    """
    model, refit = trained.model.eval(), trained.refit
    name, device = next(iter(trained.recipe.inputs)), trained.refit.peers.device
    net = model.network(name)
    classes = {n: len(f.classes) for n, f in model.tasks.items()}
    first = refit.first()[0][name]
    heads = {
        cut: ExitHead(
            maps_shape(net, first, cut), classes, cells=config.cells, hidden=config.hidden, dropout=config.dropout
        ).to(device)
        for cut in cuts
    }
    parameters = [p for head in heads.values() for p in head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=0.01)
    steps = config.epochs * refit.steps
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    precision = torch.bfloat16 if multiplies_bfloat16(device.type) else torch.float32
    done = 0
    for epoch in range(config.epochs):
        for batch, inputs in refit.augmented(model, epoch):
            if refit.deadline is not None and time.monotonic() > refit.deadline and done:
                refit.note(done, config.epochs)
                return {cut: head.eval() for cut, head in heads.items()}
            done += 1
            if trained.work.told is not None:
                trained.work.told(config.step, done, steps)
            if len(batch) < 2:
                continue
            with torch.no_grad(), computing_in(precision, device):
                full = {n: r.float() for n, r in model(inputs).raw.items()}
                maps = {cut: net.trunk(inputs[name], cut).float() for cut in cuts}
            optimiser.zero_grad(set_to_none=True)
            for cut, head in heads.items():
                _loss(trained, head.train()(maps[cut]), full, batch, config).backward()
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            schedule.step()
    return {cut: head.eval() for cut, head in heads.items()}


def _loss(
    trained: Trained, raw: Mapping[str, Tensor], full: Mapping[str, Tensor], batch: Batch, config: Learning
) -> Tensor:
    """The mean over the samples, each as much as it counts: what the full network says beside the labels, where there
    are any.
    """
    total = torch.zeros((), device=trained.refit.peers.device)
    for name, answer in raw.items():
        head, known = trained.model.head(name), batch.known[name].to(answer.device).float()
        counts = batch.weights.get(name)
        soft = weighed(soft_loss(head, answer, [full[name]], config.temperature), counts).mean()
        each = weighed(head.loss(answer, batch.values[name].to(answer.device)), counts) * known
        hard = each.sum() / known.sum().clamp(min=1)
        total = total + config.soft * soft + (1 - config.soft) * hard
    return total


@torch.no_grad()
def judged(
    trained: Trained, head: ExitHead, cut: int, calibration: Mapping[str, Calibration]
) -> tuple[Judging, dict[str, float]]:
    """What an exit and the full network answer to the validation part, as they are deployed, and by task what the
    exit's logits have to be multiplied by.

    Raises:
        ModelError: there is no validation part with labels of each task.
    """
    model, name = trained.model.eval(), next(iter(trained.recipe.inputs))
    net = model.network(name)
    early: dict[str, list[Tensor]] = {}
    full: dict[str, list[Tensor]] = {}
    batches: list[Batch] = []
    for batch, inputs in trained.refit.validation():
        maps = [net.trunk(seen[name], cut) for seen in views_of_inputs(inputs, trained.recipe.training.test_time)]
        at_exit = [head(m) for m in maps]
        at_end = [model.answer({name: net.rest(m, cut)}).raw for m in maps]
        for task in model.tasks:
            early.setdefault(task, []).append(torch.stack([r[task].float() for r in at_exit]).mean(0).cpu())
            full.setdefault(task, []).append(torch.stack([r[task].float() for r in at_end]).mean(0).cpu())
        batches.append(batch)
    values = {n: np.concatenate([b.values[n].numpy() for b in batches]) for n in early}
    known = {n: np.concatenate([b.known[n].numpy() for b in batches]) for n in early}
    if unknown := [n for n in model.tasks if n not in known or not known[n].any()]:
        raise ModelError(
            f"{trained.recipe.name}: early_exit: the validation part has no labels of {unknown[0]}, by which it is "
            "found when an answer may stand", hint="onlooker dataset split, or leave the step early_exit out",
        )  # fmt: skip
    scales: dict[str, float] = {}
    sure: list[np.ndarray] = []
    scaled: dict[str, np.ndarray] = {}
    for task, parts in early.items():
        raw, has = torch.cat(parts).numpy(), known[task]
        own = fitted_temperature(lambda t, r=raw[has], v=values[task][has]: nll(r / t, v) or 0.0)
        scales[task] = temperature_of(calibration, task) / own
        scaled[task] = raw * np.float32(scales[task])
        sure.append(
            torch.softmax(torch.from_numpy(scaled[task]) / temperature_of(calibration, task), 1).amax(1).numpy()
        )
    answers = {n: torch.cat(parts).numpy() for n, parts in full.items()}
    return Judging(scaled, answers, values, known, np.minimum.reduce(sure)), scales
