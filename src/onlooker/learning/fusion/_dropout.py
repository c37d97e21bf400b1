"""Modality dropout (ModDrop: Neverova et al. 2016, arXiv 1501.00102): inputs left out on purpose while training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["drop_modalities"]


def drop_modalities(present: Mapping[str, Tensor], share: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Leave one of the inputs that are there out of some samples; a sample's last one is never left out.

    Args:
        present: by input (B,), 1 where it is there and 0 where it is missing.
        share: how often, 0..1, one input of a sample with several is left out; each of them equally likely.
        generator: of the chance, on the CPU.

    Returns:
        The same with some ones made zeros.

    >>> there = {"seen": torch.ones(1000), "heard": torch.ones(1000)}
    >>> left = drop_modalities(there, 0.4, torch.Generator().manual_seed(0))
    >>> bool((left["seen"] + left["heard"] >= 1).all()), round(float(left["seen"].mean()), 1)
    (True, 0.8)
    """
    names = list(present)
    held = torch.stack([present[n] for n in names], 1)
    there = (held > 0).float().cpu()
    # both are drawn for all samples, so that what is drawn does not depend on what is there
    chance = torch.rand(len(there), generator=generator)
    order = torch.rand(there.shape, generator=generator) * there
    victim = torch.nn.functional.one_hot(order.argmax(1), len(names)).bool()
    dropped = victim & ((chance < share) & (there.sum(1) > 1))[:, None]
    kept = torch.where(dropped.to(held.device), torch.zeros_like(held), held)
    return {name: kept[:, n] for n, name in enumerate(names)}
