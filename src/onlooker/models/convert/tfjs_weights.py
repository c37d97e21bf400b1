"""TensorFlow.js weights without a graph as safetensors."""

from __future__ import annotations

from collections.abc import Mapping

from onlooker.models.convert.tfjs import read_weights, split_members
from onlooker.models.convert.torch_file import write_safetensors

__all__ = ["convert"]


def convert(members: Mapping[str, bytes]) -> bytes:
    """The tensors that the manifest (the only JSON file) names."""
    manifest, read = split_members(members)
    return write_safetensors(read_weights(manifest, read))
