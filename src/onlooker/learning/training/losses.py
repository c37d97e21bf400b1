"""The losses of a batch: of each task, and of the heads on single inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from onlooker.core.errors import UsageError
from onlooker.learning.precision import computing_in
from onlooker.learning.training.batches import Batch

if TYPE_CHECKING:
    from onlooker.learning.training.loop import Run

__all__ = ["Losses", "check_finite", "losses_of", "telling_single_values"]


class Losses(NamedTuple):
    """What a batch costs.

    Args:
        tasks: by task, weighted; those without a labelled sample are left out.
        sure: by input, with balanced senses, how sure each is by itself.
        beside: of heads on single inputs that learn on features which they do not change; None where there are none.
    """

    tasks: dict[str, Tensor]
    sure: dict[str, Tensor]
    beside: Tensor | None = None


@contextmanager
def telling_single_values() -> Iterator[None]:
    """What PyTorch says where a norm has nothing to measure over, as an error that says what to do.

    Raises:
        UsageError: a norm over the batch got a single number of each channel.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Expected more than 1 value per channel"):
            raise
        raise UsageError(
            "training.batch: a norm over the batch gets one value of each channel, from which it can measure nothing",
            hint="larger batches (and as many samples), larger inputs, or norm: group where the network has it",
        ) from None


def losses_of(
    run: Run,
    batch: Batch,
    inputs: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    partner: tuple[Tensor, float, bool] | None,
) -> Losses:
    """The losses of each task and of heads on single inputs."""
    with computing_in(run.precision, run.peers.device), telling_single_values():
        answer = (run.forward or run.model)(inputs, present)
    losses: dict[str, Tensor] = {}
    sure: dict[str, Tensor] = {}
    beside: Tensor | None = None
    fusion = run.recipe.fusion
    for name, config in run.recipe.tasks.items():
        loss = task_loss(run, name, answer.raw[name], batch, partner)
        if loss is None:
            continue
        for side, tasks in answer.sides.items():
            if name in tasks and fusion is not None:
                own = task_loss(run, name, tasks[name], batch, partner, present[side])
                if own is None:
                    continue
                if run.model.beside:
                    beside = own if beside is None else beside + own
                else:
                    loss = loss + (fusion.auxiliary or float(run.model.late)) * own
                if fusion.balance:
                    sure[side] = sure.get(side, torch.zeros(())) + torch.exp(-own.detach())
        losses[name] = loss * config.weight
    if run.teaching is not None:
        with computing_in(run.precision, run.peers.device):
            losses = run.teaching(losses, answer, inputs, present, counted(batch, partner))
    return Losses(losses, sure, beside)


def counted(batch: Batch, partner: tuple[Tensor, float, bool] | None) -> dict[str, Tensor]:
    """By task (B,) how much each sample counts, of mixed ones as much as their parts; see `Batch.weights`."""
    if partner is None:
        return batch.weights
    other, share, _ = partner
    return {name: share * own + (1 - share) * own[other.to(own.device)] for name, own in batch.weights.items()}


def task_loss(
    run: Run,
    name: str,
    raw: Tensor,
    batch: Batch,
    partner: tuple[Tensor, float, bool] | None,
    weights: Tensor | None = None,
) -> Tensor | None:
    """The mean loss over the samples that have the label, each as much as it counts, or None where none has."""
    head, device = run.model.head(name), raw.device
    check_finite(run, bool(raw.isfinite().all()), f"the answer of {name}")
    values, known = batch.values[name].to(device), batch.known[name].to(device).float()
    if weights is not None:
        known = known * weights
    counts = batch.weights[name].to(device) * known if name in batch.weights else known
    each = head.loss(raw.float(), values) * counts
    total, count = each.sum(), known.sum()
    if partner is not None:
        other, share, _ = partner
        also = known[other]
        second = head.loss(raw.float(), values[other]) * counts[other]
        total, count = share * total + (1 - share) * second.sum(), share * count + (1 - share) * also.sum()
    return None if float(count) == 0 else total / count


def check_finite(run: Run, good: bool, what: str) -> None:
    """Stop before numbers without meaning are kept; the last state stays as it is.

    Raises:
        UsageError: it is not good.
    """
    if not good:
        where = f"epoch {run.standing.epoch + 1}, step {run.standing.step + 1}"
        raise UsageError(
            f"training diverged: {what} is no finite number any more at {where}",
            hint=f"a lower optimiser.rate than {run.recipe.optimiser.rate:g}, or training.clip=1, in another --out",
        )
