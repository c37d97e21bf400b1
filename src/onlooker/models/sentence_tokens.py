"""Splits text into the pieces of a SentencePiece vocabulary (unigram form), without the SentencePiece package.

Kudo 2018, Subword Regularization, https://arxiv.org/abs/1804.10959: of all ways to write a text with the pieces, the
one with the largest sum of log probabilities. The ``.model`` file is a protocol buffer (sentencepiece_model.proto):
pieces with their scores in field 1, the rules of normalisation in field 3, whose field 2 is a compiled map: a
double-array trie over UTF-8 bytes and the texts that replace what it finds.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from onlooker.core.errors import ModelError

__all__ = ["Pieces"]

_SPACE = "▁"
_UNKNOWN_PENALTY = 10.0
_TO_MAP = re.compile(r"[ -~]?[^ -~]+")
"""What the map can change: printable ASCII only where an accent that is a character of its own follows."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field of a message; numbers of other sorts are passed over, floats come as 4 bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        sort = key & 7
        if sort == 0:
            _, at = _varint(data, at)
            continue
        if sort == 2:
            size, at = _varint(data, at)
        elif sort in (1, 5):
            size = 8 if sort == 1 else 4
        else:
            raise ValueError(f"a field of the unknown sort {sort}")
        if at + size > len(data):
            raise ValueError("a field that is longer than the file")
        yield key >> 3, data[at : at + size]
        at += size


class _Normaliser:
    """The compiled map: the longest key at each place is replaced by its text."""

    def __init__(self, compiled: bytes) -> None:
        (size,) = struct.unpack_from("<I", compiled)
        self._units: list[int] = np.frombuffer(compiled, "<u4", size // 4, 4).tolist()
        self._texts = compiled[4 + size :]

    def __call__(self, text: str) -> str:
        """The text in normal form: compatible characters as one, single spaces, none at the ends, as ``_SPACE``."""
        text = text.encode("utf-8", "ignore").decode("utf-8")
        mapped = _TO_MAP.sub(lambda found: self._mapped(found[0]), text)
        return "".join(_SPACE + w for w in mapped.split(" ") if w)

    def _mapped(self, text: str) -> str:
        raw = text.encode("utf-8")
        out = bytearray()
        at = 0
        while at < len(raw):
            length, value = self._longest(raw, at)
            if length:
                out += self._texts[value : self._texts.index(0, value)]
            else:
                # all bytes of the character
                length = 1
                while at + length < len(raw) and raw[at + length] & 0xC0 == 0x80:
                    length += 1
                out += raw[at : at + length]
            at += length
        return out.decode("utf-8")

    def _longest(self, raw: bytes, at: int) -> tuple[int, int]:
        """Length of the longest key at ``at``, 0 where there is none, and the place of its text."""
        units = self._units
        node = _offset(units[0])
        found = (0, 0)
        for place in range(at, len(raw)):
            node ^= raw[place]
            unit = units[node] if node < len(units) else 0
            if unit & 0x800000FF != raw[place]:
                break
            node ^= _offset(unit)
            if unit & 0x100:
                found = place + 1 - at, units[node] & 0x7FFFFFFF
        return found


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)


class Pieces:
    """The vocabulary of a ``.model`` file.

    Args:
        path: the file.

    Raises:
        ModelError: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._scores: dict[str, tuple[int, float]] = {}
        try:
            compiled = self._read(path.read_bytes())
            self._normalised = _Normaliser(compiled)
        except (IndexError, ValueError, struct.error) as error:
            raise ModelError(f"{path.name} is no SentencePiece model: {error}", hint="pull the model again") from None
        self._unknown = min(score for _, score in self._scores.values()) - _UNKNOWN_PENALTY
        self._longest: dict[str, int] = {}
        """Length of the longest piece that begins with these one or two characters."""
        for piece in self._scores:
            for head in (piece[:1], piece[:2]):
                if self._longest.get(head, 0) < len(piece):
                    self._longest[head] = len(piece)

    def _read(self, data: bytes) -> bytes:
        compiled = b""
        number = 0
        for field, content in _fields(data):
            if field == 1:
                piece = dict(_fields(content))
                if 1 in piece:
                    (score,) = struct.unpack("<f", piece[2]) if 2 in piece else (0.0,)
                    self._scores[piece[1].decode("utf-8")] = (number, score)
                number += 1
            elif field == 3:
                compiled = dict(_fields(content)).get(2, b"")
        if not self._scores or not compiled:
            raise ValueError("no pieces or no rules of normalisation")
        return compiled

    def __len__(self) -> int:
        return len(self._scores)

    def split(self, text: str) -> list[tuple[str, int]]:
        """The pieces with their numbers; what is in no piece comes as single characters with the number 0.

        A piece that begins a word begins with ``▁``.
        """
        return self._best(text)[0]

    def surprise(self, word: str) -> float:
        """Minus the logarithm of how probable the word is in the text that the vocabulary was made of."""
        return -self._best(word)[1]

    def _best(self, text: str) -> tuple[list[tuple[str, int]], float]:
        written = self._normalised(text)
        size = len(written)
        best = [0.0] + [-np.inf] * size
        came: list[tuple[int, int]] = [(0, 0)] * (size + 1)
        scores = self._scores
        for start in range(size):
            base = best[start]
            longest = self._longest.get(written[start : start + 2]) or self._longest.get(written[start], 1)
            alone = True
            for end in range(start + 1, min(start + longest, size) + 1):
                found = scores.get(written[start:end])
                if found is None:
                    continue
                if end == start + 1:
                    alone = False
                if base + found[1] > best[end]:
                    best[end], came[end] = base + found[1], (start, found[0])
            if alone and base + self._unknown > best[start + 1]:
                best[start + 1], came[start + 1] = base + self._unknown, (start, 0)
        made: list[tuple[str, int]] = []
        at = size
        while at:
            start, number = came[at]
            made.append((written[start:at], number))
            at = start
        return made[::-1], best[size]
