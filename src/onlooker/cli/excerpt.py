"""The words around what was searched for."""

from __future__ import annotations

import unicodedata

__all__ = ["excerpt", "found_in"]


def found_in(text: str, query: str | None) -> list[tuple[int, int]]:
    """Where the query's words stand in the text: (first, after the last), in order, not overlapping.

    Case, accents and full width do not count; a word may end in ``*``.

    >>> found_in("Das Café am Markt", "cafe markt*")
    [(4, 8), (12, 17)]
    """
    folded, places = _folded(text)
    found: list[tuple[int, int]] = []
    for word in _folded(query or "")[0].split():
        plain = word.rstrip("*")
        at = folded.find(plain) if plain else -1
        while at >= 0:
            found.append((places[at], places[at + len(plain) - 1] + 1))
            at = folded.find(plain, at + len(plain))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _folded(text: str) -> tuple[str, list[int]]:
    """The text as it is compared, and for each of its letters the place of the letter that it comes from."""
    letters: list[str] = []
    places: list[int] = []
    for number, letter in enumerate(text):
        for c in unicodedata.normalize("NFKD", letter.casefold()):
            if not unicodedata.combining(c):
                letters.append(c)
                places.append(number)
    return "".join(letters), places


def excerpt(text: str, query: str | None, width: int) -> str:
    """At most ``width`` letters of the text with what was searched for in the middle; what is cut is marked.

    >>> excerpt("It symbolises the value of European Bank notes as money.", "european", 30)
    '…value of European Bank note…'
    """
    if len(text) <= width:
        return text
    found = found_in(text, query)
    start, end = found[0] if found else (0, 0)
    first = max(0, min(start - (width - 2 - (end - start)) // 2, len(text) - width + 1))
    if first == 0:
        return text[: width - 1].rstrip() + "…"
    last = min(len(text), first + width - 2 if first + width - 1 < len(text) else len(text))
    return "…" + text[first:last].strip() + ("…" if last < len(text) else "")
