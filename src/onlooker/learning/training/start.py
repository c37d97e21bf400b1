"""Beginning from weights that are there: which are taken, which are frozen, which learn slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.model import Model
from onlooker.learning.recipe import Start
from onlooker.learning.run_folder import read_tensors

__all__ = ["factors", "freeze", "is_below", "parameters_below", "take_weights"]


def is_below(name: str, beginning: str) -> bool:
    """Whether a parameter is the one of that name, or of the part of that name.

    >>> is_below("heads.side.weight", "heads.side"), is_below("heads.sideways.weight", "heads.side")
    (True, False)
    """
    return name == beginning or name.startswith(f"{beginning}.")


def parameters_below(model: Model, beginning: str, setting: str) -> list[nn.Parameter]:
    """The parameters that a setting speaks of.

    Raises:
        UsageError: there are none.
    """
    chosen = [p for n, p in model.named_parameters() if is_below(n, beginning)]
    if not chosen:
        known = sorted({".".join(n.split(".")[:3]) for n, _ in model.named_parameters()})[:8]
        raise UsageError(
            f"{setting}: no parameter begins with {beginning!r}", hint=f"there are {', '.join(known)}, ..."
        )
    return chosen


def weights_of(where: str) -> dict[str, Tensor]:
    """The weights of a run folder, of a bundle's folder, of an added bundle by name, or of a safetensors file.

    Raises:
        UsageError: there are none.
    """
    path = Path(where).expanduser()
    for file in (path, path / "model.safetensors", path / "weights.safetensors"):
        if file.is_file():
            return read_tensors(file)[0]
    from onlooker.bundles.added import added_bundle, added_names

    if where in added_names():
        bundle = added_bundle(where)
        if bundle.manifest.weights is not None:
            return read_tensors(bundle.path(bundle.manifest.weights))[0]
        raise UsageError(f"start.weights: the bundle {where} was made without weights for fine-tuning")
    raise UsageError(f"start.weights: {where} is no run folder, bundle or file of safetensors", hint="check the path")


def take_weights(model: Model, where: str) -> str:
    """Take all weights whose name and shape fit; says how many were.

    Raises:
        UsageError: none fits.
    """
    found, own = weights_of(where), model.state_dict()
    fitting = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise UsageError(f"start.weights: no weight of {where} fits this model", hint="use the same network settings")
    model.load_state_dict({**own, **fitting})
    anew = sorted({".".join(k.split(".")[:2]) for k in own if k not in fitting})
    return f"{len(fitting)} of {len(own)} tensors are from {where}" + (f"; anew: {', '.join(anew)}" if anew else "")


def freeze(model: Model, beginnings: Sequence[str]) -> list[nn.Module]:
    """Train no parameter whose name begins so; the modules that are frozen as a whole, to be kept as deployed.

    Raises:
        UsageError: a beginning fits no parameter.
    """
    for beginning in beginnings:
        for parameter in parameters_below(model, beginning, "start.freeze"):
            parameter.requires_grad_(False)
    return [
        m
        for m in model.modules()
        if next(m.parameters(), None) is not None and not any(p.requires_grad for p in m.parameters())
    ]


def factors(model: Model, start: Start) -> Callable[[str], float]:
    """The factor on the learning rate by a parameter's name.

    Blocks are counted by the names of the modules of each encoder, in their order: the one nearest to the heads has
    ``layer_decay`` once, the farthest most often.
    """
    blocks: dict[str, list[str]] = {}
    for name, _ in model.encoders.named_parameters():
        encoder = name.split(".")[0]
        block = ".".join(name.split(".")[:4])
        known = blocks.setdefault(encoder, [])
        if block not in known:
            known.append(block)

    def factor(name: str) -> float:
        scale = 1.0
        for beginning, value in start.rates.items():
            if is_below(name, beginning):
                scale *= value
        if name.startswith("encoders.") and start.layer_decay < 1:
            rest = name.removeprefix("encoders.").split(".")
            known = blocks[rest[0]]
            scale *= start.layer_decay ** (len(known) - known.index(".".join(rest[:4])))
        return scale

    return factor
