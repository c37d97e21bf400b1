"""Every head does what `onlooker.learning.task` promises, tried with its own example."""

from __future__ import annotations

import dataclasses
import importlib
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from onlooker.analyzers.bundle.boxes import boxes_of
from onlooker.bundles.inputs import FrameInput
from onlooker.bundles.outputs import Detection, Output, wanted_size
from onlooker.bundles.preprocess import Placed
from onlooker.bundles.scores import exclusive, probabilities
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.network import Features
from onlooker.learning.parts import load_part, part_names
from onlooker.learning.task import Array, Head, TaskFacts, as_tensor

NAMES = part_names("tasks")
TIMES = 8
SIZE, MAP = 48, 24


class Case(NamedTuple):
    head: Any
    config: Any
    facts: TaskFacts
    clips: list[Clip]
    values: Array
    perfect: Array
    features: Features
    maps: Tensor

    def make(self, **settings: Any) -> Head:
        torch.manual_seed(1)
        return self.head(self.config.model_copy(update=settings), self.facts, SIZE, MAP)


def clip_of(facts: TaskFacts, label: Any, number: int = 0) -> Clip:
    labels = {} if label is None else {facts.name: facts.task.parse(label)}
    sample = Sample(id=str(number), text="-", labels=labels)
    return Clip(sample, np.zeros((1, 64, 64, 3), np.uint8), np.zeros(1), None, None)


def case_of(name: str) -> Case:
    example = importlib.import_module(f"onlooker.learning.tasks.{name}").EXAMPLE
    head = load_part("tasks", name)
    config = head.Config(**example.settings)
    facts = example.facts
    random = np.random.default_rng(0)
    kinds = np.arange(TIMES * len(example.labels)) % len(example.labels)
    clips = [clip_of(facts, example.labels[k], n) for n, k in enumerate(kinds)]
    values, known = head.encode(facts, config, clips)
    assert known.all()
    shapes = (facts.steps, SIZE), (MAP, 8, 8)
    steps, maps = (random.normal(size=(len(example.labels), *shape))[kinds] for shape in shapes)
    steps, maps = (torch.from_numpy(x + random.normal(0, 1, x.shape)).float() for x in (steps, maps))
    perfect = example.perfect(values, facts).astype(np.float32)
    return Case(head, config, facts, clips, values, perfect, Features(steps, maps), maps)


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


def test_a_head_says_what_it_is(case: Case):
    name = case.head.__module__.rsplit(".", 1)[-1]
    assert case.config.head == name == case.head.Config().head
    assert case.facts.task.kind in case.head.kinds
    documented = case.head.Config.__doc__ or ""
    for field in set(case.head.Config.model_fields) - {"head"}:
        inherited = "".join(base.__doc__ or "" for base in case.head.Config.__mro__ if base.__module__ != "builtins")
        assert f"{field}:" in inherited or f"{field}," in inherited or f", {field}" in inherited, f"{field}: no meaning"
    assert case.head.main.name in documented + (case.head.__doc__ or "")
    with pytest.raises(ValidationError):
        case.head.Config(weight=-1)


def test_labels_are_encoded_and_missing_ones_told(case: Case):
    clips = [*case.clips[:2], clip_of(case.facts, None), case.clips[2]]
    values, known = case.head.encode(case.facts, case.config, clips)
    assert known.dtype == bool
    assert known.tolist() == [True, True, False, True]
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[known], case.values[:3])
    alone, none = case.head.encode(case.facts, case.config, clips[2:3])
    assert alone.shape[1:] == values.shape[1:]
    assert not none.any()


def test_another_of_the_datasets_tasks_can_be_meant(case: Case):
    facts = dataclasses.replace(case.facts, name="other")
    config = case.config.model_copy(update={"of": case.facts.name})
    values, known = case.head.encode(facts, config, case.clips)
    assert known.all()
    np.testing.assert_array_equal(values, case.values)


