"""The form of number that a model is computed in."""

from __future__ import annotations

from functools import cache

import torch

__all__ = ["computing_in", "multiplies_bfloat16"]


@cache
def multiplies_bfloat16(kind: str = "cpu") -> bool:
    """Whether the devices of a kind (``cpu``, ``cuda``) multiply bfloat16 in hardware."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def computing_in(precision: torch.dtype, device: torch.device | str) -> torch.autocast:
    """A context in which a model's forward pass is computed in ``precision``, where that is bfloat16."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision is torch.bfloat16)
