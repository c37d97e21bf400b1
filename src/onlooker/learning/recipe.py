"""What a recipe of training says, as typed models; `load_recipe` reads one from YAML with errors that name the line."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.balance import BalancingConfig
from onlooker.learning.datasets.preparation import Preparation
from onlooker.learning.datasets.typed_yaml import read_yaml, validated
from onlooker.learning.fusing import FusionConfig
from onlooker.learning.network import NetworkConfig
from onlooker.learning.parts import Group, load_part, part_names
from onlooker.learning.task import HeadConfig
from onlooker.learning.training.augment import AugmentConfig
from onlooker.learning.training.optimise import OptimiserConfig, ScheduleConfig
from onlooker.learning.views import View

__all__ = [
    "ExportConfig",
    "Range",
    "Recipe",
    "Search",
    "Spectrum",
    "Splits",
    "Start",
    "TrainingConfig",
    "load_recipe",
    "recipe_schema",
    "set_value",
]

_HINT = "see docs/guides/training.md, or onlooker train --schema"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Splits(_Model):
    """Which parts of the dataset are used for what; without a validation part the last epoch is kept.

    Attributes:
        train: the part that is learned from; ``train+val`` are both.
        validation: the part that the epoch, calibration and searches are chosen by.
        test: the part that nothing is chosen by.
    """

    train: str = "train"
    validation: str | None = "val"
    test: str | None = "test"


class Spectrum(_Model):
    """The log-mel spectrum that networks of sound get.

    Attributes:
        window, step: seconds of a window and from one to the next.
        bands: of the mel bank.
        low, high: Hz of its limits; high None: half of the sample rate.
    """

    window: float = Field(default=0.025, gt=0, le=1)
    step: float = Field(default=0.010, gt=0, le=1)
    bands: int = Field(default=64, ge=1, le=512)
    low: float = Field(default=50.0, ge=0)
    high: float | None = Field(default=None, gt=0)


class Start(_Model):
    """Where the weights come from, and which are kept as they are.

    Attributes:
        weights: a run folder, a bundle with weights, or a file of safetensors; None: random. Tensors are taken where
            name and shape fit; the others begin at random, and it is said how many.
        freeze: beginnings of names of parameters that are not trained, such as ``encoders.video``.
        rates: factors on the learning rate by the beginning of the parameters' names.
        layer_decay: factor on the learning rate for each block farther from the heads (1: all alike).
        head_epochs: train only the heads in the first so many epochs.
    """

    weights: str | None = None
    freeze: tuple[str, ...] = ()
    rates: dict[str, float] = Field(default_factory=dict)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    head_epochs: int = Field(default=0, ge=0)


class TrainingConfig(_Model):
    """How the loop goes.

    Attributes:
        epochs: passes over the training part.
        batch: samples of a step.
        accumulate: batches whose gradients make one step.
        seed: of weights, order, augmentation and dropout.
        precision: ``auto`` takes bfloat16 where this processor multiplies it in hardware.
        channels_last: memory order of pictures, which is faster on CPUs.
        compile: through ``torch.compile``; it costs up to a minute at the start.
        ema: decay of a running mean of the weights, which is what is tried and kept; 0: none.
        recalibrate: batches over which the running mean's own norms are measured before it is tried; 0: they are
            running means too.
        clip: greatest norm of the gradient; None: any.
        patience: stop after so many epochs without a better validation metric; None: never. Epochs of which no metric
            can be told do not count.
        keep: which epoch's weights are kept: the ``best`` on the validation part, or the ``last``, which it also is
            where no metric can be told.
        monitor: the task whose main metric decides; None: the mean over all.
        balanced: samples of rare classes are drawn more often, so that all classes of this task come alike often.
        drop_labels: share of a task's training labels that are not used, by task, to see what fewer would do.
        test_time: answers are averaged over views of the pictures, when tried and when deployed: ``mirror``, as they
            are and mirrored; ``shift``, as they are and moved by a pixel both ways, at three times the cost.
        workers: processes that decode; None: one for each CPU but one.
        in_memory: keep the prepared samples in memory; None: where they fit into a third of it.
        cache: bytes of the clip cache on disk.
        checkpoint_seconds: how often the state is written, beside each end of an epoch.
        conflicts: every how many steps the gradients of the tasks are compared; 0: never.
        threads: of PyTorch; None: as many as CPUs.
        deterministic: the same run gives the same weights.
        tensorboard: write its event files too.
    """

    epochs: int = Field(default=20, ge=1, le=100_000)
    batch: int = Field(default=32, ge=1, le=100_000)
    accumulate: int = Field(default=1, ge=1, le=1000)
    seed: int = Field(default=0, ge=0, le=2**31)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: bool = True
    compile: bool = False
    ema: float = Field(default=0.0, ge=0, lt=1)
    recalibrate: int = Field(default=0, ge=0, le=1000)
    clip: float | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, ge=1)
    keep: Literal["best", "last"] = "best"
    monitor: str | None = None
    balanced: str | None = None
    drop_labels: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    test_time: tuple[View, ...] = ()
    workers: int | None = Field(default=None, ge=0, le=256)
    in_memory: bool | None = None
    cache: int = Field(default=8_000_000_000, ge=0)
    checkpoint_seconds: float = Field(default=60.0, ge=0)
    conflicts: int = Field(default=0, ge=0)
    threads: int | None = Field(default=None, ge=1, le=1024)
    deterministic: bool = True
    tensorboard: bool = False


class ExportConfig(_Model):
    """The bundle that is made.

    Attributes:
        rate: pictures a second that a model of single pictures looks at when deployed.
        stride: seconds from one look to the next of a model of clips or sound; None: a quarter of the clip.
        streaming: whether a network with a streaming form is deployed in it; None: where all parts have one.
        window: steps of a streaming form's window.
        licence: SPDX identifier of the weights.
        licence_note: what else must be said of it, such as the licence of the data.
        weights: keep the weights for fine-tuning in the bundle.
    """

    rate: float = Field(default=2.0, gt=0, le=240)
    stride: float | None = Field(default=None, gt=0, le=3600)
    streaming: bool | None = None
    window: int = Field(default=1, ge=1, le=1024)
    licence: str = "none declared"
    licence_note: str = ""
    weights: bool = True


class Range(_Model):
    """Values that a search tries: from ``low`` to ``high`` (on a logarithmic scale, in steps), or ``choices``."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(default=None, gt=0)
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Range:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("expected low and high, or choices")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"expected low < high, got {self.low:g} and {self.high:g}")
        if self.log and (self.step is not None or self.low is None or self.low <= 0):
            raise ValueError("log: expected low above 0, without step")
        return self


