"""What both engines do with inputs before they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        fits = len(array.shape) == len(tensor.shape) and all(
            want in (-1, got) for want, got in zip(tensor.shape, array.shape, strict=True)
        )
        if not fits or array.dtype.name != tensor.dtype:
            raise ModelError(
                f"input {tensor.name}: expected {tensor.dtype} {tensor.shape}, got {array.dtype.name} {array.shape}"
            )
        named[tensor.name] = np.ascontiguousarray(array)
    return named
