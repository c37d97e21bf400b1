"""The conditions of a `Query` as SQL with bound values, and as a test of one observation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from onlooker.core.errors import UsageError
from onlooker.core.store import Query
from onlooker.timeline.stores.embedded.codec import clean, nanoseconds
from onlooker.timeline.words import Phrase, match_expression, parse_words

__all__ = [
    "ORDERS",
    "Conditions",
    "any_of",
    "check_query",
    "conditions",
    "last_row",
    "pack_conditions",
    "wanted_phrases",
]

TIME_ORDER = "o.source, o.start_ns, o.end_ns, o.kind, o.run, o.ordinal"
ORDERS = {"time": TIME_ORDER, "score": f"o.score DESC NULLS LAST, {TIME_ORDER}"}
"""The only texts that an ORDER BY is made of."""

_MANY = 500


@dataclass
class Conditions:
    """Parts of a WHERE clause, to be joined by AND, and their values in the same order."""

    parts: list[str] = field(default_factory=list[str])
    values: list[Any] = field(default_factory=list[Any])

    def add(self, part: str, *values: Any) -> None:
        """One more condition."""
        self.parts.append(part)
        self.values += values

    @property
    def sql(self) -> str:
        """The clause's text."""
        return " AND ".join(f"({part})" for part in self.parts)


def last_row(query: Query) -> int:
    """How many rows of a statement are needed, for its LIMIT; -1: all, as where time is still to be checked."""
    return -1 if query.limit is None or query.span is not None else query.offset + query.limit


def any_of(column: str, names: Sequence[str]) -> tuple[str, list[Any]]:
    """``column`` is one of ``names``."""
    if len(names) == 1:
        return f"{column} = ?", [clean(names[0])]
    if len(names) <= _MANY:
        return f"{column} IN ({', '.join('?' * len(names))})", [clean(n) for n in names]
    return f"{column} IN (SELECT value FROM json_each(?))", [json.dumps([clean(n) for n in names])]


def check_query(query: Query) -> None:
    """Refuse what no query can mean.

    Raises:
        UsageError: unknown order, negative limit or offset.
    """
    if query.order not in ORDERS:
        raise UsageError(f"order: expected time or score, got {query.order!r}")
    if query.limit is not None and query.limit < 0:
        raise UsageError(f"limit: expected 0 or more, got {query.limit}")
    if query.offset < 0:
        raise UsageError(f"offset: expected 0 or more, got {query.offset}")


def wanted_phrases(*texts: str | None) -> list[Phrase] | None:
    """What the texts ask for together; empty: nothing; None: words that no text can hold (``"!?"``)."""
    wanted: list[Phrase] = []
    for text in texts:
        if text is None or not text.strip():
            continue
        phrases = parse_words(text)
        if not phrases:
            return None
        wanted += phrases
    return wanted


def conditions(query: Query, phrases: Sequence[Phrase] = ()) -> Conditions:
    """The conditions on ``observation AS o``; that on time is to be checked again exactly (`Query.span`)."""
    made = _shared(query)
    if query.labels:
        part, values = any_of("o.label", query.labels)
        made.add(part, *values)
    if query.span is not None:
        made.add("o.start_ns <= ? AND o.end_ns >= ?", nanoseconds(query.span.end), nanoseconds(query.span.start))
    if query.min_score is not None:
        made.add("o.score >= ?", float(query.min_score))
    if query.max_score is not None:
        made.add("o.score <= ?", float(query.max_score))
    if phrases:
        made.add("o.number IN (SELECT rowid FROM words WHERE words MATCH ?)", match_expression(phrases))
    return made


def pack_conditions(query: Query, phrases: Sequence[Phrase] = ()) -> Conditions:
    """The conditions that ``pack AS o`` must meet to hold anything that fits."""
    made = _shared(query)
    if query.span is not None:
        made.add("o.first_ns <= ? AND o.last_ns >= ?", nanoseconds(query.span.end), nanoseconds(query.span.start))
    if query.min_score is not None:
        made.add("o.max_score >= ?", float(query.min_score))
    if query.max_score is not None:
        made.add("o.max_score IS NOT NULL")
    if phrases:
        made.add("o.number IN (SELECT rowid FROM pack_words WHERE pack_words MATCH ?)", match_expression(phrases))
    return made


def _shared(query: Query) -> Conditions:
    made = Conditions()
    # a scalar subquery, so that the planner starts from the indexes of what is asked for
    made.add("(SELECT visible FROM run WHERE run.number = o.run)")
    if query.sources:
        part, values = any_of("id", query.sources)
        made.add(f"o.source IN (SELECT number FROM source WHERE NOT dead AND {part})", *values)
    if query.analyzers:
        part, values = any_of("analyzer", query.analyzers)
        made.add(
            f"o.run IN (SELECT run.number FROM run JOIN producer ON producer.number = run.producer WHERE {part})",
            *values,
        )
    for column, names in (("o.kind", query.kinds), ("o.track", query.tracks)):
        if names:
            part, values = any_of(column, names)
            made.add(part, *values)
    return made
