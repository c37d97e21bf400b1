# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportOptionalOperand=false, reportOptionalMemberAccess=false, reportIndexIssue=false
"""Layers in two factors: the best of their rank, taken where they pay, loaded and deployed."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from learning._runs import CLIP, facts_of, lively, recipe_of
from learning.compress._moving import PICTURES, done, trained_run, work_for
from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.complexity import count
from onlooker.learning.compress import factoring
from onlooker.learning.compress.factoring import factored, factors_of, milliseconds, rank_of
from onlooker.learning.compress.narrow import Factors, factored_names, narrowed, put, said_of
from onlooker.learning.compress.step import Subject
from onlooker.learning.compress.steps import prune
from onlooker.learning.compress.steps.low_rank import Config, LowRank
from onlooker.learning.model import build_model
from onlooker.learning.run_folder import load_model

LAYERS = {
    "linear": (lambda: nn.Linear(12, 16), (3, 5, 12)),
    "conv1d": (lambda: nn.Conv1d(6, 8, 3, dilation=2, bias=False), (2, 6, 12)),
    "conv2d": (lambda: nn.Conv2d(6, 8, 3, stride=2, padding=1), (2, 6, 9, 9)),
    "conv3d": (lambda: nn.Conv3d(4, 8, 3, padding=(0, 1, 1), bias=False), (1, 4, 5, 6, 6)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_factors_of_full_rank_answer_alike_and_of_less_as_well_as_can_be(kind):
    make, shape = LAYERS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, x = make(), torch.randn(shape)
    full = min(layer.weight.flatten(1).shape)
    with torch.no_grad():
        torch.testing.assert_close(factors_of(layer, full)(x), layer(x), atol=1e-4, rtol=1e-4)
        made = factors_of(layer, 3)
        joined = made.second.weight.flatten(1) @ made.first.weight.flatten(1)
        values = torch.linalg.svdvals(layer.weight.flatten(1))
        torch.testing.assert_close((joined - layer.weight.flatten(1)).norm(), values[3:].norm())
    energy = float(values[:4].square().sum() / values.square().sum())
    assert rank_of(layer, energy - 1e-4, 1) == 4
    assert rank_of(layer, energy - 1e-4, 3) == 6


def test_only_what_pays_is_taken(monkeypatch):
    recipe = recipe_of({"video": {"network": "frame_cnn", "widths": [16, 32]}}, {"way": {"head": "classification"}})
    facts = facts_of({"video": CLIP}, {"way": "class"})
    model = lively(build_model(recipe, facts))
    body = model.network("video").body
    with torch.no_grad():
        for layer in (body.stages[0][0].first, body.stages[1][0].second):
            layer.weight.copy_((torch.randn(len(layer.weight), 2) @ torch.randn(2, layer.weight[0].numel())).view_as(
                layer.weight))  # fmt: skip
    x = {"video": torch.zeros(1, *facts.shape("video"))}
    settings = {"energy": 0.99, "gain": 0.8, "round_to": 2, "measure": False}
    found = factored(model, x, **settings)
    assert [f.name for f in found] == [
        "encoders.video.body.stages.0.0.first", "encoders.video.body.stages.1.0.second",
    ]  # fmt: skip
    assert {f.rank for f in found} == {2}
    assert all(f.work < 0.3 for f in found)
    # where the engine is no faster they are left as they are
    monkeypatch.setattr(factoring, "milliseconds", lambda module, x: 1.0 + isinstance(module, Factors))
    assert factored(model, x, **{**settings, "measure": True}) == []
    before, answer = count(model, x).multiply_adds, model(x).raw["way"]
    for one in found:
        put(model, one.name, one.module)
    assert count(model, x).multiply_adds < before
    torch.testing.assert_close(model(x).raw["way"], answer, atol=1e-4, rtol=1e-4)
    fresh = build_model(recipe, facts)
    narrowed(fresh, model.state_dict(), said_of(model)["narrow"])
    assert factored_names(fresh) == [f.name for f in found]
    assert torch.equal(fresh.eval()(x).raw["way"], model(x).raw["way"])


def test_time_is_measured_in_the_engine():
    assert milliseconds(nn.Conv2d(4, 4, 1), torch.zeros(1, 4, 4, 4)) > 0


@pytest.mark.parametrize("family", ["conv_lstm", "2plus1d"])
def test_a_run_in_factors_is_deployed_and_goes_on(family, moving, tiny_subject, tmp_path):
    run = trained_run(tmp_path / "first", moving, {"video": PICTURES[family]})
    subject = Subject(tiny_subject[0].bundle, run)
    config = Config(energy=0.5, gain=1.0, measure=False, round_to=1, epochs=1)
    assert LowRank.refusal(subject, config) is None
    made = LowRank.apply(subject, config, work_for(tmp_path / "work", moving, subject))
    model = load_model(made.run)[0]
    names = factored_names(model)
    assert names
    assert done(made)[-1] == "low_rank"
    assert json.loads((made.run / "parity.json").read_text())["whole"]
    no = prune.PART.refusal(made, prune.Config())
    if family == "conv_lstm":
        assert "prune before low_rank" in no
        return
    assert no is None
    if family == "2plus1d":
        again = prune.PART.apply(made, prune.Config(epochs=0), work_for(tmp_path / "more", moving, subject))
        assert factored_names(load_model(again.run)[0]) == names


def test_that_nothing_pays_is_said(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    config = Config(energy=0.999, measure=False)
    with pytest.raises(ModelError, match="no layer is less work"):
        LowRank.apply(subject, config, work_for(tmp_path / "work", dataset, subject))


def test_other_weights_are_told():
    recipe = recipe_of({"video": PICTURES["2plus1d"]}, {"way": {"head": "classification"}})
    facts = facts_of({"video": CLIP}, {"way": "class"})
    model = build_model(recipe, facts)
    weights = model.state_dict()
    with pytest.raises(UsageError, match="no_such_layer"):
        narrowed(build_model(recipe, facts), weights, {"factored": ["no_such_layer"]})
    weights.pop("heads.way.answer.0.weight")
    with pytest.raises(UsageError, match="do not fit"):
        narrowed(build_model(recipe, facts), weights, {})
