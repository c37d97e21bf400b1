"""What a rule is: a small streaming object that makes facts of one sort out of observations of several senses.

A rule is one file in ``rules/`` with ``RULE``, its class; it is found there by its place.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from onlooker.analyzers.facts.memory import Memory
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Known", "Rule", "RuleSettings", "hull", "load_rule", "make_fact", "rule_names", "shares", "stretch"]

_MOST_NAMED = 20
_RULES = "onlooker.analyzers.facts.rules"


class RuleSettings(BaseModel):
    """Base of the settings of rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule is told of the run.

    Args:
        kinds: of observation that are given in it.
        sound: whether the source has sound.
        memory: what was seen and said, shared by the rules.
    """

    kinds: frozenset[str]
    sound: bool
    memory: Memory


class Rule(ABC):
    """Takes observations in any order of their kinds, and makes facts as soon as they are certain.

    What it makes must not depend on when an observation of one kind arrives relative to those of another.

    Attributes:
        name: the label of its facts.
        kinds: of observation that it takes beside those in the memory.
        Settings: its settings.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type[RuleSettings]] = RuleSettings

    def __init__(self, settings: Any, known: Known) -> None:
        self.settings = settings
        self.known = known

    def take(self, observation: Observation) -> Iterable[Observation]:
        """The next observation of one of its kinds."""
        return ()

    def finish(self) -> Iterable[Observation]:
        """The source has ended; the memory is complete."""
        return ()


def rule_names() -> tuple[str, ...]:
    """All rules, by the files in ``rules/``."""
    package = importlib.import_module(_RULES)
    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")))


def load_rule(name: str) -> type[Rule]:
    """The class of the rule called ``name``."""
    return importlib.import_module(f"{_RULES}.{name}").RULE


def shares(full: float, without: Mapping[str, float]) -> dict[str, Json]:
    """How much each sense contributed: its part of what the score would lose without each of them; sums to 1.

    Args:
        full: the score with all.
        without: by sense, the score without it.

    >>> shares(0.9, {"voice": 0.3, "lips": 0.6})
    {'voice': 0.667, 'lips': 0.333}
    """
    lost = {sense: max(0.0, full - score) for sense, score in without.items()}
    total = sum(lost.values())
    parts = {s: v / total if total > 1e-6 else 1 / len(lost) for s, v in lost.items()}
    names = list(parts)
    rounded = {s: round(parts[s], 3) for s in names[:-1]}
    return {**rounded, names[-1]: round(1 - sum(rounded.values()), 3)}


def hull(observations: Iterable[Observation]) -> Span:
    """From the first start to the last end."""
    spans = [o.span for o in observations]
    return Span(min(s.start for s in spans), max(s.end for s in spans))


def stretch(start: float, end: float) -> Span:
    """The span of so many seconds, in milliseconds."""
    first = round(max(0.0, start) * 1000)
    base = Fraction(1, 1000)
    return Span(Timestamp(first, base), Timestamp(max(first + 1, round(end * 1000)), base))


def make_fact(
    rule: Rule,
    span: Span,
    score: float,
    senses: Mapping[str, Json],
    rests_on: Sequence[Observation | dict[str, Json]],
    *,
    missing: Sequence[str] = (),
    track: str | None = None,
    text: str | None = None,
    **more: Json,
) -> Observation:
    """A fact of ``rule``.

    Args:
        rule: that makes it.
        span: when.
        score: 0..1.
        senses: how much each contributed; see `shares`.
        rests_on: what it was made of: observations, or what stands for many of them.
        missing: senses that could have said more, but are not given in the run.
        track: of the face that it is about.
        text: words that can be searched.
        more: its own fields.
    """
    named: list[Json] = [o.id if isinstance(o, Observation) else o for o in rests_on[:_MOST_NAMED]]
    data: dict[str, Json] = {**more, "senses": dict(senses), "rests_on": named, "missing": list(missing)}
    if len(rests_on) > _MOST_NAMED:
        data["rests_on_more"] = len(rests_on) - _MOST_NAMED
    score = round(min(1.0, max(0.0, score)), 4)
    return Observation(span, "fact", score=score, label=rule.name, track=track, text=text, data=data)
