"""What every network must do. A new one in ``onlooker.learning.networks`` is tried without an edit here.

A network's module may give ``EXAMPLE``, a small ``config`` and ``shape`` of one sample, and ``VARIANTS``, other configs
for that shape; without them its own defaults are tried.
"""

from __future__ import annotations

import importlib
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, Network, State
from onlooker.learning.parts import load_part, part_names

SHAPES = {"pictures": (8, 3, 32, 32), "log_mel": (1, 64, 32), "waveform": (4000,), "text": (8, 16), "series": (16, 4)}


@dataclass(frozen=True)
class Case:
    name: str
    config: dict[str, Any]
    shape: tuple[int, ...]

    def make(self) -> Network:
        part = load_part("networks", self.name)
        torch.manual_seed(0)
        network = part(part.Config(**self.config), self.shape)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.GroupNorm | nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                assert module.running_mean is not None
                assert module.running_var is not None
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        return network.eval()

    def sample(self, batch: int = 2, seed: int = 1) -> Tensor:
        return torch.randn(batch, *self.shape, generator=torch.Generator().manual_seed(seed))


def _cases() -> list[Any]:
    found = []
    for name in part_names("networks"):
        module = importlib.import_module(f"onlooker.learning.networks.{name}")
        example = getattr(module, "EXAMPLE", {"config": {}, "shape": SHAPES[module.PART.takes]})
        for config in (example["config"], *getattr(module, "VARIANTS", ())):
            label = "-".join([name, *(f"{k}={v}" for k, v in config.items() if k not in ("widths", "size"))])
            found.append(pytest.param(Case(name, config, example["shape"]), id=label.replace(" ", "")))
    return found


every = pytest.mark.parametrize("case", _cases())
streaming = pytest.mark.parametrize("case", [c for c in _cases() if c.values[0].make().streams])


def _in_windows(network: Network, x: Tensor, sizes: list[int], state: State | None = None) -> tuple[Features, State]:
    """What the streaming form gives, in windows of these sizes over and over."""
    state = network.initial_state(len(x)) if state is None else state
    parts, maps, at = [], None, 0
    for size in itertools.cycle(sizes):
        window = x[:, at : at + size]
        features, state = network.stream(window, state)
        parts.append(features.steps)
        maps = features.maps
        at += size
        if at >= x.shape[1]:
            return Features(torch.cat(parts, 1), maps), state
    raise AssertionError


def _longer(case: Case, frames: int) -> Tensor:
    return torch.cat([case.sample(seed=s) for s in range(-(-frames // case.shape[0]))], 1)[:, :frames]


@every
def test_shapes_are_as_declared(case):
    network = case.make()
    with torch.no_grad():
        features = network(case.sample(3))
    assert features.steps.shape == (3, network.steps, network.size)
    assert features.steps.dtype == torch.float32
    assert (features.maps is None) == (network.map_size is None)
    if features.maps is not None:
        assert features.maps.shape[:2] == (3, network.map_size)
        for side, pixels in zip(features.maps.shape[2:], case.shape[-2:], strict=True):
            assert abs(side - pixels / network.map_stride) <= 1


@every
def test_all_parameters_get_finite_gradients(case):
    network = case.make().train()
    features = network(case.sample(4))
    target = torch.randn(features.steps.shape, generator=torch.Generator().manual_seed(2))
    loss = (features.steps - target).square().mean()
    loss.backward()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every
def test_a_sample_does_not_depend_on_the_others(case):
    network = case.make()
    x = case.sample(3)
    with torch.no_grad():
        together, again, alone = network(x).steps, network(x).steps, network(x[1:2]).steps
    assert torch.equal(together, again)
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[0], together[1])


@every
def test_it_learns(case):
    part = load_part("networks", case.name)
    torch.manual_seed(0)
    network = part(part.Config(**case.config), case.shape).train()
    head = nn.Linear(network.size, 4)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=0.01)
    x, labels = case.sample(8), torch.arange(8) % 4
    first = None
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(network(x).steps.mean(1)), labels)
        first = float(loss.detach()) if first is None else first
        if float(loss.detach()) < first / 2:
            return
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pytest.fail(f"the loss fell from {first:.2f} to {float(loss.detach()):.2f} only")


@every
def test_what_does_not_fit_is_said(case):
    part = load_part("networks", case.name)
    for shape in ((), case.shape[1:], (*case.shape, 2), (0, *case.shape[1:])):
        with pytest.raises(UsageError, match=case.name) as said:
            part(part.Config(**case.config), shape)
        assert "got" in str(said.value)
    with pytest.raises(ValueError, match="extra"):
        part.Config(**case.config, unheard_of=1)


@every
def test_bf16_gives_finite_numbers(case):
    network, x = case.make(), case.sample()
    with torch.no_grad():
        exact = network(x).steps
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x).steps.float()
    assert rough.isfinite().all()
    assert (rough - exact).abs().mean() < 0.1 * exact.abs().mean().clamp(min=1e-3)
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        network(x).steps.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


