"""Errors of an import name what was given, not copies of it in folders that are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onlooker.bundles import import_model
from onlooker.core.errors import ModelError

FRAME: dict[str, Any] = {"kind": "frame", "rate": 2, "width": 32, "height": 32}
FACTS: dict[str, Any] = {
    "name": "broken",
    "title": "A model that was cut short",
    "licence": "CC0-1.0",
    "input": FRAME,
    "outputs": [{"task": "classification", "name": "side", "labels": ["left", "right"]}],
}


def test_a_broken_model_is_told_by_its_own_path(tmp_path: Path) -> None:
    model = tmp_path / "cut.onnx"
    model.write_bytes(b"\x08\x09\x12\x04none" * 9)
    with pytest.raises(ModelError) as told:
        import_model(model, FACTS, tmp_path / "made")
    assert str(model) in str(told.value)
    assert ".made-" not in str(told.value)
    assert not (tmp_path / "made").exists()
