"""Words of Chinese and English text, for counting and comparing."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["is_chinese", "letters", "stem", "words_of"]

_WORD = re.compile(r"[a-z][a-z0-9]*(?:['’-][a-z]+)*|\d[\d.,:%]*", re.IGNORECASE)
_CHINESE = re.compile(r"[㐀-鿿豈-﫿]+")
_PARTICLES = frozenset("的了在是和就也都很与及或把被给对从向为着过一由将")


def is_chinese(text: str) -> bool:
    """Whether it holds a Chinese character.

    >>> is_chinese("AI 时代"), is_chinese("era")
    (True, False)
    """
    return _CHINESE.search(text) is not None


def letters(text: str) -> int:
    """How much is written: letters and digits, a Chinese character as two.

    >>> letters("今天 ok!")
    6
    """
    return sum(c.isalnum() for c in text) + sum(map(len, _CHINESE.findall(text)))


def stem(word: str) -> str:
    """An English word without the endings of number and time; Chinese stays as it is.

    >>> stem("networks"), stem("training"), stem("bus"), stem("课")
    ('network', 'train', 'bus', '课')
    """
    for ending in ("ing", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def words_of(text: str, split: Callable[[str], list[tuple[str, int]]]) -> list[str]:
    """The words in order, English ones in small letters; Chinese is cut into the pieces of ``split``.

    Args:
        text: of any languages.
        split: `Pieces.split`. A vocabulary of pieces with their probabilities cuts Chinese much as a dictionary does.
    """
    made: list[str] = []
    at = 0
    for run in _CHINESE.finditer(text):
        made += _english(text[at : run.start()])
        for piece, _ in split(run[0]):
            made += _trimmed(piece.removeprefix("▁"))
        at = run.end()
    return made + _english(text[at:])


def _english(text: str) -> list[str]:
    """Words in small letters, without the ending of possession."""
    return [w.lower().replace("’", "'").removesuffix("'s") for w in _WORD.findall(text)]


def _trimmed(piece: str) -> list[str]:
    """A longer Chinese piece without the particles at its ends (``的基本``), which come by themselves."""
    made = [piece] if piece else []
    if len(piece) > 2 and piece[0] in _PARTICLES:
        made = [piece[0], *_trimmed(piece[1:])]
    elif len(piece) > 2 and piece[-1] in _PARTICLES:
        made = [*_trimmed(piece[:-1]), piece[-1]]
    return made
