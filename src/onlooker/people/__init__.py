"""The people of a library: enrolled and unknown ones, corrections, and forgetting. It composes store and analyzers."""

from __future__ import annotations

from onlooker.people.people import Appearance, Enrolment, Forgotten, People, PersonInfo, Redecided

__all__ = ["Appearance", "Enrolment", "Forgotten", "People", "PersonInfo", "Redecided"]
