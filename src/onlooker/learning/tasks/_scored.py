"""What heads have in common that give scores of labels."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from onlooker.learning.task import Calibration, HeadConfig, TaskFacts

__all__ = ["LayerConfig", "ScoredConfig", "SpanConfig", "layers", "scored_output"]


class SpanConfig(BaseModel):
    """How scores become spans when deployed.

    Attributes:
        smooth_seconds: scores are averaged over so much of the past before they are compared.
        hold: a span goes on while its score is at least this share of the threshold that began it.
        minimum_seconds: shorter spans are dropped.
        gap_seconds: interruptions up to this length are bridged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    smooth_seconds: float = Field(default=0.0, ge=0, le=86_400)
    hold: float = Field(default=0.8, gt=0, le=1)
    minimum_seconds: float = Field(default=0.0, ge=0, le=86_400)
    gap_seconds: float = Field(default=0.5, ge=0, le=86_400)


class LayerConfig(HeadConfig):
    """Base of the settings of heads that are a layer or two.

    Attributes:
        hidden: numbers of a layer between features and answer; 0: none.
        dropout: share of the features that are left out at random in training.
    """

    hidden: int = Field(default=0, ge=0, le=65_536)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class ScoredConfig(LayerConfig):
    """Base of the settings of heads that score labels.

    Attributes:
        ignore: labels that are not observed when deployed, such as the background.
        threshold: least probability with which a label is observed when deployed; that of a label's own calibration
            goes before it.
        spans: how scores become spans when deployed.
    """

    ignore: tuple[str, ...] = ()
    threshold: float = Field(default=0.5, ge=0, le=1)
    spans: SpanConfig = SpanConfig()


def layers(config: LayerConfig, size: int, numbers: int) -> nn.Sequential:
    """From (..., size) to (..., numbers), with the hidden layer and the dropout that the settings ask for."""
    made: list[nn.Module] = [nn.Dropout(config.dropout)] if config.dropout else []
    if config.hidden:
        made += [nn.Linear(size, config.hidden), nn.GELU()]
        made += [nn.Dropout(config.dropout)] if config.dropout else []
    return nn.Sequential(*made, nn.Linear(config.hidden or size, numbers))


def scored_output(task: str, facts: TaskFacts, config: ScoredConfig, calibration: Calibration) -> dict[str, Any]:
    """The fields of a bundle's output that scores labels."""
    made: dict[str, Any] = {"task": task, "labels": facts.classes, "threshold": config.threshold}
    made |= {k: calibration[k] for k in ("temperature", "thresholds") if k in calibration}
    if config.ignore:
        made["ignore"] = config.ignore
    if config.kind is not None:
        made["kind"] = config.kind
    return made | {"spans": config.spans.model_dump()}
