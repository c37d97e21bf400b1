"""A label says where it is, for how long, and by which senses."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from analyzers.script import Script, heard, seen, silence, told
from onlooker.analyzers.labels.analyzer import Labels
from onlooker.analyzers.labels.config import LabelsConfig
from onlooker.core.observation import Observation
from onlooker.core.time import Span
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract

LINES = [
    seen(0, 4, "dog", "dog-1"),
    seen(3, 6, "dog", "dog-2"),
    heard(5, 7, "dog"),
    seen(0, 0.5, "cat", "cat-1"),
    heard(12, 18, "applause"),
    Observation(Span.of_seconds(0, 10), "scene", data={"index": 0}),
    Observation(Span.of_seconds(10, 20), "scene", data={"index": 1}),
]


def labels(lines: list[Observation], **settings: Any) -> dict[tuple[str, float], list[Observation]]:
    found: dict[tuple[str, float], list[Observation]] = {}
    for o in told(Labels(LabelsConfig(**settings)), lines):
        found.setdefault((str(o.data["period"]), o.span.start.seconds), []).append(o)
    return found


def test_time_is_counted_once_and_both_senses_count():
    dog = labels(LINES)["source", 0.0][0]
    assert (dog.label, dog.data["seconds"], dog.data["share"], dog.data["count"]) == ("dog", 7.0, 0.35, 3)
    assert dog.score == pytest.approx(1 - 0.2 * 0.3)
    assert dog.data["senses"] == {"objects": round(0.8 / 1.5, 4), "sounds": round(0.7 / 1.5, 4)}


def test_each_scene_has_its_own():
    found = labels(LINES)
    assert [o.label for o in found["scene", 0.0]] == ["dog"]
    assert [o.label for o in found["scene", 10.0]] == ["applause"]
    assert found["scene", 10.0][0].data["share"] == 0.6
    assert set(labels(LINES, scenes=False)) == {("source", 0.0)}


def test_what_is_there_for_a_moment_is_no_label():
    assert "cat" not in [o.label for group in labels(LINES).values() for o in group]
    assert "cat" in [o.label for o in labels(LINES, least_seconds=0.3)["source", 0.0]]
    assert told(Labels(LabelsConfig()), LINES[-2:]) == []


def test_it_works_without_scenes_or_sounds():
    only = [o for o in LINES if o.kind == "track"]
    (dog,) = labels(only)["source", 0.0]
    assert dog.data["senses"] == {"objects": 1.0}


class TestContract(AnalyzerContract):
    """Over a script."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path):
        if not type(self).path:
            type(self).path = silence(tmp_path / "silence.wav", 20)

    def make(self):
        return [Script(LINES), Labels(LabelsConfig())]

    def open_source(self):
        return open_source(self.path)