def test_loss_is_of_each_sample_and_has_a_gradient_for_all_weights(case: Case):
    head = case.make()
    raw = head(case.features)
    loss = head.loss(raw, as_tensor(case.values))
    assert raw.shape[0] == len(case.clips)
    assert loss.shape == (len(case.clips),)
    assert torch.isfinite(loss).all()
    loss.mean().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_loss_bears_numbers_beyond_measure_and_half_precision(case: Case):
    head = case.make()
    values = as_tensor(case.values)
    with torch.autocast("cpu", torch.bfloat16):
        loss = head.loss(head(Features(case.features.steps * 1000, case.maps * 1000)), values)
    loss.mean().backward()
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def trained(case: Case, head: Head, rounds: int = 80) -> tuple[float, float]:
    values = as_tensor(case.values)
    optimiser = torch.optim.Adam(head.parameters(), 0.02)
    losses: list[float] = []
    for _ in range(rounds):
        optimiser.zero_grad()
        loss = head.loss(head(case.features), values).mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses[0], losses[-1]


def better(case: Case, first: float, second: float) -> float:
    return first - second if case.head.main.higher else second - first


def test_a_head_learns_what_can_be_told_apart(case: Case):
    head = case.make()
    before = case.head.metrics(head(case.features).detach().numpy(), case.values, case.facts, {})
    first, last = trained(case, head)
    assert last < 0.5 * first
    after = case.head.metrics(head(case.features).detach().numpy(), case.values, case.facts, {})
    assert better(case, after[case.head.main.name], before[case.head.main.name]) > 0


def test_metrics_are_perfect_on_perfect_numbers_and_poor_on_those_of_others(case: Case):
    main = case.head.main.name
    perfect = case.head.metrics(case.perfect, case.values, case.facts, {})
    assert perfect[main] == pytest.approx(1.0 if case.head.main.higher else 0.0, abs=1e-6)
    shuffled = np.random.default_rng(3).permutation(len(case.values))
    others = case.head.metrics(case.perfect[shuffled], case.values, case.facts, {})
    assert better(case, perfect[main], others[main]) > 0.2
    assert all(np.isfinite(v) for m in (perfect, others) for v in m.values())
    assert all(type(v) is float for v in perfect.values())


def test_metrics_bear_no_samples_and_one(case: Case):
    assert case.head.metrics(case.perfect[:0], case.values[:0], case.facts, {}) == {}
    one = case.head.metrics(case.perfect[:1], case.values[:1], case.facts, {})
    assert all(np.isfinite(v) for v in one.values())
    assert isinstance(case.head.calibrate(case.perfect[:0], case.values[:0], case.facts), dict)
    json.dumps(case.head.calibrate(case.perfect[:1], case.values[:1], case.facts), allow_nan=False)


