"""Models that are narrower than their recipe says, or have layers in two factors: built again from their weights.

A file of weights says in its head, under ``narrow``, that it is meant: ``{"factored": [names of layers]}``. Everything
else follows from the shapes in the file: channels and groups of convolutions, features of linear layers and norms,
sizes of recurrent layers, and through `Network.follow_widths` what networks remember from window to window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError

__all__ = ["Factors", "Layer", "factored_names", "follow_widths", "narrowed", "put", "said_of"]

Layer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_DAMAGED = "is the file of weights damaged? compress or train again"


class Factors(nn.Sequential):
    """Two layers in the place of one of low rank: ``first`` to the rank, ``second`` to what the one had given.

    A convolution becomes one of the same kernel to fewer channels and a pointwise one (Zhang et al. 2016, Accelerating
    very deep convolutional networks, arXiv 1505.06798); a linear layer two linear ones.
    """

    def __init__(self, first: Layer, second: Layer) -> None:
        super().__init__(first, second)

    @classmethod
    def like(cls, layer: Layer, rank: int) -> Factors:
        """Random factors of a layer's form."""
        device, biased = layer.weight.device, layer.bias is not None
        if isinstance(layer, nn.Linear):
            first = nn.Linear(layer.in_features, rank, bias=False, device=device)
            return cls(first, nn.Linear(rank, layer.out_features, bias=biased, device=device))
        kind = type(layer)
        made = kind(
            layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, layer.dilation,  # type: ignore[arg-type]
            bias=False, padding_mode=layer.padding_mode, device=device,
        )  # fmt: skip
        return cls(made, kind(rank, layer.out_channels, 1, bias=biased, device=device))

    @property
    def first(self) -> Layer:
        """To the rank."""
        return cast(Layer, self[0])

    @property
    def second(self) -> Layer:
        """From the rank."""
        return cast(Layer, self[1])

    @property
    def in_channels(self) -> int:
        """Of a convolution."""
        return cast(nn.Conv2d, self[0]).in_channels

    @property
    def out_channels(self) -> int:
        """Of a convolution."""
        return cast(nn.Conv2d, self[1]).out_channels

    @property
    def in_features(self) -> int:
        """Of a linear layer."""
        return cast(nn.Linear, self[0]).in_features

    @property
    def out_features(self) -> int:
        """Of a linear layer."""
        return cast(nn.Linear, self[1]).out_features


def factored_names(model: nn.Module) -> list[str]:
    """Names of the layers that are in two factors."""
    return [name for name, module in model.named_modules() if isinstance(module, Factors)]


def said_of(model: nn.Module) -> dict[str, Any]:
    """What the head of a file of this model's weights says, so that it can be loaded whatever its widths are."""
    return {"narrow": {"factored": factored_names(model)}}


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of the one of that name."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def narrowed(model: nn.Module, weights: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
    """Bring a model, as its recipe says it, to the widths of weights, and load them.

    Args:
        model: is changed in place.
        weights: by name, all of the model.
        said: of the file's head under ``narrow``.

    Raises:
        UsageError: the weights are those of another model.
    """
    for name in said.get("factored", ()):
        layer = _layer(model, name)
        put(model, name, Factors.like(layer, 1))
    for name, module in model.named_modules():
        _resize(module, f"{name}." if name else "", weights)
    try:
        for name, module in model.named_modules():
            _follow(module, name)
        follow_widths(model)
        model.load_state_dict(dict(weights))
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"the weights do not fit the model of the recipe: {str(error).splitlines()[0]}", hint=_DAMAGED
        ) from None


def follow_widths(model: nn.Module) -> None:
    """Let all parts of networks set what hangs on widths by their weights, the inner ones first."""
    for module in reversed(list(model.modules())):
        follow = getattr(module, "follow_widths", None)
        if follow is not None:
            follow()


def _layer(model: nn.Module, name: str) -> Layer:
    try:
        found = model.get_submodule(name)
    except AttributeError:
        found = None
    if not isinstance(found, Layer):
        raise UsageError(
            f"the weights tell of a layer {name!r} in two factors that the recipe's model has not", hint=_DAMAGED
        )
    return found


def _resize(module: nn.Module, prefix: str, weights: Mapping[str, Tensor]) -> None:
    """Give a module's own parameters and buffers the shapes of the weights."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        found = weights.get(prefix + name)
        if found is not None and found.shape != parameter.shape:
            made = torch.empty(found.shape, dtype=parameter.dtype, device=parameter.device)
            setattr(module, name, nn.Parameter(made, requires_grad=parameter.requires_grad))
    for name, buffer in list(module.named_buffers(recurse=False)):
        found = weights.get(prefix + name)
        if found is not None and found.shape != buffer.shape:
            setattr(module, name, torch.empty(found.shape, dtype=buffer.dtype, device=buffer.device))


def _follow(module: nn.Module, name: str) -> None:
    """Set what a module of PyTorch knows of its widths by its weights."""
    match module:
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            width, given = module.weight.shape[:2]
            if module.groups == module.in_channels > 1 and given == 1:
                module.groups = width * module.groups // module.out_channels
            if width % module.groups:
                raise UsageError(f"{name}: {width} channels cannot be in {module.groups} groups", hint=_DAMAGED)
            module.in_channels, module.out_channels = given * module.groups, width
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.Embedding():
            module.num_embeddings, module.embedding_dim = module.weight.shape
        case nn.modules.batchnorm._BatchNorm():
            if module.running_mean is not None:
                module.num_features = len(module.running_mean)
        case nn.LayerNorm():
            if module.elementwise_affine:
                module.normalized_shape = tuple(module.weight.shape)
        case nn.GroupNorm():
            if module.affine:
                module.num_channels = len(module.weight)
            if module.num_channels % module.num_groups:
                raise UsageError(
                    f"{name}: {module.num_channels} channels cannot be in {module.num_groups} groups", hint=_DAMAGED
                )
        case nn.GRU() | nn.LSTM():
            module.hidden_size = cast(Tensor, module.weight_hh_l0).shape[1]
            module.input_size = cast(Tensor, module.weight_ih_l0).shape[1]
        case _:
            pass
