"""Why a rule fired at a moment, or which condition kept it from firing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.store import Query, Store
from onlooker.rules.condition import Node
from onlooker.rules.engine import Engine
from onlooker.rules.language import RuleFile
from onlooker.rules.run import RuleRun

__all__ = ["Explanation", "Line", "explain"]


@dataclass(frozen=True, slots=True)
class Line:
    """One condition at the moment."""

    depth: int
    path: str
    holds: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One rule at the moment.

    Args:
        rule: its id.
        going_on: the events of it that go on then.
        before: the latest event of it that ended before, if any.
        lines: its conditions from the top.
        kept_by: why it does not fire; empty where it does.
    """

    rule: str
    going_on: tuple[Event, ...]
    before: Event | None
    lines: tuple[Line, ...]
    kept_by: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "rule": self.rule,
            "fires": bool(self.going_on),
            "going_on": [e.as_dict() for e in self.going_on],
            "before": None if self.before is None else self.before.as_dict(),
            "kept_by": [*self.kept_by],
            "conditions": [{"depth": n.depth, "condition": n.path, "holds": n.holds, "why": n.why} for n in self.lines],
        }


def explain(
    store: Store, rules: RuleFile, info: SourceInfo, moment: int, begin: datetime | None = None
) -> list[Explanation]:
    """Evaluate the rules over what is stored of a source up to ``moment`` nanoseconds; says how each stands there."""
    engine = Engine(rules, info, begin)
    kinds = tuple(sorted(engine.kinds))
    found = [o for o in store.query(Query(sources=(info.id,), kinds=kinds)) if o.span.start.nanoseconds <= moment]
    events = engine.take(found, dict.fromkeys(kinds, moment + 1))
    events += engine.moment(moment)
    return [_explained(run, [e for e in events if e.rule == run.rule.id], moment) for run in engine.runs]


def _explained(run: RuleRun, events: list[Event], moment: int) -> Explanation:
    latest = {e.id: e for e in events}
    going_on = tuple(e for e in latest.values() if e.end is None or e.end == moment)
    ended = [e for e in latest.values() if e.end is not None and e.end < moment]
    lines: list[Line] = []
    _walk(run.node, 0, lines)
    kept: list[str] = []
    if not going_on:
        if not run.in_force:
            kept.append("the schedule: the rule is not in force")
        kept += [f"{n.path}: {n.why()}" for n in _failing(run.node)]
        if lines[0].holds and run.in_force:
            kept.append(f"lasts or cooldown: the condition holds, {run.suppressed} suppressed so far")
    return Explanation(
        run.rule.id, going_on, max(ended, key=lambda e: e.end or 0, default=None), tuple(lines), tuple(kept)
    )


def _walk(node: Node, depth: int, lines: list[Line]) -> None:
    lines.append(Line(depth, node.path, bool(node.hits), node.why()))
    for child in node.children:
        _walk(child, depth + 1, lines)


def _failing(node: Node) -> list[Node]:
    """The innermost conditions that do not hold, or that hold where they must not."""
    if node.hits:
        return []
    inner = [n for child in node.children for n in _failing(child)]
    return inner or [node]
