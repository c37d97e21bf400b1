"""What networks over pictures share: normalisation, convolutions, residual stages, the body of a frame CNN."""

from __future__ import annotations

from math import gcd, prod
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import NetworkConfig

__all__ = [
    "Activation",
    "Body",
    "BodyConfig",
    "Norm",
    "Pooling",
    "StagesConfig",
    "StepNorm",
    "activation_of",
    "check_pictures",
    "convolution",
    "groups_of",
    "initialise",
    "norm_of",
    "pooled_maps",
    "projected",
    "shortcut",
    "stem",
    "width_of",
]

Activation: TypeAlias = Literal["relu", "gelu", "silu"]
Norm: TypeAlias = Literal["batch", "group"]
Pooling: TypeAlias = Literal["mean", "max"]
Width: TypeAlias = Annotated[int, Field(ge=1, le=4096)]

_GROUPS = 8
_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class StagesConfig(NetworkConfig):
    """Settings of convolutions in stages, over pictures.

    Attributes:
        widths: channels of the stages; each stage after the first halves height and width.
        blocks: of each stage.
        stem: pixels for one cell after the first convolution.
        norm: ``batch`` (Ioffe and Szegedy 2015, arXiv 1502.03167) or ``group`` (Wu and He 2018, arXiv 1803.08494),
            which does not look at the other samples in training either.
        activation: after each convolution.
        pool: how the cells of a map become one step.
        size: D, numbers of a step; None: the last of ``widths``.
        dropout: share of a step's numbers left out in training.
    """

    widths: tuple[Width, ...] = Field(default=(32, 64, 128), min_length=1, max_length=8)
    blocks: int = Field(default=1, ge=1, le=32)
    stem: Literal[1, 2, 4] = 2
    norm: Norm = "batch"
    activation: Activation = "relu"
    pool: Pooling = "mean"
    size: int | None = Field(default=None, ge=1, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @property
    def stride(self) -> int:
        """Pixels for one cell of the last stage's maps."""
        return self.stem * 2 ** (len(self.widths) - 1)

    def shallower(self) -> dict[str, Any] | None:
        """Half of the blocks of each stage; where there is one, without the first stage, and maps as small at the end.

        See `NetworkConfig.shallower`. What the first stages have in channels stays: maps are halved the sooner.
        """
        if self.blocks > 1:
            return {"blocks": self.blocks // 2}
        if len(self.widths) > 1 and self.stem < 4:
            return {"widths": list(self.widths[1:]), "stem": 2 * self.stem}
        return None


class BodyConfig(StagesConfig):
    """Settings of the convolutions over each picture; those of the stages are told in `StagesConfig`.

    Attributes:
        form: of the blocks: ``residual`` (He et al. 2016, arXiv 1512.03385) or ``plain``, two convolutions with
            max-pooling between (as in Jordan 2024, arXiv 2404.00498).
        separable: convolutions in two, by channel and across channels (Howard et al. 2017, arXiv 1704.04861).
    """

    form: Literal["residual", "plain"] = "residual"
    separable: bool = False


def activation_of(kind: Activation) -> nn.Module:
    """The module of an activation."""
    return _ACTIVATIONS[kind]()


def groups_of(channels: int) -> int:
    """How many groups group normalisation makes of channels."""
    return gcd(_GROUPS, channels)


def norm_of(kind: Norm, channels: int) -> nn.Module:
    """Normalisation of (N, C, H, W)."""
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(groups_of(channels), channels)


class StepNorm(nn.GroupNorm):
    """Group normalisation of each step by itself, (B, C, T, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        steps = input.transpose(1, 2)
        return super().forward(steps.flatten(0, 1)).unflatten(0, (-1, steps.shape[1])).transpose(1, 2)


def convolution(channels: int, width: int, config: BodyConfig, *, stride: int = 1, kernel: int = 3) -> nn.Module:
    """A convolution over height and width without a bias, (N, channels, H, W) -> (N, width, ceil(H / stride), ...)."""
    padding = kernel // 2
    if not config.separable or kernel == 1:
        return nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False),
        norm_of(config.norm, channels),
        nn.Conv2d(channels, width, 1, bias=False),
    )


def shortcut(channels: int, width: int, stride: int, norm: Norm) -> nn.Module:
    """What goes past a residual block: nothing done where the shapes are the same, else a 1 x 1 convolution."""
    if channels == width and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), norm_of(norm, width))


class _Residual(nn.Module):
    """Two convolutions and a way past them."""

    def __init__(self, channels: int, width: int, config: BodyConfig, stride: int) -> None:
        super().__init__()
        self.first = convolution(channels, width, config, stride=stride)
        self.first_norm = norm_of(config.norm, width)
        self.second = convolution(width, width, config)
        self.second_norm = norm_of(config.norm, width)
        self.past = shortcut(channels, width, stride, config.norm)
        self.activation = activation_of(config.activation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.first_norm(self.first(x)))
        return self.activation(self.second_norm(self.second(y)) + self.past(x))


class _Plain(nn.Sequential):
    """Two convolutions, with max-pooling after the first where the stage begins."""

    def __init__(self, channels: int, width: int, config: BodyConfig, stride: int) -> None:
        super().__init__(
            convolution(channels, width, config),
            nn.MaxPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity(),
            norm_of(config.norm, width),
            activation_of(config.activation),
            convolution(width, width, config),
            norm_of(config.norm, width),
            activation_of(config.activation),
        )


def stem(channels: int, config: StagesConfig) -> nn.Sequential:
    """The first convolution: (N, channels, H, W) -> (N, widths[0], ceil(H / stem), ceil(W / stem))."""
    width, kernel = config.widths[0], 7 if config.stem == 4 else 3
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, config.stem, kernel // 2, bias=False),
        norm_of(config.norm, width),
        activation_of(config.activation),
    )


class Body(nn.Module):
    """The convolutions of a frame CNN: (N, C, H, W) -> maps (N, width, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, config: BodyConfig, channels: int) -> None:
        super().__init__()
        first = config.widths[0]
        self.stem = stem(channels, config)
        block = _Residual if config.form == "residual" else _Plain
        stages: list[nn.Module] = []
        width = first
        for number, wider in enumerate(config.widths):
            stride = 2 if number else 1
            blocks = [block(width, wider, config, stride)]
            blocks += [block(wider, wider, config, 1) for _ in range(config.blocks - 1)]
            stages.append(nn.Sequential(*blocks))
            width = wider
        self.stages = nn.Sequential(*stages)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x))

    @property
    def cuts(self) -> int:
        """Places between two stages."""
        return len(self.stages) - 1

    def trunk(self, x: Tensor, cut: int) -> Tensor:
        """What the first ``cut`` stages make of (N, C, H, W)."""
        return self.stages[:cut](self.stem(x))

    def rest(self, x: Tensor, cut: int) -> Tensor:
        """What the other stages make of that."""
        return self.stages[cut:](x)


