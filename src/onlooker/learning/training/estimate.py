"""What a run will take, told before it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass

from onlooker.learning.complexity import count, estimate_memory
from onlooker.learning.precision import computing_in
from onlooker.learning.training.batches import Batch, normalised
from onlooker.learning.training.loop import Run
from onlooker.learning.training.losses import telling_single_values

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take.

    Args:
        parameters: of the model, and how many of them are trained.
        multiply_adds: of one sample.
        memory: bytes of weights, gradients, optimiser and activations of one batch.
        data: bytes of the samples in memory, or 0.
        seconds: of all epochs, from one step that was tried; validation is not counted.
        steps: of an epoch.
    """

    parameters: int
    trained: int
    multiply_adds: int
    memory: int
    data: int
    seconds: float
    steps: int


def estimate(run: Run, batch: Batch) -> Estimate:
    """What the run will take, from one batch that is tried; weights and norms stay as they are."""
    model, data = run.model, run.training
    inputs = {n: normalised(x.to(run.peers.device), data.facts.inputs[n]) for n, x in batch.inputs.items()}
    one = {n: x[:1] for n, x in inputs.items()}
    held = {k: v.clone() for k, v in model.state_dict().items()}
    with telling_single_values():
        memory = estimate_memory(model, inputs)
    each = 0.0
    # the first step also pays for what is done once
    for _ in range(2):
        began = time.monotonic()
        with computing_in(run.precision, run.peers.device):
            answer = model(inputs, {n: p.to(run.peers.device) for n, p in batch.present.items()})
        sum(r.float().square().mean() for r in answer.raw.values()).backward()  # type: ignore[union-attr]
        each = time.monotonic() - began
    model.zero_grad(set_to_none=True)
    model.load_state_dict(held)
    size = count(model, one)
    kept = sum(t.nbytes for part in (data.kept or ()) for t in part.values())
    left = run.recipe.training.epochs * data.steps - run.standing.epoch * data.steps - run.standing.step
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Estimate(size.parameters, trained, size.multiply_adds, memory, kept, each * left, data.steps)
