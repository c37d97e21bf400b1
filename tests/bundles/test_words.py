"""Texts as numbers of words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onlooker.bundles.inputs import TextInput
from onlooker.bundles.words import MOST, hashed_words, reader_of


def test_words_come_before_pairs_and_the_rest_is_empty() -> None:
    made = hashed_words("Stop, thief! stop", 8)
    assert (made[:5] > 0).all()
    assert (made[5:] == 0).all()
    assert made[0] == made[2], "case and marks do not count"
    assert len(set(made[:5].tolist())) == 4, "three words, of which two are equal, and two pairs"
    np.testing.assert_array_equal(hashed_words("stop thief", 3)[:2], made[:2])
    assert hashed_words("thief stop", 3)[2] != hashed_words("stop thief", 3)[2], "a pair has an order"


def test_scripts_without_blanks_are_read_by_character() -> None:
    made = hashed_words("停车场 exit 门", 16)
    assert (made > 0).sum() == 5 + 4


def test_a_bundle_says_which_numbers_it_reads() -> None:
    facts = TextInput(kind="text", encoder="hashed-words", size=6)
    np.testing.assert_array_equal(reader_of(facts)("open the door"), hashed_words("open the door", 6))


@given(st.text(max_size=80), st.integers(1, 40))
def test_numbers_are_whole_and_fit_in_float32(text: str, size: int) -> None:
    made = hashed_words(text, size)
    assert made.shape == (size,)
    assert made.dtype == np.float32
    assert ((made >= 0) & (made <= MOST) & (made == np.round(made))).all()
