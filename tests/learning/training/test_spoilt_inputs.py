"""Inputs that are spoilt in training, so that fusion learns what to trust."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from learning._runs import EAR, FRAME, MEL, facts_of, recipe_of
from onlooker.learning.model import Model, build_model
from onlooker.learning.training.augment import corrupted


def test_one_input_of_a_share_of_the_samples_is_spoilt_and_half_of_those_are_noise_alone() -> None:
    far = 1000.0
    inputs = {"picture": torch.full((4000, 1, 3), far), "sound": torch.full((4000, 2, 2), far)}
    made, said = corrupted(inputs, 0.5, torch.Generator().manual_seed(0))
    spoilt = {n: (x != far).flatten(1).any(1) for n, x in made.items()}
    assert all(torch.equal(hit, said[n]) for n, hit in spoilt.items())
    assert not (spoilt["picture"] & spoilt["sound"]).any()
    for name, hit in spoilt.items():
        assert abs(hit.float().mean() - 0.25) < 0.03
        # a thousand away from what noise can be, so that any trace of the input is seen
        wholly = made[name][hit].abs().flatten(1).amax(1) < 20
        assert abs(wholly.float().mean() - 0.5) < 0.08
    assert all((x == far).all() for x in corrupted(inputs, 0.0, torch.Generator().manual_seed(0))[0].values())


def both() -> tuple[Model, dict[str, torch.Tensor]]:
    """A model of a picture and a sound that learns, and six samples, of which the last two have noise for a picture."""
    inputs = {"picture": {"network": "frame_cnn", "widths": [4, 8]}, "sound": EAR}
    fusion = {"kind": "late", "weights": "learned", "size": 8, "auxiliary": 1.0}
    recipe = recipe_of(inputs, {"mood": {"head": "classification"}}, fusion=fusion)
    facts = facts_of({"picture": FRAME, "sound": MEL}, {"mood": "class"})
    random = torch.Generator().manual_seed(0)
    x = {n: torch.randn(6, *facts.shape(n), generator=random) for n in inputs}
    x["picture"][4:] *= 30
    return build_model(recipe, facts).train(), x


def norms_of(model: Model) -> list[torch.Tensor]:
    norms = [m for m in model.network("picture").modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    return [value.clone() for norm in norms for value in (norm.running_mean, norm.running_var) if value is not None]


def test_what_is_spoilt_does_not_count_in_the_norms_and_gets_the_answer_that_it_gets_when_deployed() -> None:
    model, x = both()
    whole = {"picture": torch.tensor([True] * 4 + [False] * 2), "sound": torch.ones(6, dtype=torch.bool)}
    model(x, None, whole)
    learned = norms_of(model)
    alone, _ = both()
    alone({n: v[:4] for n, v in x.items()})
    for found, expected in zip(learned, norms_of(alone), strict=True):
        torch.testing.assert_close(found, expected)
    answers = model(x, None, whole).sides["picture"]["mood"]
    assert model.network("picture").training
    assert all(m.training for m in model.network("picture").modules())
    answers.sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x).sides["picture"]["mood"][4:], answers[4:].detach())


@pytest.mark.parametrize("few", [0, 2])
def test_norms_rest_where_too_few_samples_are_whole(few: int) -> None:
    model, x = both()
    before = norms_of(model)
    whole = {n: torch.arange(6) < few for n in x}
    answer = model(x, None, whole)
    assert all(torch.equal(a, b) for a, b in zip(before, norms_of(model), strict=True))
    assert answer.raw["mood"].shape == (6, 2)


def test_samples_stay_in_their_order() -> None:
    model, x = both()
    model.eval()
    mixed = {n: torch.tensor([True, False, True, True, False, True]) for n in x}
    with torch.no_grad():
        torch.testing.assert_close(model(x, None, mixed).raw["mood"], model(x).raw["mood"])
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 0.0
        model.train()
        own = model(x, None, {n: torch.zeros(6, dtype=torch.bool) for n in x}).raw["mood"]
        spread = model(x, None, mixed).raw["mood"]
    assert torch.allclose(own[~mixed["picture"]], spread[~mixed["picture"]])
