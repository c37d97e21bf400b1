"""The list of characters that a recognition model was trained on, out of the model's own file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from onlooker.core.errors import ModelError

__all__ = ["language_of", "metadata_of", "model_characters"]

_METADATA = 14
"""Number of the field ``metadata_props`` of ONNX's ``ModelProto``."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the length-delimited fields of one protobuf message; all others are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        sort = key & 7
        if sort == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field that is longer than the file")
            yield key >> 3, data[at : at + size]
            at += size
        elif sort == 0:
            _, at = _varint(data, at)
        elif sort in (1, 5):
            at += 8 if sort == 1 else 4
        else:
            raise ValueError(f"a field of the unknown sort {sort}")


def metadata_of(path: Path) -> dict[str, str]:
    """The named texts that an ONNX file carries beside its graph.

    Raises:
        ModelError: it is no ONNX file.
    """
    found: dict[str, str] = {}
    try:
        for number, content in _fields(memoryview(path.read_bytes())):
            if number == _METADATA:
                pair = {n: bytes(v).decode("utf-8") for n, v in _fields(content)}
                found[pair.get(1, "")] = pair.get(2, "")
    except (IndexError, ValueError) as error:
        raise ModelError(f"{path.name} is no ONNX file: {error}", hint="pull the model again") from None
    return found


def model_characters(path: Path) -> list[str]:
    """What each class of the model's output stands for: the blank first, a space last.

    Raises:
        ModelError: the file names no characters.
    """
    text = metadata_of(path).get("character")
    if not text:
        raise ModelError(f"{path.name} does not say which characters it reads")
    return ["", *text.split("\n"), " "]


def language_of(text: str) -> str | None:
    """``zh`` or ``en`` by script, None where neither is written (numbers, signs).

    A Chinese character stands for about three Latin letters, so a Chinese line with a Latin name in it stays Chinese.

    >>> language_of("到2026年"), language_of("Hello"), language_of("12:30")
    ('zh', 'en', None)
    """
    chinese = sum("㐀" <= c <= "鿿" or "豈" <= c <= "﫿" for c in text)
    latin = sum(c.isalpha() and unicodedata.name(c, "").startswith("LATIN") for c in text)
    if not chinese and not latin:
        return None
    return "zh" if 3 * chinese >= latin else "en"
