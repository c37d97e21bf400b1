"""CLIP's tokens: byte-pair encoding of small-letter text (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909).

The file holds the pairs to merge, the most frequent first, as CLIP publishes them (``bpe_simple_vocab_16e6.txt.gz``).
"""

from __future__ import annotations

import gzip
import html
import itertools
import re
from functools import lru_cache
from pathlib import Path

from onlooker.core.errors import ModelError

__all__ = ["ClipTokens"]

_TOKENS = 49_408
_WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
_END = "</w>"


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in CLIP's order: bytes that are printable themselves come first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    letters = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [letters[b] for b in (*printable, *others)]


class ClipTokens:
    """The encoder.

    Args:
        path: the gzipped list of pairs.

    Raises:
        ModelError: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
        except (OSError, EOFError, ValueError) as error:
            raise ModelError(f"{path.name} is no list of byte pairs: {error}", hint="pull the model again") from None
        letters = _byte_letters()
        pairs = [tuple(line.split()) for line in lines[1 : _TOKENS - 2 * len(letters) - 1]]
        if len(pairs) != _TOKENS - 2 * len(letters) - 2 or any(len(p) != 2 for p in pairs):
            raise ModelError(f"{path.name} is no list of CLIP's byte pairs", hint="pull the model again")
        pieces = [*letters, *(x + _END for x in letters), *("".join(p) for p in pairs)]
        self._numbers = {piece: i for i, piece in enumerate(pieces)}
        self._ranks = {(p[0], p[1]): i for i, p in enumerate(pairs)}
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        order = [*printable, *(b for b in range(256) if b not in printable)]
        self._letter_of = dict(zip(order, letters, strict=True))
        self.begin, self.end = _TOKENS - 2, _TOKENS - 1
        self._merged = lru_cache(4096)(self._merge)

    def encode(self, text: str, longest: int) -> list[int]:
        """Numbers with those of beginning and end, at most ``longest``."""
        plain = " ".join(html.unescape(text).split()).lower()
        numbers = [n for word in _WORD.findall(plain) for n in self._merged(word)]
        return [self.begin, *numbers[: longest - 2], self.end]

    def _merge(self, word: str) -> tuple[int, ...]:
        letters = [self._letter_of[b] for b in word.encode("utf-8", "ignore")]
        if not letters:
            return ()
        parts = [*letters[:-1], letters[-1] + _END]
        while len(parts) > 1:
            pairs = list(itertools.pairwise(parts))
            best = min(pairs, key=lambda p: self._ranks.get(p, len(self._ranks)))
            if best not in self._ranks:
                break
            joined: list[str] = []
            at = 0
            while at < len(parts):
                if at + 1 < len(parts) and (parts[at], parts[at + 1]) == best:
                    joined.append(parts[at] + parts[at + 1])
                    at += 2
                else:
                    joined.append(parts[at])
                    at += 1
            parts = joined
        return tuple(self._numbers[p] for p in parts)
