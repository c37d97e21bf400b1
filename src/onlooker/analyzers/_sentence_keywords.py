"""Keywords: words and short phrases that come more often than the language lets expect.

Frequency times surprise, the form of TF-IDF in which the vocabulary's probabilities take the place of a collection of
documents; phrases are runs of words between stop words (Rose et al. 2010, Automatic keyword extraction from individual
documents). Of the best of these, words whose vector is near the mean of all that is said come first (as in KeyBERT,
Grootendorst 2020).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from onlooker.analyzers._sentence_evidence import Evidence
from onlooker.analyzers._sentence_stop_words import STOP_WORDS
from onlooker.analyzers._sentence_words import is_chinese, stem, words_of
from onlooker.core.time import Span
from onlooker.models.sentence_tokens import Pieces
from onlooker.models.sentences import SentenceEncoder

__all__ = ["Keyword", "keywords_of"]

_PHRASE = 3
_CHINESE_PHRASE = 4
_COMMON, _RARE = 9.0, 15.0
"""A word of less surprise than this says little; more than that says no more."""
_CANDIDATES = 50
_MARKS = re.compile(r"[^\w\s'’-]+")
_WHOLE = 0.6
"""A word that stands so often within a chosen phrase is not named beside it."""


@dataclass(slots=True)
class Keyword:
    """A word or phrase.

    Args:
        text: as it is counted: English in small letters.
        several: whether it is a phrase of several words.
        score: the best has 1.
        spans: when it was said, shown or heard.
        senses: how often by each sense.
        forms: how often in each form (singular, plural, ...).
    """

    text: str
    several: bool
    score: float = 0.0
    spans: list[Span] = field(default_factory=list[Span])
    senses: dict[str, int] = field(default_factory=dict[str, int])
    forms: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def count(self) -> int:
        """How often it comes."""
        return sum(self.senses.values())


def _runs(words: Iterable[str]) -> Iterator[list[str]]:
    """Words between stop words and numbers; Chinese and English apart."""
    run: list[str] = []
    for word in words:
        stop = word in STOP_WORDS or not any(c.isalpha() for c in word) or len(word.strip("'’-")) < 1
        if run and (stop or is_chinese(word) != is_chinese(run[-1])):
            yield run
            run = []
        if not stop:
            run.append(word)
    if run:
        yield run


def _phrases(text: str, pieces: Pieces) -> Iterator[tuple[str, bool]]:
    """Words and phrases that no mark parts, and whether each is of several words."""
    runs = (run for clause in _MARKS.split(text) for run in _runs(words_of(clause, pieces.split)))
    for run in runs:
        chinese = is_chinese(run[0])
        longest, glue = (_CHINESE_PHRASE, "") if chinese else (_PHRASE, " ")
        for start in range(len(run)):
            for end in range(start + 1, min(start + longest, len(run)) + 1):
                phrase = glue.join(run[start:end])
                # one character is seldom a word, and seven are seldom one
                if len(phrase) >= 2 and (not chinese or len(phrase) <= 6):
                    yield phrase, end > start + 1


def keywords_of(evidence: Iterable[Evidence], encoder: SentenceEncoder, most: int) -> list[Keyword]:
    """The best first.

    Args:
        evidence: in any order; labels of things and sounds count as words too.
        encoder: its vocabulary tells how common a word is, its vectors how near it is to all that is said.
        most: at most so many.
    """
    found: dict[str, Keyword] = {}
    texts: list[str] = []
    for piece in evidence:
        texts.append(piece.text)
        for phrase, several in _phrases(piece.text, encoder.pieces):
            known = found.setdefault(" ".join(map(stem, phrase.split(" "))), Keyword(phrase, several=several))
            known.spans.append(piece.span)
            known.senses[piece.sense] = known.senses.get(piece.sense, 0) + 1
            known.forms[phrase] = known.forms.get(phrase, 0) + 1
    for word in found.values():
        word.text = max(word.forms, key=lambda form: (word.forms[form], form))
        word.score = _weight(word, encoder.pieces)
    candidates = sorted(found.values(), key=lambda k: (-k.score, k.spans[0].start, k.text))[: _CANDIDATES + most]
    if not candidates or not most:
        return []
    middle = encoder.many(texts).mean(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-6)
    for word in candidates:
        word.score *= 0.1 + max(0.0, float(encoder.one(word.text) @ middle))
    chosen: list[Keyword] = []
    for word in sorted(candidates, key=lambda k: (-k.score, k.spans[0].start, k.text)):
        if word.score > 0 and len(chosen) < most and not any(_covers(other, word) for other in chosen):
            chosen.append(word)
    top = chosen[0].score if chosen else 1.0
    for word in chosen:
        word.score = round(word.score / top, 4)
        word.spans.sort(key=lambda s: (s.start, s.end))
    return chosen


def _weight(word: Keyword, pieces: Pieces) -> float:
    """How much more often it comes than the language lets expect."""
    several = word.several
    if several and word.count < 2:
        # words that stand together but once are no phrase
        return 0.0
    # rare words and long phrases are surprising in any case
    surprise = min(pieces.surprise(word.text), _RARE) - _COMMON + (1.5 if several else 0.0)
    return max(0.0, surprise) * math.log2(1 + word.count) * (1 + 0.3 * (len(word.senses) - 1))


def _covers(chosen: Keyword, word: Keyword) -> bool:
    """Whether a word says nothing beside one that was chosen: a part of it, or it with more around."""
    one, other = f" {chosen.text} ", f" {word.text} "
    if is_chinese(word.text):
        one, other = chosen.text, word.text
    return (other in one and chosen.count >= _WHOLE * word.count) or one in other
