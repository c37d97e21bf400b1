"""What a video is about is named, with any of the senses missing, and each topic says what it rests on."""

from __future__ import annotations

import os
from typing import Any, ClassVar, cast

import pytest
from pydantic import ValidationError

from analyzers.script import Script, heard, said, seen, shown, silence, told
from onlooker import models
from onlooker.analyzers.topics.analyzer import Topics
from onlooker.analyzers.topics.config import TopicsConfig
from onlooker.analyzers.topics.names import TOPICS
from onlooker.core.observation import Observation
from onlooker.core.time import Span
from onlooker.models.sentences import MODELS, shared_encoder
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract

KITCHEN = [
    said(0, 4, "First chop two onions and some garlic for the soup."),
    said(4, 8, "Fry the onions in olive oil until they are golden."),
    said(8, 12, "Let the soup simmer and add salt and pepper."),
    seen(0, 12, "bowl", "bowl-1"),
    seen(0, 12, "person", "person-1"),
]
GAME = [
    said(12, 16, "这场篮球比赛进入了最后一节。", "zh"),
    said(16, 20, "他在三分线外投篮，球进了！", "zh"),
    shown(12, 20, "篮球联赛 总决赛", language="zh"),
    heard(18, 20, "applause"),
]


@pytest.fixture(autouse=True)
def _models():
    for name in MODELS:
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def topics(lines: list[Observation], **settings: Any) -> list[Observation]:
    return told(Topics(TopicsConfig(**settings)), lines)


def chapter(start: int, end: int) -> Observation:
    return Observation(Span.of_seconds(start, end), "chapter", label="Chapter")


def labels(made: list[Observation], period: str) -> list[str | None]:
    return [o.label for o in made if o.kind == "topic" and o.data["period"] == period]


def test_each_chapter_has_its_topic():
    made = topics([*KITCHEN, *GAME, chapter(0, 12), chapter(12, 20)])
    found = [o for o in made if o.kind == "topic" and o.data["period"] == "chapter"]
    assert found[0].label == "cooking"
    assert "basketball" in [o.label for o in found if o.span.start.seconds == 12]
    assert "烹饪美食" in str(found[0].text)
    assert {"cooking", "basketball"} & set(labels(made, "source"))


def test_a_topic_tells_which_senses_it_rests_on():
    made = topics([*KITCHEN, chapter(0, 12), chapter(12, 20)])
    senses = cast(dict[str, float], next(o for o in made if o.kind == "topic").data["senses"])
    assert set(senses) == {"speech", "objects"}
    assert senses["speech"] > 0.5
    assert sum(senses.values()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["speech", "text", "track", "sound"])
def test_it_works_with_any_sense_missing(kind):
    made = topics([o for o in [*KITCHEN, *GAME] if o.kind != kind])
    assert all(kind not in cast(dict[str, float], o.data["senses"]) for o in made)
    if kind != "speech":
        assert labels(made, "source")[0] in ("cooking", "basketball")


def test_things_alone_give_a_topic():
    lines = [seen(0, 9, "dog", "dog-1"), seen(2, 5, "cat", "cat-1"), heard(1, 4, "dog")]
    assert labels(topics(lines), "source")[0] == "pets"


def test_keywords_are_content_words_in_their_moments():
    made = [o for o in topics([*KITCHEN, *GAME]) if o.kind == "keyword"]
    words = {str(o.label): o for o in made}
    assert {"onions", "soup", "篮球"} <= set(words)
    assert not {"the", "first", "person", "他", "在"} & set(words)
    onions = words["onions"]
    assert onions.data["count"] == 2
    assert onions.data["moments"] == [[0.0, 4.0], [4.0, 8.0]]
    assert (onions.span.start.seconds, onions.span.end.seconds) == (0, 8)
    assert words["篮球"].data["senses"] == {"speech": 1, "text": 1}
    assert made[0].score == 1.0


def test_phrases_hold_together():
    lines = [said(i, i + 1, "Neural networks learn, and a neural network has layers.") for i in range(3)]
    lines += [said(i, i + 1, "神经网络由很多层组成。", "zh") for i in range(3, 6)]
    words = [o.label for o in topics(lines) if o.kind == "keyword"]
    assert any(w in ("neural networks", "neural network") for w in words)
    assert "神经网络" in words
    assert "neural" not in words


def test_nothing_is_said_of_nothing():
    assert topics([seen(0, 9, "person", "person-1"), shown(0, 3, "12")]) == []


def test_stretches_stand_in_for_chapters():
    made = topics([*KITCHEN, *GAME], stretch_seconds=10)
    assert labels(made, "stretch")[0] == "cooking"
    assert "basketball" in labels(made, "stretch")


def test_the_list_can_be_chosen_and_extended():
    made = topics(KITCHEN, topics=("football", "cars"), own={"vegetables": ("onions and garlic", "洋葱和大蒜")})
    assert labels(made, "source")[0] == "vegetables"
    assert next(o for o in made if o.kind == "topic").text == "vegetables"
    with pytest.raises(ValidationError, match="no topic is called 'nonsense'"):
        TopicsConfig(topics=("nonsense",))
    with pytest.raises(ValidationError, match="one phrase or more"):
        TopicsConfig(own={"empty": ()})


def test_every_topic_is_nearest_to_itself():
    encoder = shared_encoder()
    names, prototypes = Topics(TopicsConfig())._prototypes(encoder)
    for number, name in enumerate(names):
        assert int((prototypes @ encoder.one(TOPICS[name].english)).argmax()) == number, name
        assert int((prototypes @ encoder.one(TOPICS[name].chinese)).argmax()) == number, name


class TestContract(AnalyzerContract):
    """Over a script in two languages."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path):
        if not type(self).path:
            type(self).path = silence(tmp_path / "silence.wav", 20)

    def make(self):
        return [Script([*KITCHEN, *GAME]), Topics(TopicsConfig(stretch_seconds=10))]

    def open_source(self):
        return open_source(self.path)
