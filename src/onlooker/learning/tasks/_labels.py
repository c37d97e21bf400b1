"""Labels of clips as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.targets import Target, targets_of
from onlooker.learning.task import HeadConfig, TaskFacts

__all__ = ["label_of", "target_of"]


def target_of(facts: TaskFacts, config: HeadConfig, clips: Sequence[Clip]) -> Target:
    """The labels of one task, of the kinds that are numbers."""
    name = config.of or facts.name
    return targets_of([c.sample for c in clips], {name: facts.task}, {name: facts.classes})[name]


def label_of(facts: TaskFacts, config: HeadConfig, clip: Clip) -> Any:
    """The label of one clip in the form of its kind, or None."""
    return clip.sample.labels.get(config.of or facts.name)
