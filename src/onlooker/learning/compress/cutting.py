"""Leaving channels out of a model, all at once that hang together.

By Torch-Pruning: Fang et al. 2023, DepGraph: towards any structural pruning, arXiv 2301.12900.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.complexity import count
from onlooker.learning.compress.attention import cut_heads, head_scores, head_size
from onlooker.learning.compress.narrow import follow_widths
from onlooker.learning.compress.surrogates import first_layer, fixed_layers, pruners, recurrent_scores, surrogates
from onlooker.learning.model import Model
from onlooker.learning.networks._recurrent import Recurrent, RecurrentMaps
from onlooker.learning.networks._temporal import Shift, shifted_of
from onlooker.learning.networks.video_transformer import Layer

__all__ = ["Importance", "Scores", "cut", "ratio_for", "score_channels", "with_gradients"]

Importance: TypeAlias = Literal["magnitude", "taylor"]
Scores: TypeAlias = dict[str, Tensor]
"""By the name of the first layer of a group of channels, how much each is worth."""

_MOST = 0.95
_TRIES = 7


def torch_pruning() -> Any:
    """The library.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import torch_pruning as library
    except ImportError:
        raise UsageError("pruning needs Torch-Pruning", hint="pip install 'onlooker[learn,compress]'") from None
    return library


@dataclass(slots=True)
class _Group:
    """Channels that are left out together.

    Args:
        name: of the first layer.
        root: that layer.
        function: of Torch-Pruning, that cuts its outputs.
        members: layers, whether it is of their outputs, their places and the places in the root.
        parts: groups of channels of which each gets the same places cut.
        shifted: channels at the beginning that come from other frames, and how many such stretches there are.
    """

    name: str
    root: nn.Module
    function: Any
    members: list[tuple[nn.Module, bool, list[int], list[int]]]
    parts: int
    shifted: tuple[int, int] | None

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(self.members[0][2])


@contextmanager
def _dependencies(model: Model, inputs: Mapping[str, Tensor]) -> Iterator[tuple[Any, list[_Group]]]:
    """Torch-Pruning's graph of what hangs together, and the groups of channels in it."""
    library = torch_pruning()
    fixed = fixed_layers(model)
    frozen = [p for p in model.parameters() if not p.requires_grad]
    names = {n for n, p in model.named_parameters() if not p.requires_grad}
    modes = [(m, m.training) for m in model.modules()]
    for parameter in frozen:
        parameter.requires_grad_(True)
    one = {n: x[:1] for n, x in inputs.items()}
    try:
        with surrogates(model) as trace, warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            places = [
                (p, 1) for n, p in model.named_parameters() if n.startswith("encoders.") and n.endswith(".places")
            ]
            graph = library.DependencyGraph().build_dependency(
                model, one, forward_fn=trace, unwrapped_parameters=places, verbose=False,
                customized_pruners=pruners(library.pruner.function.BasePruningFunc),
            )  # fmt: skip
            yield graph, _groups(model, graph, fixed)
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in names)
        for module, training in modes:
            module.training = training


def _groups(model: Model, graph: Any, fixed: list[nn.Module]) -> list[_Group]:
    names = {module: name for name, module in model.named_modules()}
    shifts: dict[nn.Module, Shift] = {first_layer(m.conv): m for m in model.modules() if isinstance(m, Shift)}
    roots = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding, Recurrent, RecurrentMaps)
    made: list[_Group] = []
    for found in graph.get_all_groups(ignored_layers=fixed, root_module_types=roots):
        members: list[tuple[nn.Module, bool, list[int], list[int]]] = []
        parts, shifted = 1, None
        for item in found:
            module, out = item.dep.target.module, graph.is_out_channel_pruning_fn(item.dep.handler)
            members.append((module, out, list(item.idxs), list(item.root_idxs)))
            pruner = graph.get_pruner_of_module(module)
            if isinstance(module, nn.Module) and not _by_channel(module):
                parts = math.lcm(
                    parts, (pruner.get_out_channel_groups if out else pruner.get_in_channel_groups)(module)
                )
            if not out and module in shifts:
                shift = shifts[module]
                shifted = (shift.shifted, 1 if shift.memory is not None else 2)
        root = found[0].dep.target.module
        if shifted is None or parts == 1:
            made.append(_Group(names[root], root, found[0].dep.handler, members, parts, shifted))
    return made


def _by_channel(module: nn.Module) -> bool:
    """Whether a convolution is one by channel, whose groups go with the channels."""
    return isinstance(module, nn.modules.conv._ConvNd) and module.groups == module.out_channels


