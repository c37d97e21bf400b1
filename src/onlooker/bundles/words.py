"""Texts as the numbers that a bundle's head reads: a vector of meaning, or the numbers of words.

Hashed words and pairs of words: Joulin et al. 2017, Bag of tricks for efficient text classification, arXiv 1607.01759.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
import zlib
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import TextInput

__all__ = ["MOST", "Reader", "hashed_words", "reader_of"]

Reader: TypeAlias = Callable[[str], NDArray[np.float32]]
"""Gives what a head reads of a text."""
MOST = 1 << 20
"""The greatest number of a word; float32 holds all of them."""
# scripts that put no blanks between words: each character counts as one
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def hashed_words(text: str, size: int) -> NDArray[np.float32]:
    """The numbers of a text's words, then of pairs of words that follow each other, with 0 where there are no more.

    Args:
        text: in any case; marks between words do not count.
        size: how many numbers; what is longer is cut off, pairs first.

    Returns:
        (size,) whole numbers from 0 to `MOST`.

    Example:
        >>> hashed_words("Stop, stop!", 4)[:2].tolist() == [hashed_words("stop", 1)[0]] * 2
        True
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    pairs = (f"{a} {b}" for a, b in itertools.pairwise(words))
    made = np.zeros(size, np.float32)
    for place, word in enumerate(itertools.islice(itertools.chain(words, pairs), size)):
        made[place] = 1 + zlib.crc32(word.encode()) % MOST
    return made


def reader_of(facts: TextInput) -> Reader:
    """What makes the numbers of a text.

    Raises:
        ModelError: the catalogue's encoder is asked for, and is not here.
    """
    if facts.encoder == "hashed-words":
        return partial(hashed_words, size=facts.size)
    from onlooker.models.sentences import shared_encoder

    return shared_encoder().one
