"""Finding observations: by words, by what they mean, by likeness, by who is there. It composes store and analyzers."""

from __future__ import annotations

from onlooker.search.finding import LOOK, Wanted, find
from onlooker.search.persons import search_people

__all__ = ["LOOK", "Wanted", "find", "search_people"]
