"""CLIP's two networks: pictures and texts as unit vectors of one space (Radford et al. 2021, arXiv:2103.00020).

Works with any export of that form: the picture's network takes (1, 3, height, width) floats, the text's takes (1, n)
token numbers of 32 or 64 bits and, if it asks for one, a mask of the same form; the vector is the output of two
dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._clip_tokens import ClipTokens
from onlooker.core.errors import ModelError
from onlooker.core.media import Frame
from onlooker.core.runtime import LoadedModel

__all__ = ["ImageTower", "TextTower"]

Vector = NDArray[np.float32]


def _output(model: LoadedModel, dimensions: int, name: str) -> int:
    """Number of the output that holds the vector: the one that is called so, else the only one of that width."""
    known = [o.name for o in model.outputs]
    for wanted in ("image_embeds", "text_embeds", "embedding"):
        if wanted in known:
            return known.index(wanted)
    fits = [i for i, o in enumerate(model.outputs) if len(o.shape) == 2 and o.shape[1] in (-1, dimensions)]
    if len(fits) != 1:
        raise ModelError(
            f"{name}: expected one output (1, {dimensions}), got {[(o.name, o.shape) for o in model.outputs]}"
        )
    return fits[0]


def _unit(vector: NDArray[Any], dimensions: int, name: str) -> Vector:
    flat = np.asarray(vector, np.float32).reshape(-1)
    length = float(np.linalg.norm(flat))
    if flat.shape != (dimensions,) or not np.isfinite(length) or length == 0:
        raise ModelError(f"{name}: expected {dimensions} finite numbers, got {flat.shape} of length {length}")
    return flat / np.float32(length)


class ImageTower:
    """The picture's network.

    Args:
        name: catalogue entry with ``inputs`` (size, mean, std) and ``facts`` (space, dimensions).
        threads: how many it may use.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._entry = models.entry(name)
        self.space, self._dimensions = str(self._entry.facts["space"]), int(self._entry.facts["dimensions"])
        width, height = self._entry.inputs["size"]
        self._width, self._height = int(width), int(height)
        model = models.load(name, threads=threads)
        shape = (1, 3, self._height, self._width)
        self._input = model.inputs[0].name
        if -1 in model.inputs[0].shape:
            model.close()
            model = models.load(name, threads=threads, shapes={self._input: shape})
        self._model: LoadedModel = model
        self._output = _output(self._model, self._dimensions, name)
        self._mean, self._std = (np.array(self._entry.inputs[k], np.float32) for k in ("mean", "std"))

    def frame(self, frame: Frame) -> Vector:
        """(d,) float32 of a frame: its middle square, as CLIP was trained; resized by area."""
        scale = max(self._width / frame.width, self._height / frame.height)
        width, height = (
            max(round(n * scale), m) for n, m in ((frame.width, self._width), (frame.height, self._height))
        )
        return self.pixels(frame.image(width, height, "rgb24"))

    def pixels(self, picture: NDArray[np.uint8]) -> Vector:
        """(d,) float32 of (height, width, 3) RGB, at least as large as the network's input; its middle is taken."""
        top, left = (picture.shape[0] - self._height) // 2, (picture.shape[1] - self._width) // 2
        middle = picture[top : top + self._height, left : left + self._width]
        planes = ((middle.astype(np.float32) - self._mean) / self._std).transpose(2, 0, 1)[None]
        made = self._model.run({self._input: np.ascontiguousarray(planes)})[self._output]
        return _unit(made, self._dimensions, self._entry.name)

    def close(self) -> None:
        """Release the model."""
        self._model.close()


class TextTower:
    """The text's network.

    Args:
        name: catalogue entry with ``facts``: space, dimensions, tokens (entry of byte pairs), context (most
            tokens), scale (of cosines, before comparing labels), languages.
    """

    def __init__(self, name: str) -> None:
        self._entry = models.entry(name)
        facts = self._entry.facts
        self.space, self._dimensions = str(facts["space"]), int(facts["dimensions"])
        self.scale, self._context = float(facts["scale"]), int(facts["context"])
        self.languages: tuple[str, ...] = tuple(facts["languages"])
        self._tokens = ClipTokens(models.model_path(str(facts["tokens"])))
        self._model = models.load(name, threads=1)
        self._output = _output(self._model, self._dimensions, name)

    def one(self, text: str) -> Vector:
        """(d,) float32."""
        numbers = self._tokens.encode(text, self._context)
        inputs: dict[str, NDArray[Any]] = {}
        for port in self._model.inputs:
            length = port.shape[1] if port.shape[1] > 0 else len(numbers)
            row = np.zeros((1, length), port.dtype)
            row[0, : len(numbers)] = 1 if "mask" in port.name else numbers
            inputs[port.name] = row
        return _unit(self._model.run(inputs)[self._output], self._dimensions, self._entry.name)

    def mean(self, texts: list[str]) -> Vector:
        """(d,) float32: the mean direction of several texts for the same thing."""
        return _unit(np.mean([self.one(t) for t in texts], axis=0), self._dimensions, self._entry.name)

    def close(self) -> None:
        """Release the model."""
        self._model.close()
