# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportOptionalOperand=false, reportOptionalMemberAccess=false, reportIndexIssue=false
"""Training that gets weights used to being rounded."""

from __future__ import annotations

import importlib.util

import pytest
import torch
import yaml

from learning._runs import CLIP, MEL, facts_of, lively, recipe_of
from learning._tiny import tiny_recipe
from learning.compress._moving import EAR, PICTURES, done, work_for
from onlooker.bundles import load_bundle, verify_bundle
from onlooker.core.errors import ModelError
from onlooker.learning.compress.step import Subject
from onlooker.learning.compress.steps import prune
from onlooker.learning.compress.steps.qat import Config, Qat, rounded
from onlooker.learning.model import build_model
from onlooker.learning.run_folder import RunFolder, load_model, read_tensors
from onlooker.learning.training.train import train

pytestmark = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="NNCF is not installed")


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch, tmp_path):
    """NNCF rounds by PyTorch's own operations, as it does without a compiler; to compile its own takes a minute.

    What an earlier test of the process compiled is not used either: for other shapes it would be compiled anew.
    """
    monkeypatch.setenv("CXX", "false")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    with torch.compiler.set_stance("force_eager"):
        yield


CASES = {
    **{n: ({"video": PICTURES[n]}, None) for n in ("lstm", "shift", "video_transformer")},
    "gated": ({"video": PICTURES["2plus1d"], "sound": EAR}, {"kind": "gated", "size": 16}),
}


@pytest.mark.parametrize("case", CASES)
def test_models_of_every_family_can_be_rounded_and_trained(case):
    inputs, fusion = CASES[case]
    recipe = recipe_of(inputs, {"way": {"head": "classification"}}, **({"fusion": fusion} if fusion else {}))
    facts = facts_of({n: CLIP if n == "video" else MEL for n in inputs}, {"way": "class"})
    model = lively(build_model(recipe, facts))
    chance = torch.Generator().manual_seed(0)
    x = {n: torch.randn(4, *facts.shape(n), generator=chance) for n in inputs}
    there = {n: torch.ones(4) for n in inputs}
    own = {k: v.clone() for k, v in model.state_dict().items()}
    made = rounded(model, [(x, there)], "mixed")
    assert sum(n.endswith("_num_bits") for n in made.state_dict()) > 5
    assert all(torch.equal(v, own[k]) for k, v in model.state_dict().items())
    plain, rough = model(x, there).raw["way"], made(x, there).raw["way"]
    assert 0 < float((plain - rough).abs().max().detach()) < 0.1 * max(1.0, float(plain.abs().max().detach()))
    made(x, there).raw["way"].square().mean().backward()
    moved = [n for n, p in made.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)]
    assert any(n.startswith("encoders.") for n in moved)
    assert not any(n.startswith("__nncf") for n in moved)


def test_a_pruned_run_is_trained_with_rounding(tiny_subject, tmp_path, capfd):
    subject, dataset = tiny_subject
    settings = yaml.safe_load((subject.run / "recipe.yaml").read_text())["training"]
    recipe = tiny_recipe(tmp_path, dataset.folder, training={**settings, "epochs": 1, "keep": "last"})
    first = Subject(subject.bundle, train(recipe, out=tmp_path / "run").path)
    pruned = prune.PART.apply(first, prune.Config(epochs=0), work_for(tmp_path / "pruned", dataset, first))
    assert Qat.refusal(pruned, Config()) is None
    found = []
    for name, int8 in (("a", True), ("b", False)):
        config = Config(epochs=2, int8=int8, least_gain=0)
        found.append(Qat.apply(pruned, config, work_for(tmp_path / name, dataset, first)))
    made = found[0]
    assert done(made) == ["train", "prune", "qat", "int8"]
    assert done(found[1]) == ["train", "prune", "qat"]
    assert made.bundle == tmp_path / "a" / "bundle"
    # training on would know nothing of the eight bits
    assert made.run is None
    runs = [tmp_path / name / "run" for name in ("a", "b")]
    assert verify_bundle(load_bundle(made.bundle)).good
    assert len(RunFolder(runs[0]).history()) == 2
    weights, again, before = (read_tensors(r / "model.safetensors")[0] for r in (*runs, pruned.run))
    assert weights.keys() == before.keys()
    assert not any("nncf" in n for n in weights)
    assert all(torch.equal(weights[n], again[n]) for n in weights)
    assert not all(torch.equal(weights[n], before[n]) for n in weights)
    assert load_model(runs[0])[1].training.precision == "float32"
    assert "Statistics" not in capfd.readouterr().out


def test_what_cannot_be_traced_is_refused(tiny_subject, monkeypatch):
    subject, _ = tiny_subject
    from onlooker.learning.networks.frame_cnn import FrameCnn

    def forward(self, x):
        raise NotImplementedError("an operation that no trace knows")

    monkeypatch.setattr(FrameCnn, "forward", forward)
    assert "no trace knows" in Qat.refusal(subject, Config())
    model = load_model(subject.run)[0]
    with pytest.raises(ModelError, match="NNCF cannot round"):
        rounded(model, [({"picture": torch.zeros(1, 1, 3, 16, 16)}, {"picture": torch.ones(1)})], "mixed")
