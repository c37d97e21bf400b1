"""Whether tasks pull their shared parameters in different directions, and which of them to split.

The cosine between the gradients of two tasks (Yu et al. 2020, arXiv 2001.06782; as affinity for grouping tasks, after
Fifty et al. 2021, arXiv 2109.04617): below 0, a step for the one undoes a step for the other.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional

from onlooker.core.errors import UsageError
from onlooker.learning.balancing._gradients import gradients_of
from onlooker.learning.datasets.balance_picture import Fit, plain

__all__ = ["ALL", "Conflicts", "SplitAdvice", "draw_conflicts", "suggest_splits"]

ALL = "all"
"""The name of all shared parameters together."""


class Conflicts:
    """Collects cosines between tasks' gradients, for groups of shared parameters, over a training run.

    Args:
        tasks: their names.
        groups: shared parameters by name, such as of one encoder or layer; ``all`` is added.
        every: how many steps lie between two looks, as each costs a backward pass for every task.
    """

    def __init__(self, tasks: Sequence[str], groups: Mapping[str, Sequence[nn.Parameter]], every: int = 50) -> None:
        if ALL in groups:
            raise UsageError(f"a group of parameters cannot be called {ALL!r}", hint="call it something else")
        self.tasks = tuple(tasks)
        self.every = every
        self._place = {name: n for n, name in enumerate(self.tasks)}
        self._groups = {name: list(held) for name, held in groups.items() if held}
        size = len(self.tasks), len(self.tasks)
        names = (ALL, *self._groups)
        self._sums = {name: torch.zeros(size, dtype=torch.float64) for name in names}
        self._negative = {name: torch.zeros(size, dtype=torch.int64) for name in names}
        self._counts = {name: torch.zeros(size, dtype=torch.int64) for name in names}

    def due(self, step: int) -> bool:
        """Whether to look at this step."""
        return len(self.tasks) > 1 and step % self.every == 0

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Look at the gradients of these losses; ``grad`` is not changed, and the graph is kept.

        Args:
            losses: by task; those without a labelled sample in the batch are left out.
        """
        if len(losses) < 2:
            return
        shared = [p for held in self._groups.values() for p in held]
        rows = gradients_of(losses, shared, keep=True)
        places = torch.tensor([self._place[t] for t in losses])
        self._count(ALL, rows, places)
        parts = rows.split([sum(p.numel() for p in held) for held in self._groups.values()], 1)
        for name, part in zip(self._groups, parts, strict=True):
            self._count(name, part, places)

    def _count(self, name: str, rows: Tensor, places: Tensor) -> None:
        rows = rows.detach().float()
        told = (rows.norm(dim=1) > 0).cpu()
        cosines = functional.normalize(rows, dim=1)
        cosines = (cosines @ cosines.T).cpu().double()
        both = (told[:, None] & told[None]).long()
        at = torch.meshgrid(places, places, indexing="ij")
        self._sums[name][at] += cosines * both
        self._negative[name][at] += (cosines < 0).long() * both
        self._counts[name][at] += both

    def state_dict(self) -> dict[str, Any]:
        """All that was collected, as tensors by name."""
        return {
            f"{sort}.{name}": value.clone()
            for sort, held in (("sums", self._sums), ("negative", self._negative), ("counts", self._counts))
            for name, value in held.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what was collected.

        Raises:
            UsageError: it is of other tasks or groups.
        """
        mine = self.state_dict()
        if set(mine) != set(state) or any(mine[n].shape != state[n].shape for n in mine):
            raise UsageError("the gradients that were collected are of other tasks or layers", hint="begin anew")
        for sort, held in (("sums", self._sums), ("negative", self._negative), ("counts", self._counts)):
            for name in held:
                held[name] = state[f"{sort}.{name}"].clone()

    def summary(self) -> dict[str, Any]:
        """What came of it, as plain JSON.

        Returns:
            ``tasks``; ``groups`` by name: ``cosine`` and ``negative``, rows of the mean cosine and of the share of
            looks at which it was below 0, None where two tasks never met; ``looks``, how often tasks met.
        """
        groups: dict[str, Any] = {}
        for name, counts in self._counts.items():
            groups[name] = {
                "cosine": _means(self._sums[name], counts),
                "negative": _means(self._negative[name].double(), counts),
                "looks": counts.tolist(),
            }
        return {"tasks": list(self.tasks), "every": self.every, "groups": groups}


def _means(sums: Tensor, counts: Tensor) -> list[list[float | None]]:
    return [
        [round(s / c, 4) if c else None for s, c in zip(row, many, strict=True)]
        for row, many in zip(sums.tolist(), counts.tolist(), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class SplitAdvice:
    """Which tasks to learn together: ``groups``, and ``words`` that say why, for people."""

    groups: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {"groups": [list(g) for g in self.groups], "words": list(self.words)}


def suggest_splits(
    summary: Mapping[str, Any],
    gains: Mapping[str, float] | None = None,
    *,
    least: float = 0.0,
    tolerance: float = 1.0,
    lost: Mapping[str, str] | None = None,
) -> SplitAdvice:
    """Which tasks to learn in one model.

    Groups are joined, the most alike first, as long as the mean cosine between their tasks is at least ``least``
    (average linkage). Then a task that lost by being learned with others is taken out of its group.

    Args:
        summary: what `Conflicts.summary` gives.
        gains: by task, points that it gained (below 0: lost) against a model of its own.
        least: cosine.
        tolerance: points that a task may lose.
        lost: by task, how its loss is said where it is not in points.
    """
    tasks: list[str] = list(summary["tasks"])
    place = {name: n for n, name in enumerate(tasks)}
    cosine = summary["groups"][ALL]["cosine"]
    gains = gains or {}
    groups, words = _joined(tasks, place, cosine, least)
    said = lost or {}
    for task in tasks:
        if gains.get(task, 0.0) >= -tolerance:
            continue
        less = said.get(task, f"{task} lost {-gains[task]:.1f} points")
        group = next(g for g in groups if task in g)
        if len(group) == 1:
            words.append(f"{less}: learn it by itself")
            continue
        mean = _between([task], [t for t in group if t != task], place, cosine)
        why = "its gradients agree with theirs, so more shared layers may help as well" if (mean or 0) >= 0.1 else ""
        group.remove(task)
        groups.append([task])
        others = ", ".join(group)
        words.append(f"{less} beside {others}: learn it by itself" + (why and f"; {why}"))
    ordered = sorted((tuple(sorted(g, key=place.__getitem__)) for g in groups), key=lambda g: place[g[0]])
    words += [f"{', '.join(g)}: together" for g in ordered if len(g) > 1]
    return SplitAdvice(tuple(ordered), tuple(words))


def _between(first: Sequence[str], second: Sequence[str], place: Mapping[str, int], cosine: Any) -> float | None:
    """The mean cosine between the tasks of two groups; None where none of them met."""
    held = [cosine[place[a]][place[b]] for a in first for b in second]
    known = [v for v in held if v is not None]
    return sum(known) / len(known) if known else None


def _joined(
    tasks: Sequence[str], place: Mapping[str, int], cosine: Any, least: float
) -> tuple[list[list[str]], list[str]]:
    groups = [[t] for t in tasks]
    while True:
        pairs = [(_between(a, b, place, cosine), n, m) for n, a in enumerate(groups) for m, b in enumerate(groups[:n])]
        known = [(v, n, m) for v, n, m in pairs if v is not None]
        if not known:
            break
        value, n, m = max(known, key=lambda p: (p[0], -p[1], -p[2]))
        if value < least:
            break
        groups[m] += groups.pop(n)
    apart = [(a, b) for n, a in enumerate(groups) for b in groups[n + 1 :]]
    words: list[str] = []
    for a, b in apart:
        mean = _between(a, b, place, cosine)
        said = "never met in a batch" if mean is None else f"pull against each other (mean cosine {mean:.2f})"
        words.append(f"{', '.join(a)} and {', '.join(b)} {said}: learn them apart")
    return groups, words


_INK, _SOFT, _GROUND = "#1a2028", "#5c6773", "#ffffff"
_CELL, _LEFT, _TOP = 72, 160, 110


def draw_conflicts(summary: Mapping[str, Any], group: str = ALL, fit: Fit = plain) -> bytes:
    """PNG of the mean cosines as a matrix, blue where tasks agree, orange where they conflict.

    Below each cosine stands at how many looks of a hundred it was below 0.

    Args:
        summary: what `Conflicts.summary` gives.
        group: of parameters.
        fit: fits words into widths; the default knows Latin letters only.

    Raises:
        UsageError: there is no such group.
    """
    if group not in summary["groups"]:
        raise UsageError(f"there are no gradients of {group!r}", hint=f"there are {', '.join(summary['groups'])}")
    tasks, held = summary["tasks"], summary["groups"][group]
    picture = Image.new("RGB", (_LEFT + _CELL * len(tasks) + 20, _TOP + _CELL * len(tasks) + 20), _GROUND)
    pen = ImageDraw.Draw(picture)

    def write(x: float, y: float, words: str, size: int, fill: str, room: float, anchor: str) -> None:
        said, font = fit(words, size, room)
        pen.text((x, y), said, font=font, fill=fill, anchor=anchor)

    write(20, 30, f"Do tasks agree? {group}", 18, _INK, picture.width - 40, "ls")
    write(20, 52, "cosine of gradients; % of looks below 0", 12, _SOFT, picture.width - 40, "ls")
    for n, row in enumerate(tasks):
        write(_LEFT - 10, _TOP + _CELL * (n + 0.5), row, 14, _INK, _LEFT - 30, "rm")
        write(_LEFT + _CELL * (n + 0.5), _TOP - 10, row, 14, _INK, _CELL - 6, "ms")
        for m in range(len(tasks)):
            x, y = _LEFT + _CELL * m, _TOP + _CELL * n
            value = held["cosine"][n][m]
            pen.rectangle((x + 1, y + 1, x + _CELL - 2, y + _CELL - 2), fill=_colour(value))
            if value is None or n == m:
                continue
            write(x + _CELL / 2, y + _CELL / 2 - 8, f"{value:+.2f}", 16, _INK, _CELL, "mm")
            write(x + _CELL / 2, y + _CELL / 2 + 14, f"{100 * held['negative'][n][m]:.0f} %", 12, _INK, _CELL, "mm")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _colour(value: float | None) -> tuple[int, int, int]:
    """White at 0, full at half: cosines are small in large networks."""
    if value is None:
        return 221, 226, 232
    share = min(1.0, abs(value) * 2)
    full = (120, 175, 225) if value >= 0 else (240, 160, 70)
    return tuple(round(255 + (c - 255) * share) for c in full)  # type: ignore[return-value]
