"""The graphs of the face networks of face-api.js, whose packages hold only weights.

Layouts as published in its sources (https://github.com/justadudewhohacks/face-api.js, MIT): a ResNet-34 of the dlib
form for identity, and the same small separable trunk for expressions as for landmarks; an Xception of reduced depth for
age and gender. Weights of convolutions are stored height, width, in, out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.models.convert.onnx_file import Graph
from onlooker.models.convert.tfjs import read_weights

__all__ = ["FaceNetwork", "members_weights"]

_MEAN = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)
Floats = NDArray[np.float32]


def members_weights(members: Mapping[str, bytes]) -> dict[str, Floats]:
    """The weights by name, out of a manifest and its binary file."""
    by_name = {PurePosixPath(name).name: data for name, data in members.items()}
    (manifest,) = [data for name, data in by_name.items() if name.endswith(".json")]
    return {k: np.asarray(v, np.float32) for k, v in read_weights(manifest, by_name.__getitem__).items()}


class FaceNetwork:
    """Builds one network over the input ``image``: (1, 3, size, size) float32, RGB 0..255."""

    def __init__(self, weights: Mapping[str, Floats], size: int) -> None:
        self.weights = weights
        self.graph = Graph({"image": (1, 3, size, size)})
        # the mean of the training pictures, then 0..1
        centred = self.op("Sub", "image", self.constant(_MEAN))
        self.image = self.op("Mul", centred, self.constant(np.float32(1 / 255)))

    def constant(self, values: Any) -> str:
        """A constant tensor."""
        return self.graph.constant(np.asarray(values))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output."""
        return self.graph.node(kind, inputs, **attributes)

    def relu(self, x: str) -> str:
        """Rectifier."""
        return self.op("Relu", x)

    def add(self, *terms: str) -> str:
        """Sum of two or more."""
        total = terms[0]
        for term in terms[1:]:
            total = self.op("Add", total, term)
        return total

    def convolution(self, x: str, name: str, stride: int = 1) -> str:
        """A plain convolution with 'same' padding."""
        kernel = self.constant(self.weights[f"{name}/filters"].transpose(3, 2, 0, 1))
        bias = self.constant(self.weights[f"{name}/bias"])
        return self.op("Conv", x, kernel, bias, strides=[stride, stride], auto_pad="SAME_UPPER")

    def separable(self, x: str, name: str, stride: int = 1) -> str:
        """A depthwise, then a pointwise convolution."""
        deep = self.weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)
        y = self.op(
            "Conv", x, self.constant(deep), group=deep.shape[0], strides=[stride, stride], auto_pad="SAME_UPPER"
        )
        point = self.constant(self.weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1))
        return self.op("Conv", y, point, self.constant(self.weights[f"{name}/bias"]), strides=[1, 1])

    def dense(self, x: str, name: str) -> str:
        """A fully connected layer."""
        product = self.op("MatMul", x, self.constant(self.weights[f"{name}/weights"]))
        return self.add(product, self.constant(self.weights[f"{name}/bias"]))

    def finish(self, **outputs: int) -> bytes:
        """The ONNX file; each output has the shape (1, its number)."""
        return self.graph.finish({name: (1, width) for name, width in outputs.items()})
