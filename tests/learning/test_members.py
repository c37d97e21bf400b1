# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false
"""Members of one network: each learns by itself, and their answers are averaged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from learning._runs import FRAME, facts_of, lively, recipe_of
from onlooker.core.errors import UsageError
from onlooker.learning.compress import cutting
from onlooker.learning.compress.narrow import narrowed, said_of
from onlooker.learning.compress.teaching import soft_loss
from onlooker.learning.facts import Facts
from onlooker.learning.model import Model, build_model
from onlooker.learning.recipe import Recipe

FACTS = facts_of({"picture": FRAME}, {"mood": "class"})


def of(members: int = 2, *, heads: int | None = None, **more: Any) -> tuple[Recipe, Facts, Model]:
    network = {"network": "whitened_cnn", "widths": [6, 8, 10], "members": members, "scale": 1.0}
    task = {"head": "classification", "members": members if heads is None else heads, **more}
    recipe = recipe_of({"picture": network}, {"mood": task})
    return recipe, FACTS, lively(build_model(recipe, FACTS))


def some(count: int = 3) -> dict[str, Tensor]:
    return {"picture": torch.randn(count, *FACTS.shape("picture"), generator=torch.Generator().manual_seed(0))}


def test_the_answer_is_the_mean_of_what_the_members_say():
    _, _, model = of(3)
    with torch.no_grad():
        steps = model.network("picture")(some()["picture"]).steps.mean(1)
        head = model.heads["mood"]
        each = [one(part) for one, part in zip([head.answer, *head.others], steps.chunk(3, 1), strict=True)]
        torch.testing.assert_close(model(some()).raw["mood"], torch.stack(each).mean(0))
    assert not torch.allclose(each[0], each[1])


def test_a_member_does_not_learn_from_the_loss_of_another():
    _, _, model = of()
    raw = model.train()(some()).raw["mood"]
    assert raw.shape == (3, 2, 2)
    values = torch.tensor([0, 1, 1])
    head = model.head("mood")
    each = [head.loss(own, values) for own in raw.unbind(1)]
    torch.testing.assert_close(head.loss(raw, values), (each[0] + each[1]) / 2)
    each[0].mean().backward()
    net = model.network("picture")
    assert all(p.grad is None or not p.grad.any() for p in net.members[1].parameters())
    for learned in (net.members[0], net.groups, head.answer):
        assert any(p.grad is not None and p.grad.any() for p in learned.parameters())


def test_each_member_is_taught_by_the_same_teacher():
    _, _, model = of()
    taught = torch.randn(3, 2)
    raw = model.train()(some()).raw["mood"]
    found = soft_loss(model.head("mood"), raw, [taught], 2.0)
    each = [soft_loss(model.head("mood"), own, [taught], 2.0) for own in raw.unbind(1)]
    torch.testing.assert_close(found, torch.stack(each).mean(0))


@pytest.mark.parametrize("hidden", [0, 12])
def test_narrower_members_are_loaded_again(hidden):
    recipe, facts, model = of(hidden=hidden)
    wide = sum(p.numel() for p in model.parameters())
    cutting.cut(model, some(), cutting.score_channels(model, some(), "magnitude"), 0.5)
    assert sum(p.numel() for p in model.parameters()) < 0.6 * wide
    fresh = build_model(recipe, facts)
    narrowed(fresh, model.state_dict(), said_of(model)["narrow"])
    with torch.no_grad():
        assert torch.equal(fresh.eval()(some()).raw["mood"], model.eval()(some()).raw["mood"])


def test_weights_of_a_network_without_members_have_the_names_that_they_had():
    _, _, model = of(1)
    assert not [name for name in model.state_dict() if "members" in name or "others" in name]


def test_members_that_share_everything_are_refused():
    network = {"network": "whitened_cnn", "widths": [6, 8], "members": 2, "shared": 2}
    with pytest.raises(UsageError, match="2 members share 2 of 2 groups"):
        build_model(recipe_of({"picture": network}, {"mood": {"head": "classification"}}), FACTS)


def test_features_that_cannot_be_cut_evenly_are_refused():
    with pytest.raises(UsageError, match=r"tasks\.mood\.members: 20 features cannot be cut into 3 parts"):
        of(2, heads=3)
