"""The model that a recipe describes: networks, fusion, heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.facts import Facts
from onlooker.learning.fusing import Fusion
from onlooker.learning.fusion._joining import aligned
from onlooker.learning.network import Features, Network
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe
from onlooker.learning.task import Head, TaskFacts

__all__ = ["Answer", "Model", "build_model"]


@dataclass(slots=True)
class Answer:
    """What a model gives.

    Args:
        raw: by task, (B, ...) numbers.
        sides: by input and task, those of heads on single inputs.
        shares: by input (B,), how much each contributed, or None.
    """

    raw: dict[str, Tensor]
    sides: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    shares: Mapping[str, Tensor] | None = None


class Model(nn.Module):
    """Networks, fusion, heads.

    Attributes:
        encoders: the network of each input.
        fusion: or None with one input.
        heads: of each task, on the joined features.
        sides: of each input and task, on the features of that input alone; empty where nothing needs them.
        beside: whether ``sides`` only tell how sure each input is: they learn on features that they do not change.
        tasks: facts of each task with the number of steps filled in.
    """

    def __init__(self, recipe: Recipe, facts: Facts) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict()
        for name, config in recipe.inputs.items():
            self.encoders[name] = load_part("networks", config.network)(config, facts.shape(name))
        nets = {name: self.network(name) for name in recipe.inputs}
        first = next(iter(nets.values()))
        size, steps, self.fusion = first.size, max(n.steps for n in nets.values()), None
        if recipe.fusion is not None and len(nets) > 1:
            part = load_part("fusion", recipe.fusion.kind)
            self.fusion: Fusion | None = part(
                recipe.fusion, {n: e.size for n, e in nets.items()}, {n: e.steps for n, e in nets.items()}
            )
            size = recipe.fusion.size
        self.late = self.fusion is not None and self.fusion.late
        maps = first.map_size if len(nets) == 1 else None
        self.tasks: dict[str, TaskFacts] = {}
        self.heads, self.sides = nn.ModuleDict(), nn.ModuleDict()
        self._of: dict[str, str | None] = {}
        for name, config in recipe.tasks.items():
            part = load_part("tasks", config.head)
            alone = self._alone(name, config.inputs, nets)
            own = nets[alone] if alone else None
            self.tasks[name] = replace(facts.tasks[name], steps=own.steps if own else steps)
            self._of[name] = alone
            if alone or not self.late:
                width, map_size = (own.size, own.map_size) if own else (size, maps)
                self.heads[name] = part(config, self.tasks[name], width, map_size)
        fusion = recipe.fusion if self.fusion is not None else None
        self.beside = fusion is not None and fusion.balance > 0 and not (self.late or fusion.auxiliary)
        if fusion is not None and (self.late or fusion.auxiliary or fusion.balance):
            self._add_sides(recipe, nets)

    def _alone(self, task: str, inputs: tuple[str, ...] | None, nets: Mapping[str, Network]) -> str | None:
        """The one input that a task is learned from; None where all are joined."""
        if inputs is None or set(inputs) == set(nets):
            return None
        if len(inputs) != 1:
            raise UsageError(f"tasks.{task}.inputs: expected one input or all of them, got {', '.join(inputs)}")
        return inputs[0]

    def _add_sides(self, recipe: Recipe, nets: Mapping[str, Network]) -> None:
        for name, net in nets.items():
            self.sides[name] = nn.ModuleDict()
            for task, config in recipe.tasks.items():
                if self._of[task] is None:
                    part = load_part("tasks", config.head)
                    facts = replace(self.tasks[task], steps=net.steps) if part.windowed else self.tasks[task]
                    self.sides[name][task] = part(config, facts, net.size, None)  # type: ignore[index]

    def network(self, name: str) -> Network:
        """The network of an input."""
        net = self.encoders[name]
        assert isinstance(net, Network)
        return net

    def alone_on(self, task: str) -> str | None:
        """The one input of several that a task is learned from; None where all are joined."""
        return self._of[task]

    def head(self, task: str) -> Head:
        """The head of a task; with late fusion that of the first input, as all are of one form."""
        head = self.heads[task] if task in self.heads else next(iter(self.sides.values()))[task]  # type: ignore[index]
        assert isinstance(head, Head)
        return head

    def seen_alone(self, features: Features, task: str) -> Features:
        """Features of one input for its head of a task; heads that answer step by step get the task's steps."""
        steps = features.steps
        return Features(steps if self.head(task).windowed else aligned(steps, self.tasks[task].steps))

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Answer:
        """Answer a batch.

        Args:
            inputs: by name, in the form that each network takes.
            present: by name (B,), 1 where the input is there; None: all are.
        """
        features = {name: self.network(name)(x) for name, x in inputs.items()}
        return self.answer(features, present)

    def answer(self, features: Mapping[str, Features], present: Mapping[str, Tensor] | None = None) -> Answer:
        """The same from the features of all inputs."""
        if present is None:
            present = {n: torch.ones(f.steps.shape[:1], device=f.steps.device) for n, f in features.items()}
        if self.fusion is None:
            joined, shares = next(iter(features.values())), None
        else:
            fused = self.fusion({n: f.steps for n, f in features.items()}, present)
            joined, shares = Features(fused.steps), fused.shares
        sides: dict[str, dict[str, Tensor]] = {}
        for name, tasks in self.sides.items():
            seen = Features(features[name].steps.detach()) if self.beside else features[name]
            sides[name] = {task: head(self.seen_alone(seen, task)) for task, head in tasks.items()}  # type: ignore[union-attr]
        raw: dict[str, Tensor] = {}
        for task, alone in self._of.items():
            if alone is not None:
                raw[task] = self.heads[task](features[alone])
            elif self.late:
                assert shares is not None
                raw[task] = _weighed({n: s[task] for n, s in sides.items()}, shares)
            else:
                raw[task] = self.heads[task](joined)
        return Answer(raw, sides, shares)


def _weighed(raw: Mapping[str, Tensor], shares: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([shares[n].reshape(-1, *[1] * (r.ndim - 1)) * r for n, r in raw.items()]).sum(0)


def build_model(recipe: Recipe, facts: Facts, *, seed: int | None = None) -> Model:
    """The model with random weights, the same for the same seed; None: as the recipe says."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed if seed is None else seed)
        return Model(recipe, facts)
