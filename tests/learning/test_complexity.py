"""Parameters and multiply-adds are those of the formulas; the memory of a step is that of its activations."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from onlooker.learning.complexity import Complexity, activation_memory, count, estimate_memory
from onlooker.learning.parts import load_part, part_names


class _Attention(nn.Module):
    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize(
    ("model", "shape", "multiply_adds"),
    [
        (nn.Linear(8, 5), (8,), 40),
        (nn.Conv2d(3, 8, 3, stride=2, bias=False), (3, 9, 9), 16 * 8 * 27),
        (nn.Conv2d(8, 8, 3, groups=8, bias=False), (8, 6, 6), 16 * 8 * 9),
        (nn.Conv3d(2, 4, 3, bias=False), (2, 5, 6, 7), 3 * 4 * 5 * 4 * 54),
        (nn.GRU(8, 16, batch_first=True), (10, 8), 10 * 3 * 16 * (8 + 16)),
        (nn.LSTM(8, 16, batch_first=True), (10, 8), 10 * 4 * 16 * (8 + 16)),
        (_Attention(), (2, 6, 8), 2 * 2 * 6 * 6 * 8),
    ],
)
def test_multiply_adds_are_those_of_the_formulas(model, shape, multiply_adds):
    parameters = sum(p.numel() for p in model.parameters())
    assert count(model, shape) == Complexity(parameters, multiply_adds)


def test_a_batch_costs_as_often_and_shared_weights_count_once():
    layer = nn.Linear(4, 4, bias=False)
    model = nn.Sequential(layer, layer)
    assert count(model, torch.zeros(5, 4)) == Complexity(16, 5 * 2 * 16)


def test_counting_changes_nothing():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.get_rng_state()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    count(model, x)
    estimate_memory(model, x)
    assert [m.training for m in model] == [True, True, False]
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_the_memory_is_that_of_what_the_backward_pass_needs():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 2))
    weights = 4 * sum(p.numel() for p in model.parameters())
    kept = 4 * 64 * (10 + 20 + 30)
    assert activation_memory(model, torch.zeros(64, 10)) == kept
    with torch.no_grad():
        assert activation_memory(model, torch.zeros(128, 10)) == 2 * kept
    assert estimate_memory(model, torch.zeros(64, 10)) == 4 * weights + kept


def test_frozen_weights_need_no_memory_but_their_own():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 2)).requires_grad_(False)
    assert activation_memory(model, torch.zeros(64, 10)) == 0
    assert estimate_memory(model, torch.zeros(64, 10)) == 4 * (10 * 20 + 20 + 20 * 2 + 2)


@pytest.mark.parametrize("name", part_names("networks"))
def test_each_network_can_be_counted(name):
    part = load_part("networks", name)
    shape = {"pictures": (4, 3, 32, 32), "log_mel": (1, 32, 32), "text": (6, 8), "series": (16, 4)}[part.takes]
    network = part(part.Config(), shape)
    one = count(network, shape)
    assert one.parameters == sum(p.numel() for p in network.parameters())
    assert one.multiply_adds > one.parameters / 2
    assert estimate_memory(network, torch.randn(2, *shape)) > 0
