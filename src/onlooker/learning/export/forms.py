"""The model in the forms that bundles run: plain tensors in, plain tensors out, the state among them.

With ``views`` each picture is answered together with its other views, as one batch whose answers are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from onlooker.learning.model import Model
from onlooker.learning.network import Features
from onlooker.learning.views import View, batch_of_views, count_of, views_of_inputs

__all__ = ["Encoder", "Joint", "Whole", "Windows", "averaged"]

_RING, _COUNT = "ring", "ring_count"


def averaged(
    model: Model, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None, *, views: Sequence[View]
) -> dict[str, Tensor]:
    """Raw numbers (B, ...) of each task as a trained model gives them, the mean over the views."""
    each = [model(seen, present).raw for seen in views_of_inputs(inputs, views)]
    return {n: torch.stack([raw[n].float() for raw in each]).mean(0) for n in each[0]}


def _answer(raw: Tensor) -> Tensor:
    """(1, ...): the mean over the batch."""
    return raw.float().mean(0, keepdim=True)


class Whole(nn.Module):
    """Raw numbers (1, ...) of each task from one whole input.

    Args:
        model: with one input.
        name: of the input.
        views: see the module.
        lone: the bundle's tensor has no axis of time: one picture (1, C, H, W), or the vector of a text (1, E).
    """

    def __init__(self, model: Model, name: str, *, views: Sequence[View], lone: bool) -> None:
        super().__init__()
        self.model, self.name, self.views, self.lone = model, name, tuple(views), lone

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Of the bundle's tensor."""
        x = batch_of_views(x[:, None] if self.lone else x, self.views)
        return tuple(_answer(r) for r in self.model({self.name: x}).raw.values())


class Windows(nn.Module):
    """The streaming form: raw numbers (1, ...) of each task from the next window of pictures and the state before it.

    Heads that pool over time get the last T steps, T being those of the whole clip. Of them the last T - ``window`` are
    a state, with how many of them there are yet: until there are T, the others count as the mean of those that are, so
    that a mean or greatest value over all is that over those.

    Args:
        model: with one input, whose network streams.
        name: of the input.
        window: steps of a window.
        views: see the module.
    """

    def __init__(self, model: Model, name: str, window: int, *, views: Sequence[View]) -> None:
        super().__init__()
        self.model, self.net, self.window, self.views = model, model.network(name), window, tuple(views)
        windowed = any(model.head(task).windowed for task in model.tasks)
        self.kept = max(0, self.net.steps - window) if windowed else 0

    @property
    def memory(self) -> int | None:
        """Windows after which the state does not depend on what was before; None: it may reach back for ever."""
        return None if self.net.memory is None else -(-(self.net.memory + self.kept) // self.window)

    def initial_state(self) -> dict[str, Tensor]:
        """By name, the batch first."""
        batch = count_of(self.views)
        state = dict(self.net.initial_state(batch))
        if self.kept:
            state |= {_RING: torch.zeros(batch, self.kept, self.net.size), _COUNT: torch.zeros(1, 1)}
        return state

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Answers by task, then the states after it in the order of `initial_state`."""
        names = list(self.initial_state())
        before = dict(zip(names, state, strict=True))
        own = {name: tensor for name, tensor in before.items() if name not in (_RING, _COUNT)}
        features, after = self.net.stream(batch_of_views(x, self.views), own)
        steps = features.steps[:, -self.net.steps :]
        if self.kept:
            steps, after = self._lengthened(features.steps, before, dict(after))
        heads = [self.model.head(task) for task in self.model.tasks]
        raw = [head(Features(steps, features.maps) if head.windowed else features) for head in heads]
        return (*(_answer(r) for r in raw), *(after[name] for name in names))

    def _lengthened(
        self, steps: Tensor, before: Mapping[str, Tensor], after: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The last T steps, what is not there yet filled in, and the states with those after it."""
        count = before[_COUNT]
        joined = torch.cat([before[_RING], steps], 1)
        after[_RING] = joined[:, joined.shape[1] - self.kept :]
        after[_COUNT] = (count + self.window).clamp(max=self.kept)
        place = torch.arange(joined.shape[1], dtype=torch.float32).reshape(1, -1, 1)
        there = (place >= self.kept - count.reshape(1, 1, 1)).float()
        mean = (joined * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)
        return joined * there + mean * (1 - there), after


class Encoder(nn.Module):
    """Features (1, n * T * D) of one input of several; n is the number of views of pictures, else 1.

    Args:
        model: whose network it is.
        name: of the input.
        views: see the module; for pictures alone.
        lone: as of `Whole`.
    """

    def __init__(self, model: Model, name: str, *, views: Sequence[View], lone: bool) -> None:
        super().__init__()
        self.net, self.views, self.lone = model.network(name), tuple(views), lone

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, T, D)."""
        return (count_of(self.views), self.net.steps, self.net.size)

    def forward(self, x: Tensor) -> Tensor:
        """Of the bundle's tensor."""
        return self.net(batch_of_views(x[:, None] if self.lone else x, self.views)).steps.float().reshape(1, -1)


class Joint(nn.Module):
    """Fusion and heads: raw numbers (1, ...) of each task from what the encoders gave, and which are there.

    Args:
        model: with several inputs.
        shapes: by input the (n, T, D) of its encoder, texts left out.
        text: the input that is a text, whose network runs here, or None.
    """

    def __init__(self, model: Model, shapes: Mapping[str, tuple[int, int, int]], text: str | None = None) -> None:
        super().__init__()
        self.model, self.shapes, self.text = model, dict(shapes), text
        self.batch = max(n for n, _, _ in shapes.values())
        self.order = list(model.encoders)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Of the features of each input (1, n * T * D) in order, then the vector of the text (1, E) where there is one;
        then of the mask of each (1, 1) in the same order.
        """
        names = [*self.shapes, *([self.text] if self.text is not None else [])]
        flat, masks = given[: len(names)], given[len(names) :]
        made: dict[str, Features] = {}
        for name, x in zip(names, flat, strict=True):
            steps = self.model.network(name)(x[:, None]).steps if name == self.text else x.reshape(self.shapes[name])
            made[name] = Features(steps.expand(self.batch, -1, -1))
        there = {name: m.reshape(1).expand(self.batch) for name, m in zip(names, masks, strict=True)}
        features, present = {n: made[n] for n in self.order}, {n: there[n] for n in self.order}
        return tuple(_answer(r) for r in self.model.answer(features, present).raw.values())
