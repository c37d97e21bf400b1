"""Age and gender: 112 x 112 face to years and to two probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from onlooker.models.convert.face_api import FaceNetwork, members_weights

__all__ = ["convert"]


def _reduction(net: FaceNetwork, x: str, name: str, *, activate: bool = True) -> str:
    y = net.separable(net.relu(x) if activate else x, f"{name}/separable_conv0")
    y = net.separable(net.relu(y), f"{name}/separable_conv1")
    y = net.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    return net.add(y, net.convolution(x, f"{name}/expansion_conv", 2))


def convert(members: Mapping[str, bytes]) -> bytes:
    """The weights as an ONNX model; outputs are years (1, 1) and probabilities (1, 2) of male and female."""
    weights = members_weights(members)
    net = FaceNetwork(weights, 112)
    x = net.relu(net.convolution(net.image, "entry_flow/conv_in", 2))
    x = _reduction(net, x, "entry_flow/reduction_block_0", activate=False)
    x = _reduction(net, x, "entry_flow/reduction_block_1")
    blocks = sum("middle_flow" in name and name.endswith("separable_conv0/bias") for name in weights)
    for number in range(blocks):
        y = x
        for part in range(3):
            y = net.separable(net.relu(y), f"middle_flow/main_block_{number}/separable_conv{part}")
        x = net.add(x, y)
    x = _reduction(net, x, "exit_flow/reduction_block")
    x = net.relu(net.separable(x, "exit_flow/separable_conv"))
    flat = net.op("Flatten", net.op("AveragePool", x, kernel_shape=[7, 7], strides=[2, 2]))
    gender = net.op("Softmax", net.dense(flat, "fc/gender"), axis=1)
    return net.finish(**{net.dense(flat, "fc/age"): 1, gender: 2})
