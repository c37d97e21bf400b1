"""Whether two runs of an analyzer agree, for the conformance suite of analyzers; each raises AssertionError."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onlooker.core.measurement import Measurement
from onlooker.core.observation import Observation

__all__ = ["plain_json", "public", "same_measurements", "same_observations"]


def public(observation: Observation) -> dict[str, Any]:
    """Everything that the store keeps of an observation, comparable."""
    vector = observation.vector
    return {
        **observation.as_dict(),
        "data": dict(observation.data),
        "vector": None if vector is None else np.asarray(vector).tobytes(),
        "attachments": [(a.name, a.mime, a.data) for a in observation.attachments],
    }


def same_observations(got: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]], how: str) -> None:
    """Fail where the observations of two runs, by id, are not the same ones."""
    missing = [expected[i] for i in expected.keys() - got.keys()]
    extra = [got[i] for i in got.keys() - expected.keys()]
    assert got.keys() == expected.keys(), f"{how}: lost {missing[:3]}, made besides {extra[:3]}"
    for key, value in expected.items():
        assert got[key] == value, f"{how}: expected {value}, got {got[key]}"


def same_measurements(
    got: dict[str, list[Measurement]], expected: dict[str, list[Measurement]], tolerance: float, how: str
) -> None:
    """Fail where two runs measured other moments, or something else at one by more than ``tolerance``."""
    for name, whole in expected.items():
        part = got[name]
        times = [m.time for m in part]
        assert times == [m.time for m in whole], (
            f"{name} {how}: other moments are measured: "
            f"{[str(t) for t in sorted({*times} ^ {m.time for m in whole})][:5]}"
        )
        for a, b in zip(part, whole, strict=True):
            same = a.values.shape == b.values.shape and a.duration == b.duration and a.blob == b.blob
            if same and a.values.dtype.names is None and a.values.dtype.kind in "fc":
                same = np.allclose(a.values, b.values, rtol=0, atol=tolerance, equal_nan=True)
            elif same:
                same = bool(np.array_equal(a.values, b.values))
            assert same, f"{name} {how}: measured something else at {b.time}: expected {b.values}, got {a.values}"


def plain_json(value: Any, where: str) -> None:
    """Fail where a value is more than JSON can hold."""
    if isinstance(value, dict) or hasattr(value, "keys"):
        for key in value:
            assert type(key) is str, f"{where}: key {key!r} is no text"
            plain_json(value[key], f"{where}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            plain_json(item, f"{where}[{i}]")
    else:
        assert value is None or type(value) in (bool, int, float, str), f"{where}: {type(value)} is not JSON"
        assert type(value) is not float or math.isfinite(value), f"{where}: {value} is not JSON"
