"""The analyzer ``facts``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from onlooker.analyzers.facts.config import FactsConfig
from onlooker.analyzers.facts.memory import KINDS, Lips, Memory
from onlooker.analyzers.facts.rule import Known, Rule, load_rule
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Observation

__all__ = ["Facts"]


class Facts(Analyzer[FactsConfig]):
    """Facts that rest on two senses, out of what the other analyzers of the run observe."""

    name: ClassVar[str] = "facts"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("fact",)
    Config = FactsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: FactsConfig) -> None:
        super().__init__(config)
        self._kinds: frozenset[str] = frozenset()
        self._sound = False
        self._restart()

    def needs(self) -> Needs:
        """Observations alone: whatever the run makes of what the rules can use."""
        own = (k for name in self.config.rules for k in load_rule(name).kinds)
        return Needs(wishes=tuple(dict.fromkeys((*KINDS, *own))))

    def open(self, context: Context) -> None:
        """Learn what is given."""
        self._kinds, self._sound = context.kinds, bool(context.source.audio)
        self._restart()

    def _restart(self) -> None:
        config = self.config
        lips = Lips(config.lip_level, config.lip_slope, config.lip_seconds, config.lip_gap)
        self._memory = Memory(lips, config.memory_hours * 3600, self._kinds)
        known = Known(self._kinds, self._sound, self._memory)
        self._rules: list[Rule] = []
        self._takers: dict[str, list[Rule]] = {}
        for name in config.rules:
            cls = load_rule(name)
            rule = cls(cls.Settings.model_validate(config.settings.get(name, {})), known)
            self._rules.append(rule)
            for kind in cls.kinds:
                self._takers.setdefault(kind, []).append(rule)

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The facts that are certain at once; the others come at the source's end."""
        made: list[Observation] = []
        for o in window.observations:
            if o.kind in KINDS:
                self._memory.take(o)
            for rule in self._takers.get(o.kind, ()):
                made += rule.take(o)
        return made

    def flush(self) -> Iterable[Observation]:
        """The facts that rest on the whole source."""
        self._memory.finish()
        made = [fact for rule in self._rules for fact in rule.finish()]
        self._restart()
        return made
