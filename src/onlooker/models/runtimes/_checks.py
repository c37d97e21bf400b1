"""What both engines do with inputs before they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.core.runtime import TensorInfo

__all__ = ["checked"]


def checked(
    given: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]], wanted: Sequence[TensorInfo]
) -> dict[str, NDArray[Any]]:
    """The inputs by name, contiguous.

    Raises:
        ModelError: names, count, shapes or dtypes differ from what the model takes.
    """
    if isinstance(given, Mapping):
        named = dict(given)
    else:
        if len(given) != len(wanted):
            raise ModelError(f"expected {len(wanted)} inputs, got {len(given)}")
        named = {t.name: a for t, a in zip(wanted, given, strict=True)}
    if set(named) != {t.name for t in wanted}:
        raise ModelError(f"expected inputs {[t.name for t in wanted]}, got {sorted(named)}")
    for tensor in wanted:
        array = named[tensor.name]
        if not _fits(array.shape, tensor.shape) or _name(array.dtype) != tensor.dtype:
            raise ModelError(
                f"input {tensor.name}: expected {tensor.dtype} {tensor.shape}, got {array.dtype.name} {array.shape}"
            )
        if not array.flags.c_contiguous:
            named[tensor.name] = np.ascontiguousarray(array)
    return named


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if shape == wanted:
        return True
    return len(shape) == len(wanted) and all(want in (-1, got) for want, got in zip(wanted, shape, strict=True))


@cache
def _name(dtype: np.dtype[Any]) -> str:
    # numpy makes the name anew each time, which is a good part of the time of a small model with many inputs
    return dtype.name
