"""What a condition is: a model of its settings, and a node that is true or not from one moment to the next.

A condition is one module in ``onlooker.rules.conditions`` that defines ``CONDITION``, a class derived from
`Condition`; the module's name is how rule files call it. Its node sees moments strictly in order of time, each exactly
once, and answers from them alone, so that the same observations give the same events however they arrive.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from onlooker.core.observation import Box, Json, Observation
from onlooker.rules.places import Places
from onlooker.rules.world import Track, World

__all__ = ["Condition", "Hit", "Hits", "Node", "Per", "hit_of", "hit_of_track", "joined", "merged"]

Per = Literal["camera", "track"]
_MOST = 16


class Hit(NamedTuple):
    """Why a condition is true for one subject.

    Args:
        since: nanoseconds from which it has been true.
        seen: nanoseconds of the latest evidence; None where there is none and it holds until it does not (absence).
        score: confidence 0..1, or None.
        label, box, track: of the subject.
        data: further fields of the event.
        rests_on: the observations behind it (the latest few).
        moment: it holds at this moment alone, such as a crossing: each makes an event of its own.
    """

    since: int
    seen: int | None
    score: float | None = None
    label: str | None = None
    box: Box | None = None
    track: str | None = None
    data: Mapping[str, Json] | None = None
    rests_on: tuple[Observation, ...] = ()
    moment: bool = False


Hits = Mapping[str, Hit]
"""Subjects for which a condition is true, by the name of their track; ``""`` where there is no single subject."""


class Node(ABC):
    """A condition at work on one source.

    Attributes:
        path: where it stands in the rule, such as ``when.all[0].object``.
        hits: its latest answer.
        children: the nodes that it combines.
    """

    children: Sequence[Node] = ()

    def __init__(self, path: str) -> None:
        self.path = path
        self.hits: Hits = {}

    def step(self, world: World) -> Hits:
        """The answer at this moment."""
        self.hits = self.answer(world)
        return self.hits

    @abstractmethod
    def answer(self, world: World) -> Hits:
        """The subjects for which it is true at ``world.now``."""

    def wake(self) -> int | None:
        """Nanoseconds at which the answer may change though nothing arrives; None: never by itself."""
        if not self.children:
            return None
        return min((t for c in self.children if (t := c.wake()) is not None), default=None)

    def why(self) -> str:
        """One line for people: what was found and what is wanted."""
        return ""


class Condition(BaseModel, ABC):
    """Base of the settings of conditions.

    Attributes:
        per: what an event of it is about unless the rule says otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    per: ClassVar[Per] = "camera"

    @abstractmethod
    def kinds(self) -> frozenset[str]:
        """Kinds of observation that it looks at."""

    def zones(self) -> Iterable[str]:
        """Names of zones that it uses."""
        return [z for z in (getattr(self, "zone", None),) if z is not None]

    def lines(self) -> Iterable[str]:
        """Names of lines that it uses."""
        return [name for name in (getattr(self, "line", None),) if name is not None]

    def needs_ground(self) -> bool:
        """Whether it needs a calibrated ground plane."""
        return False

    def parts(self) -> Iterable[Condition]:
        """The conditions that it combines."""
        return ()

    @abstractmethod
    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""


def hit_of(o: Observation) -> Hit:
    """A hit that rests on one observation with a span of its own."""
    start, end = o.span.start.nanoseconds, o.span.end.nanoseconds
    return Hit(start, max(start, end), o.score, o.label, o.box, o.track, None, (o,))


def hit_of_track(track: Track, since: int, data: Mapping[str, Json] | None = None, *, moment: bool = False) -> Hit:
    """A hit that rests on a track in sight."""
    o = track.rests_on
    return Hit(since, track.seen, o.score, track.label or o.label, track.box, track.name, data, (o,), moment)


def merged(hits: Iterable[Hit]) -> Hit:
    """One hit of several of which each would do: from the first beginning to the last evidence."""
    own = sorted(hits, key=lambda h: (h.since, h.track or ""))
    seen = [h.seen for h in own]
    scores = [h.score for h in own if h.score is not None]
    return _together(own)._replace(
        since=own[0].since,
        seen=None if None in seen else max(s for s in seen if s is not None),
        score=max(scores, default=None),
    )


def joined(hits: Iterable[Hit]) -> Hit:
    """One hit of several that hold together: from the last beginning to the first end of evidence."""
    own = sorted(hits, key=lambda h: (h.since, h.track or ""))
    scores = [h.score for h in own if h.score is not None]
    return _together(own)._replace(
        since=own[-1].since,
        seen=min((h.seen for h in own if h.seen is not None), default=None),
        score=min(scores, default=None),
    )


def _together(own: Sequence[Hit]) -> Hit:
    """The best of the hits, with the tracks, fields and observations of all."""
    best = max(own, key=lambda h: (h.score is not None, h.score or 0.0))
    rests = tuple({id(o): o for h in own for o in h.rests_on}.values())[-_MOST:]
    data: dict[str, Json] = {}
    tracks: dict[str, None] = {}
    for hit in own:
        data.update(hit.data or {})
        listed = (hit.data or {}).get("tracks")
        tracks.update(dict.fromkeys(str(t) for t in listed) if isinstance(listed, list) else {})
        tracks.update({hit.track: None} if hit.track else {})
    if len(tracks) > 1:
        data["tracks"] = [*tracks]
    return best._replace(data=data or None, rests_on=rests, moment=any(h.moment for h in own))
