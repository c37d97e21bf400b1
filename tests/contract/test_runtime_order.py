"""Which engine is taken where nobody asks for one."""

from __future__ import annotations

import numpy as np
import pytest

from onlooker.core.runtime import engines_for
from onlooker.models.runtimes.onnxruntime import OnnxRuntime
from onlooker.testing.runtime import affine_model

pytest.importorskip("onnxruntime")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(affine_model(np.ones((3, 2), np.float32), np.zeros(2, np.float32)))
    return path


def names(*files, **how):
    return [engine.name for engine in engines_for(*files, **how)]


def test_the_usual_engine_goes_first_and_the_one_that_was_measured_before_it(model):
    assert names(model) == ["openvino", "onnxruntime"]
    assert names(model, usual="onnxruntime") == ["onnxruntime", "openvino"]
    assert names(model, first="onnxruntime") == ["onnxruntime", "openvino"]


def test_an_engine_with_a_gpu_goes_before_the_usual_one(model, monkeypatch):
    monkeypatch.setattr(OnnxRuntime, "has_gpu", lambda self: True)
    assert names(model) == ["onnxruntime", "openvino"]
    assert names(model, first="openvino") == ["openvino", "onnxruntime"]


def test_only_engines_that_read_all_files_are_taken(model, tmp_path):
    assert names(model, tmp_path / "more.tflite") == ["openvino"]
    assert names(tmp_path / "picture.jpeg") == []
