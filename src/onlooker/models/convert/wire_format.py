"""Fields of protocol buffers as bytes: https://protobuf.dev/programming-guides/encoding/."""

from __future__ import annotations

__all__ = ["bytes_field", "number_field", "text_field", "varint"]


def varint(value: int) -> bytes:
    """A whole number in as few bytes as it needs, a negative one as 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_field(field: int, value: int) -> bytes:
    """A field that holds a whole number."""
    return varint(field << 3) + varint(value)


def bytes_field(field: int, value: bytes) -> bytes:
    """A field that holds bytes, or another message."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def text_field(field: int, value: str) -> bytes:
    """A field that holds a text."""
    return bytes_field(field, value.encode())
