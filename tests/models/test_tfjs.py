"""TensorFlow.js models, written here, run as frozen graphs."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from onlooker.core.errors import ModelError
from onlooker.models.convert.tfjs import convert_tfjs, read_weights
from onlooker.models.runtimes.openvino import OpenVinoRuntime


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FLOAT = {"type": "DT_FLOAT"}


def _model(steps: list[str], extra: dict[str, np.ndarray], weight: np.ndarray, **attributes) -> tuple[bytes, bytes]:
    arrays = {"w": weight, **extra}
    manifest = [{"name": n, "shape": list(a.shape), "dtype": "float32"} for n, a in arrays.items()]
    fused = {
        "T": FLOAT,
        "strides": {"list": {"i": ["1", "1", "1", "1"]}},
        "padding": {"s": _b64("SAME")},
        "data_format": {"s": _b64("NHWC")},
        "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
        "fused_ops": {"list": {"s": [_b64(s) for s in steps]}},
        **attributes,
    }
    shape = {"shape": {"dim": [{"size": str(d)} for d in (1, 4, 5, 2)]}}
    nodes = [
        {"name": "x", "op": "Placeholder", "attr": {"dtype": FLOAT, "shape": shape}},
        *({"name": n, "op": "Const", "attr": {"dtype": FLOAT}} for n in arrays),
        {"name": "y", "op": "_FusedConv2D", "input": ["x", "w", *extra], "attr": fused},
    ]
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": ["w.bin"], "weights": manifest}]}
    return json.dumps(model).encode(), b"".join(a.astype("<f4").tobytes() for a in arrays.values())


@pytest.mark.parametrize("steps", [["BiasAdd"], ["BiasAdd", "Relu"], ["BiasAdd", "Prelu"], ["BiasAdd", "Relu6"]])
def test_a_fused_convolution_gives_what_its_parts_give(steps, tmp_path):
    random = np.random.default_rng(0)
    weight = random.standard_normal((1, 1, 2, 3)).astype(np.float32)
    bias, slope = random.standard_normal(3).astype(np.float32), np.array([0.1, 0.2, 0.3], np.float32)
    extra = {"bias": bias} | ({"slope": slope} if "Prelu" in steps else {})
    model, data = _model(steps, extra, weight)
    path = tmp_path / "m.pb"
    path.write_bytes(convert_tfjs(model, lambda name: {"w.bin": data}[name]))
    x = random.standard_normal((1, 4, 5, 2)).astype(np.float32)
    (found,) = OpenVinoRuntime().load(path).run([x])
    wanted = x @ weight[0, 0] + bias
    wanted = {
        "BiasAdd": wanted,
        "Relu": np.maximum(wanted, 0),
        "Prelu": np.where(wanted > 0, wanted, slope * wanted),
        "Relu6": np.clip(wanted, 0, 6),
    }[steps[-1]]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_quantised_weights_are_scaled():
    weights = [
        {"name": "w", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}}
    ]
    manifest = json.dumps([{"paths": ["a", "b"], "weights": weights}]).encode()
    found = read_weights(manifest, {"a": b"\x00\x01", "b": b"\x04"}.__getitem__)
    assert found["w"].tolist() == [-1, -0.5, 1]


@pytest.mark.parametrize("bad", [b"", b"[]", b"{}", b'{"modelTopology": {"node": [{"op": "Const", "name": "q"}]}}'])
def test_what_is_no_graph_model_is_refused(bad):
    with pytest.raises(ModelError, match=r"not a TensorFlow\.js graph model"):
        convert_tfjs(bad, lambda name: b"")


def test_a_short_shard_is_refused():
    model, data = _model(["BiasAdd"], {"bias": np.zeros(3, np.float32)}, np.zeros((1, 1, 2, 3), np.float32))
    with pytest.raises(ModelError):
        convert_tfjs(model, lambda name: data[:-4])
