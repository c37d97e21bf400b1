"""Inputs that are spoilt in training, so that fusion learns what to trust."""

from __future__ import annotations

import torch

from onlooker.learning.training.augment import corrupted


def test_one_input_of_a_share_of_the_samples_is_spoilt_and_half_of_those_are_noise_alone() -> None:
    far = 1000.0
    inputs = {"picture": torch.full((4000, 1, 3), far), "sound": torch.full((4000, 2, 2), far)}
    made = corrupted(inputs, 0.5, torch.Generator().manual_seed(0))
    spoilt = {n: (x != far).flatten(1).any(1) for n, x in made.items()}
    assert not (spoilt["picture"] & spoilt["sound"]).any()
    for name, hit in spoilt.items():
        assert abs(hit.float().mean() - 0.25) < 0.03
        # a thousand away from what noise can be, so that any trace of the input is seen
        wholly = made[name][hit].abs().flatten(1).amax(1) < 20
        assert abs(wholly.float().mean() - 0.5) < 0.08
    assert all((x == far).all() for x in corrupted(inputs, 0.0, torch.Generator().manual_seed(0)).values())
