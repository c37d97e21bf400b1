# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
"""Early exit: never and always, the choice on the validation part, the bundle in use, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from analyzers.conftest import write_clip
from learning._runs import CLIP, FRAME, MEL, facts_of, lively, recipe_of
from learning._tiny import tiny_dataset, tiny_recipe
from learning.compress._moving import work_for
from onlooker.bundles import load_bundle, play, verify_bundle
from onlooker.bundles.added import add
from onlooker.bundles.golden import read_golden
from onlooker.bundles.running import engines
from onlooker.cli.main import app
from onlooker.core.errors import ConfigError
from onlooker.core.plugins import load_plugin
from onlooker.learning.compress.exiting import Judging, choose
from onlooker.learning.compress.exiting_training import taught
from onlooker.learning.compress.measure import costs_beside, worth_of
from onlooker.learning.compress.step import Subject
from onlooker.learning.compress.steps.early_exit import Config, EarlyExit
from onlooker.learning.compress.target_operators import LISTS
from onlooker.learning.compress.targets import reach
from onlooker.learning.compress.trained import Trained
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.model import build_model
from onlooker.learning.parts import load_part
from onlooker.learning.training.train import train
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerCase, _Opened
from onlooker.testing.drive import decide

NETWORKS = {
    "whitened_cnn": ({"network": "whitened_cnn", "stem": [5], "widths": [4, 6, 8]}, FRAME),
    "members": ({"network": "whitened_cnn", "widths": [4, 6, 8], "members": 3, "shared": 2}, FRAME),
    "frame_cnn": ({"network": "frame_cnn", "widths": [4, 6], "difference": True}, CLIP),
    "tconv": ({"network": "tconv", "widths": [4, 6], "time_strides": [2, 1]}, CLIP),
    "shift": ({"network": "tconv", "widths": [8, 8], "form": "shift", "causal": False, "difference": "alone"}, CLIP),
    "audio_cnn": ({"network": "audio_cnn", "widths": [4, 6, 8], "size": 5}, MEL),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_trunk_and_rest_are_the_network(name):
    config, facts = NETWORKS[name]
    known = facts_of({"it": facts}, {"way": "class"})
    net = lively(build_model(recipe_of({"it": config}, {"way": {"head": "classification"}}), known)).network("it")
    x = torch.randn(2, *known.shape("it"), generator=torch.Generator().manual_seed(0))
    assert net.cuts >= 1
    with torch.no_grad():
        for cut in range(1, net.cuts + 1):
            torch.testing.assert_close(net.rest(net.trunk(x, cut), cut).steps, net(x).steps)


def judging(sure, early_right, full_right) -> Judging:
    def raw(right):
        return np.where(np.array(right, bool)[:, None], [1.0, 0.0], [0.0, 1.0]).astype(np.float32)

    count = len(sure)
    return Judging(
        {"t": raw(early_right)}, {"t": raw(full_right)}, {"t": np.zeros(count, np.int64)},
        {"t": np.ones(count, bool)}, np.array(sure, np.float32),
    )  # fmt: skip


def chosen(one, max_drop):
    found = choose(one, max_drop)
    assert found is not None
    return found


def test_most_leave_that_may():
    right = [1, 1, 0, 1, 0]
    one = judging([0.9, 0.8, 0.7, 0.7, 0.6], right, [1, 1, 1, 1, 1])
    # at 0.7 one of five would be lost
    found = chosen(one, 0.0)
    assert (found.share, found.drop) == (0.4, 0.0)
    assert 0.7 < found.threshold < 0.8
    found = chosen(one, 0.2)
    assert (found.share, found.drop) == (0.8, pytest.approx(0.2))
    assert chosen(one, 1.0).share == 1.0
    assert choose(judging([0.9], [0], [1]), 0.5) is None
    # an exit that is right where the network is wrong makes no room for another that is wrong
    assert chosen(judging([0.9, 0.8], [1, 0], [0, 1]), 0.0).share == 0.5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("early")
    dataset = tiny_dataset(folder / "data", count=72)
    tasks = {"side": {"head": "classification"}}
    inputs = {"picture": {"network": "whitened_cnn", "widths": [6, 8, 16]}}
    training = {
        "epochs": 4, "batch": 8, "threads": 1, "workers": 0, "checkpoint_seconds": 0, "precision": "float32",
    }  # fmt: skip
    run = folder / "run"
    train(tiny_recipe(folder, folder / "data", tasks=tasks, inputs=inputs, training=training), out=run)
    subject = Subject(run / "bundle", run)
    config = Config(epochs=8, max_drop=10, least_gain=0, cells=2)
    assert EarlyExit.refusal(subject, config) is None
    work = work_for(folder / "work", dataset, subject)
    return subject, EarlyExit.apply(subject, config, work), dataset


def test_what_counts_nothing_teaches_the_exit_nothing(made, tmp_path):
    subject, _, dataset = made
    config, learned = Config(epochs=2, cells=2, dropout=0.0), []
    for name, spoilt in (("right", False), ("spoilt", True)):
        changed = Dataset.load(dataset.folder)
        few = [s.model_copy(update={"weight": 0.0}) for s in changed.samples if int(s.id) % 3 == 0]
        if spoilt:
            wrong = {"left": "right", "right": "left"}
            few = [s.model_copy(update={"labels": {"side": wrong[s.labels["side"]]}}) for s in few]
        changed.put(few)
        with Trained(subject, config, work_for(tmp_path / name, changed, subject)) as trained:
            torch.manual_seed(0)
            learned.append(taught(trained, [1], config)[1].state_dict())
    assert all(torch.equal(learned[0][k], learned[1][k]) for k in learned[0])


def golden_of(subject):
    bundle = load_bundle(subject.bundle)
    assert bundle.manifest.golden is not None
    return bundle, read_golden(bundle.path(bundle.manifest.golden.file))


def test_never_it_is_the_original_and_always_it_is_not(made):
    subject, early, _ = made
    bundle, recorded = golden_of(early)
    inputs = {k: v for k, v in recorded.items() if k.startswith("in.")}
    original = load_bundle(subject.bundle)
    for engine in engines(bundle):
        whole = play(original, inputs, engine=engine)["out.side"]
        np.testing.assert_allclose(play(bundle, inputs, engine=engine, exit=1.5)["out.side"], whole, atol=1e-4)
        always = play(bundle, inputs, engine=engine, exit=0.0)["out.side"]
        assert (np.abs(always - whole).max(-1) > 1e-3).all()
        by_itself = play(bundle, inputs, engine=engine)["out.side"]
        np.testing.assert_allclose(by_itself, recorded["out.side"], atol=2e-3)


def test_the_bundle_tells_verifies_and_keeps_the_drop(made):
    subject, early, dataset = made
    bundle = load_bundle(early.bundle)
    assert early.run is None
    step = bundle.manifest.provenance.steps[-1]
    assert step.name == "early_exit"
    assert bundle.manifest.provenance.parent == load_bundle(subject.bundle).digest
    assert 0 < float(step.settings["share"]) <= 1
    assert bundle.manifest.networks[0].exit is not None
    assert bundle.manifest.networks[0].exit.default == step.settings["threshold"]
    assert verify_bundle(early.bundle).good
    before, after = (worth_of(s.bundle, dataset.folder, "val")[0]["side"].value for s in (subject, early))
    assert before - after <= 0.1 + 1e-9
    asked = ["evaluate", str(early.bundle), str(dataset.folder), "--split", "val"]
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert told["left_early"] == pytest.approx(float(step.settings["share"]), abs=1e-3)
    assert f"{100 * told['left_early']:.1f} % of the looks left early" in CliRunner().invoke(app, asked).output
    row = ["bench", str(early.bundle), str(subject.bundle), "--data", str(dataset.folder), "--split", "val"]
    one, other = json.loads(CliRunner().invoke(app, [*row, "--rounds", "10", "--json"]).output)["bundles"]
    assert (one["left_early"], other["left_early"]) == (pytest.approx(told["left_early"], abs=1e-4), None)
    shown = CliRunner().invoke(app, ["bundles", "show", str(early.bundle)]).output
    assert f"leaves early from a confidence of {bundle.manifest.networks[0].exit.default:.3g} on" in shown
    costs = costs_beside({"it": bundle}, rounds=10)["it"]
    assert costs.latency_ms > 0


def test_it_is_analysed_with_the_threshold_that_is_set(made, tmp_path, monkeypatch):
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    subject, early, _ = made
    random = np.random.default_rng(0)
    clip = write_clip([random.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(20)], tmp_path / "c.mp4", rate=10)
    add(early.bundle, name="leaving")
    add(subject.bundle, name="whole")
    part = load_plugin("analyzers", "leaving")
    for threshold, share in ((0.0, 1), (1.5, 0)):
        source = open_source(str(clip))
        case = AnalyzerCase(lambda threshold=threshold: [part(part.Config(exit=threshold))], source)
        analyzers = case.make()
        with _Opened(analyzers, source):
            decide(analyzers, case.measurements)
            counted = analyzers[-1].counted
        source.close()
        assert counted["looks"] > 0
        assert counted["early"] == share * counted["looks"]
    other = load_plugin("analyzers", "whole")
    with pytest.raises(ConfigError, match="no early exit"):
        other(other.Config(exit=0.5))
    assert "exit" not in json.loads(other.Config().model_dump_json())


def test_both_parts_go_to_int8_and_answer_nearly_as_before(made, tmp_path):
    subject, early, dataset = made
    work = work_for(tmp_path / "w", dataset, subject)
    part = load_part("compress.steps", "int8")
    settings = {"operators": "convolutions", "least_gain": 0, "max_drop": 1.0, "max_error": 1e6, "samples": 16}
    assert "NNCF leaves branches" in part.refusal(early, part.Config(method="nncf"))
    small = part.apply(early, part.Config(**settings), work)
    before, after = load_bundle(early.bundle), load_bundle(small.bundle)
    assert [s.name for s in after.manifest.provenance.steps] == ["train", "early_exit", "int8"]
    assert after.manifest.networks[0].exit == before.manifest.networks[0].exit
    graph = onnx.load(str(after.path("model.onnx"))).graph
    (branch,) = (a.g for node in graph.node if node.op_type == "If" for a in node.attribute if a.name == "else_branch")
    for one in (graph, branch):
        assert any(node.op_type == "QuantizeLinear" for node in one.node)
    inputs = {k: v for k, v in golden_of(early)[1].items() if k.startswith("in.")}
    assert len(engines(after)) == 2
    for engine in engines(after):
        for threshold in (0.0, 1.5):
            right = play(before, inputs, exit=threshold)["out.side"]
            found = play(after, inputs, engine=engine, exit=threshold)["out.side"]
            assert float(np.abs(found - right).max() / np.abs(right).max()) < 0.2
    assert verify_bundle(small.bundle).good
    # looks that leave by another way in one engine than in the other are no part of what is replayed
    largest = float(np.abs(golden_of(small)[1]["out.side"]).max())
    assert after.manifest.golden is not None
    assert 0 < after.manifest.golden.tolerance < 0.5 * largest


def test_weights_of_both_parts_become_smaller(made, tmp_path):
    subject, early, dataset = made
    sizes = {}
    for step in ("half", "weight_only"):
        part = load_part("compress.steps", step)
        small = part.apply(early, part.Config(least=8), work_for(tmp_path / step, dataset, subject))
        graph = onnx.load(str(small.bundle / "model.onnx")).graph
        (branch,) = (a.g for n in graph.node if n.op_type == "If" for a in n.attribute if a.name == "else_branch")
        kinds = {i.data_type for i in branch.initializer if np.prod(i.dims) >= 64}
        assert onnx.TensorProto.FLOAT not in kinds
        assert kinds
        sizes[step] = sum(f.size for n, f in load_bundle(small.bundle).manifest.files.items() if n == "model.onnx")
        assert verify_bundle(small.bundle).good
    assert sizes["weight_only"] < sizes["half"] < load_bundle(early.bundle).manifest.files["model.onnx"].size


def test_targets_see_both_parts(made, monkeypatch):
    bundle = load_bundle(made[1].bundle)
    (older,) = reach(bundle, ["onnx:17"])
    assert older.ready, older.problems
    assert older.ran == "onnxruntime and openvino here"
    before = sum(n.op_type == "Conv" for n in onnx.load(str(bundle.path("model.onnx"))).graph.node)
    known = LISTS["tensorrt"]
    monkeypatch.setitem(LISTS, "tensorrt", replace(known, operators=known.operators - {"Conv"}))
    (listed,) = reach(bundle, ["tensorrt"])
    (count,) = (int(found[1]) for p in listed.problems if (found := re.match(r"the operator Conv \((\d+) times\)", p)))
    assert count > before


def test_what_has_no_exit_is_refused(made, tiny_subject, tmp_path):
    _, early, _ = made
    subject = made[0]
    for reason, one, config in (
        ("regression", tiny_subject[0], Config()),
        ("only the bundle is known", early, Config()),
        ("1 to 2 stages", subject, Config(place=3)),
        ("early exit already", Subject(early.bundle, subject.run), Config()),
    ):
        assert reason in (EarlyExit.refusal(one, config) or "")
