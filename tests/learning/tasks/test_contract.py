"""Every head does what `onlooker.learning.task` promises, tried with its own example."""

from __future__ import annotations

import importlib
import io
import json
import warnings
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from onlooker.bundles.outputs import Detection, Output, wanted_size
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.network import Features
from onlooker.learning.parts import load_part, part_names
from onlooker.learning.task import Array, Head, TaskFacts, as_tensor

NAMES = part_names("tasks")
TIMES = 8
SIZE, MAP = 48, 24


class Case(NamedTuple):
    head: type[Head]
    config: Any
    facts: TaskFacts
    clips: list[Clip]
    values: Array
    perfect: Array
    features: Features

    def make(self, **settings: Any) -> Head:
        torch.manual_seed(1)
        return self.head(self.config.model_copy(update=settings), self.facts, SIZE, MAP)


def clip_of(facts: TaskFacts, label: Any, number: int = 0) -> Clip:
    labels = {} if label is None else {facts.name: facts.task.parse(label)}
    sample = Sample(id=str(number), text="-", labels=labels)
    return Clip(sample, np.zeros((1, 64, 64, 3), np.uint8), np.zeros(1), None, None)


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    example = importlib.import_module(f"onlooker.learning.tasks.{request.param}").EXAMPLE
    head = load_part("tasks", request.param)
    config = head.Config(**example.settings)
    facts = example.facts
    random = np.random.default_rng(0)
    kinds = np.arange(TIMES * len(example.labels)) % len(example.labels)
    clips = [clip_of(facts, example.labels[k], n) for n, k in enumerate(kinds)]
    values, known = head.encode(facts, config, clips)
    assert known.all()
    steps = random.normal(size=(len(example.labels), facts.steps, SIZE))[kinds]
    maps = random.normal(size=(len(example.labels), MAP, 8, 8))[kinds]
    features = Features(*(torch.from_numpy(x + random.normal(0, 1, x.shape)).float() for x in (steps, maps)))
    return Case(head, config, facts, clips, values, example.perfect(values, facts).astype(np.float32), features)


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
    facts = TaskFacts(**{f: getattr(case.facts, f) for f in case.facts.__dataclass_fields__} | {"name": "other"})
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
        loss = head.loss(head(Features(*(x * 1000 if x is not None else None for x in case.features))), values)
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


class Bare(nn.Module):
    """A head with tensors as inputs, as an export needs them."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, steps: Tensor, maps: Tensor) -> Tensor:
        return self.head(Features(steps, maps))


def test_it_goes_to_onnx(case: Case):
    head = case.make().eval()
    sample = tuple(x[:1] for x in case.features if x is not None)
    with warnings.catch_warnings():
        # of the exporter itself
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Bare(head), sample, dynamo=True, opset_version=18, input_names=["steps", "maps"], verbose=False
        )
    assert program is not None
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    taken = {i.name for i in session.get_inputs()}
    given = {n: x.numpy() for n, x in zip(("steps", "maps"), sample, strict=True) if n in taken}
    (made,) = session.run(None, given)
    with torch.inference_mode():
        np.testing.assert_allclose(made, head(Features(*sample)).numpy(), atol=1e-4)
