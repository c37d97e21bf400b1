"""What feedback asks of a bundle: which label has to go, which has to come, and what may change with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onlooker.bundles.outputs import Classification, Events, Ordinal
from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation
from onlooker.improving.feedback import Feedback
from onlooker.improving.labels import Taught, output_of
from onlooker.shadow.compare import Span

__all__ = ["Asked", "asked_of"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What feedback asks for in its stretch.

    Args:
        feedback: it.
        kind: of the observations that it speaks of; None: any.
        instead: of a wrong one, the label that must be told in its place; None: nothing has to be.
        goes, comes: labels that may be lost there, or be new, for its sake; judged by itself alone.
        moments: whether the labels are those of moments, not of stretches.
    """

    feedback: Feedback
    kind: str | None
    instead: str | None
    goes: frozenset[str]
    comes: frozenset[str]
    moments: bool

    @property
    def span(self) -> Span:
        """Seconds."""
        return self.feedback.span

    def may_go(self, o: Observation) -> bool:
        """Whether an observation of the bundle in use may be lost in the stretch."""
        return o.label in self.goes and self.kind in (None, o.kind)

    def may_come(self, o: Observation) -> bool:
        """Whether an observation of the candidate may be new in the stretch."""
        return o.label in self.comes and self.kind in (None, o.kind)


def asked_of(one: Feedback, taught: Sequence[Taught], labelled: str | None) -> Asked:
    """What feedback asks for.

    Args:
        one: the feedback.
        taught: outputs that feedback can speak of.
        labelled: the label that a person gave its stretch where it is not known otherwise, or None.
    """
    said = one.said
    about = _about(one, taught)
    single = about is not None and isinstance(about.output, Classification | Ordinal)
    kind = said.kind if about is None else about.output.kind
    sure = about.sure(said) if about is not None and single else None
    instead = said.instead
    if instead is None and sure is None and said.verdict == "wrong":
        instead = labelled
    goes, comes = {said.label}, {said.label}
    if said.verdict == "right":
        goes.clear()
    if about is not None and single:
        # of these labels one holds at a time: what comes takes the place of the others
        others = {label for label in about.labels if label != said.label}
        if said.verdict != "wrong":
            goes |= others
        elif instead is not None:
            goes |= others - {instead}
        elif sure is not None:
            comes.add(sure)
    if instead is not None:
        comes.add(instead)
    ignored = () if about is None else about.ignored
    # a label that is not observed leaves only the absence of the wrong one to see
    told = None if instead in ignored or instead == said.label else instead
    moments = about is not None and isinstance(about.output, Events)
    return Asked(one, kind, told, frozenset(goes), frozenset(comes), moments)


def _about(one: Feedback, taught: Sequence[Taught]) -> Taught | None:
    try:
        return output_of(one.said, taught)
    except UsageError:
        return None
