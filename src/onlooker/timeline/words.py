"""Words of a text for the search index, in any mixture of Chinese, Japanese, Korean and spaced scripts.

Scripts without spaces are cut into overlapping pairs of characters, so that any word of two or more characters is
found inside longer text; a run's last character is a token of its own, so that a single character is found as the
beginning of a token. The same rules serve the full-text index and, for packed observations, a direct comparison.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Phrase", "match_expression", "matches", "parse_words", "tokens"]

# ideographs, kana, Hangul; after NFKC, so compatibility forms need no mention
_PAIRED = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
_RUNS = re.compile(rf"(?P<paired>[{_PAIRED}]+)|(?P<word>(?:(?![{_PAIRED}])[^\W_])+)")
_MARKS = re.compile("[\u0300-\u036f]")
_LONGEST = 64
"""Longer tokens are cut, in the index as in the query: nobody types them, and base64 would fill the index."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Tokens that must follow each other; ``prefix``: the last one may go on."""

    tokens: tuple[str, ...]
    prefix: bool = False


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    # accents of Latin, Greek and Cyrillic are dropped; the marks of kana and Indic scripts carry meaning
    return unicodedata.normalize("NFKC", _MARKS.sub("", unicodedata.normalize("NFKD", folded)))


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run))]


def tokens(text: str) -> list[str]:
    """The tokens that a text is found by, in order.

    >>> tokens("Caf\u00e9 \u89c6\u9891\u5206\u6790 AI")
    ['cafe', '视频', '频分', '分析', '析', 'ai']
    """
    made: list[str] = []
    for match in _RUNS.finditer(_normal(text)):
        if match.lastgroup == "paired":
            made += _pairs(match[0])
        else:
            made.append(match[0][:_LONGEST])
    return made


def parse_words(query: str) -> list[Phrase]:
    """What must be found for a query: a phrase for each word in it, or for each stretch of one script.

    Any text is a valid query: operators, quotes and control characters have no meaning but that a ``*`` at the end
    of a word lets the word go on.

    >>> parse_words('打架 "AND')
    [Phrase(tokens=('打架',), prefix=False), Phrase(tokens=('and',), prefix=False)]
    >>> parse_words("run*")
    [Phrase(tokens=('run',), prefix=True)]
    """
    phrases: list[Phrase] = []
    for word in _normal(query).split():
        made: list[Phrase] = []
        plain: list[str] = []
        for match in _RUNS.finditer(word):
            if match.lastgroup == "word":
                plain.append(match[0][:_LONGEST])
                continue
            if plain:
                made.append(Phrase(tuple(plain)))
                plain = []
            run = match[0]
            made.append(Phrase((run,), True) if len(run) == 1 else Phrase(tuple(_pairs(run)[:-1])))
        if plain:
            made.append(Phrase(tuple(plain)))
        if made and word.endswith("*"):
            made[-1] = Phrase(made[-1].tokens, True)
        phrases += made
    return phrases


def match_expression(phrases: Sequence[Phrase]) -> str:
    """The FTS5 expression for phrases that must all be found.

    >>> match_expression([Phrase(("run",), True), Phrase(("ab", "bc"))])
    '"run"* AND "ab bc"'
    """
    return " AND ".join(f'"{" ".join(p.tokens)}"{"*" if p.prefix else ""}' for p in phrases)


def matches(phrases: Sequence[Phrase], found: Sequence[str]) -> bool:
    """Whether all phrases stand in a text's tokens; the same answer as the index gives."""
    return all(_stands(phrase, found) for phrase in phrases)


def _stands(phrase: Phrase, found: Sequence[str]) -> bool:
    *head, last = phrase.tokens
    size = len(phrase.tokens)
    for at in range(len(found) - size + 1):
        end = found[at + size - 1]
        if (end.startswith(last) if phrase.prefix else end == last) and list(found[at : at + size - 1]) == head:
            return True
    return False
