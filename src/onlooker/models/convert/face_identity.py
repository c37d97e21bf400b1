"""Face recognition: 150 x 150 aligned face to a 128-d vector; same person below about 0.6 Euclidean distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onlooker.models.convert.face_api import FaceNetwork, members_weights

__all__ = ["convert"]


def _convolution(net: FaceNetwork, x: str, name: str, *, stride: int = 1, valid: bool = False) -> str:
    """Convolution with the scale layer behind it folded in."""
    scale = net.weights[f"{name}/scale/weights"]
    kernel = net.weights[f"{name}/conv/filters"].transpose(3, 2, 0, 1) * scale[:, None, None, None]
    bias = net.weights[f"{name}/conv/bias"] * scale + net.weights[f"{name}/scale/biases"]
    pad = 0 if valid else kernel.shape[2] // 2
    return net.op("Conv", x, net.constant(kernel), net.constant(bias), strides=[stride, stride], pads=[pad] * 4)


def _residual(net: FaceNetwork, x: str, name: str) -> str:
    y = net.relu(_convolution(net, x, f"{name}/conv1"))
    return net.relu(net.add(_convolution(net, y, f"{name}/conv2"), x))


def _reduction(net: FaceNetwork, x: str, name: str, side: int) -> tuple[str, int]:
    """A block of half the size; what is left over at the edges and in channels is filled with zeros."""
    y = net.relu(_convolution(net, x, f"{name}/conv1", stride=2, valid=True))
    y = _convolution(net, y, f"{name}/conv2")
    pooled = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    reduced, half = (side - 3) // 2 + 1, side // 2
    kernel = net.weights[f"{name}/conv1/conv/filters"].shape[2]
    channels = net.weights[f"{name}/conv2/conv/filters"].shape[3]
    if reduced != half:
        y = net.op("Pad", y, net.constant(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64)))
    if kernel != channels:
        fill = np.array([0, 0, 0, 0, 0, channels - kernel, 0, 0], np.int64)
        pooled = net.op("Pad", pooled, net.constant(fill))
    return net.relu(net.add(pooled, y)), half


def convert(members: Mapping[str, bytes]) -> bytes:
    """The weights as an ONNX model."""
    net = FaceNetwork(members_weights(members), 150)
    x = net.relu(_convolution(net, net.image, "conv32_down", stride=2, valid=True))
    x, side = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2]), 35
    for number in (1, 2, 3):
        x = _residual(net, x, f"conv32_{number}")
    for width, count in ((64, 3), (128, 2), (256, 2)):
        x, side = _reduction(net, x, f"conv{width}_down", side)
        for number in range(1, count + 1):
            x = _residual(net, x, f"conv{width}_{number}")
    x, side = _reduction(net, x, "conv256_down_out", side)
    pooled = net.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    return net.finish(**{net.op("MatMul", pooled, net.constant(net.weights["fc"])): 128})
