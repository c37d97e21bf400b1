"""The scenes analyzer; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.scenes.config import ScenesConfig
from onlooker.analyzers.scenes.grouping import Scene, SceneBuilder, Shot, chapter_starts
from onlooker.analyzers.scenes.words import Marks, Section, sections_of
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models.sentences import MODELS, models_digest, shared_encoder

__all__ = ["Scenes"]


class Scenes(Analyzer[ScenesConfig]):
    """Groups shots into scenes by the looks of their keyframes; chapters by looks or by what is said."""

    name = "scenes"
    version = "1"
    emits = ("scene", "chapter")
    Config = ScenesConfig
    measurement_fields = frozenset[str]()

    def needs(self) -> Needs:
        """Shots and keyframes; what is said and written, for chapters by words; no pictures."""
        if not self.config.words:
            return Needs(observations=("shot", "keyframe"))
        return Needs(observations=("shot", "keyframe"), wishes=("speech", "text"), models=MODELS)

    def bundle_digest(self) -> str | None:
        """Digest of the encoder of sentences, where it is used."""
        return models_digest() if self.config.words else None

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
        self._said: list[Observation] = []
        self._written: list[Observation] = []

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The scenes that are complete."""
        for o in window.observations:
            if o.kind == "shot":
                self._shots.append(o)
            elif o.kind == "speech" and self.config.words and o.text:
                self._said.append(o)
            elif o.kind == "text" and self.config.words:
                self._written.append(o)
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
        made += self._spoken_chapters() or self._chapters()
        self._scenes, self._looks, self._said, self._written = [], {}, [], []
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

    def _spoken_chapters(self) -> list[Observation]:
        """Chapters by what is said; none where too little is."""
        scenes = self._scenes
        if not self._said or not scenes:
            return []
        end = scenes[-1].span.end
        shortest = self.config.min_chapter_seconds or max(20.0, float(end.value) / 25)
        slides = sorted({c.span.start for c in self._written if c.data.get("role") == "slide"})
        marks = Marks([s.span.start for s in scenes[1:]], slides)
        sections = sections_of(
            self._said, self._written, marks, end, shared_encoder(), shortest, self.config.max_chapters
        )
        return [self._chapter(i, section) for i, section in enumerate(sections)]

    def _chapter(self, index: int, section: Section) -> Observation:
        inside = [i for i, scene in enumerate(self._scenes) if scene.span.overlaps(section.span)]
        data: dict[str, Json] = {
            "index": index,
            "scenes": len(inside),
            "first_scene": inside[0],
            "last_scene": inside[-1],
            "keywords": [*section.keywords],
            "title_from": section.rests_on,
        }
        label = f"Chapter {index + 1}"
        return Observation(section.span, "chapter", label=label, text=section.title or None, data=data)