class Search(_Model):
    """What ``onlooker tune`` tries and what for.

    Attributes:
        objectives: ``score`` is the monitored metric of the validation part, ``latency`` milliseconds of one look of
            the bundle on this machine, ``size`` megabytes of the bundle's files.
        space: by a setting's name such as ``optimiser.rate``; empty: learning rate, weight decay and batch around those
            of the recipe.
    """

    objectives: tuple[Literal["score", "latency", "size"], ...] = Field(default=("score",), min_length=1)
    space: dict[str, Range] = Field(default_factory=dict)


class Recipe(_Model):
    """One run of training. The fields whose form hangs on the installed parts are typed in `recipe_model`.

    Attributes:
        name: of the bundle.
        title: one line for people.
        dataset: its folder, from the recipe's own.
        prepare: how samples become arrays; None: as the dataset says.
        inputs: the network of each, by a name; what it takes follows from the network.
        fusion: how several inputs are joined.
        tasks: the head of each.
        balancing: how the losses of several tasks make one gradient.
        search: what ``onlooker tune`` tries.
    """

    kind: Literal["train"] = "train"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: str = ""
    dataset: str
    splits: Splits = Splits()
    prepare: Preparation | None = None
    spectrum: Spectrum = Spectrum()
    inputs: dict[str, NetworkConfig] = Field(min_length=1)
    fusion: FusionConfig | None = None
    tasks: dict[str, HeadConfig] = Field(min_length=1)
    balancing: BalancingConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    augment: AugmentConfig = AugmentConfig()
    start: Start = Start()
    training: TrainingConfig = TrainingConfig()
    export: ExportConfig = ExportConfig()
    search: Search = Search()

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if len(self.inputs) > 1 and self.fusion is None:
            raise ValueError("fusion: several inputs need one")
        for name, head in self.tasks.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ -]*", name):
                raise ValueError(f"tasks: expected a name of letters, digits and _, got {name!r}")
            if head.head == "detection" and (moved := self.augment.moves()):
                raise ValueError(f"augment.{moved}: it moves pictures and not the boxes of tasks.{name}; leave it out")
            if unknown := [i for i in head.inputs or () if i not in self.inputs]:
                raise ValueError(f"tasks.{name}.inputs: there is no input {unknown[0]!r}")
        named = [("monitor", self.training.monitor), ("balanced", self.training.balanced)]
        for field, task in (*named, *(("drop_labels", task) for task in self.training.drop_labels)):
            if task is not None and task not in self.tasks:
                raise ValueError(f"training.{field}: there is no task {task!r}")
        return self


