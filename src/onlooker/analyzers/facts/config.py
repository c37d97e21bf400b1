"""Settings of the analyzer of facts."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from onlooker.analyzers.facts.rule import load_rule, rule_names
from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["FactsConfig"]


class FactsConfig(AnalyzerConfig):
    """Settings of `Facts`.

    Args:
        rules: which facts to look for.
        settings: settings of single rules, by their names.
        lip_level: change of the mouth's opening a second at which talking is as probable as not.
        lip_slope: how fast the probability rises with the logarithm of that change.
        lip_seconds: how far around a moment the lips are looked at.
        lip_gap: seconds between two looks at a face up to which its lips are known between them.
        memory_hours: what lies further back than this is forgotten.
    """

    rules: tuple[str, ...] = Field(default_factory=rule_names)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    lip_level: float = Field(default=0.12, gt=0)
    lip_slope: float = Field(default=2.5, gt=0)
    lip_seconds: float = Field(default=0.6, gt=0)
    lip_gap: float = Field(default=2.5, gt=0)
    memory_hours: float = Field(default=6.0, gt=0)

    @model_validator(mode="after")
    def _known(self) -> FactsConfig:
        names = rule_names()
        for name in (*self.rules, *self.settings):
            if name not in names:
                raise ValueError(f"there is no rule {name!r}; there are {', '.join(names)}")
        for name, own in self.settings.items():
            load_rule(name).Settings.model_validate(own)
        return self
