"""How models are shown to Torch-Pruning, which finds out by a trace what channels hang together.

It reads the trace of gradients and takes each layout of tensors for one of channels, so that memories, shifts,
attention and the joining of inputs would mislead it. While it traces, these are replaced by surrogates of which each
has the same layers and the same channels at both ends. Recurrent layers are wholes; `pruners` tells how they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.fusion._joining import Feed, Inputs
from onlooker.learning.model import Model
from onlooker.learning.network import Features
from onlooker.learning.networks._recurrent import Recurrent, RecurrentMaps
from onlooker.learning.networks._streaming import Memory
from onlooker.learning.networks._temporal import Shift
from onlooker.learning.networks.text_encoder import TextEncoder
from onlooker.learning.networks.video_transformer import Layer
from onlooker.learning.networks.whitened_cnn import WhitenedCnn

__all__ = ["first_layer", "fixed_layers", "last_layer", "pruners", "recurrent_scores", "surrogates", "traced"]

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Opaque(torch.autograd.Function):
    """Zeros of another width in one step of the trace."""

    @staticmethod
    def forward(ctx: Any, width: int, axis: int, *given: Tensor) -> Tensor:
        shape = list(given[0].shape)
        shape[axis] = width
        return given[0].new_zeros(shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise NotImplementedError


def _opaque(width: int, axis: int, *given: Tensor) -> Tensor:
    made = _Opaque.apply(width, axis, *given)
    assert isinstance(made, Tensor)
    return made


def _surrogate(
    module: nn.Module, ends: list[Tensor], apart: dict[nn.Module, list[Tensor]]
) -> tuple[str, Callable[..., Any]] | None:
    """The method that is replaced and by what.

    Args:
        module: in which.
        ends: gathers what else comes out.
        apart: by network, what each of its members gives.
    """
    match module:
        case Memory():
            length = module.length
            return "forward", lambda x, *_: functional.pad(x, (*[0, 0] * (x.dim() - 3), length, 0))
        case Shift():
            return "_shift", lambda x, *_: x
        case Recurrent():
            return "forward", lambda x, *_: _opaque(module.size, 2, x)
        case RecurrentMaps():
            return "forward", lambda x, *_: _opaque(module.width, 2, x)
        case Layer():
            return "forward", lambda x, *_: _attending(module, x)
        case TextEncoder():
            return "forward", lambda x: _reading(module, x, ends)
        case WhitenedCnn() if module.members:
            return "_features", lambda maps, _: _together(module, maps, apart)
        case _:
            return None


def _attending(layer: Layer, x: Tensor) -> Tensor:
    y = layer.first_norm(x)
    x = x + layer.out(_opaque(layer.out.in_features, 2, layer.queries(y), layer.keys_values(y)))
    return x + layer.widen(layer.second_norm(x))


def _reading(net: TextEncoder, x: Tensor, ends: list[Tensor]) -> Features:
    y = net.embedded(x)
    if net.recurrent is not None:
        y = net.recurrent(y, {}, {})
    if net.score is not None:
        ends.append(net.score(y))
    return Features(y.mean(1, keepdim=True))


def _together(net: WhitenedCnn, maps: Tensor, apart: dict[nn.Module, list[Tensor]]) -> Features:
    ends = [member(maps) for member in net.members]
    apart[net] = [end.amax((2, 3)) for end in ends]
    return Features(torch.cat(apart[net], 1)[None], torch.cat(ends, 1)[-1:])


@contextmanager
def surrogates(model: Model) -> Iterator[Callable[[Model, Mapping[str, Tensor]], list[Tensor]]]:
    """While it is open, a model can be traced by what it gives: (the model, its inputs) -> ends of the trace."""
    ends: list[Tensor] = []
    apart: dict[nn.Module, list[Tensor]] = {}
    replaced: list[tuple[nn.Module, str]] = []
    for module in model.modules():
        found = _surrogate(module, ends, apart)
        if found is not None:
            setattr(module, *found)
            replaced.append((module, found[0]))
    try:
        yield lambda given, inputs: [*traced(given, inputs, apart), *ends]
    finally:
        for module, name in replaced:
            delattr(module, name)


def traced(model: Model, inputs: Mapping[str, Tensor], apart: Mapping[nn.Module, list[Tensor]]) -> list[Tensor]:
    """Ends of a trace through all networks, what fusion makes of each, and the layers of all heads.

    Args:
        model: is traced.
        inputs: by name.
        apart: by network, what each of its members gives once it is called: Torch-Pruning loses the places of channels
            that are put together and cut apart again.
    """
    features = {name: model.network(name)(x) for name, x in inputs.items()}
    members = {name: apart.get(model.network(name), []) for name in inputs}
    ends: list[Tensor] = []
    for part in _inputs(model):
        for name, norm, linear in zip(part.names, part._norms, part._linears, strict=True):
            ends.append(linear(norm(features[name].steps)))
    for feed in (m for m in model.modules() if isinstance(m, Feed)):
        ends.append(feed._layers(_given(feed)))
    for task, head in model.heads.items():
        alone = model.alone_on(task)
        if alone is not None or model.fusion is None:
            name = alone or next(iter(features))
            ends += _answers(head, features[name], members[name])
        else:
            ends += [layers(_given(layers)) for layers in _layers_of(head)]
    for name, heads in model.sides.items():
        for task, head in heads.items():  # type: ignore[operator, union-attr]
            ends += _answers(head, model.seen_alone(features[name], task), members[name])
    return ends


def fixed_layers(model: Model) -> list[nn.Module]:
    """Layers whose width is fixed: answers, what attention shares among its heads, the size of the joined, frozen."""
    made: list[nn.Module] = [m for m in _layers(model) if not m.weight.requires_grad]
    for module in model.modules():
        match module:
            case Layer():
                made += [last_layer(module.queries), last_layer(module.keys_values)]
            case Inputs():
                made += [last_layer(linear) for linear in module._linears]
            case Feed():
                made.append(last_layer(module._layers))
            case TextEncoder() if module.score is not None:
                made.append(last_layer(module.score))
            case _:
                pass
    heads: list[Any] = [*model.heads.values(), *(h for side in model.sides.values() for h in side.values())]  # type: ignore[operator]
    return made + [last_layer(layers) for head in heads for layers in _layers_of(head)]


def _inputs(model: Model) -> list[Inputs]:
    return [] if model.fusion is None else [m for m in model.fusion.modules() if isinstance(m, Inputs)]


def _answers(head: Any, features: Features, members: Sequence[Tensor]) -> list[Tensor]:
    layers = _layers_of(head)
    if len(layers) == 1:
        tower = getattr(head, "tower", None)
        return [head.answer(features.steps if tower is None else tower(features.maps))]
    if len(layers) == len(members):
        return [one(part) for one, part in zip(layers, members, strict=True)]
    return head.each(features.steps.mean(1))


def _layers_of(head: Any) -> list[nn.Module]:
    """What answers: of each member, or of the head."""
    return [head.answer, *getattr(head, "others", ())]


def first_layer(module: nn.Module) -> nn.Module:
    """The first layer of a module, or itself."""
    return _layers(module)[0]


def _layers(module: nn.Module) -> list[Any]:
    return [m for m in module.modules() if isinstance(m, LAYERS)]


def last_layer(module: nn.Module) -> nn.Module:
    """The last layer of a module, or itself."""
    return _layers(module)[-1]


def _given(module: nn.Module) -> Tensor:
    first: Any = first_layer(module)
    return first.weight.new_zeros(1, 1, first.in_features)


def pruners(base: type) -> dict[type, Any]:
    """How recurrent layers are cut, for Torch-Pruning.

    Args:
        base: Torch-Pruning's class of what cuts.
    """

    class OfSteps(base):  # type: ignore[misc]
        def prune_out_channels(self, layer: Recurrent, idxs: Sequence[int]) -> Recurrent:
            _cut_units(layer, idxs)
            return layer

        def prune_in_channels(self, layer: Recurrent, idxs: Sequence[int]) -> Recurrent:
            kept = _kept(layer.layers.input_size, idxs)
            for name in _names(layer, "weight_ih", only_first=True):
                _take(layer.layers, name, kept, 1)
            layer.layers.input_size = len(kept)
            return layer

        def get_out_channels(self, layer: Recurrent) -> int:
            return layer.size

        def get_in_channels(self, layer: Recurrent) -> int:
            return layer.layers.input_size

        def get_out_channel_groups(self, layer: Recurrent) -> int:
            return 1 + layer.layers.bidirectional

    class OfMaps(base):  # type: ignore[misc]
        def prune_out_channels(self, layer: RecurrentMaps, idxs: Sequence[int]) -> RecurrentMaps:
            kept = _kept(layer.width, idxs)
            rows = _rows(kept, layer.width, layer.given.out_channels // layer.width)
            for convolution in (layer.given, layer.kept):
                _take(convolution, "weight", rows, 0)
                if convolution.bias is not None:
                    _take(convolution, "bias", rows, 0)
                convolution.out_channels = len(rows)
            _take(layer.kept, "weight", kept, 1)
            layer.kept.in_channels = len(kept)
            layer.follow_widths()
            return layer

        def prune_in_channels(self, layer: RecurrentMaps, idxs: Sequence[int]) -> RecurrentMaps:
            kept = _kept(layer.given.in_channels, idxs)
            _take(layer.given, "weight", kept, 1)
            layer.given.in_channels = len(kept)
            return layer

        def get_out_channels(self, layer: RecurrentMaps) -> int:
            return layer.width

        def get_in_channels(self, layer: RecurrentMaps) -> int:
            return layer.given.in_channels

    return {Recurrent: OfSteps(), RecurrentMaps: OfMaps()}


def _cut_units(layer: Recurrent, idxs: Sequence[int]) -> None:
    """Leave units of all layers out, of both ways the same ones."""
    own, size = layer.layers, layer.layers.hidden_size
    kept = _kept(size, [i % size for i in idxs])
    rows = _rows(kept, size, own.weight_hh_l0.shape[0] // size)  # type: ignore[union-attr]
    given = torch.cat([kept, kept + size]) if own.bidirectional else kept
    first = set(_names(layer, "weight_ih", only_first=True))
    for name in _names(layer, ""):
        _take(own, name, rows, 0)
        if name.startswith("weight_hh"):
            _take(own, name, kept, 1)
        elif name.startswith("weight_ih") and name not in first:
            _take(own, name, given, 1)
    own.hidden_size = len(kept)
    layer.follow_widths()


def recurrent_scores(layer: Recurrent | RecurrentMaps, worth: Callable[[Tensor], Tensor], *, out: bool) -> Tensor:
    """How much each unit that comes out, or each number that goes in, is worth.

    Args:
        layer: recurrent.
        worth: of each number of a parameter.
        out: of what comes out.
    """
    if isinstance(layer, RecurrentMaps):
        given, kept = worth(layer.given.weight), worth(layer.kept.weight)
        if not out:
            return given.sum((0, 2, 3))
        return (given.sum((1, 2, 3)) + kept.sum((1, 2, 3))).view(-1, layer.width).sum(0) + kept.sum((0, 2, 3))
    own, size = layer.layers, layer.layers.hidden_size
    if not out:
        return torch.stack([worth(getattr(own, n)).sum(0) for n in _names(layer, "weight_ih", only_first=True)]).sum(0)
    by_unit = [worth(getattr(own, n)).sum(1).view(-1, size).sum(0) for n in _names(layer, "weight")]
    by_unit += [worth(getattr(own, n)).sum(0) for n in _names(layer, "weight_hh")]
    return torch.stack(by_unit).sum(0).repeat(1 + own.bidirectional)


def _names(layer: Recurrent, beginning: str, *, only_first: bool = False) -> list[str]:
    names = [n for n, _ in layer.layers.named_parameters() if n.startswith(beginning)]
    return [n for n in names if n in ("weight_ih_l0", "weight_ih_l0_reverse")] if only_first else names


def _kept(count: int, without: Sequence[int]) -> Tensor:
    gone = set(without)
    return torch.tensor([n for n in range(count) if n not in gone])


def _rows(kept: Tensor, size: int, gates: int) -> Tensor:
    return torch.cat([kept + gate * size for gate in range(gates)])


def _take(module: nn.Module, name: str, places: Tensor, axis: int) -> None:
    before: nn.Parameter = getattr(module, name)
    made = before.detach().index_select(axis, places.to(before.device))
    setattr(module, name, nn.Parameter(made, requires_grad=before.requires_grad))
