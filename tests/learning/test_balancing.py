"""One suite over all ways of balancing tasks, and what each of them promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onlooker.learning.balancing._gradients import gradients_of
from onlooker.learning.parts import load_part, part_names

NAMES = part_names("balancing")
TASKS = ("who", "mood", "age")


def balancing(name, tasks=TASKS, **settings):
    part = load_part("balancing", name)
    return part(part.Config(**settings), tasks)


def slope(parameter):
    """The gradient of a parameter that has one."""
    assert parameter.grad is not None
    return parameter.grad


class Net(nn.Module):
    """A trunk, and a head for each task."""

    def __init__(self, tasks=TASKS):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5))
        self.heads = nn.ModuleDict({t: nn.Linear(5, 2) for t in tasks})

    def losses(self, tasks=TASKS, batch=16):
        draw = torch.Generator().manual_seed(3)
        x = torch.randn(batch, 6, generator=draw)
        wanted = {t: torch.randn(batch, 2, generator=draw) for t in self.heads}
        joined = self.trunk(x)
        return {t: ((self.heads[t](joined) - wanted[t]) ** 2).mean() for t in tasks}

    def shared(self):
        return list(self.trunk.parameters())

    def own(self):
        return {t: list(h.parameters()) for t, h in self.heads.items()}

    def gradients(self):
        return {n: p.grad.clone() for n, p in self.named_parameters() if p.grad is not None}


def plain(tasks=TASKS):
    """The gradients of the plain sum."""
    net = Net()
    torch.stack([*net.losses(tasks).values()]).sum().backward()
    return net.gradients()


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_config_names_its_module(self, name):
        assert load_part("balancing", name).Config().kind == name

    def test_all_parameters_get_a_finite_gradient(self, name):
        net = Net()
        balancing(name).backward(net.losses(), net.shared(), net.own())
        held = net.gradients()
        assert set(held) == {n for n, _ in net.named_parameters()}
        assert all(bool(g.isfinite().all()) and float(g.abs().sum()) > 0 for g in held.values())

    def test_heads_get_the_gradient_of_their_task(self, name):
        """But for a factor, where losses are weighed."""
        net, wanted = Net(), plain()
        balancing(name).backward(net.losses(), net.shared(), net.own())
        for task, part in net.own().items():
            assert (
                torch.cosine_similarity(slope(part[0]).flatten(), wanted[f"heads.{task}.weight"].flatten(), 0) > 0.9999
            )

    def test_one_task_alone_gets_its_own_direction(self, name):
        net, wanted = Net(), plain(("mood",))
        balancing(name).backward(net.losses(("mood",)), net.shared(), net.own())
        held = net.gradients()
        assert set(held) == set(wanted)
        for key, value in held.items():
            assert torch.cosine_similarity(value.flatten(), wanted[key].flatten(), 0) > 0.9999, key

    def test_a_batch_without_labels_changes_nothing(self, name):
        net = Net()
        balancing(name).backward({}, net.shared(), net.own())
        assert net.gradients() == {}

    def test_gradients_are_added_to(self, name):
        net, again = Net(), Net()
        balancing(name).backward(net.losses(), net.shared(), net.own())
        for parameter in again.parameters():
            parameter.grad = torch.ones_like(parameter)
        torch.manual_seed(0)
        balancing(name).backward(again.losses(), again.shared(), again.own())
        torch.manual_seed(0)
        once = Net()
        balancing(name).backward(once.losses(), once.shared(), once.own())
        for key, value in again.gradients().items():
            torch.testing.assert_close(value, once.gradients()[key] + 1)

    def test_training_with_missing_tasks_resumes_exactly_from_its_state(self, name):
        def train(net, way, optimiser, steps):
            for step in steps:
                torch.manual_seed(step)
                tasks = TASKS if step % 3 else TASKS[:2]
                optimiser.zero_grad()
                losses = net.losses(tasks)
                way.backward(losses, net.shared(), net.own())
                optimiser.step()
                way.after_step({t: float(v.detach()) for t, v in net.losses(tasks).items()})

        def made():
            net, way = Net(), balancing(name)
            return net, way, torch.optim.SGD([*net.parameters(), *way.parameters()], lr=0.05)

        whole, way, optimiser = made()
        train(whole, way, optimiser, range(12))
        first, first_way, first_optimiser = made()
        train(first, first_way, first_optimiser, range(6))
        second, second_way, second_optimiser = made()
        second.load_state_dict(first.state_dict())
        second_way.load_state_dict(first_way.state_dict())
        train(second, second_way, second_optimiser, range(6, 12))
        assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
        first_loss, last_loss = (float(torch.stack([*n.losses().values()]).detach().sum()) for n in (Net(), whole))
        assert last_loss < first_loss


def test_fixed_is_the_plain_sum():
    net, wanted = Net(), plain()
    balancing("fixed").backward(net.losses(), net.shared(), net.own())
    for key, value in net.gradients().items():
        torch.testing.assert_close(value, wanted[key])


@pytest.mark.parametrize("name", ["pcgrad", "upgrad"])
def test_without_conflict_the_projecting_methods_are_the_plain_sum(name):
    """Two losses of one point with gradients at an angle below 90 degrees."""
    point = nn.Parameter(torch.zeros(2))
    losses = {"a": point @ torch.tensor([1.0, 0.0]), "b": point @ torch.tensor([1.0, 2.0])}
    balancing(name, ("a", "b")).backward(losses, [point], {})
    torch.testing.assert_close(point.grad, torch.tensor([2.0, 2.0]), rtol=1e-3, atol=1e-3)


def conflicting():
    point = nn.Parameter(torch.zeros(2))
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    return point, {"a": point @ first, "b": point @ second}, first, second


def test_pcgrad_projects_as_in_the_paper():
    point, losses, a, b = conflicting()
    balancing("pcgrad", ("a", "b")).backward(losses, [point], {})
    wanted = (a - (a @ b) / (b @ b) * b) + (b - (b @ a) / (a @ a) * a)
    torch.testing.assert_close(point.grad, wanted)
    assert not torch.allclose(slope(point), a + b)


def test_upgrad_makes_no_task_worse_where_the_sum_does():
    point = nn.Parameter(torch.zeros(3))
    rows = torch.tensor([[1.0, 0.0, 0.1], [-4.0, 1.0, 0.0], [0.5, 0.5, 3.0]])
    assert bool((rows @ rows.sum(0) < 0).any())
    balancing("upgrad").backward({t: point @ r for t, r in zip(TASKS, rows, strict=True)}, [point], {})
    assert float((rows @ slope(point)).min()) > -1e-3


def test_cagrad_helps_the_worst_task_more_than_the_mean_does():
    rows = torch.tensor([[1.0, 0.0], [-0.8, 0.5]])
    worst = {}
    for radius in (0.0, 0.5):
        point = nn.Parameter(torch.zeros(2))
        losses = {"a": point @ rows[0], "b": point @ rows[1]}
        balancing("cagrad", ("a", "b"), radius=radius).backward(losses, [point], {})
        worst[radius] = float((rows @ slope(point)).min())
        if radius == 0:
            torch.testing.assert_close(point.grad, rows.sum(0), rtol=1e-4, atol=1e-4)
    assert worst[0.5] > worst[0.0]


def noisy(step):
    """Losses of one weight: a sure task, and one whose truth is drowned in noise."""
    draw = torch.Generator().manual_seed(step)
    x = torch.randn(64, 1, generator=draw)
    return x, 2 * x + 0.1 * torch.randn(64, 1, generator=draw), 2 * x + 3 * torch.randn(64, 1, generator=draw)


def test_uncertainty_learns_a_lower_weight_for_the_noisier_task():
    way, weight = balancing("uncertainty", ("sure", "noisy")), nn.Parameter(torch.zeros(1, 1))
    optimiser = torch.optim.Adam([weight, *way.parameters()], lr=0.05)
    for step in range(300):
        x, sure, loud = noisy(step)
        optimiser.zero_grad()
        losses = {"sure": ((x @ weight - sure) ** 2).mean(), "noisy": ((x @ weight - loud) ** 2).mean()}
        way.backward(losses, [weight], {})
        optimiser.step()
    held = way.weights()
    # the optimum of exp(-s) l + s / 2 is a weight of 1 / (2 l), with l near 0.01 and 9
    assert held["sure"] > 20
    assert 0.03 < held["noisy"] < 0.09


def test_uncertainty_stays_within_its_limit():
    way, weight = balancing("uncertainty", ("a",), limit=1.0), nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight, *way.parameters()], lr=1.0)
    for _ in range(20):
        optimiser.zero_grad()
        way.backward({"a": (weight * 0).sum() + 1e-6}, [weight], {})
        optimiser.step()
    way.backward({"a": (weight * 0).sum() + 1e-6}, [weight], {})
    assert way.weights()["a"] == pytest.approx(2.71828, rel=1e-4)


def test_famo_gives_more_weight_to_the_task_that_falls_behind():
    way, point = balancing("famo", ("fast", "slow")), nn.Parameter(torch.ones(2))
    for _ in range(30):
        way.backward({"fast": point[0] ** 2, "slow": point[1] ** 2}, [point], {})
        way.after_step({"fast": 0.5, "slow": 0.99})
    held = way.weights()
    assert held["slow"] > 0.6
    assert held["slow"] + held["fast"] == pytest.approx(1)


def test_famo_is_blind_to_the_scale_of_losses():
    grads = []
    for scale in (1.0, 1000.0):
        point = nn.Parameter(torch.tensor([1.0, 2.0]))
        balancing("famo", ("a", "b")).backward({"a": point[0] ** 2, "b": scale * point[1] ** 2}, [point], {})
        grads.append(slope(point) / slope(point).norm())
    torch.testing.assert_close(*grads)


def test_gradients_of_gives_one_row_for_each_task_and_zeros_where_a_loss_does_not_depend():
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1))
    rows = gradients_of({"a": first.sum() * 3, "b": second.sum() + first[0]}, [first, second])
    assert rows.tolist() == [[3, 3, 0], [1, 0, 1]]
