"""What a head is tried with: each head's module has an ``EXAMPLE``, which the contract suite reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onlooker.learning.task import Array, TaskFacts

__all__ = ["Example"]


@dataclass(frozen=True, slots=True)
class Example:
    """A small task for a head.

    Args:
        facts: of the task.
        labels: some in the task's form, each different from the others.
        perfect: raw numbers of encoded labels (and the facts) that are right without a doubt.
        settings: of the head, where the defaults do not do.
    """

    facts: TaskFacts
    labels: tuple[Any, ...]
    perfect: Callable[[Array, TaskFacts], Array]
    settings: Mapping[str, Any] = field(default_factory=dict)
