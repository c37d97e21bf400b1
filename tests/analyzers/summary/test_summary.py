"""A summary is made of the sentences that tell most, unlike each other, in their order."""

from __future__ import annotations

import os
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from analyzers.script import Script, said, shown, silence, told
from onlooker import models
from onlooker.analyzers.summary.analyzer import Summary
from onlooker.analyzers.summary.config import SummaryConfig
from onlooker.analyzers.summary.ranking import central, choose
from onlooker.core.observation import Observation
from onlooker.core.time import Span
from onlooker.models.sentences import MODELS
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract

TEXTS = [
    "Hello everybody, um, can you hear me?",
    "The flood destroyed hundreds of houses in the valley last night.",
    "The flood has damaged many houses in the valley.",
    "Rescue teams are bringing families from the flooded villages to safety.",
    "I had eggs for breakfast, by the way.",
    "The government promised money to rebuild the houses that the flood destroyed.",
    "More rain is expected, and the river in the valley may rise again.",
    "Okay.",
]
LINES = [said(5 * i, 5 * i + 4, text) for i, text in enumerate(TEXTS)]


@pytest.fixture(autouse=True)
def _models():
    for name in MODELS:
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def summaries(lines: list[Observation], **settings: Any) -> list[Observation]:
    return told(Summary(SummaryConfig(**settings)), lines)


def sentences(summary: Observation) -> list[str]:
    return [str(s["text"]) for s in cast(list[dict[str, object]], summary.data["sentences"])]


def test_what_is_beside_the_point_is_left_out_and_nothing_is_said_twice():
    (made,) = summaries(LINES, sentences=3)
    chosen = sentences(made)
    assert len(chosen) == 3
    assert not {TEXTS[0], TEXTS[4], TEXTS[7]} & set(chosen)
    assert not {TEXTS[1], TEXTS[2]} <= set(chosen)
    assert chosen == sorted(chosen, key=TEXTS.index)
    assert made.text == " ".join(chosen)
    assert (made.label, made.data["of"], made.data["senses"]) == ("source", 8, {"speech": 1.0})


def test_chapters_have_their_own():
    chapters = [Observation(Span.of_seconds(a, b), "chapter") for a, b in ((0, 20), (20, 40))]
    made = summaries([*LINES, *chapters], chapter_sentences=1)
    assert [o.label for o in made] == ["source", "chapter", "chapter"]
    assert [o.span.start.seconds for o in made] == [0, 0, 20]
    assert all(len(sentences(o)) == 1 for o in made[1:])


def test_subtitles_stand_in_for_speech_and_chinese_is_joined_without_spaces():
    texts = [
        "昨晚洪水冲毁了山谷里的数百座房屋。",
        "救援队正在把村民转移到安全的地方。",
        "政府承诺出资重建被洪水冲毁的房屋。",
    ]
    lines = [shown(i, i + 1, text, "subtitle", "zh") for i, text in enumerate(texts)]
    (made,) = summaries(lines, share=1, sentences=2)
    assert made.text in {a + b for a in texts for b in texts}
    assert made.data["senses"] == {"text": 1.0}


def test_too_little_gives_no_summary():
    assert summaries(LINES[:2]) == []
    assert summaries([shown(0, 1, "A slide about floods in the valley", "slide") for _ in range(5)]) == []


def test_the_middle_of_a_crowd_is_central_and_equal_ones_share():
    axes = np.eye(4, dtype=np.float32)
    tilted = ((axes[0] + axes[1]) / np.sqrt(2)).astype(np.float32)
    vectors = np.stack([axes[0], axes[0], axes[0], tilted, axes[3], axes[3]])
    ranks = central(vectors)
    assert ranks[0] == pytest.approx(ranks[1])
    assert ranks[4] < ranks[3] < ranks[0]
    assert choose(vectors, ranks, 2, 0.0) == [0, 1]
    assert choose(vectors, ranks, 2, 1.0) == [0, 4]
    assert choose(vectors, np.full(6, -1.0), 2, 0.5) == []
    assert central(axes[:0]).shape == (0,)


class TestContract(AnalyzerContract):
    """Over a script."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path):
        if not type(self).path:
            type(self).path = silence(tmp_path / "silence.wav", 40)

    def make(self):
        return [Script(LINES), Summary(SummaryConfig())]

    def open_source(self):
        return open_source(self.path)
