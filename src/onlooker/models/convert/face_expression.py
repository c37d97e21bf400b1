"""Facial expression: 112 x 112 face to seven probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from onlooker.models.convert.face_api import FaceNetwork, members_weights

__all__ = ["convert"]


def _block(net: FaceNetwork, x: str, name: str, *, first: bool) -> str:
    """Four convolutions of which each sees the sum of those before it."""
    one = net.convolution(x, f"{name}/conv0", 2) if first else net.separable(x, f"{name}/conv0", 2)
    one = net.relu(one)
    two = net.separable(one, f"{name}/conv1")
    three = net.separable(net.relu(net.add(one, two)), f"{name}/conv2")
    four = net.separable(net.relu(net.add(one, two, three)), f"{name}/conv3")
    return net.relu(net.add(one, two, three, four))


def convert(members: Mapping[str, bytes]) -> bytes:
    """The weights as an ONNX model."""
    net = FaceNetwork(members_weights(members), 112)
    x = net.image
    for number in range(4):
        x = _block(net, x, f"dense{number}", first=number == 0)
    x = net.op("AveragePool", x, kernel_shape=[7, 7], strides=[2, 2])
    flat = net.op("Flatten", net.op("Transpose", x, perm=[0, 2, 3, 1]))
    return net.finish(**{net.op("Softmax", net.dense(flat, "fc"), axis=1): 7})
