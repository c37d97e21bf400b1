"""The scenes analyzer; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.scenes.config import ScenesConfig
from onlooker.analyzers.scenes.grouping import Scene, SceneBuilder, Shot, chapter_starts
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Scenes"]


class Scenes(Analyzer[ScenesConfig]):
    """Groups shots into scenes, and scenes into chapters, by the looks of their keyframes."""

    name = "scenes"
    version = "1"
    emits = ("scene", "chapter")
    Config = ScenesConfig
    measurement_fields = frozenset[str]()

    def needs(self) -> Needs:
        """Shots and keyframes; no pictures."""
        return Needs(observations=("shot", "keyframe"))

    def open(self, context: Context) -> None:
        """Start a new source."""
        self._context = context
        self._builder = SceneBuilder(
            similarity=self.config.similarity,
            link_shots=self.config.link_shots,
            link_seconds=self.config.link_seconds,
            min_scene=self.config.min_scene_seconds,
        )
        self._shots: list[Observation] = []
        self._looks: dict[int, list[NDArray[np.float32]]] = {}
        self._scenes: list[Scene] = []

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The scenes that are complete."""
        for o in window.observations:
            if o.kind == "shot":
                self._shots.append(o)
            elif o.kind == "keyframe" and o.vector is not None and isinstance(o.data.get("shot"), int):
                self._looks.setdefault(int(str(o.data["shot"])), []).append(np.asarray(o.vector, np.float32))
        made: list[Observation] = []
        # keyframes come in the order of their shots: one of a later shot means that this one has all of its own
        while self._shots and any(shot > self._index(self._shots[0]) for shot in self._looks):
            made += self._observed(self._builder.push(self._next()))
        return made

    def flush(self) -> Iterable[Observation]:
        """The last scenes, and the chapters."""
        made: list[Observation] = []
        while self._shots:
            made += self._observed(self._builder.push(self._next()))
        made += self._observed(self._builder.finish())
        made += self._chapters()
        self._scenes, self._looks = [], {}
        return made

    @staticmethod
    def _index(shot: Observation) -> int:
        return int(str(shot.data["index"]))

    def _next(self) -> Shot:
        shot = self._shots.pop(0)
        index = self._index(shot)
        looks = self._looks.pop(index, [])
        mean = np.mean(looks, axis=0) if looks else None
        transition = shot.data.get("transition")
        return Shot(shot.span, index, transition if isinstance(transition, str) else None, mean)

    def _observed(self, scenes: Iterable[Scene]) -> list[Observation]:
        made: list[Observation] = []
        for scene in scenes:
            data = {
                "index": len(self._scenes),
                "shots": scene.last_shot - scene.first_shot + 1,
                "first_shot": scene.first_shot,
                "last_shot": scene.last_shot,
            }
            self._scenes.append(scene)
            made.append(Observation(scene.span, "scene", data=data))
        return made

    def _chapters(self) -> list[Observation]:
        scenes = self._scenes
        if not scenes:
            return []
        end = scenes[-1].span.end
        shortest = self.config.min_chapter_seconds or max(60.0, float(end.value) / 20)
        starts = chapter_starts(scenes, shortest, self.config.max_chapters)
        moments = [Timestamp.of_seconds(Fraction(0)), *(scenes[i].span.start for i in starts[1:]), end]
        made: list[Observation] = []
        for i, first in enumerate(starts):
            last = starts[i + 1] if i + 1 < len(starts) else len(scenes)
            data = {"index": i, "scenes": last - first, "first_scene": first, "last_scene": last - 1}
            made.append(Observation(Span(moments[i], moments[i + 1]), "chapter", label=f"Chapter {i + 1}", data=data))
        return made
