"""Shots into scenes, and scenes into chapters.

Scenes by overlapping links (Hanjalic, Lagendijk and Biemond 1999; the time constraint of Yeung and Yeo's scene
transition graph, 1998): where a shot looks like one shortly before, everything between the two is one
scene. Chapters: the scene boundaries across which the looks differ most, kept apart from each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.core.time import Span

__all__ = ["Scene", "SceneBuilder", "Shot", "chapter_starts"]


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot: its span, its number, how it begins, and the mean look of its keyframes (unit length) or None."""

    span: Span
    index: int
    transition: str | None
    look: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Scene:
    """Consecutive shots. ``look`` is the mean look, not of unit length, by time; ``weight`` the seconds behind it."""

    span: Span
    first_shot: int
    last_shot: int
    transition: str | None
    look: NDArray[np.float64] | None
    weight: float

    def joined(self, other: Scene) -> Scene:
        """This scene and the one that follows it as one."""
        looks = [(s.look, s.weight) for s in (self, other) if s.look is not None]
        weight = sum(w for _, w in looks)
        look = np.sum([v * w for v, w in looks], axis=0) / weight if weight else None
        return Scene(
            Span(self.span.start, other.span.end), self.first_shot, other.last_shot, self.transition, look, weight
        )


def _alike(a: NDArray | None, b: NDArray | None) -> float:
    """Cosine of two looks; 0 where one is not known."""
    if a is None or b is None:
        return 0.0
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else 0.0


def _scene_of(shots: Sequence[Shot]) -> Scene:
    scenes = [
        Scene(
            s.span,
            s.index,
            s.index,
            s.transition,
            None if s.look is None else s.look.astype(np.float64),
            0.0 if s.look is None else max(0.001, float(s.span.duration)),
        )
        for s in shots
    ]
    whole = scenes[0]
    for scene in scenes[1:]:
        whole = whole.joined(scene)
    return whole


class _Group:
    """Shots that belong together: the last ones singly, for comparing, those before them summed up."""

    def __init__(self, shot: Shot) -> None:
        self.recent = [shot]
        self.past: list[Scene] = []

    def scene(self) -> Scene:
        """All of it as one scene."""
        whole = [*self.past, _scene_of(self.recent)]
        return whole[0] if len(whole) == 1 else whole[0].joined(whole[1])

    def take(self, later: Sequence[_Group], shot: Shot, reach: int) -> None:
        """Take up the groups that follow and a new shot."""
        # groups that follow lie within reach of this one, so none of them is long enough to have a past
        for group in later:
            self.recent = self.recent + group.recent
        self.recent = [*self.recent, shot]
        if len(self.recent) > reach:
            old, self.recent = self.recent[:-reach], self.recent[-reach:]
            rest = _scene_of(old)
            self.past = [self.past[0].joined(rest) if self.past else rest]


class SceneBuilder:
    """Groups shots as they come, in bounded memory.

    Args:
        similarity: least cosine of a link.
        link_shots: how many shots back a link may reach.
        link_seconds: how many seconds back.
        min_scene: seconds; a shorter scene joins a neighbour.
    """

    def __init__(self, *, similarity: float, link_shots: int, link_seconds: float, min_scene: float) -> None:
        self._similarity, self._reach, self._seconds = similarity, link_shots, Fraction(link_seconds)
        self._min_scene = min_scene
        self._groups: list[_Group] = []
        """Groups that may still be joined by a link."""
        self._held: Scene | None = None

    def push(self, shot: Shot) -> list[Scene]:
        """Take the next shot; returns the scenes that are complete."""
        number = self._linked_group(shot)
        if number is None:
            self._groups.append(_Group(shot))
        else:
            self._groups[number].take(self._groups[number + 1 :], shot, self._reach)
            del self._groups[number + 1 :]
        made: list[Scene] = []
        while len(self._groups) > 1 and not self._in_reach(self._groups[0].recent[-1], shot):
            made += self._settle(self._groups.pop(0).scene())
        return made

    def finish(self) -> list[Scene]:
        """The video has ended; returns the remaining scenes."""
        made = [scene for group in self._groups for scene in self._settle(group.scene())]
        self._groups = []
        if self._held is not None:
            made.append(self._held)
            self._held = None
        return made

    def _in_reach(self, earlier: Shot, later: Shot) -> bool:
        near = later.index - earlier.index <= self._reach
        return near and later.span.start - earlier.span.end <= self._seconds

    def _linked_group(self, shot: Shot) -> int | None:
        """Number of the earliest group that holds a shot in reach that looks alike."""
        for number, group in enumerate(self._groups):
            if any(
                self._in_reach(other, shot) and _alike(other.look, shot.look) >= self._similarity
                for other in group.recent
            ):
                return number
        return None

    def _settle(self, scene: Scene) -> list[Scene]:
        """Give out the scene before, unless one of the two is too short and they go together."""
        held = self._held
        if held is None:
            self._held = scene
            return []
        short = min(float(held.span.duration), float(scene.span.duration)) < self._min_scene
        faded = scene.transition == "fade" and float(held.span.duration) >= self._min_scene / 2
        if short and not faded:
            self._held = held.joined(scene)
            return []
        self._held = scene
        return [held]


def chapter_starts(scenes: Sequence[Scene], shortest: float, most: int) -> list[int]:
    """Numbers of the scenes at which chapters begin; the first is 0.

    Args:
        scenes: all scenes, at least one.
        shortest: seconds that a chapter lasts at least.
        most: most chapters.
    """
    begin, end = float(scenes[0].span.start.value), float(scenes[-1].span.end.value)
    strengths = []
    for i in range(1, len(scenes)):
        before, after = _around(scenes, i, -1, shortest / 2), _around(scenes, i, 1, shortest / 2)
        bonus = 0.3 if scenes[i].transition == "fade" else 0.0
        strengths.append((1 - _alike(before, after) + bonus, -i))
    chosen = [0]
    places = [begin, end]
    for _, negative in sorted(strengths, reverse=True):
        at = float(scenes[-negative].span.start.value)
        if len(chosen) < most and all(abs(at - place) >= shortest for place in places):
            chosen.append(-negative)
            places.append(at)
    return sorted(chosen)


def _around(scenes: Sequence[Scene], at: int, direction: int, seconds: float) -> NDArray[np.float64] | None:
    """Mean look of the scenes before (-1) or from (1) scene ``at`` on, as far as ``seconds`` reach."""
    total: NDArray[np.float64] | None = None
    passed = 0.0
    i = at - 1 if direction < 0 else at
    while 0 <= i < len(scenes) and (total is None or passed < seconds):
        look = scenes[i].look
        if look is not None:
            share = look * scenes[i].weight
            total = share if total is None else total + share
        passed += float(scenes[i].span.duration)
        i += direction
    return total