_UNIONS: tuple[tuple[Group, str], ...] = (
    ("networks", "network"), ("tasks", "head"), ("fusion", "kind"), ("balancing", "kind"),
)  # fmt: skip


@cache
def recipe_model() -> type[Recipe]:
    """`Recipe` with the settings of all parts that are there."""
    network, head, fusion, balancing = (_union(g, by) for g, by in _UNIONS)
    fields: dict[str, Any] = {
        "inputs": (dict[str, network], Field(min_length=1)),
        "fusion": (fusion | None, None),
        "tasks": (dict[str, head], Field(min_length=1)),
        "balancing": (balancing, load_part("balancing", "fixed").Config()),
    }
    return create_model("TrainRecipe", __base__=Recipe, **fields)


def _union(group: Group, by: str) -> Any:
    configs = [load_part(group, name).Config for name in part_names(group)]
    return configs[0] if len(configs) == 1 else Annotated[reduce(operator.or_, configs), Field(discriminator=by)]


def recipe_schema() -> dict[str, Any]:
    """JSON Schema of a recipe, for editors."""
    return recipe_model().model_json_schema()


def read_values(path: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], yaml.Node | None]:
    """The values of a recipe's file, changed by ``key.key=value`` settings, and its YAML nodes.

    Raises:
        ConfigError: it cannot be read or is not YAML.
        UsageError: a setting has no name or is not YAML.
    """
    values, node = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected settings by name", hint=_HINT)
    for setting in overrides:
        set_value(values, setting)
    return values, node


def set_value(
    values: dict[str, Any], setting: str, *, option: str = "--set", example: str = "training.epochs=3"
) -> None:
    """Put a setting ``key.key=value``, its value in YAML, into values.

    Args:
        values: by name, changed in place.
        setting: what is set.
        option: by which it was given, for errors.
        example: of it, for errors too.

    Raises:
        UsageError: it has no name or is not YAML.
    """
    name, mark, text = setting.partition("=")
    if not mark or not name:
        raise UsageError(f"{option}: expected NAME=VALUE, got {setting!r}", hint=f"{option} '{example}'")
    try:
        value = yaml.safe_load(text) if text else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UsageError(f"{option} {name}: not YAML: {said}, in {text!r}", hint=f"{option} 'NAME=[1, 2]'") from None
    *folders, last = name.split(".")
    place = values
    for folder in folders:
        held = place.get(folder)
        place[folder] = dict(held) if isinstance(held, dict) else {}
        place = place[folder]
    place[last] = value


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from its file, changed by settings such as ``training.epochs=3``.

    Raises:
        ConfigError: the file is wrong; names file and line.
        UsageError: a setting is.
    """
    values, node = read_values(path, overrides)
    if values.get("kind") == "anomaly":
        raise ConfigError(
            f"{path} is a recipe of anomaly learning, which this does not take",
            hint="onlooker train does; see docs/guides/anomaly.md",
        )
    try:
        return validated(recipe_model(), values, node, path, _HINT, overrides)
    except ConfigError as error:
        if not overrides:
            raise
        load_recipe(path)
        # the file by itself is right: what is wrong came with the settings, wherever it is seen
        said = re.sub(rf"^{re.escape(str(path))}(:\d+)?: ", "", error.message)
        raise UsageError(f"--set {' '.join(overrides)}: {said}", hint=_HINT) from None
