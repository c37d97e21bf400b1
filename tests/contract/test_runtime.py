from __future__ import annotations

import numpy as np
import pytest

from onlooker.core.errors import ModelError
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.models import load, pull
from onlooker.models.runtimes.onnxruntime import devices
from onlooker.testing.runtime import affine_model, check_parity, check_runtime

WEIGHT, BIAS = np.ones((3, 2), np.float32), np.zeros(2, np.float32)


@pytest.mark.parametrize("name", plugin_names("runtimes"))
def test_engine(name, tmp_path):
    check_runtime(load_plugin("runtimes", name)(), tmp_path)


@pytest.mark.parametrize("name", plugin_names("runtimes"))
def test_a_device_that_is_not_there_is_refused(name, tmp_path):
    """The engine would have computed on the CPU and called it the GPU."""
    path = tmp_path / "model.onnx"
    path.write_bytes(affine_model(WEIGHT, BIAS))
    with pytest.raises(ModelError, match=r"Nowhere"):
        load_plugin("runtimes", name)().load(path, device="Nowhere")


def test_a_gpu_serves_where_there_is_one(tmp_path):
    pytest.importorskip("onnxruntime")
    if devices()[0] != "CUDAExecutionProvider":
        pytest.skip("no GPU that ONNX Runtime is built for")
    path = tmp_path / "model.onnx"
    path.write_bytes(affine_model(WEIGHT, BIAS))
    runtime = load_plugin("runtimes", "onnxruntime")()
    found = [runtime.load(path, device=d) for d in ("auto", "CPU")]
    assert [m.report.device for m in found] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    check_parity(found, [np.ones((2, 3), np.float32), BIAS])


def test_a_gpu_that_is_not_there_is_no_gpu(tmp_path, capfd):
    """A build for GPUs would have computed on the CPU and called it the GPU, and complained of each model."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(affine_model(WEIGHT, BIAS))
    runtime = load_plugin("runtimes", "onnxruntime")()
    if devices()[0] == "CUDAExecutionProvider":
        pytest.skip("there is a GPU")
    built = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    with pytest.raises(ModelError, match="no NVIDIA driver" if built else "has no CUDAExecutionProvider"):
        runtime.load(path, device="CUDAExecutionProvider")
    assert runtime.load(path).report.device == "CPUExecutionProvider"
    assert capfd.readouterr() == ("", "")


def _both(name):
    pull([name])
    return [load(name, threads=1, runtime=engine) for engine in ("openvino", "onnxruntime")]


@pytest.mark.network
def test_both_engines_find_the_same_faces():
    pixels = np.random.default_rng(0).uniform(0, 255, (10, 3, 32, 32)).astype(np.float32)
    check_parity(_both("centerface"), [pixels])


@pytest.mark.network
def test_both_engines_hear_the_same_voice():
    random = np.random.default_rng(0)
    sound = random.normal(0, 0.1, (1, 576)).astype(np.float32)
    check_parity(_both("silero-vad"), [sound, np.zeros((2, 1, 128), np.float32)])


@pytest.mark.network
def test_the_converted_detector_gives_boxes_of_three_strides():
    pull(["nanodet-416"])
    model = load("nanodet-416", threads=1)
    found = model.run([np.zeros((1, 3, 416, 416), np.float32)])
    shapes = sorted(a.shape for a in found)
    assert shapes == [(1, 169, 44), (1, 169, 80), (1, 676, 44), (1, 676, 80), (1, 2704, 44), (1, 2704, 80)]
