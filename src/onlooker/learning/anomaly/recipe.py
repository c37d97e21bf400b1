"""What a recipe of anomaly learning says, as typed models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onlooker.learning.datasets.typed_yaml import validated
from onlooker.learning.recipe import read_values

__all__ = [
    "AnomalyRecipe",
    "Budget",
    "Method",
    "Neighbours",
    "Pictures",
    "Prediction",
    "Smoothing",
    "Splits",
    "load_anomaly_recipe",
]

_HINT = "see docs/guides/anomaly.md"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Splits(_Model):
    """Which parts of the dataset are used for what.

    Attributes:
        normal: normal footage alone, which is learned from.
        test: with what is abnormal labelled as spans; it is only measured on. None: not measured.
    """

    normal: str = "train"
    test: str | None = "test"


class Pictures(_Model):
    """What the model looks at, in grey.

    Attributes:
        rate: pictures a second.
        width, height: in pixels; people should be about 10 to 25 pixels high.
    """

    rate: float = Field(default=10.0, gt=0, le=60)
    width: int = Field(default=180, ge=32, le=1024)
    height: int = Field(default=120, ge=32, le=1024)


class Neighbours(_Model):
    """How far a region's motion and size are from those of normal footage (see `neighbours`).

    Attributes:
        gap: pictures from the one that motion is measured from to the one where it is measured.
        reach: farthest motion over the gap that is looked for, in pixels across and down.
        regions: so many of the fastest regions of a picture are compared.
        least: share of a region that must move.
        memory: normal regions that are kept.
        nearest: normal regions that one is compared with.
        attributes: of a region that are compared, ``motion`` (speed and direction), its moving ``size``, or both.
    """

    method: Literal["neighbours"] = "neighbours"
    attributes: tuple[Literal["motion", "size"], ...] = Field(default=("motion", "size"), min_length=1, max_length=2)
    gap: int = Field(default=3, ge=1, le=30)
    reach: tuple[Annotated[int, Field(ge=1, le=32)], Annotated[int, Field(ge=1, le=32)]] = (8, 3)
    regions: int = Field(default=128, ge=8, le=4096)
    least: float = Field(default=0.15, gt=0, lt=1)
    memory: int = Field(default=2000, ge=16, le=50_000)
    nearest: int = Field(default=3, ge=1, le=16)

    @property
    def frames(self) -> int:
        """Pictures of a clip."""
        return self.gap + 1


class Prediction(_Model):
    """How badly a network that was trained on normal footage foretells the next picture (see `prediction`).

    Attributes:
        frames: pictures of a clip, the foretold one included.
        widths: channels at full, half and quarter size.
        steps, batch, rate: of the training.
        crop: side of the moving parts that it is trained on, in pixels.
        windows: clips that are kept in memory for it.
    """

    method: Literal["prediction"]
    frames: int = Field(default=5, ge=2, le=32)
    widths: tuple[Annotated[int, Field(ge=4, le=512)], Annotated[int, Field(ge=4, le=512)]] = (16, 32)
    steps: int = Field(default=800, ge=1, le=1_000_000)
    batch: int = Field(default=16, ge=1, le=1024)
    rate: float = Field(default=0.002, gt=0, lt=1)
    crop: int = Field(default=48, ge=16, le=512)
    windows: int = Field(default=1500, ge=16, le=100_000)


Method = Annotated[Neighbours | Prediction, Field(discriminator="method")]


class Smoothing(_Model):
    """Of the scores in time; ``seconds`` of the past are averaged when deployed."""

    seconds: float = Field(default=1.2, ge=0, le=60)


class Budget(_Model):
    """How many false alarms an hour on normal footage the threshold may make."""

    false_alarms_per_hour: float = Field(default=1.0, gt=0, le=3600)


class AnomalyRecipe(_Model):
    """One run of anomaly learning.

    Attributes:
        name, title: of the bundle.
        dataset: its folder, from the recipe's own.
        splits: which parts of it are used.
        task: the task of kind ``spans`` that says what is abnormal; None: the only one.
        folds: normal footage is scored by models that did not see it, in so many rounds (`Prediction`: one round).
        pictures, method, smoothing, budget: see there.
        seed: of all that is drawn.
        threads: of the engine and of PyTorch.
        licence, licence_note: of the bundle.
    """

    kind: Literal["anomaly"]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: str = ""
    dataset: str
    splits: Splits = Splits()
    task: str | None = None
    folds: int = Field(default=4, ge=2, le=64)
    pictures: Pictures = Pictures()
    method: Method = Neighbours()
    smoothing: Smoothing = Smoothing()
    budget: Budget = Budget()
    seed: int = Field(default=0, ge=0, le=2**31)
    threads: int = Field(default=1, ge=1, le=1024)
    licence: str = "none declared"
    licence_note: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.method, Neighbours) and 2 * max(self.method.reach) >= min(
            self.pictures.width, self.pictures.height
        ):
            raise ValueError("method.reach: expected less than half of the picture's width and height")
        return self


def load_anomaly_recipe(path: Path, overrides: Sequence[str] = ()) -> AnomalyRecipe:
    """A recipe from its YAML file, changed by settings such as ``method.memory=4000``.

    Raises:
        ConfigError: the file is wrong; names file and line.
        UsageError: a setting is.
    """
    values, node = read_values(path, overrides)
    recipe = validated(AnomalyRecipe, values, node, path, _HINT, overrides)
    return recipe.model_copy(update={"dataset": str(_beside(path, recipe.dataset))})


def _beside(path: Path, folder: str) -> Path:
    """A folder that a recipe names from its own."""
    named: Any = Path(folder).expanduser()
    return named if named.is_absolute() else (path.parent / named).resolve()
