"""Hits show the words around what was searched for."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.sample_library import TEXT, frames, make_library, run
from onlooker.bundles.added import added_names
from onlooker.cli.commands.search import KINDS
from onlooker.cli.excerpt import excerpt, found_in
from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.core.store import Batch
from onlooker.testing.store_values import SOURCE
from onlooker.timeline import open_store

LONG = "first words of a sentence that goes on and on until it says Entschädigung and then goes on for long after that"


@given(st.text(max_size=200), st.text(max_size=12), st.integers(8, 80))
def test_an_excerpt_fits_and_is_of_the_text(text, query, width):
    said = excerpt(text, query, width)
    assert len(said) <= max(width, 0)
    assert said.strip("…").strip() in text or said == text
    for start, end in found_in(text, query):
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("query", ["Entschädigung", "entschadigung", "ENTSCHÄ*", "says entsch*"])
def test_what_was_searched_for_is_in_it(query):
    assert "Entsch" in excerpt(LONG, query, 40)


def test_chinese_is_found_inside_a_sentence():
    text = "今天" * 30 + "两个男人在街上打架" + "明天" * 30
    assert "打架" in excerpt(text, "打架", 30)
    assert found_in("两个男人在街上打架。", "打架 男人") == [(2, 4), (7, 9)]


def test_search_prints_it(tmp_path, capsys):
    make_library(tmp_path / "library")
    with closing(open_store(tmp_path / "library")) as store:
        said = Observation(frames(0, 50), "speech", text=LONG).of(SOURCE, TEXT, 7)
        store.commit(Batch(SOURCE, [said]))
    assert run("search", "Entschädigung", "--library", tmp_path / "library", "--kind", "speech") == 0
    printed = capsys.readouterr().out
    assert "Entschädigung" in printed
    assert "first words" not in printed


def test_kinds_for_completion_are_those_that_are_made():
    # what somebody has added to this machine is not ours to name
    shipped = set(plugin_names("analyzers")) - set(added_names())
    made = {kind for name in shipped for kind in load_plugin("analyzers", name).emits}
    assert made - set(KINDS) <= {"fingerprint", "picture"}  # nothing to see
