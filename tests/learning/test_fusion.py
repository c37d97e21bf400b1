"""One suite over all ways of joining inputs; modality dropout; balance between inputs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onlooker.learning.fusion._dropout import drop_modalities
from onlooker.learning.fusion._joining import aligned
from onlooker.learning.fusion._ogm import scale_gradients
from onlooker.learning.parts import load_part, part_names

NAMES = part_names("fusion")
SIZES = {"seen": 12, "heard": 7, "read": 5}
STEPS = {"seen": 4, "heard": 9, "read": 1}
TELLING = ("cross_attention", "gated", "late")
ABSENT = [("seen",), ("heard",), ("read",), ("seen", "heard"), ("seen", "heard", "read")]


def slope(parameter):
    """The gradient of a parameter that has one."""
    assert parameter.grad is not None
    return parameter.grad


def fusion(name, sizes=SIZES, steps=STEPS, **settings):
    part = load_part("fusion", name)
    torch.manual_seed(0)
    made = part(part.Config(size=16, **settings), sizes, steps).eval()
    with torch.no_grad():  # as after training: what begins at 0 could hide a dependence
        for parameter in (p for p in made.parameters() if p.requires_grad):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


def inputs(batch=3, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return {n: torch.randn(batch, STEPS[n], SIZES[n], generator=draw) for n in SIZES}


def there(batch=3, absent=()):
    return {n: torch.full((batch,), 0.0 if n in absent else 1.0) for n in SIZES}


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_config_names_its_module_and_forbids_what_it_does_not_know(self, name):
        config = load_part("fusion", name).Config
        assert config().kind == name
        with pytest.raises(ValueError, match="surely"):
            config.model_validate({"surely": "not"})

    def test_joined_features_have_the_size_and_the_most_steps(self, name):
        fused = fusion(name)(inputs(), there())
        assert fused.steps.shape == (3, 9, 16)
        assert bool(fused.steps.isfinite().all())

    def test_shares_sum_to_one_and_a_missing_input_has_none(self, name):
        fused = fusion(name)(inputs(), there(absent=("heard",)))
        assert (fused.shares is not None) == (name in TELLING)
        if fused.shares is not None:
            assert set(fused.shares) == set(SIZES)
            held = torch.stack([*fused.shares.values()])
            assert held.shape == (3, 3)
            assert bool((held >= 0).all())
            torch.testing.assert_close(held.sum(0), torch.ones(3))
            assert float(fused.shares["heard"].detach().abs().max()) == 0

    @pytest.mark.parametrize("absent", ABSENT)
    def test_an_answer_does_not_depend_on_what_is_missing(self, name, absent):
        made, first, second = fusion(name), inputs(), inputs()
        for n in absent:
            second[n] = torch.randn_like(second[n]) * 1e6
        with torch.no_grad():
            a, b = made(first, there(absent=absent)), made(second, there(absent=absent))
        assert torch.equal(a.steps, b.steps)
        assert bool(a.steps.isfinite().all())
        for n in a.shares or {}:
            assert torch.equal(a.shares[n], b.shares[n])
            assert bool(a.shares[n].isfinite().all())

    @pytest.mark.parametrize("absent", ABSENT)
    def test_no_gradient_flows_into_what_is_missing(self, name, absent):
        made, held = fusion(name), {n: x.requires_grad_() for n, x in inputs().items()}
        fused = made(held, there(absent=absent))
        (fused.steps.square().sum() + sum(s.square().sum() for s in (fused.shares or {}).values())).backward()
        for n, x in held.items():
            assert x.grad is not None
            assert bool(x.grad.isfinite().all())
            assert (float(x.grad.abs().sum()) > 0) == (n not in absent)

    def test_each_sample_is_joined_by_itself(self, name):
        """A batch with other inputs missing from each sample gives what the samples give alone."""
        made, held = fusion(name), inputs()
        present = {
            "seen": torch.tensor([1.0, 0.0, 1.0]),
            "heard": torch.tensor([1.0, 1.0, 0.0]),
            "read": torch.tensor([0.0, 0.0, 1.0]),
        }
        with torch.no_grad():
            whole = made(held, present).steps
            alone = [made({n: x[i : i + 1] for n, x in held.items()}, {n: p[i : i + 1] for n, p in present.items()})
                     for i in range(3)]  # fmt: skip
        torch.testing.assert_close(whole, torch.cat([a.steps for a in alone]), rtol=1e-5, atol=1e-5)

    def test_all_that_is_learned_gets_a_gradient(self, name):
        made = fusion(name)
        fused = made(inputs(), {**there(), "read": torch.tensor([1.0, 0.0, 1.0]), "seen": torch.tensor([1.0, 1.0, 0.0]),
                                "heard": torch.tensor([0.0, 1.0, 1.0])})  # fmt: skip
        (fused.steps.square().sum() + sum(s.square().sum() for s in (fused.shares or {}).values())).backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in made.parameters() if p.requires_grad)

    def test_bfloat16_stays_near(self, name):
        made, held = fusion(name), inputs()
        with torch.no_grad():
            exact = made(held, there(absent=("seen",))).steps
            with torch.autocast("cpu", torch.bfloat16):
                rough = made(held, there(absent=("seen",))).steps.float()
        assert float((exact - rough).abs().max()) < 0.15

    def test_it_learns_to_join(self, name):
        """A sign in one input times a sign in the other can be told by neither alone."""
        torch.manual_seed(0)
        part = load_part("fusion", name)
        made = part(part.Config(size=16), {"a": 8, "b": 8}, {"a": 2, "b": 1})
        head = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 1))
        optimiser = torch.optim.Adam([*made.parameters(), *head.parameters()], lr=0.01)
        a, b = torch.randn(128, 2, 8), torch.randn(128, 1, 8)
        wanted = ((a[:, :, 0].mean(1) > 0) ^ (b[:, 0, 0] > 0)).float()
        present = {"a": torch.ones(128), "b": torch.ones(128)}
        for _ in range(150):
            optimiser.zero_grad()
            said = head(made({"a": a, "b": b}, present).steps.mean(1))[:, 0]
            nn.functional.binary_cross_entropy_with_logits(said, wanted).backward()
            optimiser.step()
        made.eval()
        said = head(made({"a": a, "b": b}, present).steps.mean(1))[:, 0]
        assert float(((said > 0) == (wanted > 0)).float().mean()) > 0.9

    @pytest.mark.filterwarnings("ignore")
    def test_onnx_with_what_is_there_as_an_input_gives_the_same(self, name):
        import onnxruntime

        class Flat(nn.Module):
            def __init__(self):
                super().__init__()
                self.fusion = fusion(name)

            def forward(self, seen, heard, read, present):
                held = {"seen": seen, "heard": heard, "read": read}
                fused = self.fusion(held, {n: present[:, i] for i, n in enumerate(SIZES)})
                return (fused.steps, *(fused.shares or {}).values())

        net, held = Flat().eval(), inputs(1)
        program: Any = torch.onnx.export(
            net, (*held.values(), torch.ones(1, 3)), dynamo=True, opset_version=18, verbose=False,
            input_names=[*SIZES, "present"],
        )  # fmt: skip
        body = io.BytesIO()
        program.save(body)
        session = onnxruntime.InferenceSession(body.getvalue(), providers=["CPUExecutionProvider"])
        for mask in ([1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]):
            present = torch.tensor([mask])
            with torch.no_grad():
                wanted = net(*held.values(), present)
            given: Any = session.run(None, {**{n: x.numpy() for n, x in held.items()}, "present": present.numpy()})
            for a, b in zip(wanted, given, strict=True):
                np.testing.assert_allclose(a.numpy(), b, atol=1e-4)


@pytest.mark.parametrize("name", ["cross_attention", "bottleneck"])
def test_heads_that_do_not_divide_the_size_are_refused(name):
    with pytest.raises(ValueError, match=r"heads: expected a number that divides size 10, got 4"):
        load_part("fusion", name).Config(size=10)


@pytest.mark.parametrize("weights", ["equal", "learned", "confidence"])
def test_late_weighs_by_what_it_is_told(weights):
    made = fusion("late", weights=weights)
    first, second = made(inputs(), there()).shares, made(inputs(seed=2), there()).shares
    assert made.late
    same = all(torch.equal(first[n], second[n]) for n in SIZES)
    assert same == (weights != "confidence")
    even = all(torch.allclose(s, torch.full((3,), 1 / 3)) for s in first.values())
    assert even == (weights == "equal")


def test_late_begins_with_even_weights():
    part = load_part("fusion", "late")
    shares = part(part.Config(size=16), SIZES, STEPS)(inputs(), there(absent=("seen",))).shares
    torch.testing.assert_close(shares["heard"], torch.full((3,), 0.5))


def test_confidence_learns_which_input_to_trust():
    """Of two inputs the first says by its last number that it is noise; new samples at every step and at the end."""
    torch.manual_seed(0)
    part = load_part("fusion", "late")
    made = part(part.Config(size=16), {"a": 8, "b": 8}, {"a": 1, "b": 1})
    optimiser = torch.optim.Adam(made.parameters(), lr=0.01)
    present = {"a": torch.ones(256), "b": torch.ones(256)}

    def weighed():
        truth, bad = torch.randn(256), (torch.rand(256) < 0.5).float()
        a, b = torch.randn(2, 256, 8)
        a[:, 0], a[:, 7], b[:, 0] = truth + bad * 5 * a[:, 0], 2 * bad, truth + 0.5 * b[:, 0]
        shares = made({"a": a[:, None], "b": b[:, None]}, present).shares
        return shares["a"], bad, ((shares["a"] * a[:, 0] + shares["b"] * b[:, 0] - truth) ** 2).mean()

    for _ in range(300):
        optimiser.zero_grad()
        weighed()[2].backward()
        optimiser.step()
    held, bad = (v.detach() for v in weighed()[:2])
    assert float(held[bad == 0].mean()) > 0.6 > 0.3 > float(held[bad == 1].mean())


def test_steps_are_aligned_by_the_middles_of_their_parts():
    x = torch.tensor([0.0, 1.0]).reshape(1, 2, 1)
    assert aligned(x, 4).flatten().tolist() == [0, 0.25, 0.75, 1]
    assert aligned(x, 2) is x
    assert aligned(x[:, :1] + 3, 3).flatten().tolist() == [3, 3, 3]


class TestDropout:
    def masks(self, count=4000):
        draw = torch.Generator().manual_seed(5)
        return {n: (torch.rand(count, generator=draw) < 0.8).float() for n in SIZES}

    def test_it_is_the_same_for_the_same_generator(self):
        first, second = (drop_modalities(self.masks(), 0.4, torch.Generator().manual_seed(7)) for _ in range(2))
        assert all(torch.equal(first[n], second[n]) for n in SIZES)

    def test_it_never_leaves_nothing_and_never_adds(self):
        masks = self.masks()
        left = drop_modalities(masks, 0.99, torch.Generator().manual_seed(7))
        before, after = torch.stack([*masks.values()]).sum(0), torch.stack([*left.values()]).sum(0)
        assert all(bool((left[n] <= masks[n]).all()) for n in SIZES)
        assert bool(((after >= 1) | (before == 0)).all())
        assert torch.equal(before[before < 2], after[before < 2])

    def test_its_share_is_that_of_samples_with_several_inputs(self):
        masks = self.masks()
        left = drop_modalities(masks, 0.3, torch.Generator().manual_seed(7))
        before, after = torch.stack([*masks.values()]).sum(0), torch.stack([*left.values()]).sum(0)
        several = before > 1
        assert float((before != after)[several].float().mean()) == pytest.approx(0.3, abs=0.03)
        dropped = [float((masks[n] != left[n])[several].float().mean()) for n in SIZES]
        assert max(dropped) - min(dropped) < 0.03

    def test_none_is_dropped_at_zero(self):
        masks = self.masks()
        left = drop_modalities(masks, 0.0, torch.Generator().manual_seed(7))
        assert all(torch.equal(left[n], masks[n]) for n in SIZES)


class TestGradientBalance:
    def encoders(self):
        torch.manual_seed(0)
        made = {"a": nn.Linear(50, 40), "b": nn.Linear(50, 40)}
        for net in made.values():
            for parameter in net.parameters():
                parameter.grad = torch.randn_like(parameter) + 1
        return made

    def test_the_one_ahead_is_held_back_by_the_papers_formula(self):
        nets = self.encoders()
        weights = {n: slope(net.weight).clone() for n, net in nets.items()}
        biases = {n: slope(net.bias).clone() for n, net in nets.items()}
        told = {"a": torch.tensor([0.9, 0.7]), "b": torch.tensor([0.4])}
        scales = scale_gradients(nets, told, 0.5, torch.Generator().manual_seed(1))
        assert scales == {"a": pytest.approx(1 - np.tanh(0.5 * 0.8 / 0.4)), "b": 1.0}
        torch.testing.assert_close(slope(nets["b"].weight), weights["b"])
        torch.testing.assert_close(slope(nets["a"].bias), biases["a"] * scales["a"])
        noise = slope(nets["a"].weight) - weights["a"] * scales["a"]
        assert float(noise.std()) == pytest.approx(float(weights["a"].std()), rel=0.1)
        assert abs(float(noise.mean())) < 0.1

    @pytest.mark.parametrize(
        ("told", "strength"),
        [
            ({"a": torch.tensor([0.9]), "b": torch.tensor([0.4])}, 0.0),
            ({"a": torch.tensor([0.9]), "b": torch.zeros(0)}, 1.0),
            ({"a": torch.tensor([0.5]), "b": torch.tensor([0.5])}, 1.0),
        ],
    )
    def test_nothing_is_changed_without_strength_rival_or_lead(self, told, strength):
        nets = self.encoders()
        held = {n: slope(net.weight).clone() for n, net in nets.items()}
        assert scale_gradients(nets, told, strength) == {"a": 1.0, "b": 1.0}
        assert all(torch.equal(slope(net.weight), held[n]) for n, net in nets.items())
