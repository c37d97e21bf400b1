from __future__ import annotations

import pytest

from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.core.time import Span
from onlooker.reports.export import ExportSummary, write_text
from onlooker.testing.export import check_export


@pytest.mark.parametrize("name", plugin_names("exports"))
def test_format(name):
    export = load_plugin("exports", name)()
    assert export.name == name
    check_export(export)


class Careless:
    """Writes what Python makes of it."""

    name, extension, description, kinds, single = "careless", ".jsonl", "careless lines", (), False

    def write(self, request, out):
        summary = ExportSummary()
        for source in request.sources:
            for o in request.of(source):
                write_text(out, f'{{"score": {"null" if o.score is None else o.score}}}\n'.replace("nan", "NaN"))
                summary.written += 1
        return summary


class Closing(Careless):
    def write(self, request, out):
        with out:
            return ExportSummary(1)


@pytest.mark.parametrize("broken", [Careless, Closing])
def test_the_suite_finds_what_is_wrong(broken):
    with pytest.raises((AssertionError, ValueError)):
        check_export(broken())


def test_numbers_that_json_cannot_hold_are_null():
    made = Observation(Span.of_seconds(0, 1), "cue", score=float("nan"), data={"a": [float("inf"), {"b": 1.5}]})
    assert made.as_dict()["score"] is None
    assert made.as_dict()["a"] == [None, {"b": 1.5}]
