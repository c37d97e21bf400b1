"""Words in any mixture of scripts, by one rule for the index and for direct comparison."""

from __future__ import annotations

import apsw
from hypothesis import given
from hypothesis import strategies as st

from onlooker.timeline.words import match_expression, matches, parse_words, tokens

MIXED = "ab监控录像がｱ한국é İ１*'\"-_.\0😀हिन्दी ßΣ"
TEXTS = st.text(st.sampled_from(MIXED) | st.characters(exclude_categories=("Cs",)), max_size=12)


@given(text=TEXTS, query=TEXTS)
def test_the_index_and_the_comparison_agree(text, query):
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (tokens, content='', tokenize='ascii')")
    connection.execute("INSERT INTO words (rowid, tokens) VALUES (1, ?)", (" ".join(tokens(text)),))
    phrases = parse_words(query)
    if phrases:
        found = connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (match_expression(phrases),))
        assert bool(found.fetchall()) == matches(phrases, tokens(text))
    connection.close()


@given(before=TEXTS, word=st.text(st.sampled_from("监控录像视频打架人"), min_size=1, max_size=6), after=TEXTS)
def test_chinese_is_found_inside_longer_text(before, word, after):
    assert matches(parse_words(word), tokens(before + word + after))


@given(text=TEXTS)
def test_a_text_is_found_by_itself(text):
    assert matches(parse_words(text), tokens(text))


def test_pairs_do_not_reach_over_gaps():
    assert not matches(parse_words("打架"), tokens("打 架"))
    assert not matches(parse_words("打架"), tokens("打a架"))
    assert not matches(parse_words("男人打架"), tokens("男人在街上打架"))


def test_long_tokens_are_cut_alike():
    assert matches(parse_words("x" * 300), tokens("x" * 300))
    assert len(tokens("x" * 300)[0]) == 64
