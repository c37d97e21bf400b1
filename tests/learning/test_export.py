# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportCallIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false
"""Bundles made of runs: every form, compared with the model in PyTorch, and verified."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from learning import _runs
from learning._runs import ACTION, CLIP, CNN, EAR, FRAME, GRAY, MEL, SERIES, TCONV, TEXT, facts_of, make_run, recipe_of
from onlooker.bundles import load_bundle, verify_bundle
from onlooker.bundles.inputs import ClipInput
from onlooker.core.errors import ModelError, UsageError
from onlooker.learning import export
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.manifest import DatasetInfo, Media, Sample
from onlooker.learning.datasets.preparation import Pictures, Preparation
from onlooker.learning.export import export_run
from onlooker.learning.export.forms import Windows
from onlooker.learning.model import build_model
from onlooker.learning.network import Features
from onlooker.learning.parts import part_names
from onlooker.learning.run_folder import load_model


def _streaming(*, variants: bool) -> list[Any]:
    """(network's settings, facts of its clips) of all networks of pictures with a streaming form."""
    found = []
    for name in part_names("networks"):
        module = importlib.import_module(f"onlooker.learning.networks.{name}")
        if module.PART.takes != "pictures" or not module.PART.streams:
            continue
        example = module.EXAMPLE
        for own in (example["config"], *(module.VARIANTS if variants else ())):
            network = module.PART(module.Config(**own), example["shape"])
            if network.streams:
                label = "-".join([name, *(f"{k}={v}" for k, v in own.items() if k not in ("widths", "size"))])
                found.append(pytest.param({"network": name, **own}, _clip(example["shape"]), id=label.replace(" ", "")))
    return found


def _clip(shape: tuple[int, ...]) -> ClipInput:
    frames, channels, height, width = shape
    colour: Any = "rgb" if channels == 3 else "gray"
    return ClipInput(
        kind="clip", rate=8.0, frames=frames, stride=2, width=width, height=height, colour=colour, scale=1 / 128,
        mean=(1.0,), std=(0.5,),
    )  # fmt: skip


def parity_of(run):
    return json.loads((run / "parity.json").read_text())


def exported(tmp_path, recipe, facts, **more):
    run = make_run(tmp_path, recipe, facts, **more)
    bundle = export_run(run, tmp_path / "bundle")
    checked = verify_bundle(bundle)
    assert checked.good, checked.checks
    assert {"openvino", "onnxruntime"} <= {c.name for c in checked.checks if c.state == "good"}
    found = parity_of(run)
    assert set(found["engines"]) == {"openvino", "onnxruntime"}
    for tensors in (*found["engines"].values(), *(t for by in found.get("without", {}).values() for t in by.values())):
        for apart in tensors.values():
            assert apart["largest"] < 1e-4 * max(1, apart["scale"])
    return bundle, found, checked


# -- the streaming form in PyTorch --


@pytest.mark.parametrize("pool", ["mean", "max", "last"])
@pytest.mark.parametrize(("network", "clip"), _streaming(variants=True))
def test_windows_answer_like_the_whole_clip(network, clip, pool):
    """After k steps as the head on the first k; after T as on the whole clip; later as on the last T."""
    recipe = recipe_of({"video": network}, {"action": {"head": "classification", "pool": pool}})
    model = _runs.lively(build_model(recipe, facts_of({"video": clip}, {"action": "class"})))
    net, head = model.network("video"), model.head("action")
    frames = torch.randn(1, clip.frames + 4 * net.chunk, *clip.shape[2:], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        state, all_steps = net.initial_state(), []
        for at in range(0, frames.shape[1], net.chunk):
            features, state = net.stream(frames[:, at : at + net.chunk], state)
            all_steps.append(features.steps)
        steps = torch.cat(all_steps, 1)
        for window in (1, 2, net.steps + 1):
            form = Windows(model, "video", window, views=())
            state, seen = tuple(form.initial_state().values()), 0
            for at in range(0, frames.shape[1] - window * net.chunk + 1, window * net.chunk):
                answer, *after = form(frames[:, at : at + window * net.chunk], *state)
                assert [a.shape for a in after] == [s.shape for s in state]
                state, seen = tuple(after), seen + window
                expected = head(Features(steps[:, max(0, seen - net.steps) : seen]))
                torch.testing.assert_close(answer, expected, atol=1e-4, rtol=1e-4)
                if seen == net.steps:
                    whole = model({"video": frames[:, : clip.frames]}).raw["action"]
                    torch.testing.assert_close(answer, whole, atol=1e-4, rtol=1e-4)
            assert seen >= net.steps


# -- bundles of every form --


@pytest.mark.parametrize(("network", "clip"), _streaming(variants=False))
def test_a_streaming_network_becomes_a_bundle_with_its_state(network, clip, tmp_path):
    recipe = recipe_of({"video": network}, ACTION)
    bundle, found, checked = exported(tmp_path, recipe, facts_of({"video": clip}, {"action": "class"}, seconds=4.0))
    (made,) = bundle.manifest.networks
    model, _, _ = load_model(tmp_path / "run")
    net = model.network("video")
    assert (made.input.frames, made.input.stride, made.speaks) == (net.chunk, net.chunk, "end")
    assert found["whole"]["action"]["largest"] < 1e-4
    assert made.state is not None
    if net.memory is None:
        assert (made.state.steps, made.state.reset_seconds) == (None, 32.0)
    else:
        assert made.state.steps == net.memory + net.steps - 1
        assert [c.state for c in checked.checks if c.name.startswith("memory")] == ["good"]


def test_windows_of_several_steps_answer_step_by_step_where_heads_do(tmp_path):
    tasks = {"doing": {"head": "dense"}, "falls": {"head": "events"}, "action": {"head": "classification"}}
    recipe = recipe_of(
        {"video": TCONV}, tasks, export={"window": 2, "weights": False}, training={"test_time": ["mirror", "shift"]}
    )
    kinds = {"doing": "spans", "falls": "spans", "action": "class"}
    bundle, found, _ = exported(tmp_path, recipe, facts_of({"video": CLIP}, kinds))
    outputs = {o.name: o for o in bundle.manifest.outputs}
    assert (outputs["doing"].steps, outputs["falls"].steps) == (2, 2)
    assert outputs["falls"].apart_seconds == pytest.approx(2 * 1.0 / CLIP.frames)
    assert all(found["whole"][task]["largest"] < 1e-4 for task in kinds)
    assert bundle.manifest.networks[0].state.tensors[0].shape[0] == 6
    assert bundle.manifest.weights is None
    assert "weights.safetensors" not in bundle.manifest.files


def test_all_kinds_of_output_with_their_calibration(tmp_path):
    tasks = {
        "Mood": {"head": "classification", "threshold": 0.7, "kind": "expression"},
        "labels": {"head": "multi_label"},
        "level": {"head": "ordinal"},
        "size": {"head": "regression", "names": ["height", "tilt"]},
        "who": {"head": "embedding", "size": 7},
        "things": {"head": "detection", "hidden": 8},
    }
    kinds = {"Mood": "class", "labels": "multi-label", "level": "ordinal", "size": "regression", "who": "identity"}
    kinds["things"] = "boxes"
    calibration = {"Mood": {"temperature": 1.7}, "labels": {"temperature": 0.8, "thresholds": {"fight": 0.9}}}
    metrics = {"test": {"Mood": {"accuracy": 0.75, "nll": 0.5}}, "validation": {"size": {"mae": 2.0}}}
    recipe = recipe_of({"video": CNN}, tasks, title="Many things", export={"licence": "CC0-1.0"})
    run = make_run(tmp_path, recipe, facts_of({"video": GRAY}, kinds, None), calibration=calibration, metrics=metrics)
    with (run / "predictions.npz").open("wb") as file:
        np.savez(file, **{"known.Mood": np.array([True, False, True])})
    bundle = export_run(run, tmp_path / "bundle")
    assert verify_bundle(bundle).good
    manifest = bundle.manifest
    mood, labels, level, size, who, things = manifest.outputs
    assert (mood.name, mood.tensor, mood.kind, mood.threshold) == ("mood", "Mood", "expression", 0.7)
    assert mood.temperature == 1.7
    assert (labels.temperature, labels.thresholds) == (0.8, {"fight": 0.9})
    assert (level.task, level.labels) == ("ordinal", ("low", "middle", "high"))
    assert (size.labels, size.unit) == (("height", "tilt"), "m")
    assert (who.task, who.size) == ("embedding", 7)
    assert (things.task, things.boxes.tensor, things.labels) == ("detection", "things", _runs.MOODS)
    told = {(m.output, m.split, m.name): (m.value, m.count) for m in manifest.metrics}
    assert told[("mood", "test", "accuracy")] == (0.75, 2)
    assert told[("size", "validation", "mae")] == (2.0, None)
    origin = manifest.provenance
    assert origin.recipe == "ab" * 32
    assert len(origin.dataset or "") == 64
    assert origin.software["torch"] == torch.__version__
    assert (origin.steps[0].name, origin.steps[0].settings["inputs.video.network"]) == ("train", "frame_cnn")
    assert str(tmp_path) not in (bundle.folder / "bundle.json").read_text()
    assert str(tmp_path).encode() not in bundle.path("model.onnx").read_bytes()
    assert b"/onlooker/" not in bundle.path("model.onnx").read_bytes()
    weights = load_bundle(bundle.folder).path(manifest.weights or "").read_bytes()
    assert weights == (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("views", [["mirror"], ["shift"], ["mirror", "shift"]], ids="-".join)
def test_views_of_pictures_are_averaged_over_samples_that_are_at_hand(views, seen, tmp_path):
    """The golden run holds the validation part's own pictures; the whole-clip form."""
    recipe = recipe_of(
        {"video": {**CNN, "difference": True}},
        ACTION,
        dataset=str(seen.folder),
        training={"test_time": views},
        export={"streaming": False},
    )
    facts = facts_of({"video": CLIP}, {"action": "class"})
    bundle, found, _ = exported(tmp_path, recipe, facts, dataset=seen)
    (network,) = bundle.manifest.networks
    assert (network.input, network.state, network.speaks) == (CLIP, None, "centre")
    assert found["inputs"] == "samples"
    with np.load(bundle.path("golden.npz")) as golden:
        pictures = golden["in.video"]
    with Loader(seen, seen.info.prepare, split="val", shuffle=False) as loader:
        first, second = (np.array(clip.pictures) for clip in loader.epoch())
    assert np.array_equal(pictures, np.stack([first, second, first]))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A dataset of two videos that change their colours."""
    from analyzers.conftest import write_clip

    folder = tmp_path_factory.mktemp("seen")
    random = np.random.default_rng(4)
    for name in ("a", "b"):
        shown = [np.full((48, 64, 3), random.integers(0, 256, 3), np.uint8) for _ in range(16)]
        write_clip(shown, folder / f"{name}.mp4", rate=8)
    how = Preparation(pictures=Pictures(frames=8, width=20, height=16, crop="none"))
    info = DatasetInfo(name="seen", tasks={"action": _runs.TASKS["class"][0]}, splits=("val",), prepare=how)
    samples = [
        Sample(
            id=n,
            media=(Media(path=f"{n}.mp4", kind="video", seconds=2.0, rate="8"),),
            split="val",
            labels={"action": "calm"},
        )
        for n in ("a", "b")
    ]
    made = Dataset(folder, info, samples)
    made.save()
    return made


def test_sound_alone(tmp_path):
    bundle, _, _ = exported(tmp_path, recipe_of({"sound": EAR}, ACTION), facts_of({"sound": MEL}, {"action": "class"}))
    assert bundle.manifest.networks[0].input == MEL


FUSIONS = [
    ({"kind": "late", "size": 8}, CLIP, TCONV, True),
    ({"kind": "gated", "size": 8, "auxiliary": 0.3}, FRAME, CNN, False),
]


@pytest.mark.parametrize(("fusion", "seen", "eye", "mirror"), FUSIONS, ids=["late", "gated"])
def test_an_eye_an_ear_and_a_head(fusion, seen, eye, mirror, tmp_path):
    """Also with one of them missing; and a task that only the eye answers."""
    tasks = {"action": {"head": "classification"}, "pose": {"head": "classification", "inputs": ["video"]}}
    recipe = recipe_of(
        {"video": eye, "sound": EAR}, tasks, fusion=fusion, training={"test_time": ["mirror"] if mirror else []}
    )
    facts = facts_of({"video": seen, "sound": MEL}, {"action": "class", "pose": "class"})
    bundle, found, _ = exported(tmp_path, recipe, facts)
    assert [n.name for n in bundle.manifest.networks] == ["video", "sound"]
    assert all(n.state is None for n in bundle.manifest.networks)
    assert [i.mask for i in bundle.manifest.head.inputs] == ["there.video", "there.sound"]
    assert [o.rests_on for o in bundle.manifest.outputs] == [None, "video"]
    assert {name: set(by["openvino"]) for name, by in found["without"].items()} == {
        "video": {"action"},
        "sound": {"action", "pose"},
    }


@pytest.mark.parametrize("head", ["dense", "events"])
@pytest.mark.parametrize("fusion", [f for f, *_ in FUSIONS], ids=["late", "gated"])
def test_an_eye_and_an_ear_that_step_unequally_answer_step_by_step(fusion, head, tmp_path):
    """Those of the one with fewer steps lie between them, as when features are joined."""
    recipe = recipe_of({"video": TCONV, "sound": EAR}, {"action": {"head": head}}, fusion=fusion)
    facts = facts_of({"video": CLIP, "sound": MEL}, {"action": "spans"})
    model = _runs.lively(build_model(recipe, facts))
    steps = {name: model.network(name).steps for name in ("video", "sound")}
    assert steps["video"] != steps["sound"]
    given = {"video": torch.randn(2, 8, 3, 16, 20), "sound": torch.randn(2, 1, 40, 16)}
    answer = model(given, {"video": torch.tensor([1.0, 0.0]), "sound": torch.ones(2)})
    for raw in (answer.raw, *answer.sides.values()):
        assert raw["action"].shape[:2] == (2, max(steps.values()))
        loss = model.head("action").loss(raw["action"], torch.zeros_like(raw["action"]))
        assert torch.isfinite(loss).all()
    bundle, _, _ = exported(tmp_path, recipe, facts)
    assert bundle.manifest.outputs[0].steps == max(steps.values())


def test_a_text_is_read_by_a_head(tmp_path):
    recipe = recipe_of({"words": {"network": "text_encoder", "size": 6}}, ACTION)
    bundle, _, _ = exported(tmp_path, recipe, facts_of({"words": TEXT}, {"action": "class"}, None))
    assert not bundle.manifest.networks
    assert bundle.manifest.head.text == TEXT


MEASURED = {"sensor": {"network": "series", "width": 4}}


def test_a_series_alone_becomes_a_network(tmp_path):
    recipe = recipe_of(MEASURED, ACTION | {"falls": {"head": "events"}})
    bundle, _, _ = exported(tmp_path, recipe, facts_of({"sensor": SERIES}, {"action": "class", "falls": "spans"}))
    (made,) = bundle.manifest.networks
    assert made.input == SERIES
    assert bundle.manifest.series == made


ALL: dict[str, Any] = {"Text": CNN, "sound": EAR, "words": {"network": "text_encoder", "size": 6}, **MEASURED}
ALL_FACTS = {"Text": CLIP, "sound": MEL, "words": TEXT, "sensor": SERIES}


@pytest.mark.parametrize("kind", ["early", "late", "gated", "cross_attention", "bottleneck"])
@pytest.mark.parametrize("views", [[], ["mirror"], ["mirror", "shift"]], ids=["one", "two", "six"])
def test_all_senses_are_joined_by_a_head_with_a_mask_for_each(kind, views, tmp_path):
    """The mask of each is tried at export, against the model without that input."""
    tasks = ACTION | {"words_alone": {"head": "classification", "of": "action", "inputs": ["words"]}}
    recipe = recipe_of(ALL, tasks, fusion={"kind": kind, "size": 8}, training={"test_time": views})
    facts = facts_of(ALL_FACTS, {"action": "class", "words_alone": "class"})
    bundle, found, _ = exported(tmp_path, recipe, facts)
    assert set(found["without"]) == {"text_2", "sound", "text", "sensor"}
    head = bundle.manifest.head
    assert [i.network for i in head.inputs] == ["text_2", "sound", "sensor"]
    assert all(i.mask for i in head.inputs)
    assert (head.text, bool(head.text_mask)) == (TEXT, True)
    assert [o.rests_on for o in bundle.manifest.outputs] == [None, "text"]


# -- what cannot be --

SEEN, HEARD, READ = {"video": CNN}, {"sound": EAR}, {"words": {"network": "text_encoder", "size": 6}}
JOINED, ON_A_STREAM = {"fusion": {"kind": "early", "size": 8}}, {"export": {"streaming": True}}
REFUSED = [
    (SEEN | {"other": CNN}, {"video": CLIP, "other": CLIP}, ACTION, JOINED, "video and other are both pictures"),
    (SEEN | HEARD, {"video": CLIP, "sound": MEL}, ACTION, JOINED | ON_A_STREAM, "over whole clips"),
    (SEEN, {"video": FRAME}, ACTION, ON_A_STREAM, "is no clip"),
    (
        {"video": {**TCONV, "causal": False}}, {"video": CLIP}, ACTION, ON_A_STREAM,
        "tconv of video has no streaming form",
    ),
    (
        SEEN, {"video": FRAME}, {"action": {"head": "detection", "hidden": 8}},
        {"training": {"test_time": ["mirror"]}}, "boxes cannot be averaged",
    ),
    (READ, {"words": TEXT}, {"action": {"head": "dense"}}, {}, "no steps in time"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "forms", "tasks", "more", "said"),
    REFUSED,
    ids=lambda v: v.replace(" ", "_") if isinstance(v, str) else "",
)
def test_what_bundles_cannot_hold_is_said(inputs, forms, tasks, more, said, tmp_path):
    kinds = {"classification": "class", "detection": "boxes", "dense": "spans"}
    recipe = recipe_of(inputs, tasks, **more)
    run = make_run(tmp_path, recipe, facts_of(forms, {"action": kinds[tasks["action"]["head"]]}))
    with pytest.raises(UsageError, match=said) as error:
        export_run(run, tmp_path / "bundle")
    assert error.value.hint
    assert not (tmp_path / "bundle").exists()
    assert load_model(run)[0].tasks


def test_a_bundle_that_answers_otherwise_is_not_kept(monkeypatch, tmp_path):
    """One weight is changed on the way into the file."""
    run = make_run(tmp_path, recipe_of({"video": CNN}, ACTION), facts_of({"video": FRAME}, {"action": "class"}, None))
    good = export_run(run, tmp_path / "bundle")
    write = export.to_onnx

    def changed(piece):
        other = copy.deepcopy(piece.module)
        with torch.no_grad():
            next(m for m in other.modules() if isinstance(m, nn.Linear)).weight[0, 0] += 0.5
        return write(dataclasses.replace(piece, module=other))

    monkeypatch.setattr(export, "to_onnx", changed)
    with pytest.raises(ModelError, match=r"action in openvino differs by .*action in onnxruntime differs by"):
        export_run(run, tmp_path / "bundle", overwrite=True)
    assert parity_of(run)["engines"]["openvino"]["action"]["largest"] > 1e-3
    assert load_bundle(tmp_path / "bundle").digest == good.digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "run"]
    with pytest.raises(UsageError, match="exists already"):
        export_run(run, tmp_path / "bundle")
    with pytest.raises(UsageError, match="no bundle that could be replaced"):
        export_run(run, run, overwrite=True)


def test_a_run_that_is_not_over_is_said(tmp_path):
    run = make_run(tmp_path, recipe_of({"video": CNN}, ACTION), facts_of({"video": FRAME}, {"action": "class"}, None))
    (run / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"model\.safetensors"):
        export_run(run, tmp_path / "bundle")