def initialise(module: nn.Module) -> None:
    """He's initialisation (He et al. 2015, arXiv 1502.01852); residual branches begin at nothing (arXiv 1706.02677)."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            fan_in = part.in_channels // part.groups * prod(part.kernel_size)
            nn.init.normal_(part.weight, std=(2.0 / fan_in) ** 0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        last = getattr(part, "second_norm", None)
        if isinstance(last, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.GroupNorm):
            nn.init.zeros_(last.weight)


def width_of(module: nn.Module) -> int:
    """Channels of what comes out of a module that ends with a normalisation, by its weights."""
    for part in reversed(list(module.modules())):
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            return part.num_features
        if isinstance(part, nn.GroupNorm):
            return part.num_channels
    raise TypeError(f"{type(module).__name__} has no normalisation")


def projected(project: nn.Module, width: int) -> int:
    """Numbers that a projection makes of ``width``; as many where there is none."""
    return width if isinstance(project, nn.Identity) else int(project.out_features)  # type: ignore[arg-type]


def pooled_maps(maps: Tensor, pool: Pooling) -> Tensor:
    """(N, C) of (N, C, H, W)."""
    return maps.mean((2, 3)) if pool == "mean" else maps.amax((2, 3))


def check_pictures(name: str, shape: tuple[int, ...], stride: int) -> tuple[int, int, int, int]:
    """The sides (T, C, H, W) of pictures that a network can work on.

    Raises:
        UsageError: there are not four of them, or the pictures are smaller than one cell of the last maps.
    """
    if len(shape) != 4 or min(shape) < 1:
        raise UsageError(f"{name}: expected pictures (frames, channels, height, width), got the shape {tuple(shape)}")
    frames, channels, height, width = shape
    if min(height, width) < stride:
        raise UsageError(
            f"{name}: pictures of {width} x {height} pixels are smaller than one cell of its maps, {stride} pixels",
            hint="larger pictures, fewer widths, or a smaller stem",
        )
    return frames, channels, height, width