def test_calibration_is_plain_and_never_worse(case: Case):
    random = np.random.default_rng(4)
    wrong = random.permutation(len(case.values))[: len(case.values) // 3]
    raw = case.perfect.copy()
    raw[wrong] = np.roll(case.perfect, 1, axis=0)[wrong]
    calibration = case.head.calibrate(raw, case.values, case.facts)
    assert json.loads(json.dumps(calibration, allow_nan=False)) == calibration
    before = case.head.metrics(raw, case.values, case.facts, {})
    after = case.head.metrics(raw, case.values, case.facts, calibration)
    assert set(before) <= set(after)
    if "nll" in before:
        # a third of these sure answers is wrong
        assert after["nll"] < 0.8 * before["nll"]


def test_decoded_answers_are_labels(case: Case):
    answers = case.head.decode(case.perfect, case.facts, {})
    assert len(answers) == len(case.clips)
    there = [n for n, a in enumerate(answers) if a is not None]
    again = [clip_of(case.facts, answers[n], n) for n in there]
    if again:
        values, known = case.head.encode(case.facts, case.config, again)
        assert known.all()
        metrics = case.head.metrics(case.perfect[there], values, case.facts, {})
        assert metrics[case.head.main.name] == pytest.approx(1.0 if case.head.main.higher else 0.0, abs=1e-5)


def test_metrics_by_label_name_the_labels(case: Case):
    table = case.head.by_label(case.perfect, case.values, case.facts, {})
    json.dumps(table, allow_nan=False)
    if table and case.facts.classes:
        assert tuple(table) == case.facts.classes
        assert all(row.get("f1", 1.0) == pytest.approx(1.0) for row in table.values())


def test_the_deployed_form_is_a_bundles(case: Case):
    calibration = case.head.calibrate(case.perfect, case.values, case.facts)
    fields = case.head.output(case.facts, case.config.model_copy(update={"kind": None}), calibration)
    assert fields["task"] == case.head.task
    if "boxes" in fields:
        fields["boxes"] = {**fields["boxes"], "tensor": "y"}
    else:
        fields["tensor"] = "y"
    output: Any = TypeAdapter(Output).validate_python({"name": "it", **fields})
    again: Any = TypeAdapter(Output).validate_json(json.dumps({"name": "it", **fields}))
    assert output == again
    raw = case.make()(case.features)
    if isinstance(output, Detection):
        assert raw.ndim == 3
    else:
        assert wanted_size(output) == raw[0].numel()


def test_what_is_observed_when_deployed_is_what_is_decoded(case: Case):
    """Bundles are read by other code than heads: both have to decide alike, thresholds and temperature included."""
    random = np.random.default_rng(5)
    raw = case.perfect + random.normal(0, 0.3 * case.perfect.std(), case.perfect.shape).astype(np.float32)
    calibration = case.head.calibrate(raw, case.values, case.facts)
    fields = case.head.output(case.facts, case.config, calibration)
    said = case.head.decode(raw, case.facts, calibration)
    if case.head.task == "detection":
        fields["boxes"] = {**fields["boxes"], "tensor": "y"}
        output: Any = TypeAdapter(Output).validate_python({"name": "it", **fields})
        facts = FrameInput(kind="frame", width=64, height=64)
        for rows, boxes in zip(raw, said, strict=True):
            seen = boxes_of({"y": rows[None]}, output, facts, Placed(0, 0, 64, 64))
            seen = [(*row[:4], row[4], case.facts.classes[int(row[5])]) for row in seen if row[4] >= output.threshold]
            assert [s[5] for s in seen] == [b.label for b in boxes]
            for one, box in zip(seen, boxes, strict=True):
                assert (*box.box, box.score) == pytest.approx(one[:5], abs=1e-4)
        return
    output = TypeAdapter(Output).validate_python({"name": "it", "tensor": "y", **fields})
    if case.head.task not in ("classification", "multi_label", "ordinal"):
        pytest.skip("its answers are not one for each moment")
    for rows, answer in zip(raw, said, strict=True):
        scores = probabilities(output, rows)
        one = exclusive(output, scores)
        if one is not None:
            assert output.labels[one] == answer
        else:
            on = [output.thresholds.get(label, output.threshold) for label in output.labels]
            assert tuple(n for n, s, t in zip(output.labels, scores, on, strict=True) if s >= t) == answer


class All(nn.Module):
    """Every head with tensors as inputs, so that one export tries them all."""

    def __init__(self, heads: list[Head]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, inputs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        return [head(Features(*given)) for head, given in zip(self.heads, inputs, strict=True)]


def test_all_go_to_onnx(tmp_path: Path):
    cases = [case_of(name) for name in NAMES]
    model = All([case.make() for case in cases]).eval()
    inputs = [(case.features.steps[:1], case.maps[:1]) for case in cases]
    with warnings.catch_warnings():
        # of the exporter itself
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, (inputs,), dynamo=True, opset_version=18, verbose=False)
    assert program is not None
    program.save(tmp_path / "heads.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "heads.onnx", providers=["CPUExecutionProvider"])
    given = [x.numpy() for pair in inputs for x in pair]
    feed = {node.name: x for node, x in zip(session.get_inputs(), given, strict=True)}
    with torch.inference_mode():
        wanted = model(inputs)
    for name, made, right in zip(NAMES, session.run(None, feed), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(made), right.numpy(), atol=1e-4, err_msg=name)
