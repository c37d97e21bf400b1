"""Observations of one source, and what an export writes of them."""

from __future__ import annotations

from fractions import Fraction

from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin
from onlooker.core.store import Query
from onlooker.core.time import Span
from onlooker.testing.export import exported
from onlooker.testing.store_values import SOURCE, producer


def made(kind, start, end, **fields):
    return Observation(Span.of_seconds(Fraction(start), Fraction(end)), kind, **fields).of(SOURCE, producer(), 0)


def write(name, observations, sources=None, kinds=()):
    raw, summary = exported(load_plugin("exports", name)(), observations, sources, Query(kinds=kinds))
    return raw.decode(), summary
