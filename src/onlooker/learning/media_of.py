"""Which inputs a sample has, by what is known of its media without decoding them."""

from __future__ import annotations

from collections.abc import Iterable

from onlooker.learning.datasets.manifest import Sample

__all__ = ["has_any", "has_input"]


def has_input(sample: Sample, takes: str) -> bool:
    """Whether a sample has what an input is made of.

    Args:
        sample: whose media.
        takes: what a network takes, or the kind of a bundle's input.
    """
    if takes == "text":
        return sample.text is not None or sample.of_kind("text") is not None
    if takes in ("log_mel", "waveform"):
        heard = any(m.kind == "audio" or (m.kind == "video" and m.sound is not None) for m in sample.media)
        return heard and sample.at is None
    if takes == "series":
        return sample.of_kind("series") is not None
    return any(m.kind in ("video", "image") for m in sample.media)


def has_any(sample: Sample, inputs: Iterable[str]) -> bool:
    """Whether it has any of several."""
    return any(has_input(sample, takes) for takes in inputs)
