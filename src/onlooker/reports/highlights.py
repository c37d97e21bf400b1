"""Chooses the most interesting moments of a source, with reasons.

Each shot is scored by what is in it: objects that move, motion, how rare what it shows is within this source, and the
quality of its keyframe; cues of bad pictures count against it. Then shots are taken greedily, each new one worth less
the closer it is to one that was taken (maximal marginal relevance: Carbonell and Goldstein 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from onlooker.core.observation import Observation
from onlooker.core.store import Query, SourceStatus
from onlooker.core.time import Span, Timestamp

__all__ = ["Highlight", "choose_highlights"]

_BAD = frozenset({"black", "frozen", "blur", "colour_bars", "camera_covered", "overexposed", "underexposed"})
_LEAST, _MOST = Fraction(1), Fraction(6)


@dataclass(slots=True)
class Highlight:
    """A chosen stretch, its score (higher is better) and the reasons."""

    span: Span
    score: float
    why: list[str] = field(default_factory=list[str])


def choose_highlights(
    source: SourceStatus, observations: Callable[[Query], Iterator[Observation]], seconds: float
) -> list[Highlight]:
    """Stretches of together at most ``seconds``, in order of time; empty where there are no shots."""

    def of(*kinds: str) -> list[Observation]:
        return list(observations(Query(sources=(source.info.id,), kinds=kinds)))

    shots = of("shot")
    facts = of("track", "motion", "cue", "keyframe", "text", "speech", "sound")
    seen = Counter(o.label for o in facts if o.kind == "track" and o.label)
    scored = [_score(shot, [o for o in facts if o.span.overlaps(shot.span)], seen) for shot in shots]
    return _pick([h for h in scored if h.score > 0] or scored, Fraction(seconds).limit_denominator(1000))


def _score(shot: Observation, facts: Sequence[Observation], seen: Counter[str]) -> Highlight:
    length = shot.span.duration
    score, why = 0.2, list[str]()
    for fact in facts:
        shared = fact.span.intersection(shot.span)
        share = float(shared.duration / length) if shared and length else 0.0
        if fact.kind == "track" and fact.label:
            rare = 1.0 / (1 + seen[fact.label]) ** 0.5
            moves = fact.data.get("distance")
            score += share * (0.3 + rare + min(1.0, float(moves) if isinstance(moves, int | float) else 0.0))
            why.append(fact.label)
        elif fact.kind == "motion" and fact.label == "active":
            score += share * min(1.0, 4 * (fact.score or 0.0))
            why.append("motion")
        elif fact.kind == "cue" and fact.label in _BAD:
            score -= 2 * share
        elif fact.kind in ("text", "speech", "sound"):
            score += 0.3 * share
            why.append(fact.kind)
    bad = [f.span for f in facts if f.kind == "cue" and f.label in _BAD]
    return Highlight(_part(shot.span, bad), round(score, 4), sorted(set(why)) or ["a shot of its own"])


def _part(span: Span, bad: Sequence[Span]) -> Span:
    """At most a few seconds of a shot: its middle, away from its transitions, or where less of it is bad."""
    room = span.duration - _MOST
    if room <= 0:
        return span
    starts = [span.start.value + room * Fraction(n, 8) for n in (4, 3, 5, 2, 6, 1, 7, 0, 8)]
    parts = [Span(Timestamp.of_seconds(start), Timestamp.of_seconds(start + _MOST)) for start in starts]
    return min(parts, key=lambda part: sum(shared.duration for b in bad if (shared := b.intersection(part))))


def _pick(candidates: list[Highlight], seconds: Fraction) -> list[Highlight]:
    left, taken, room = list(candidates), list[Highlight](), seconds
    while left and room >= _LEAST:
        best = max(left, key=lambda h: h.score - _nearness(h, taken))
        left.remove(best)
        if best.span.duration > room:
            best = Highlight(Span(best.span.start, best.span.start + room), best.score, best.why)
        taken.append(best)
        room -= best.span.duration
    return sorted(taken, key=lambda h: h.span.start)


def _nearness(highlight: Highlight, taken: Sequence[Highlight]) -> float:
    """How much what was taken already takes away: same reasons, close in time."""
    worst = 0.0
    for other in taken:
        apart = abs(float(highlight.span.start - other.span.start))
        same = len(set(highlight.why) & set(other.why)) / max(1, len(set(highlight.why) | set(other.why)))
        worst = max(worst, 0.5 * same + 0.5 / (1 + apart / 10))
    return worst
