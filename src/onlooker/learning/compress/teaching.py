"""What a student learns from teachers: their answers, their features, and where they look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from onlooker.core.errors import UsageError
from onlooker.learning.facts import Facts
from onlooker.learning.fusion._joining import aligned
from onlooker.learning.model import Answer, Model
from onlooker.learning.network import Features
from onlooker.learning.networks._blocks import Body
from onlooker.learning.networks.tconv import TConv
from onlooker.learning.networks.whitened_cnn import WhitenedCnn
from onlooker.learning.run_folder import load_model
from onlooker.learning.task import Head

__all__ = ["FeatureLoss", "Teaching", "attention_of", "load_teacher", "relations", "soft_loss", "weighed"]

FeatureLoss: TypeAlias = Literal["projected", "relations"]
_SCORES = 6
_ANGLED = 48
"""Samples between which angles are compared; there are as many as their cube."""


def load_teacher(folder: Path, facts: Facts, tasks: Sequence[str]) -> Model:
    """The model of a run, to teach others.

    Args:
        folder: of the run.
        facts: of the student.
        tasks: that the student answers.

    Raises:
        UsageError: it has other inputs or tasks than the student, or is no folder of a run that is over.
    """
    model, _, own = load_model(folder)
    if own.inputs != facts.inputs:
        raise UsageError(
            f"{folder}: it was trained on inputs of another form or normalisation than the student",
            hint="train teachers on the same dataset with the same prepare: and inputs",
        )
    for task in tasks:
        if task not in own.tasks or own.tasks[task].classes != facts.tasks[task].classes:
            raise UsageError(
                f"{folder}: it does not answer {task} with the student's labels", hint="leave this --teacher out"
            )
    return model


def soft_loss(head: Head, raw: Tensor, taught: Sequence[Tensor], temperature: float) -> Tensor:
    """(B,): how far an answer is from the teachers', in the way that fits the task.

    Probabilities of one of several labels by Kullback and Leibler's divergence at a temperature (Hinton et al. 2015,
    arXiv 1503.02531), those of labels side by side and of levels by binary cross-entropy at it, both times its square;
    numbers by their squared distance in deviations; vectors by one minus their cosine; boxes by the scores' binary
    cross-entropy and the distance of sides, weighed by the teachers' scores. Several teachers are averaged, but of
    vectors, whose spaces differ, the first alone counts.

    Args:
        head: of the student.
        raw: its answer (B, ...).
        taught: the teachers'.
        temperature: of probabilities.
    """
    raw = raw.float()
    others = [t.float() for t in taught]
    match head.task:
        case "classification":
            loss = _divergence(raw, others, temperature)
        case "dense" if getattr(head, "one", False):
            loss = _divergence(raw, others, temperature)
        case "multi_label" | "dense" | "events" | "ordinal":
            sure = _mean([torch.sigmoid(t / temperature) for t in others])
            each = functional.binary_cross_entropy_with_logits(raw / temperature, sure, reduction="none")
            loss = (each - _entropy(sure)) * temperature**2
        case "embedding":
            loss = 1 - functional.cosine_similarity(raw, others[0], dim=-1)
        case "detection":
            loss = _boxes(raw, _mean(others))
        case "regression":
            loss = ((raw - _mean(others)) / head.deviation).square()  # type: ignore[operator]
        case _:
            loss = (raw - _mean(others)).square()
    return loss.flatten(1).mean(1) if loss.ndim > 1 else loss


def weighed(each: Tensor, counts: Tensor | None) -> Tensor:
    """(B,) losses of samples, each as much as it counts; None: all alike."""
    return each if counts is None else each * counts.to(each.device)


def _mean(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).mean(0)


def _divergence(raw: Tensor, others: Sequence[Tensor], temperature: float) -> Tensor:
    sure = _mean([functional.softmax(t / temperature, -1) for t in others])
    own = functional.log_softmax(raw / temperature, -1)
    if own.ndim > sure.ndim:  # each member of a head learns from the same
        sure = sure[:, None]
    return functional.kl_div(own, sure, reduction="none").sum(-1) * temperature**2


def _entropy(sure: Tensor) -> Tensor:
    return functional.binary_cross_entropy(sure, sure, reduction="none")


def _boxes(raw: Tensor, other: Tensor) -> Tensor:
    scores = functional.binary_cross_entropy(
        raw[..., _SCORES:].clamp(1e-6, 1 - 1e-6), other[..., _SCORES:].clamp(0, 1), reduction="none"
    )
    worth = other[..., _SCORES:].amax(-1)
    sides = (raw[..., :4] - other[..., :4]).abs().mean(-1)
    return (scores - _entropy(other[..., _SCORES:].clamp(0, 1))).sum(-1) + worth * sides


def relations(own: Tensor, other: Tensor) -> Tensor:
    """How the distances and angles between samples differ (Park et al. 2019, RKD, arXiv 1904.05068).

    Args:
        own: vectors (B, D) of the student.
        other: (B, D') of the teacher.
    """
    own, other = own.float(), other.float()
    distance = functional.smooth_l1_loss(_distances(own), _distances(other))
    some = [x[:_ANGLED] for x in (own, other)]
    return distance + 2 * functional.smooth_l1_loss(_angles(some[0]), _angles(some[1]))


def _distances(x: Tensor) -> Tensor:
    made = (x.square().sum(1)[:, None] + x.square().sum(1) - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    others = ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    return made / (made * others).sum().clamp(min=1e-6) * others.sum()


def _angles(x: Tensor) -> Tensor:
    apart = functional.normalize(x[None] - x[:, None], dim=2)
    return apart @ apart.transpose(1, 2)


def attention_of(maps: Tensor) -> Tensor:
    """Where maps (B, C, T, H, W) are strong: the sum of squares over channels, as (B, T, H, W)."""
    return maps.float().square().sum(1)


def attention_loss(own: Tensor, other: Tensor) -> Tensor:
    """Of strengths (B, T, H, W), each of length 1 (Zagoruyko and Komodakis 2017, arXiv 1612.03928).

    Those of more cells are averaged down to the fewer.
    """
    steps, high, wide = (min(a, b) for a, b in zip(own.shape[1:], other.shape[1:], strict=True))
    pair = [functional.adaptive_avg_pool3d(x[:, None], (steps, high, wide)).flatten(1) for x in (own, other)]
    return (functional.normalize(pair[0]) - functional.normalize(pair[1])).square().sum(1).mean()


class _Seen:
    """What the networks of a model gave at the last batch: features by input, and maps of their stages."""

    def __init__(self, model: Model) -> None:
        self.features: dict[str, Features] = {}
        self.maps: dict[str, list[Tensor]] = {}
        self._hooks = []
        for name in model.encoders:
            net = model.network(name)
            self._hooks.append(net.register_forward_pre_hook(self._forgets(name)))
            self._hooks.append(net.register_forward_hook(self._keeps(name)))
            self._hooks += [stage.register_forward_hook(self._adds(name)) for stage in _stages(net)]

    def close(self) -> None:
        """Look no more."""
        for hook in self._hooks:
            hook.remove()

    def _forgets(self, name: str) -> Callable[..., None]:
        def forget(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.maps[name] = []

        return forget

    def _keeps(self, name: str) -> Callable[..., None]:
        def keep(_: nn.Module, given: tuple[Tensor, ...], made: Features) -> None:
            self.features[name] = made
            count = len(given[0])
            last = [] if made.maps is None else [made.maps[:, :, None]]
            self.maps[name] = [_by_clip(m, count) for m in self.maps[name]] or last

        return keep

    def _adds(self, name: str) -> Callable[..., None]:
        def add(_: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
            self.maps[name].append(made)

        return add


def _stages(net: nn.Module) -> list[nn.Module]:
    if isinstance(net, TConv):
        return list(net.stages)
    if isinstance(net, WhitenedCnn):
        return list(net.groups)
    return [stage for body in net.modules() if isinstance(body, Body) for stage in body.stages]


def _by_clip(maps: Tensor, clips: int) -> Tensor:
    """(B, C, T, H, W) of these, or of (B * T, C, H, W)."""
    return maps if maps.ndim == 5 else maps.unflatten(0, (clips, -1)).transpose(1, 2)


class Teaching(nn.Module):
    """Joins the losses of the labels with those of what teachers say; see `Run.teaching`.

    Args:
        student: the model that is trained.
        teachers: of the same inputs and tasks; kept in their deployed state.
        weights: of the tasks.
        inputs: a batch, by which features and maps are looked at.
        soft: share of the teachers' answers in the loss; the rest is that of the labels.
        temperature: of probabilities.
        features: weight of the loss of features; 0: none.
        feature_loss: ``projected``: squared distance after a learned projection (Romero et al. 2015, FitNets, arXiv
            1412.6550); ``relations``: see `relations`.
        attention: weight of the loss of where networks look; 0: none.

    Raises:
        UsageError: attention is asked for and networks have no maps in common.
    """

    def __init__(
        self,
        student: Model,
        teachers: Sequence[Model],
        weights: Mapping[str, float],
        inputs: Mapping[str, Tensor],
        *,
        soft: float,
        temperature: float,
        features: float = 0.0,
        feature_loss: FeatureLoss = "projected",
        attention: float = 0.0,
    ) -> None:
        super().__init__()
        self.weights, self.soft, self.temperature = dict(weights), soft, temperature
        self.by_features, self.feature_loss, self.by_attention = features, feature_loss, attention
        # not as modules: teachers are not trained
        self._student, self._teachers = (student,), [t.eval().requires_grad_(False) for t in teachers]
        self._own, self._others = _Seen(student), _Seen(self._teachers[0])
        self.projections = nn.ModuleDict()
        if features and feature_loss == "projected":
            for name in inputs:
                own, other = student.network(name).size, self._teachers[0].network(name).size
                self.projections[name] = nn.Linear(own, other)
        if attention:
            self._check_maps(student, {n: x[:1] for n, x in inputs.items()})

    def close(self) -> None:
        """Look at the networks no more."""
        self._own.close()
        self._others.close()

    def _check_maps(self, student: Model, inputs: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            student.eval()(inputs)
            self._teachers[0](inputs)
        if not any(self._own.maps[n] and self._others.maps[n] for n in inputs):
            raise UsageError("attention: no network of student and teacher has maps", hint="attention: 0")

    def forward(
        self,
        losses: Mapping[str, Tensor],
        answer: Answer,
        inputs: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        counts: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The losses by task, of labels where there are any and of the teachers' answers.

        Args:
            losses: of the labels.
            answer: of the student.
            inputs: of the batch.
            present: which of them are there.
            counts: see `Batch.weights`; None: all count alike.
        """
        with torch.no_grad():
            taught = [teacher(inputs, present).raw for teacher in self._teachers]
        with torch.autocast(next(iter(inputs.values())).device.type, enabled=False):
            return self._joined(losses, answer, taught, counts or {})

    def _joined(
        self,
        losses: Mapping[str, Tensor],
        answer: Answer,
        taught: Sequence[Mapping[str, Tensor]],
        counts: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        beside = self._beside() / len(answer.raw)
        made: dict[str, Tensor] = {}
        for name, raw in answer.raw.items():
            each = soft_loss(self._student[0].head(name), raw, [t[name] for t in taught], self.temperature)
            made[name] = self.soft * self.weights[name] * weighed(each, counts.get(name)).mean() + beside
            if name in losses:
                made[name] = made[name] + (1 - self.soft) * losses[name]
        return made

    def _beside(self) -> Tensor:
        """The weighted losses of features and attention."""
        total = torch.zeros((), device=next(self._student[0].parameters()).device)
        for name, own in self._own.features.items():
            other = self._others.features[name]
            if self.by_features:
                total = total + self.by_features * self._of_features(name, own.steps, other.steps)
            pairs = list(zip(reversed(self._own.maps[name]), reversed(self._others.maps[name]), strict=False))
            if self.by_attention and pairs:
                apart = [attention_loss(attention_of(a), attention_of(b)) for a, b in pairs]
                total = total + self.by_attention * torch.stack(apart).mean()
        return total

    def _of_features(self, name: str, own: Tensor, other: Tensor) -> Tensor:
        if self.feature_loss == "relations":
            return relations(own.mean(1), other.mean(1))
        made = aligned(self.projections[name](own.float()), other.shape[1])
        wanted = other.float()
        return functional.mse_loss(made, wanted) / wanted.square().mean().clamp(min=1e-6)
