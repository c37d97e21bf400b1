"""The parts without a model."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.analyzers.text.captions import CaptionFollower, Reading
from onlooker.analyzers.text.characters import language_of, metadata_of, model_characters
from onlooker.analyzers.text.config import TextConfig
from onlooker.analyzers.text.geometry import components, regions
from onlooker.analyzers.text.recogniser import decode
from onlooker.analyzers.text.words import edit_distance, likeness
from onlooker.core.errors import ModelError
from onlooker.core.observation import Box
from onlooker.core.time import Span, Timestamp


def flooded(mask):
    """Parts of a mask, the slow and plain way."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        stack = [start]
        while stack:
            y, x = stack.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                stack += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return labels


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
def test_components_are_those_of_a_flood_fill(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    rows, first, last, part = components(mask)
    labels = np.zeros(mask.shape, int)
    for y, a, b, number in zip(rows, first, last, part, strict=True):
        assert not labels[y, a:b].any()
        labels[y, a:b] = number + 1
    expected = flooded(mask)
    assert np.array_equal(labels > 0, mask)
    pairs = {(a, b) for a, b in zip(labels[mask], expected[mask], strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize("degrees", [0, 10, -20, 44, -44])
def test_a_turned_rectangle_is_found_and_grown(degrees):
    y, x = np.mgrid[:200, :300]
    angle = math.radians(degrees)
    along = (x - 150) * math.cos(angle) + (y - 100) * math.sin(angle)
    across = -(x - 150) * math.sin(angle) + (y - 100) * math.cos(angle)
    core = ((np.abs(along) < 60) & (np.abs(across) < 8)).astype(np.float32)
    (region,) = regions(core, threshold=0.3, least=0.5, grow=1.6)
    assert (region.x, region.y) == pytest.approx((150, 100), abs=1)
    assert math.degrees(region.angle) == pytest.approx(degrees, abs=2)
    more = 120 * 16 * 1.6 / 136
    assert region.width == pytest.approx(120 + more, abs=4)
    assert region.height == pytest.approx(16 + more, abs=4)


def test_faint_and_tiny_regions_are_dropped():
    core = np.zeros((60, 200), np.float32)
    core[10:20, 10:90] = 0.4
    core[30:32, 10:12] = 1.0
    assert not regions(core, threshold=0.3, least=0.5, grow=1.6)
    assert not regions(np.zeros((8, 8), np.float32), threshold=0.3, least=0.5, grow=1.6)


def test_decoding_drops_blanks_and_repetitions():
    steps = np.eye(4, dtype=np.float32)[[1, 1, 0, 1, 2, 2, 0, 3]]
    assert decode(steps, ["", "a", "b", " "]) == ("aab ", 1.0)
    assert decode(np.eye(4, dtype=np.float32)[[0, 0]], ["", "a", "b", " "]) == ("", 0.0)


def test_characters_come_from_the_model_itself(models):
    characters = model_characters(models[1])
    assert len(characters) == 18710
    assert characters[0] == ""
    assert characters[-1] == " "
    assert {"中", "国", "A", "z", "9"} <= set(characters)
    assert "character" not in metadata_of(models[0])
    with pytest.raises(ModelError, match="which characters"):
        model_characters(models[0])


@pytest.mark.parametrize("content", [b"", b"\x72\xff\xff\xff\x7f", b"\x72\x05ab", b"\xff" * 12, b"\x73\x01"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        model_characters(path)


def test_language_by_script():
    texts = {"你好 Martin": "zh", "Hello": "en", "12:30": None, "éà": "en", "iPhone 在售 now here": "en"}
    assert {text: language_of(text) for text in texts} == texts


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_edit_distance(a, b):
    table = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, table[0] = table[0], i
        for j, y in enumerate(b, 1):
            corner, table[j] = table[j], min(table[j] + 1, table[j - 1] + 1, corner + (x != y))
    assert edit_distance(a, b) == table[-1]
    assert 0 <= likeness(a, b) <= 1


def follow(readings, **settings):
    """Readings, one a half second: each None (as before), or a list of (text, score) or (text, score, top)."""

    def top(line):
        return line[2] if len(line) > 2 else 0.9

    follower = CaptionFollower(TextConfig(**settings))
    ended = []
    for number, lines in enumerate(readings):
        start = Timestamp.of_seconds(Fraction(number, 2))
        made = None
        if lines is not None:
            made = [Reading(Box(0.2, top(line), 0.8, top(line) + 0.06), 0.0, 0.06, line[0], line[1]) for line in lines]
        ended += follower.take(Span(start, start + Fraction(1, 25)), made, 0.1)
    ended += follower.finish()
    return [(c.best[0], c.span.start.seconds, c.span.end.seconds) for c in ended]


def test_the_best_reading_wins():
    readings = [[("He1lo there", 0.7)], [("Hello there", 0.95)], [("Hello there", 0.95)], [("Hello lhere", 0.6)], []]
    assert follow(readings) == [("Hello there", 0.0, 2.0)]


def test_a_short_gap_is_bridged_and_a_long_one_is_not():
    line = [("Hello there", 0.95)]
    assert follow([line, [], line, []]) == [("Hello there", 0.0, 1.5)]
    assert len(follow([line, [], [], [], [], line])) == 2


def test_other_words_in_the_same_place_are_another_caption():
    assert follow([[("Good morning", 0.9)]] * 3 + [[("Where is he?", 0.9)]] * 3) == [
        ("Good morning", 0.0, 1.5),
        ("Where is he?", 1.5, 2.54),
    ]


def test_a_text_that_changed_for_good_is_another_caption_and_a_counter_is_not():
    first, second = [("Round 1 of 12", 0.98)], [("Round 2 of 12", 0.98)]
    assert follow([first] * 6 + [second] * 6) == [("Round 1 of 12", 0.0, 3.0), ("Round 2 of 12", 3.0, 5.54)]
    clock = [[(f"Time 12:30:{n // 2:02d}", 0.98)] for n in range(40)]
    assert len(follow(clock)) == 1


def test_scrolling_lines_stay_what_they_are():
    readings = [[("Directed by Jane Roe", 0.95, 0.9 - 0.1 * n)] for n in range(8)]
    assert follow(readings) == [("Directed by Jane Roe", 0.0, 3.54)]


def test_frames_passed_over_prolong_a_caption():
    assert follow([[("Hello there", 0.95)], None, None, None, []]) == [("Hello there", 0.0, 2.0)]
