# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportOptionalOperand=false, reportOptionalMemberAccess=false, reportIndexIssue=false
"""Pruning of trained runs of every family: narrower, loaded again, exported with parity, on streams as on the whole."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from learning._runs import CLIP, MEL, facts_of, lively, recipe_of
from learning.compress._moving import EAR, PICTURES, done, trained_run, work_for
from onlooker.bundles import load_bundle, verify_bundle
from onlooker.learning.complexity import count
from onlooker.learning.compress import cutting
from onlooker.learning.compress.attention import cut_heads
from onlooker.learning.compress.narrow import follow_widths, narrowed, said_of
from onlooker.learning.compress.step import Subject
from onlooker.learning.compress.steps.prune import Config, Prune
from onlooker.learning.compress.surrogates import LAYERS
from onlooker.learning.model import build_model
from onlooker.learning.parts import load_part, part_names
from onlooker.learning.run_folder import RunFolder, load_model, read_tensors

FAMILIES = {
    **{name: ({"video": PICTURES[name]}, {}) for name in (
        "lstm", "conv_lstm", "shift", "video_transformer", "whitened_cnn", "members",
    )},
    "gated": (
        {"video": PICTURES["both_ways"], "sound": EAR}, {"fusion": {"kind": "gated", "size": 16, "auxiliary": 0.3}},
    ),
    "members by themselves": (
        {"video": PICTURES["members"]},
        {"tasks": {"way": {"head": "classification", "members": 2}, "speed": {"head": "regression"}}},
    ),
}  # fmt: skip
EXACT = [name for name in PICTURES if name not in ("plain", "video_transformer")]
"""Without norms over several channels, which would notice that some are gone."""


@pytest.fixture(scope="module")
def parent(tiny_subject):
    return tiny_subject[0].bundle


def test_steps_are_found_by_name():
    assert {"prune", "distil", "low_rank"} <= set(part_names("compress.steps"))
    assert load_part("compress.steps", "prune") is Prune


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pruned_run_is_loaded_and_deployed(family, moving, parent, tmp_path):
    inputs, more = FAMILIES[family]
    run = trained_run(tmp_path / "first", moving, inputs, **more)
    subject = Subject(parent, run)
    assert Prune.refusal(subject, Config()) is None
    made = Prune.apply(subject, Config(ratio=0.5, epochs=1), work_for(tmp_path / "work", moving, subject))
    wide, recipe, facts = load_model(run)
    model, again, _ = load_model(made.run)
    assert again.inputs == recipe.inputs
    one = {n: torch.zeros(1, *facts.shape(n)) for n in recipe.inputs}
    before, after = count(wide, one), count(model, one)
    assert after.parameters < 0.7 * before.parameters
    assert after.multiply_adds < 0.85 * before.multiply_adds
    # export_run compares the answers of the engines with the narrow model's, window by window with those of the whole
    parity = json.loads((made.run / "parity.json").read_text())
    assert set(parity["engines"]) == {"openvino", "onnxruntime"}
    streams = len(inputs) == 1 and all(model.network(n).streams for n in inputs)
    assert bool(parity.get("whole")) == streams
    bundle = load_bundle(made.bundle)
    assert bundle.manifest.provenance.parent == load_bundle(parent).digest
    assert done(made)[-1] == "prune"
    assert {m.split for m in bundle.manifest.metrics} == {"validation"}


@pytest.mark.parametrize("family", EXACT)
def test_leaving_out_what_nobody_reads_changes_no_answer(family):
    """What reads the chosen channels is made 0 first; then the cut model answers as before, and one loaded anew too."""
    recipe = recipe_of({"video": PICTURES[family]}, {"way": {"head": "classification", "hidden": 8}})
    facts = facts_of({"video": CLIP}, {"way": "class"})
    model = lively(build_model(recipe, facts))
    x = {"video": torch.randn(2, *facts.shape("video"), generator=torch.Generator().manual_seed(0))}
    scores = cutting.score_channels(model, x, "magnitude")
    with cutting._dependencies(model, x) as (_, groups), torch.no_grad():
        for group in groups:
            _unread(group, set(cutting._chosen(group, scores[group.name], 0.5, 1)))
    with torch.no_grad():
        before = model(x).raw
        wide = sum(p.numel() for p in model.parameters())
        cutting.cut(model, x, scores, 0.5)
        after = model.eval()(x).raw
    assert sum(p.numel() for p in model.parameters()) < 0.6 * wide
    net, fresh = model.network("video"), build_model(recipe, facts)
    narrowed(fresh, model.state_dict(), said_of(model)["narrow"])
    with torch.no_grad():
        if net.streams:
            state, steps = net.initial_state(2), []
            for at in range(0, CLIP.frames, net.chunk):
                features, state = net.stream(x["video"][:, at : at + net.chunk], state)
                steps.append(features.steps)
            torch.testing.assert_close(torch.cat(steps, 1), net(x["video"]).steps, atol=1e-4, rtol=1e-4)
        assert torch.equal(fresh.eval()(x).raw["way"], after["way"])
    torch.testing.assert_close(after["way"], before["way"], atol=1e-4, rtol=1e-4)


def _unread(group, gone):
    for module, out, places, roots in group.members:
        at = [p for p, r in zip(places, roots, strict=True) if r in gone]
        kind = type(module).__name__
        if kind == "Recurrent":
            for name, weight in module.layers.named_parameters():
                first = name.startswith("weight_ih_l0")
                if weight.ndim == 2 and first != out:
                    weight[:, [p for p in at if p < weight.shape[1]]] = 0
        elif kind == "RecurrentMaps":
            (module.kept if out else module.given).weight[:, at] = 0
        elif not out and isinstance(module, LAYERS) and not cutting._by_channel(module):
            module.weight[:, at] = 0


def test_heads_of_attention_are_cut_alike():
    """Numbers that nobody compares and values that nobody reads go, and the answers stay."""
    recipe = recipe_of({"video": PICTURES["video_transformer"]}, {"way": {"head": "classification"}})
    facts = facts_of({"video": CLIP}, {"way": "class"})
    model = lively(build_model(recipe, facts))
    x = {"video": torch.randn(2, *facts.shape("video"), generator=torch.Generator().manual_seed(0))}
    size = 8
    with torch.no_grad():
        for _, layer in cutting.attention_of(model):
            for head in range(2):
                layer.queries.weight[head * size + 2 : head * size + 5] = 0
                layer.queries.bias[head * size + 2 : head * size + 5] = 0
                layer.out.weight[:, head * size : head * size + 3] = 0
        before = model(x).raw["way"]
        for _, layer in cutting.attention_of(model):
            compared, values = torch.ones(2 * size), torch.ones(2 * size)
            for head in range(2):
                compared[head * size + 2 : head * size + 5] = 0
                values[head * size : head * size + 3] = 0
            cut_heads(layer, (compared, values), size - 3)
        follow_widths(model)
        torch.testing.assert_close(model(x).raw["way"], before, atol=1e-5, rtol=1e-4)
    assert model.network("video").time[0].memory.shape[0] == 2 * 2 * (size - 3)


@pytest.mark.parametrize("family", ["conv_gru", "shift"])
def test_the_answers_of_all_heads_keep_their_form(family):
    kinds = {
        "classification": "class", "multi_label": "multi-label", "ordinal": "ordinal", "regression": "regression",
        "embedding": "identity", "dense": "spans", "events": "spans", "detection": "boxes",
    }  # fmt: skip
    more = {"multi_label": {"hidden": 8}, "embedding": {"size": 8, "hidden": 8}, "detection": {"hidden": 16}}
    recipe = recipe_of({"video": PICTURES[family]}, {n: {"head": n, **more.get(n, {})} for n in kinds})
    facts = facts_of({"video": CLIP}, kinds)
    model = lively(build_model(recipe, facts))
    x = {"video": torch.randn(2, *facts.shape("video"), generator=torch.Generator().manual_seed(0))}
    with torch.no_grad():
        shapes = {n: raw.shape for n, raw in model(x).raw.items()}
        scores = cutting.score_channels(model, x, "magnitude")
        assert {n.split(".")[1] for n in scores if n.startswith("heads.")} == {"multi_label", "embedding", "detection"}
        cutting.cut(model, x, scores, 0.5, round_to=2)
        after = model.eval()(x).raw
        assert {n: raw.shape for n, raw in after.items()} == shapes
        fresh = build_model(recipe, facts)
        narrowed(fresh, model.state_dict(), said_of(model)["narrow"])
        assert all(torch.equal(raw, after[n]) for n, raw in fresh.eval()(x).raw.items())


@pytest.mark.parametrize("kind", ["late", "early", "gated", "bottleneck", "cross_attention"])
def test_inputs_that_are_joined_are_cut(kind):
    """With a task that one of them answers alone."""
    tasks = {"way": {"head": "classification"}, "pose": {"head": "classification", "inputs": ["video"]}}
    fusion = {"kind": kind, "size": 16, "auxiliary": 0.3}
    recipe = recipe_of({"video": PICTURES["3d"], "sound": EAR}, tasks, fusion=fusion)
    facts = facts_of({"video": CLIP, "sound": MEL}, {"way": "class", "pose": "class"})
    model = lively(build_model(recipe, facts))
    x = {n: torch.randn(2, *facts.shape(n), generator=torch.Generator().manual_seed(0)) for n in recipe.inputs}
    cutting.cut(model, x, cutting.score_channels(model, x, "magnitude"), 0.5)
    assert {model.network(n).size for n in x} == {8, 6}
    fresh = build_model(recipe, facts)
    narrowed(fresh, model.state_dict(), said_of(model)["narrow"])
    with torch.no_grad():
        made = model.eval()(x).raw
        assert all(torch.equal(raw, made[n]) for n, raw in fresh.eval()(x).raw.items())


def test_rounds_and_rounding(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    config = Config(ratio=0.5, rounds=2, epochs=1, round_to=4, importance="taylor", batches=2)
    made = Prune.apply(subject, config, work_for(tmp_path / "work", dataset, subject))
    model, recipe, _ = load_model(made.run)
    assert model.network("picture").size == 8
    assert all(p.shape[0] % 4 == 0 for n, p in model.encoders.named_parameters() if p.ndim == 4)
    assert recipe.optimiser.rate == pytest.approx(0.003)
    assert verify_bundle(load_bundle(made.bundle)).good
    told = load_bundle(made.bundle).manifest.provenance.steps
    assert [s.name for s in told] == ["train", "prune"]
    assert told[-1].settings["importance"] == "taylor"
    second = Prune.apply(made, Config(ratio=0.25, epochs=0, round_to=1), work_for(tmp_path / "more", dataset, subject))
    assert load_model(second.run)[0].network("picture").size == 6
    assert done(second) == ["train", "prune", "prune"]


def test_a_share_of_the_multiply_adds_is_reached(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    config = Config(multiply_adds=0.4, spread="free", round_to=1, epochs=0)
    made = Prune.apply(subject, config, work_for(tmp_path / "work", dataset, subject))
    x = {"picture": torch.zeros(1, 1, 3, 16, 16)}
    share = count(load_model(made.run)[0], x).multiply_adds / count(load_model(subject.run)[0], x).multiply_adds
    assert 0.2 < share <= 0.4


def test_the_same_seed_gives_the_same_weights(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    found = []
    for name in ("a", "b"):
        made = Prune.apply(subject, Config(epochs=1), work_for(tmp_path / name, dataset, subject, seed=5))
        found.append(read_tensors(made.run / "model.safetensors")[0])
    assert all(torch.equal(found[0][n], found[1][n]) for n in found[0])


def test_a_deadline_that_is_over_leaves_the_norms_to_be_measured(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    work = work_for(tmp_path / "work", dataset, subject, deadline=0.0)
    made = Prune.apply(subject, Config(epochs=1000), work)
    assert RunFolder(made.run).history() == []


def test_groups_of_norms_stay_even():
    recipe = recipe_of({"video": PICTURES["plain"]}, {"way": {"head": "classification"}})
    facts = facts_of({"video": CLIP}, {"way": "class"})
    model = lively(build_model(recipe, facts))
    x = {"video": torch.zeros(1, *facts.shape("video"))}
    cutting.cut(model, x, cutting.score_channels(model, x, "magnitude"), 0.5)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert {m.num_channels for m in norms} == {8, 16}
    assert all(m.num_channels % m.num_groups == 0 for m in norms)
    fresh = build_model(recipe, facts)
    narrowed(fresh, model.state_dict(), said_of(model)["narrow"])
    assert torch.equal(fresh.eval()(x).raw["way"], model.eval()(x).raw["way"])


def test_without_a_run_it_is_refused(tiny_subject):
    subject, _ = tiny_subject
    assert "bundle" in Prune.refusal(replace(subject, run=None), Config())
