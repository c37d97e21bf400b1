"""Several processes that train one model together, as PyTorch's own launcher (torchrun) starts them."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import distributed, nn

__all__ = ["Peers"]


class Peers:
    """This process among those that train together; alone where no launcher started it.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        device: where it computes.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        gpu = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = torch.device(f"cuda:{local % torch.cuda.device_count()}" if gpu else "cpu")
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if gpu else "gloo")

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, tells and tries."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make each gradient the mean over all processes."""
        if self.count == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        place = 0
        for parameter, gradient in zip(parameters, gradients, strict=True):
            size = gradient.numel()
            parameter.grad = flat[place : place + size].view_as(gradient)
            place += size

    def share(self, model: nn.Module) -> None:
        """Give all the weights and running norms of the first."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                distributed.broadcast(tensor, 0)

    def agreed(self, value: bool) -> bool:
        """What the first says."""
        if self.count == 1:
            return value
        flag = torch.tensor([float(value)], device=self.device)
        distributed.broadcast(flag, 0)
        return bool(flag.item())

    def close(self) -> None:
        """Leave the others."""
        if self.count > 1 and distributed.is_initialized():
            distributed.destroy_process_group()
