"""How much each input contributed to a decision, for any model: by masking inputs and asking again.

Shapley values: Shapley 1953; over the inputs of a multimodal model: Parcalabescu and Frank, "MM-SHAP", 2023 (arXiv
2212.08158).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from math import factorial
from typing import Literal

import torch
from torch import Tensor

from onlooker.core.errors import UsageError

__all__ = ["contributions", "shares"]

_MOST = 4


def contributions(
    answer: Callable[[Mapping[str, Tensor]], Tensor],
    present: Mapping[str, Tensor],
    *,
    method: Literal["leave_one_out", "shapley"] = "shapley",
) -> dict[str, Tensor]:
    """What each input adds to the decision that is made with all that are there.

    Args:
        answer: gives (B, K) numbers, such as probabilities, for a mask of what is there; asked 2^N times (Shapley) or
            N + 1 times. Of K > 1 numbers the greatest with all inputs is the decision; K = 1 is a value.
        present: by input (B,), 1 where it is there; at most 4 inputs.
        method: ``leave_one_out``: the decision's number with all inputs less that without this one: 0 where another
            would do alone; ``shapley``: the mean of what it adds over all orders in which inputs could come: together
            the number with all less that with none.

    Returns:
        By input (B,), negative where it speaks against the decision, 0 where it is missing.

    Raises:
        UsageError: there are no inputs, or more than 4.

    >>> weights = {"seen": 0.7, "heard": 0.2}
    >>> def answer(present):
    ...     return sum(w * present[n][:, None] for n, w in weights.items())
    >>> there = {"seen": torch.ones(1), "heard": torch.ones(1)}
    >>> {n: round(float(v), 3) for n, v in contributions(answer, there).items()}
    {'seen': 0.7, 'heard': 0.2}
    """
    names = list(present)
    if not 1 <= len(names) <= _MOST:
        raise UsageError(f"contributions of {len(names)} inputs", hint=f"1 to {_MOST} inputs can be told apart")
    everything = frozenset(names)
    wanted = _all_parts(names) if method == "shapley" else [everything, *(everything - {n} for n in names)]
    told: dict[frozenset[str], Tensor] = {}
    decision: Tensor | None = None
    with torch.no_grad():
        for part in sorted(wanted, key=len, reverse=True):
            numbers = answer({n: p if n in part else torch.zeros_like(p) for n, p in present.items()})
            if numbers.ndim != 2:
                raise UsageError(f"answer: expected (B, K) numbers, got {tuple(numbers.shape)}")
            decision = numbers.argmax(1, keepdim=True) if decision is None else decision
            told[part] = numbers.float().gather(1, decision)[:, 0]
    if method == "leave_one_out":
        return {n: told[everything] - told[everything - {n}] for n in names}
    return {n: _shapley(n, names, told) for n in names}


def _all_parts(names: list[str]) -> list[frozenset[str]]:
    return [frozenset(part) for size in range(len(names) + 1) for part in combinations(names, size)]


def _shapley(name: str, names: list[str], told: Mapping[frozenset[str], Tensor]) -> Tensor:
    count, total = len(names), torch.zeros_like(told[frozenset()])
    for part in _all_parts([n for n in names if n != name]):
        weight = factorial(len(part)) * factorial(count - len(part) - 1) / factorial(count)
        total += weight * (told[part | {name}] - told[part])
    return total


def shares(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contributions by their size, together 1; even where none contributed.

    >>> {n: float(v) for n, v in shares({"a": torch.tensor([0.75]), "b": torch.tensor([-0.25])}).items()}
    {'a': 0.75, 'b': 0.25}
    """
    sizes = torch.stack([v.abs() for v in found.values()])
    total = sizes.sum(0)
    even = torch.full_like(sizes, 1 / len(sizes))
    made = torch.where(total > 0, sizes / total.clamp(min=1e-12), even)
    return {name: made[n] for n, name in enumerate(found)}
