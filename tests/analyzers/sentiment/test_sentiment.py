"""Sentences are good, bad or neither, in Chinese and English, with negation, degree and turns."""

from __future__ import annotations

import os
from typing import ClassVar

import pytest

from analyzers.script import Script, said, silence, told
from onlooker import models
from onlooker.analyzers.sentiment.analyzer import Sentiment
from onlooker.analyzers.sentiment.chinese import chinese_feeling
from onlooker.analyzers.sentiment.config import SentimentConfig
from onlooker.analyzers.sentiment.english import EnglishFeeling, read_lexicon
from onlooker.core.errors import ModelError
from onlooker.models.sentences import MODELS
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract

LINES = [
    said(0, 2, "I love this wonderful garden!"),
    said(2, 4, "The train leaves at nine."),
    said(4, 6, "That was a terrible accident."),
    said(6, 8, "这家饭店的服务非常好，我很满意。", "zh"),
    said(8, 10, "质量太差了，很失望。", "zh"),
    said(10, 12, "现在是下午三点。", "zh"),
]


@pytest.fixture(autouse=True)
def _models():
    for name in ("sentiment-words", *MODELS):
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


@pytest.fixture(scope="module")
def english() -> EnglishFeeling:
    return EnglishFeeling(read_lexicon(models.model_path("sentiment-words")))


def test_each_sentence_and_the_whole():
    made = told(Sentiment(SentimentConfig()), LINES)
    sentences = [o for o in made if o.data["period"] == "sentence"]
    assert [o.label for o in sentences] == ["positive", "neutral", "negative", "positive", "negative", "neutral"]
    assert [o.span for o in sentences] == [o.span for o in LINES]
    assert made[-1].data["counts"] == {"positive": 2, "negative": 2, "neutral": 2}
    assert (made[-1].span.start.seconds, made[-1].span.end.seconds) == (0, 12)
    quiet = told(Sentiment(SentimentConfig(neutral=False)), LINES)
    assert "neutral" not in [o.label for o in quiet if o.data["period"] == "sentence"]


# what vaderSentiment 3.3.2 gives for its own examples
@pytest.mark.parametrize(
    ("text", "compound"),
    [
        ("VADER is smart, handsome, and funny.", 0.8316),
        ("VADER is smart, handsome, and funny!", 0.8439),
        ("VADER is very smart, handsome, and funny.", 0.8545),
        ("VADER is VERY SMART, handsome, and FUNNY.", 0.9227),
        ("VADER is VERY SMART, handsome, and FUNNY!!!", 0.9342),
        ("VADER is not smart, handsome, nor funny.", -0.7424),
        ("The book was good.", 0.4404),
        ("At least it isn't a horrible book.", 0.431),
        ("The book was only kind of good.", 0.3832),
        ("The plot was good, but the characters are uncompelling and the dialog is not great.", -0.7042),
        ("Today SUX!", -0.5461),
        ("Make sure you :) or :D today!", 0.8633),
        ("Not bad at all", 0.431),
        ("", 0.0),
    ],
)
def test_english_is_judged_as_by_its_authors(english, text, compound):
    assert english(text) == pytest.approx(compound, abs=1e-4)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("我喜欢这个", "我不喜欢这个"),
        ("非常满意", "满意"),
        ("一般，但是很好吃", "很好吃，但是太贵"),
        ("没有问题", "有问题"),
        ("不仅便宜，而且好用", "不便宜，也不好用"),
    ],
)
def test_chinese_words_are_turned_and_strengthened(better, worse):
    good, bad = chinese_feeling(better), chinese_feeling(worse)
    assert good is not None
    assert bad is not None
    assert good > bad


def test_words_that_hold_a_word_are_not_that_word():
    assert chinese_feeling("你好，这里离贵州不难走") is None or abs(chinese_feeling("你好，贵州") or 0) == 0
    assert chinese_feeling("现在是三点") is None


def test_other_languages_are_judged_by_likeness_or_not_at_all():
    lines = [said(0, 2, "Das ist wunderbar, vielen Dank!", "de")]
    (made, _) = told(Sentiment(SentimentConfig()), lines)
    assert (made.label, made.data["by"]) == ("positive", "likeness")
    (made, _) = told(Sentiment(SentimentConfig(vectors=False)), lines)
    assert made.label == "neutral"


def test_a_damaged_lexicon_is_an_error(tmp_path):
    (tmp_path / "words.txt").write_text("good\tvery\n")
    with pytest.raises(ModelError, match="no lexicon"):
        read_lexicon(tmp_path / "words.txt")


class TestContract(AnalyzerContract):
    """Over a script."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path):
        if not type(self).path:
            type(self).path = silence(tmp_path / "silence.wav", 12)

    def make(self):
        return [Script(LINES), Sentiment(SentimentConfig())]

    def open_source(self):
        return open_source(self.path)