@streaming
def test_later_frames_do_not_change_earlier_steps(case):
    network, x = case.make(), case.sample()
    other, middle = x.clone(), case.shape[0] // network.chunk // 2 * network.chunk
    other[:, middle:] = case.sample(seed=5)[:, middle:]
    with torch.no_grad():
        one, two = network(x).steps, network(other).steps
    kept = middle // network.chunk
    torch.testing.assert_close(one[:, :kept], two[:, :kept], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(one[:, kept:], two[:, kept:])


@streaming
def test_windows_give_what_the_whole_gives(case):
    network = case.make()
    whole_length = case.shape[0]
    x = case.sample()
    with torch.no_grad():
        whole = network(x)
        for sizes in ([1], [2], [3, 1], [2, 5, 1], [whole_length]):
            windows = [s * network.chunk for s in sizes]
            if sizes != [whole_length] and whole_length % sum(windows):
                windows = [*windows, whole_length % sum(windows)] if whole_length > sum(windows) else windows
            found, _ = _in_windows(network, x, [min(w, whole_length) for w in windows])
            torch.testing.assert_close(found.steps, whole.steps, atol=1e-4, rtol=1e-4)
            if whole.maps is not None:
                torch.testing.assert_close(found.maps, whole.maps, atol=1e-4, rtol=1e-4)


@streaming
def test_the_state_forgets_after_its_memory(case):
    network = case.make()
    if network.memory is None:
        pytest.skip("its state may reach back for ever")
    x = _longer(case, max(network.memory, 1) * network.chunk)
    one = network.initial_state(len(x))
    other = {k: v + 1 + torch.rand(v.shape, generator=torch.Generator().manual_seed(3)) for k, v in one.items()}
    with torch.no_grad():
        for at in range(0, x.shape[1], network.chunk):
            last = [v.clone() for v in one.values()], [v.clone() for v in other.values()]
            window = x[:, at : at + network.chunk]
            one, other = network.stream(window, one)[1], network.stream(window, other)[1]
    assert set(one) == set(network.initial_state())
    for name in one:
        assert one[name].dtype == torch.float32
        torch.testing.assert_close(one[name], other[name], atol=1e-6, rtol=0)
    if network.memory > 1:
        assert any(not torch.equal(a, b) for a, b in zip(*last, strict=True)), "it forgets earlier than it says"


class _All(nn.Module):
    """Several networks on a window or, what does not stream, the whole; the first also on the whole.

    All are in one export, because exports are slow.
    """

    def __init__(self, networks: list[Network]) -> None:
        super().__init__()
        self.networks = networks
        self.parts = nn.ModuleList(networks)

    def forward(self, inputs: list[list[Tensor]]) -> list[list[Tensor]]:
        found = []
        for network, (x, window, *state) in zip(self.networks, inputs, strict=True):
            outputs = [*network(x)] if not found or not network.streams else []
            if network.streams:
                names = list(network.initial_state())
                features, after = network.stream(window, dict(zip(names, state, strict=True)))
                outputs += [*features, *(after[name] for name in names)]
            found.append([o for o in outputs if o is not None])
        return found


def _inputs(case: Case, network: Network) -> list[Tensor]:
    """A whole input, a window of another, and a state that is not the first."""
    x, other = case.sample(1), case.sample(1, seed=3)
    if not network.streams:
        return [x, other]
    window = other[:, : 2 * network.chunk]
    return [x, window, *network.stream(window.flip(1), network.initial_state())[1].values()]


@pytest.mark.parametrize("name", part_names("networks"))
@pytest.mark.filterwarnings("ignore")
def test_onnx_gives_the_same(name, tmp_path):
    cases = [c.values[0] for c in _cases() if c.values[0].name == name]
    networks = [case.make() for case in cases]
    with torch.no_grad():
        inputs = [_inputs(case, network) for case, network in zip(cases, networks, strict=True)]
        expected = _All(networks)(inputs)
        flat = [t for part in inputs for t in part]
        names = [f"in{number}" for number in range(len(flat))]
        path, module = tmp_path / "networks.onnx", _All(networks).eval()
        torch.onnx.export(module, (inputs,), path, input_names=names, dynamo=True, opset_version=18, verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    used = {i.name for i in session.get_inputs()}
    found = iter(session.run(None, {n: t.numpy() for n, t in zip(names, flat, strict=True) if n in used}))
    for case, outputs in zip(cases, expected, strict=True):
        for output in outputs:
            np.testing.assert_allclose(np.asarray(next(found)), output.numpy(), atol=1e-4, rtol=1e-4, err_msg=str(case))
    assert next(found, None) is None


def _text(**config: Any) -> Network:
    part = load_part("networks", "text_encoder")
    torch.manual_seed(0)
    return part(part.Config(size=12, **config), (1, 6) if config.get("embedding") == "learned" else (6, 5)).eval()


@pytest.mark.parametrize("pool", ["attention", "mean"])
def test_empty_places_of_a_text_do_not_count(pool):
    network = _text(pool=pool)
    x = torch.randn(1, 6, 5)
    x[:, 4:] = 0
    with torch.no_grad():
        torch.testing.assert_close(network(x).steps, network(x[:, :4]).steps)
        assert network(torch.zeros(1, 6, 5)).steps.abs().max() == 0


def test_words_by_number_have_learned_vectors():
    network = _text(embedding="learned", buckets=50)
    words = torch.tensor([[3.0, 7, 51, 0, 0, 0], [7, 3, 1, 0, 0, 0], [3, 8, 1, 0, 0, 0]])[:, None]
    steps = network(words).steps
    torch.testing.assert_close(steps[0], steps[1])
    assert not torch.allclose(steps[0], steps[2])
    steps.square().sum().backward()
    table = network.get_parameter("vectors.weight")
    assert table.grad is not None
    assert table.grad.abs().sum(1).nonzero().flatten().tolist() == [1, 3, 7, 8]


@pytest.mark.parametrize(
    ("name", "config", "shape", "said"),
    [
        ("frame_cnn", {"difference": True}, (1, 3, 32, 32), "two frames or more"),
        ("frame_cnn", {"widths": (8,) * 8}, (4, 3, 32, 32), "smaller than one cell"),
        ("tconv", {"time_strides": (2,)}, (4, 3, 32, 32), "as many time_strides as widths, 3, got 1"),
        ("tconv", {"time_strides": (2, 2, 1)}, (6, 3, 32, 32), "multiple of 4 frames"),
        ("video_transformer", {"patch": 10}, (4, 3, 32, 32), "of 10 pixels"),
        ("video_transformer", {"size": 30}, (4, 3, 32, 32), "4 heads"),
        ("audio_cnn", {}, (1, 40, 4), "at least 8 windows and bands"),
        ("text_encoder", {"embedding": "learned"}, (8, 16), "one row of numbers"),
    ],
)
def test_what_cannot_be_is_said(name, config, shape, said):
    part = load_part("networks", name)
    with pytest.raises(UsageError, match=said):
        part(part.Config(**config), shape)


def test_a_network_that_sees_the_future_does_not_stream():
    part = load_part("networks", "tconv")
    network = part(part.Config(widths=(8,), causal=False), (4, 3, 8, 8))
    with pytest.raises(UsageError, match="no streaming form"):
        network.initial_state()
    with pytest.raises(UsageError, match="no streaming form"):
        network.stream(torch.zeros(1, 4, 3, 8, 8), {})


def test_a_window_is_a_multiple_of_the_chunk():
    part = load_part("networks", "tconv")
    network = part(part.Config(widths=(8,), time_strides=(2,)), (4, 3, 8, 8)).eval()
    with pytest.raises(UsageError, match="multiple of 2 frames, got 3"):
        network.stream(torch.zeros(1, 3, 3, 8, 8), network.initial_state())


@every
def test_one_with_fewer_layers_takes_the_same_and_gives_as_many_steps(case):
    part = load_part("networks", case.name)
    fewer = part.Config(**case.config).shallower()
    if fewer is None:
        return
    small = Case(case.name, {**case.config, **fewer}, case.shape).make()
    whole = case.make()
    features, before = small(case.sample()), whole(case.sample())
    assert features.steps.shape[:2] == before.steps.shape[:2]
    assert small.chunk == whole.chunk
    assert _layers(small) < _layers(whole)


def _layers(network: Network) -> int:
    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.GRU, nn.LSTM)
    return sum(
        m.num_layers if isinstance(m, nn.GRU | nn.LSTM) else 1 for m in network.modules() if isinstance(m, kinds)
    )


def test_the_usual_networks_have_one_with_fewer_layers():
    known = [n for n in part_names("networks") if load_part("networks", n).Config().shallower() is not None]
    assert {"audio_cnn", "cnn_rnn", "crnn", "frame_cnn", "series", "tconv", "temporal_convolution"} <= set(known)
