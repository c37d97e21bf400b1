"""What networks with a streaming form share: each memory is a small module, and the whole clip is one long window."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, Network, State

__all__ = ["Memory", "Remembered", "StreamingNetwork"]


class Remembered(nn.Module):
    """A module that remembers one tensor from window to window; zeros at the beginning.

    Attributes:
        key: its name in the state; the network gives it.
        shape: of what it remembers, without the batch.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.key = ""
        self.shape = shape


class StreamingNetwork(Network):
    """A network of which the whole clip is one long window from the initial state, so that both give the same."""

    streams = True

    @abstractmethod
    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of a window.

        Args:
            x: the window.
            before: what is remembered.
            after: what will be; modules that remember put it there.
        """

    def name_memories(self) -> None:
        """Name each memory after its place; to be called when all are made."""
        for path, module in self.named_modules():
            if isinstance(module, Remembered):
                module.key = path.replace(".", "_")

    def initial_state(self, batch: int = 1) -> State:
        """Zeros of each memory, on the device of the weights."""
        return self._zeros(batch) if self.streams else super().initial_state(batch)

    def forward(self, x: Tensor) -> Features:
        """Features of a whole input."""
        return self.run(x, self._zeros(x.shape[0]), {})

    def stream(self, x: Tensor, state: State) -> tuple[Features, State]:
        """Features of the next window and the state after it.

        Raises:
            UsageError: the window is not a multiple of ``chunk`` frames, or the network does not stream.
        """
        if not self.streams:
            return super().stream(x, state)
        if x.shape[1] % self.chunk:
            raise UsageError(f"expected windows of a multiple of {self.chunk} frames, got {x.shape[1]}")
        after: State = {}
        features = self.run(x, state, after)
        return features, {name: after[name] for name in state}

    def _zeros(self, batch: int) -> State:
        device = next(self.parameters()).device
        memories = [m for m in self.modules() if isinstance(m, Remembered)]
        return {m.key: torch.zeros(batch, *m.shape, device=device) for m in memories}


class Memory(Remembered):
    """The last steps of what went through, put before the next: (B, C, T, ...) -> (B, C, length + T, ...).

    Args:
        length: how many steps.
        shape: (C, ...) of one step.
    """

    def __init__(self, length: int, shape: tuple[int, ...]) -> None:
        super().__init__((shape[0], length, *shape[1:]))
        self.length = length

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        last = before[self.key].to(x.dtype)
        if x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d):
            last = last.contiguous(memory_format=torch.channels_last_3d)
        joined = torch.cat([last, x], 2)
        after[self.key] = joined[:, :, joined.shape[2] - self.length :].float()
        return joined
