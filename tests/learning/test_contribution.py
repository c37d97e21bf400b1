"""What each input contributes, on models whose truth is known."""

from __future__ import annotations

import pytest
import torch

from onlooker.core.errors import UsageError
from onlooker.learning.contribution import contributions, shares
from onlooker.learning.parts import load_part

METHODS = ("leave_one_out", "shapley")


def there(*names, batch=2):
    return {n: torch.ones(batch) for n in names}


def either(present):
    """Either input alone is enough."""
    said = torch.stack([present["a"], present["b"]]).amax(0)
    return torch.stack([1 - said, said], 1)


def both(present):
    """Only both together are enough."""
    said = present["a"] * present["b"]
    return torch.stack([0.1 + 0 * said, said], 1)


@pytest.mark.parametrize(
    ("model", "method", "wanted"),
    [(either, "leave_one_out", 0.0), (either, "shapley", 0.5), (both, "leave_one_out", 1.0), (both, "shapley", 0.5)],
)
def test_inputs_that_repeat_or_need_each_other(model, method, wanted):
    found = contributions(model, there("a", "b"), method=method)
    for value in found.values():
        torch.testing.assert_close(value, torch.full((2,), wanted))


@pytest.mark.parametrize("method", METHODS)
def test_one_that_nobody_listens_to_contributes_nothing(method):
    found = contributions(lambda p: torch.stack([p["a"], 0.5 * p["a"]], 1), there("a", "b", "c"), method=method)
    assert found["a"].tolist() == [1, 1]
    assert found["b"].tolist() == found["c"].tolist() == [0, 0]


def test_one_that_speaks_against_the_decision_is_negative():
    def model(present):
        votes = torch.stack([0.8 * present["a"] + 0.1 * present["b"], 0.5 * present["b"]], 1)
        return votes.softmax(1)

    found = contributions(model, there("a", "b"))
    assert float(found["a"][0]) > 0 > float(found["b"][0])


@pytest.mark.parametrize("method", METHODS)
def test_an_input_that_is_missing_anyway_contributes_nothing(method):
    present = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([1.0, 1.0])}
    found = contributions(lambda p: (p["a"] * 3 + p["b"])[:, None], present, method=method)
    assert found["a"].tolist() == [3, 0]
    assert found["b"].tolist() == [1, 1]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shapley_values_sum_to_what_all_inputs_change_together(count):
    torch.manual_seed(count)
    part = load_part("fusion", "gated")
    names = [f"input{n}" for n in range(count)]
    fusion = part(part.Config(size=8), dict.fromkeys(names, 8), dict.fromkeys(names, 2)).eval()
    head = torch.nn.Linear(8, 3)
    features = {n: torch.randn(5, 2, 8) for n in names}
    asked = []

    def answer(present):
        asked.append(present)
        return head(fusion(features, present).steps.mean(1)).softmax(1)

    present = there(*names, batch=5)
    found = contributions(answer, present)
    assert len(asked) == 2**count
    whole = answer(present)
    top = whole.argmax(1, keepdim=True)
    none = answer({n: torch.zeros(5) for n in names})
    torch.testing.assert_close(sum(found.values()), (whole - none).gather(1, top)[:, 0].detach())
    held = shares(found)
    torch.testing.assert_close(sum(held.values()), torch.ones(5))


def test_shares_are_even_where_nothing_contributed():
    assert [float(v) for v in shares({"a": torch.zeros(1), "b": torch.zeros(1)}).values()] == [0.5, 0.5]


@pytest.mark.parametrize("count", [0, 5])
def test_too_many_inputs_are_refused(count):
    with pytest.raises(UsageError, match=f"contributions of {count} inputs"):
        contributions(lambda p: torch.zeros(2, 1), there(*"abcde"[:count]))


def test_answers_of_another_shape_are_refused():
    with pytest.raises(UsageError, match=r"expected \(B, K\) numbers, got \(2,\)"):
        contributions(lambda p: torch.zeros(2), there("a"))