def score_channels(model: Model, inputs: Mapping[str, Tensor], importance: Importance) -> Scores:
    """How much each channel is worth.

    Args:
        model: with gradients, for ``taylor``.
        inputs: a batch, by which the model is traced.
        importance: ``magnitude``: the squares of all weights of a channel (Li et al. 2017, arXiv 1608.08710, over the
            group); ``taylor``: what the loss would change by without them (Molchanov et al. 2019, arXiv 1906.10771).
    """
    library = torch_pruning()
    taylor = importance == "taylor"
    kind = library.importance.GroupTaylorImportance if taylor else library.importance.GroupMagnitudeImportance
    rule = kind(group_reduction="sum", normalizer=None)

    def worth(parameter: Tensor) -> Tensor:
        return (parameter * parameter.grad).abs() if taylor and parameter.grad is not None else parameter.square()

    scores: Scores = {}
    with _dependencies(model, inputs) as (graph, groups):
        for group in groups:
            whole = graph.get_pruning_group(group.root, group.function, list(range(group.channels)))
            with torch.no_grad():
                plain = rule(whole)
                total = torch.zeros(group.channels) if plain is None else plain.float().cpu()
                for module, out, places, roots in group.members:
                    if isinstance(module, Recurrent | RecurrentMaps):
                        own = recurrent_scores(module, worth, out=out).float().cpu()
                        total.index_add_(0, torch.tensor(roots), own[torch.tensor(places)])
            scores[group.name] = _even(total)
    with torch.no_grad():
        for name, layer in attention_of(model):
            own = head_scores(layer, worth)
            scores |= {f"{name}.compared": _even(own[0].cpu()), f"{name}.values": _even(own[1].cpu())}
    return scores


def _even(scores: Tensor) -> Tensor:
    return scores / scores.mean().clamp(min=1e-12)


def attention_of(model: Model) -> list[tuple[str, Layer]]:
    """The layers of attention by name."""
    return [(n, m) for n, m in model.named_modules() if isinstance(m, Layer)]


@contextmanager
def with_gradients(model: Model, losses: Iterable[Mapping[str, Tensor]]) -> Iterator[None]:
    """While it is open, all parameters have the gradient of the sum of losses; of what is not trained it is 0."""
    model.zero_grad(set_to_none=True)
    try:
        for by_task in losses:
            if by_task:
                torch.stack(list(by_task.values())).sum().backward()
        for parameter in model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        yield
    finally:
        model.zero_grad(set_to_none=True)


def cut(
    model: Model, inputs: Mapping[str, Tensor], scores: Scores, ratio: float, *, round_to: int = 1, even: bool = True
) -> None:
    """Leave the channels out that are worth least.

    Args:
        model: is changed in place; answers keep their form.
        inputs: a batch, by which it is traced.
        scores: from `score_channels`, of this model.
        ratio: share of the channels that goes, of each group where ``even``, else of all together; of the heads of
            attention each loses this share of its numbers.
        round_to: channels that are left are a multiple of this, where there are so many.
        even: see ``ratio``.
    """
    limit = None
    if not even and scores:
        everything = torch.cat(list(scores.values()))
        limit = float(everything.sort().values[min(len(everything) - 1, int(ratio * len(everything)))])
    with _dependencies(model, inputs) as (graph, groups):
        planned: list[tuple[_Group, list[int]]] = []
        for group in groups:
            own = scores[group.name]
            share = ratio if limit is None else min(_MOST, float((own < limit).float().mean()))
            gone = _chosen(group, own, share, round_to)
            if gone:
                planned.append((group, gone))
        with torch.no_grad():
            for group, gone in planned:
                graph.get_pruning_group(group.root, group.function, gone).prune()
    for name, layer in attention_of(model):
        size = head_size(layer)
        cut_heads(layer, (scores[f"{name}.compared"], scores[f"{name}.values"]), _left(size, ratio, 1))
    follow_widths(model)


def _chosen(group: _Group, scores: Tensor, ratio: float, round_to: int) -> list[int]:
    """Places that go."""
    if group.shifted is not None:
        return _of_stretches(scores, group.shifted, _left(len(scores), ratio, round_to))
    each = len(scores) // group.parts
    step = round_to // math.gcd(round_to, group.parts)
    left = _left(each, ratio, step)
    summed = scores.view(group.parts, each).sum(0)
    gone = summed.argsort(stable=True)[: each - left].sort().values
    return torch.cat([gone + part * each for part in range(group.parts)]).tolist()


def _left(count: int, ratio: float, step: int) -> int:
    """How many of ``count`` stay, a multiple of ``step`` where there are so many."""
    wished = count * (1 - ratio)
    if count <= step:
        return count if step > 1 else max(1, round(wished))
    return min(count, max(step, round(wished / step) * step))


def _of_stretches(scores: Tensor, shifted: tuple[int, int], left: int) -> list[int]:
    """Places that go, so that of each stretch of shifted channels as many stay as a network of that width has."""
    length, stretches = shifted
    stays = min(length, shifted_of(left, causal=stretches == 1))
    gone: list[int] = []
    for number in range(stretches):
        begin = number * length
        order = scores[begin : begin + length].argsort(stable=True)
        gone += (order[: length - stays] + begin).tolist()
    rest = length * stretches
    stays = left - stays * stretches
    order = scores[rest:].argsort(stable=True)
    return sorted(gone + (order[: len(scores) - rest - stays] + rest).tolist())


def ratio_for(model: Model, inputs: Mapping[str, Tensor], share: float, trial: Callable[[Model, float], None]) -> float:
    """The share of channels that must go for the model to need only a share of its multiply-adds.

    Args:
        model: stays as it is.
        inputs: of one or more samples.
        share: of multiply-adds that are left.
        trial: cuts a copy of the model by a ratio.
    """
    one = {n: x[:1] for n, x in inputs.items()}
    wanted = count(model, one).multiply_adds * share
    low, high = 0.0, _MOST
    for _ in range(_TRIES):
        middle = (low + high) / 2
        tried = copy.deepcopy(model)
        trial(tried, middle)
        if count(tried, one).multiply_adds > wanted:
            low = middle
        else:
            high = middle
    return high
