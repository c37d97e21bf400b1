"""The views over which answers are averaged."""

from __future__ import annotations

import pytest
import torch

from onlooker.learning.views import count_of, views_of, views_of_inputs

ALL = [(), ("mirror",), ("shift",), ("mirror", "shift"), ("shift", "mirror")]


@pytest.mark.parametrize("kinds", ALL)
def test_the_first_view_is_the_picture_and_no_two_are_alike(kinds):
    x = torch.randn(2, 3, 3, 5, 7)
    found = views_of(x, kinds)
    assert len(found) == count_of(kinds)
    assert torch.equal(found[0], x)
    assert all(not torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])


def test_a_moved_view_holds_the_picture_moved_by_one_pixel():
    x = torch.arange(20.0).reshape(1, 1, 1, 4, 5)
    same, down, up = views_of(x, ("shift",))
    assert torch.equal(down[..., 1:, 1:], same[..., :-1, :-1])
    assert torch.equal(up[..., :-1, :-1], same[..., 1:, 1:])
    assert float(down[..., 0, 0]) == 0.0
    assert float(up[..., -1, -1]) == 19.0


def test_mirrored_views_are_those_of_the_mirror_image():
    x = torch.randn(1, 2, 3, 6, 6)
    both = views_of(x, ("mirror", "shift"))
    assert all(torch.equal(a.flip(-1), b) for a, b in zip(both[:3], both[3:], strict=True))


def test_what_is_no_picture_is_the_same_in_all_views():
    inputs = {"face": torch.randn(2, 1, 3, 4, 4), "voice": torch.randn(2, 1, 9, 8)}
    found = views_of_inputs(inputs, ("mirror", "shift"))
    assert len(found) == 6
    assert all(view["voice"] is inputs["voice"] for view in found)


def test_the_smallest_picture_can_be_moved():
    assert [v.shape for v in views_of(torch.zeros(1, 1, 3, 1, 1), ("shift",))] == 3 * [(1, 1, 3, 1, 1)]
