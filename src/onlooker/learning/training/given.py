"""What a model is given of a batch: its inputs augmented, spoilt and normalised, and which of them are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from onlooker.learning.fusion._dropout import drop_modalities
from onlooker.learning.training.augment import augment_pictures, augment_series, augment_spectrum, corrupted
from onlooker.learning.training.batches import Batch, normalised

if TYPE_CHECKING:
    from onlooker.learning.training.loop import Run

__all__ = ["Given", "changed"]


class Given(NamedTuple):
    """What the model is given of a batch.

    Args:
        inputs: by name, augmented and normalised.
        present: by input (B,), 1 where it is there.
        whole: by input, bool (B,), where it is there and not spoilt; None: norms learn from all.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    whole: dict[str, Tensor] | None = None


def changed(run: Run, batch: Batch, generator: torch.Generator) -> Given:
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
    present, spoilt = batch.present, {}
    if how.corrupt and len(inputs) > 1:
        inputs, spoilt = corrupted(inputs, how.corrupt, generator)
    whole = None
    if run.recipe.training.norms == "whole" and run.teaching is None:  # what teaches looks at whole batches
        whole = {n: (present[n] > 0).to(x.device) for n, x in inputs.items()}
        whole = {n: there & ~spoilt[n] if n in spoilt else there for n, there in whole.items()}
    if run.recipe.fusion is not None and run.recipe.fusion.modality_dropout:
        present = drop_modalities(present, run.recipe.fusion.modality_dropout, generator)
    return Given(inputs, {n: p.to(run.peers.device) for n, p in present.items()}, whole)
