"""A TensorFlow.js graph model that is published as JavaScript modules: the model as an object, the weights as base64.

Bundlers write the JSON as a literal of the language: names without quotes, ``!0`` and ``!1`` for true and false, and
numbers that begin with a point. It is read here by a small parser of such literals; nothing is run.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from onlooker.core.errors import ModelError
from onlooker.models.convert.tfjs import convert_tfjs

__all__ = ["convert", "read_literal"]

_EXPORTS = re.compile(r"\.exports\s*=\s*(?=[{\"'])")
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<punctuation>[{}\[\]:,])
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>![01]|[A-Za-z_$][\w$]*)
    )""",
    re.VERBOSE,
)
_WORDS: dict[str, Any] = {"!0": True, "!1": False, "true": True, "false": False, "null": None}
_DEEPEST = 100


def read_literal(source: str, at: int = 0) -> tuple[Any, int]:
    """The value of the literal at ``at``, and where it ends.

    Raises:
        ValueError: it is none.

    >>> read_literal('{a:[.5,!1],"b":null}')[0]
    {'a': [0.5, False], 'b': None}
    """
    return _Reader(source, at).value(0)


class _Reader:
    def __init__(self, source: str, at: int) -> None:
        self._source, self._at = source, at

    def value(self, depth: int) -> tuple[Any, int]:
        """The value that comes next."""
        return self._value(*self._next(), depth), self._at

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._source, self._at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"no literal at character {self._at}")
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _value(self, kind: str, token: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("nested too deep")
        if token == "{":
            return dict(self._members(depth))
        if token == "[":
            return self._items(depth)
        if kind == "text":
            return json.loads(token)
        if kind == "number":
            return float(token) if set(token) & set(".eE") else int(token)
        if kind == "word" and token in _WORDS:
            return _WORDS[token]
        raise ValueError(f"{token!r} is no literal")

    def _items(self, depth: int) -> list[Any]:
        made: list[Any] = []
        kind, token = self._next()
        while token != "]":
            made.append(self._value(kind, token, depth + 1))
            kind, token = self._next()
            if token == ",":
                kind, token = self._next()
        return made

    def _members(self, depth: int) -> list[tuple[str, Any]]:
        made: list[tuple[str, Any]] = []
        kind, token = self._next()
        while token != "}":
            name = json.loads(token) if kind == "text" else token
            if kind == "punctuation" or self._next()[1] != ":":
                raise ValueError(f"expected a name and a colon, got {token!r}")
            made.append((name, self._value(*self._next(), depth + 1)))
            kind, token = self._next()
            if token == ",":
                kind, token = self._next()
        return made


def _exported(name: str, data: bytes) -> Any:
    """What a module exports."""
    source = data.decode("utf-8")
    found = _EXPORTS.search(source)
    if found is None:
        raise ModelError(f"{name} exports no literal")
    return read_literal(source, found.end())[0]


def convert(members: Mapping[str, bytes]) -> bytes:
    """The frozen graph of a graph model given as its modules: one with the model, one for each shard of weights.

    Raises:
        ModelError: the modules hold no such model.
    """
    shards: dict[str, bytes] = {}
    model: Any = None
    try:
        for path, data in members.items():
            name = PurePosixPath(path).name
            value = _exported(name, data)
            if isinstance(value, str):
                shards[name.partition(".")[0]] = base64.b64decode(value, validate=True)
            else:
                model = value
        if not isinstance(model, dict):
            raise ModelError(f"no model among {', '.join(members)}")
        return convert_tfjs(json.dumps(model).encode(), lambda name: shards[PurePosixPath(name).name.partition(".")[0]])
    except (ValueError, UnicodeDecodeError, binascii.Error, RecursionError) as error:
        raise ModelError(f"not a TensorFlow.js model in modules: {error}") from error
