"""What an improvement fixed and what it broke: each piece of feedback, and each earlier observation of stored video."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onlooker.core.observation import Observation
from onlooker.improving.asked import Asked, asked_of
from onlooker.improving.feedback import Feedback
from onlooker.improving.labels import Taught, without
from onlooker.shadow.compare import Span, overlap

__all__ = ["Changed", "Fix", "Verdicts", "judge"]

_COVERED = 0.5
"""Share of a stretch that the same label must cover for it to be seen still."""
_TOUCHED = 0.1
"""Share of a false alarm that its label may still cover: what comes before or after may reach into it."""
_LEAST = 0.5
"""Seconds; of an observation that feedback speaks of, a shorter rest is not judged: people name no frames."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A piece of feedback, and whether the candidate does as was asked.

    Args:
        feedback: what was said.
        fixed: whether it is as it should be; of what was said to be right, whether it is there still.
        covered: the share of its stretch in which the candidate tells its label.
        already: whether the bundle in use does as was asked, so that nothing is left to fix.
    """

    feedback: Feedback
    fixed: bool
    covered: float
    already: bool

    @property
    def state(self) -> str:
        """In words: of what was so before whether it stays, of the rest whether it is fixed."""
        if not self.already:
            return "fixed" if self.fixed else "not fixed"
        if not self.fixed:
            return "lost"
        return "kept" if self.feedback.said.verdict == "right" else "already so"

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        told = {"fixed": self.fixed, "already": self.already, "covered": round(self.covered, 4)}
        return {**self.feedback.as_dict(), **told}


@dataclass(frozen=True, slots=True)
class Changed:
    """A stretch that only one of both sees: ``used`` where the bundle in use does, so that it is lost; else new."""

    source: str
    kind: str
    label: str
    start: float
    end: float
    score: float
    lost: bool

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "what": "lost" if self.lost else "new", "source": self.source, "kind": self.kind, "label": self.label,
            "start": round(self.start, 3), "end": round(self.end, 3), "score": round(self.score, 4),
        }  # fmt: skip


@dataclass(slots=True)
class Verdicts:
    """All of it.

    Args:
        fixes: by feedback.
        kept: earlier observations that are there still.
        changed: those that are lost, and new ones, away from what feedback speaks of.
    """

    fixes: list[Fix] = field(default_factory=list[Fix])
    kept: int = 0
    changed: list[Changed] = field(default_factory=list[Changed])

    @property
    def asked(self) -> int:
        """How much feedback asks for what the bundle in use does not do."""
        return sum(not f.already for f in self.fixes)

    @property
    def fixed(self) -> int:
        """How much of that is done."""
        return sum(f.fixed and not f.already for f in self.fixes)

    @property
    def already(self) -> int:
        """How much feedback asks for what the bundle in use does by itself; right ones left out."""
        return sum(f.already for f in self.fixes if f.feedback.said.verdict != "right")

    @property
    def broken(self) -> int:
        """Earlier observations that are lost, new ones that nobody asked for, and feedback that was heeded before."""
        return len(self.changed) + sum(f.already and not f.fixed for f in self.fixes)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Lower is better; what fixes nothing comes last, though it breaks nothing."""
        return self.fixed == 0, self.broken, -self.fixed

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "fixed": self.fixed, "asked": self.asked, "already": self.already, "kept": self.kept, "broken": self.broken,
            "lost": sum(c.lost for c in self.changed), "new": sum(not c.lost for c in self.changed),
            "feedback": [f.as_dict() for f in self.fixes], "changed": [c.as_dict() for c in self.changed],
        }  # fmt: skip


def judge(
    feedback: Sequence[Feedback],
    observations: Mapping[str, tuple[Sequence[Observation], Sequence[Observation]]],
    kinds: Iterable[str],
    *,
    taught: Sequence[Taught] = (),
    labelled: Mapping[str, str] | None = None,
) -> Verdicts:
    """Compare what both observed with what was said.

    Args:
        feedback: on these sources.
        observations: by source id, of the bundle in use and of the candidate.
        kinds: that are judged.
        taught: outputs that feedback speaks of: where one label holds at a time, another one's place is taken.
        labelled: by the key of feedback, the label that a person gave its stretch.
    """
    made, wanted, given = Verdicts(), frozenset(kinds), labelled or {}
    every = [asked_of(f, taught, given.get(f.key)) for f in feedback if f.said.source in observations]
    for one in every:
        made.fixes.append(_fix(one, *observations[one.feedback.said.source]))
    for source, (used, candidate) in observations.items():
        own = [a for a in every if a.feedback.said.source == source]
        ours, theirs = ([o for o in side if o.kind in wanted] for side in (used, candidate))
        for o in ours:
            rest = without(_span(o), [a.span for a in own if a.may_go(o)])
            if _covered(rest, _alike(o, theirs)) >= _COVERED:
                made.kept += 1
            elif _length(rest) >= min(_LEAST, _length([_span(o)])):
                made.changed.append(_changed(o, rest, source, lost=True))
            # what lies within feedback alone is judged there
        for o in theirs:
            rest = without(_span(o), [a.span for a in own if a.may_come(o)])
            if _length(rest) >= min(_LEAST, _length([_span(o)])) and _covered(rest, _alike(o, ours)) < _COVERED:
                made.changed.append(_changed(o, rest, source, lost=False))
    return made


def _fix(one: Asked, used: Sequence[Observation], candidate: Sequence[Observation]) -> Fix:
    already, _ = _done(one, used)
    fixed, covered = _done(one, candidate)
    return Fix(one.feedback, fixed, covered, already)


def _done(one: Asked, observed: Sequence[Observation]) -> tuple[bool, float]:
    """Whether what was observed is as was asked, and the share of the stretch in which its label is told."""
    said = one.feedback.said
    seen, covered = _tells(one, said.label, observed)
    if said.verdict != "wrong":
        return seen, covered
    gone = covered < _TOUCHED and not seen
    return gone and (one.instead is None or _tells(one, one.instead, observed)[0]), covered


def _tells(one: Asked, label: str, observed: Sequence[Observation]) -> tuple[bool, float]:
    """Whether a label is told in the stretch, and in which share of it."""
    same = [_span(o) for o in observed if o.label == label and one.kind in (None, o.kind)]
    covered = _covered([one.span], same)
    # however short: what lies in the stretch is still a false alarm, or a moment that was seen
    within = any(overlap(s, one.span) >= _COVERED * max(1e-6, s[1] - s[0]) for s in same)
    if label != one.feedback.said.label and not one.moments:
        # what takes another's place holds for as long
        within = False
    return covered >= _COVERED or within, covered


def _span(o: Observation) -> Span:
    return o.span.start.seconds, o.span.end.seconds


def _alike(o: Observation, others: Iterable[Observation]) -> list[Span]:
    return [_span(x) for x in others if (x.kind, x.label) == (o.kind, o.label)]


def _length(spans: Iterable[Span]) -> float:
    return sum(end - start for start, end in spans)


def _covered(parts: Sequence[Span], by: Sequence[Span]) -> float:
    """The share of the parts that the others cover."""
    whole = _length(parts)
    if whole <= 0:
        return 0.0
    joined: list[Span] = []
    for start, end in sorted(by):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return sum(overlap(p, b) for p in parts for b in joined) / whole


def _changed(o: Observation, rest: Sequence[Span], source: str, *, lost: bool) -> Changed:
    return Changed(source, o.kind, o.label or "", rest[0][0], rest[-1][1], o.score or 0.0, lost)
