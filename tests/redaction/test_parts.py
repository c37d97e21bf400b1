"""Covering, following and parsing without models."""

from __future__ import annotations

import numpy as np
import pytest

from onlooker.core.errors import UsageError
from onlooker.redaction.cover import STYLES, Style, cover, grown, hidden_share
from onlooker.redaction.follow import Follow, boxes_by_frame, follow
from onlooker.redaction.look import things
from onlooker.redaction.survey import Hidden

NONE = np.zeros((0, 5), np.float32)


def at(left: float, score: float = 0.9) -> np.ndarray:
    return np.array([[left, 0.4, left + 0.2, 0.6, score]], np.float32)


def hidden(seen: list[np.ndarray], cuts: tuple[int, ...] = (), **options: float) -> list[int]:
    """How many boxes each frame has, at 10 frames a second."""
    times = [n / 10 for n in range(len(seen))]
    chosen = Follow(**{"hold_seconds": 0.0, **options})  # pyright: ignore[reportArgumentType]
    return [len(b) for b in boxes_by_frame(follow("faces", times, seen, chosen), times, chosen, cuts)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sizes", [[(90, 120, 3)], [(90, 120), (45, 60), (45, 60)]])
def test_nothing_of_the_detail_is_left_and_nothing_else_is_touched(style: Style, sizes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(1)
    planes = [rng.integers(0, 256, size, np.uint8) for size in sizes]
    before = [p.copy() for p in planes]
    cover(planes, [np.array([0.25, 0.2, 0.75, 0.8], np.float32)], style)
    for plane, was in zip(planes, before, strict=True):
        high, wide = plane.shape[:2]
        inside = plane[round(high * 0.2) : round(high * 0.8), round(wide * 0.25) : round(wide * 0.75)]
        assert len(np.unique(inside.reshape(-1, inside.shape[-1] if plane.ndim == 3 else 1), axis=0)) < inside.size / 8
        assert float(np.abs(np.diff(inside.astype(float), axis=1)).mean()) < 12
        # one pixel of room for sides that fall between pixels
        assert np.array_equal(plane[: high // 5 - 1], was[: high // 5 - 1])
        assert np.array_equal(plane[:, : wide // 4 - 1], was[:, : wide // 4 - 1])


def test_a_box_outside_or_of_no_size_does_no_harm() -> None:
    plane = np.zeros((10, 10), np.uint8)
    for box in ([0.99, 0.99, 1, 1], [0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1]):
        for style in STYLES:
            cover([plane], [np.array(box, np.float32)], style)


def test_boxes_grow_within_the_picture() -> None:
    assert grown(np.array([[0.0, 0.4, 0.2, 0.6]], np.float32), 0.5)[0].tolist() == pytest.approx([0, 0.3, 0.3, 0.7])
    assert hidden_share(np.array([[0, 0, 0.5, 1], [0.25, 0, 0.5, 1]], np.float32)) == pytest.approx(0.5, abs=0.01)


def test_what_was_missed_between_two_sightings_is_filled_in_where_it_moved() -> None:
    seen = [at(0.1), at(0.12), NONE, NONE, NONE, at(0.2), at(0.22)]
    times = [n / 10 for n in range(len(seen))]
    options = Follow(hold_seconds=0, steady_seconds=0, margin=0)
    boxes = boxes_by_frame(follow("faces", times, seen, options), times, options)
    assert [len(b) for b in boxes] == [1] * 7
    assert boxes[3][0][0] == pytest.approx(0.16, abs=0.001)


def test_the_place_stays_hidden_before_and_after() -> None:
    seen = [NONE] * 10 + [at(0.1)] * 3 + [NONE] * 10
    assert hidden(seen, hold_seconds=0.3) == [0] * 7 + [1] * 9 + [0] * 7
    # but not over the limits of the shot
    assert hidden(seen, cuts=(9, 14), hold_seconds=0.3) == [0] * 9 + [1] * 5 + [0] * 9


def test_weak_sightings_count_on_both_sides_of_a_strong_one() -> None:
    weak = at(0.1, 0.2)
    assert hidden([weak, weak, at(0.1), weak, weak]) == [1] * 5
    assert hidden([weak, weak, NONE, NONE, NONE]) == [0] * 5
    # and alone where they last
    assert hidden([weak] * 9) == [1] * 9


def test_two_that_are_seen_at_once_are_two() -> None:
    both = np.concatenate([at(0.1), at(0.6)])
    assert hidden([both, both, at(0.6), both]) == [2] * 4


def test_a_long_gap_is_not_filled() -> None:
    assert hidden([at(0.1), *[NONE] * 15, at(0.1)]) == [1] + [0] * 15 + [1]


def test_a_frame_that_nobody_looked_at_is_hidden_whole() -> None:
    from fractions import Fraction

    assert Hidden({}).boxes(Fraction(1)).tolist() == [[0, 0, 1, 1]]


def test_only_known_things_can_be_hidden() -> None:
    assert things(["text", "faces"]) == ("faces", "text")
    with pytest.raises(UsageError, match="cats"):
        things(["cats"])
