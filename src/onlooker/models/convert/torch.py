"""A weights file of ``torch.save`` as safetensors."""

from __future__ import annotations

from collections.abc import Mapping

from onlooker.models.convert.torch_file import read_torch, write_safetensors

__all__ = ["convert"]


def convert(members: Mapping[str, bytes]) -> bytes:
    """The tensors of the only member."""
    (data,) = members.values()
    return write_safetensors(read_torch(data))
