"""Texts in pictures: in a font that has their letters, or without them and told."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import ImageFont

from onlooker.reports.lettering import FONTS, Lettering


def chinese():
    for name in FONTS:
        try:
            font: Any = ImageFont.truetype(name, 12)
        except OSError:
            continue
        if bytes(font.getmask("王")) != bytes(font.getmask("\uffff")):
            return name
    pytest.skip("no font with Chinese is installed")


def test_letters_that_no_font_has_are_left_out_and_told():
    lettering = Lettering(fonts=())
    said, font = lettering.fit("王小明 waits", 12, 500)
    assert said == "waits"
    assert font.getlength(said) > 10
    assert lettering.missing


def test_a_font_with_chinese_is_used_where_there_is_one():
    lettering = Lettering((chinese(),))
    said, font = lettering.fit("王小明 waits", 12, 500)
    assert said == "王小明 waits"
    assert not lettering.missing
    # each letter has a picture of its own, not the sign for a missing one
    assert len({bytes(font.getmask(c)) for c in "王小明\uffff"}) == 4


def test_accents_are_written_plainly_where_no_font_has_them():
    lettering = Lettering(("no-such-font.ttf",))
    assert lettering.fit("Café über 12:30", 12, 500)[0] == "Cafe uber 12:30"
    assert not lettering.missing


@pytest.mark.parametrize("room", [0, 5, 20, 60, 200])
def test_what_does_not_fit_is_cut_and_marked(room):
    words = "a rather long name of a chapter"
    said, font = Lettering().fit(words, 12, room)
    assert font.getlength(said) <= room
    assert said in ("", words) or (said.endswith("…") and words.startswith(said[:-1]))


def test_control_characters_are_no_letters():
    assert Lettering().fit("a\x00\x1b[31mb\u2028c", 12, 500)[0] == "a[31mbc"
