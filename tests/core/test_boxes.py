"""Boxes that lie on each other."""

from __future__ import annotations

import numpy as np
import pytest

from onlooker.core.boxes import suppress


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_best_of_each_class_is_kept(dtype):
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 1, 0.95], [2, 2, 3, 3]], dtype)
    kept = suppress(boxes, np.array([0.5, 0.9, 0.7, 0.1], dtype), np.array([0, 0, 1, 0]), 0.5)
    assert kept.tolist() == [1, 2, 3], "the best first"
