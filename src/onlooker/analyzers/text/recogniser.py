"""Reads lines: crops them upright, turns those that stand on their head, and decodes the recognition network.

Du et al. 2020, PP-OCR (arXiv 2009.09941); best-path decoding: Graves et al. 2006, connectionist temporal
classification.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers.text.characters import model_characters
from onlooker.analyzers.text.detector import normalised
from onlooker.analyzers.text.geometry import Region, crop
from onlooker.models import load, model_path

__all__ = ["LineReader", "decode"]

_HEIGHT = 48
_WIDTHS = (*range(160, 641, 80), *range(800, 1921, 160))
"""Widths that lines are padded to: the engine prepares each but once."""
_TURN_WIDTH = 192
_TURNED = 0.9
_TALL = 1.5
"""Regions so much higher than wide hold text that runs down."""
_DOUBTFUL = 0.85


def decode(probabilities: NDArray[np.float32], characters: list[str]) -> tuple[str, float]:
    """The best path, without repetitions and blanks (class 0), and the mean probability of its characters.

    Args:
        probabilities: (steps, classes).
        characters: what each class stands for.

    >>> decode(np.eye(3, dtype=np.float32)[[0, 1, 1, 0, 1, 2]], ["", "a", "b"])
    ('aab', 1.0)
    """
    best = probabilities.argmax(1)
    chosen = best != 0
    chosen[1:] &= best[1:] != best[:-1]
    if not chosen.any():
        return "", 0.0
    score = probabilities[np.flatnonzero(chosen), best[chosen]].mean()
    return "".join(characters[i] for i in best[chosen]), min(1.0, float(score))


class LineReader:
    """A loaded recogniser.

    Args:
        name: model of the catalogue that reads.
        orientation: model of the catalogue that says which lines stand on their head.
        threads: how many they may use.
    """

    def __init__(self, name: str, orientation: str, *, threads: int) -> None:
        self._characters = model_characters(model_path(name))
        self._model: Any = load(name, threads=threads)
        self._orientation: Any = load(orientation, threads=threads, shapes={"x": (1, 3, _HEIGHT, _TURN_WIDTH)})

    def read(self, picture: Image.Image, region: Region) -> tuple[str, float]:
        """Text and score of a region; no text where there is none.

        Args:
            picture: the frame, its channels in the order blue, green, red.
            region: in its pixels.
        """
        if region.height < _TALL * region.width:
            return self._either_way_up(self._upright(picture, region))
        down = Region(region.x, region.y, region.height, region.width, region.angle + math.pi / 2, region.score)
        lying = self._either_way_up(self._upright(picture, down))
        if lying[1] >= _DOUBTFUL:
            return lying
        return max(lying, self._stacked(picture, region), key=lambda reading: reading[1])

    @staticmethod
    def _upright(picture: Image.Image, region: Region) -> Image.Image:
        width = math.ceil(_HEIGHT * region.width / max(1.0, region.height))
        return crop(picture, region, (max(8, min(width, _WIDTHS[-1])), _HEIGHT))

    def _either_way_up(self, line: Image.Image) -> tuple[str, float]:
        first = self._line(line)
        if float(self._orientation.run([_padded(line, _TURN_WIDTH)])[0][0, 1]) < _TURNED:
            return first
        return max(first, self._line(line.transpose(Image.Transpose.ROTATE_180)), key=lambda reading: reading[1])

    def _stacked(self, picture: Image.Image, region: Region) -> tuple[str, float]:
        """Upright characters one below the other, laid side by side; how many there are is tried."""
        likely = region.height / region.width
        best = ("", 0.0)
        for count in sorted({math.floor(likely), math.ceil(likely), math.ceil(likely) + 1}):
            column = crop(picture, region, (_HEIGHT, _HEIGHT * count))
            line = Image.new("RGB", (_HEIGHT * count, _HEIGHT))
            for i in range(count):
                line.paste(column.crop((0, i * _HEIGHT, _HEIGHT, (i + 1) * _HEIGHT)), (i * _HEIGHT, 0))
            best = max(best, self._line(line), key=lambda reading: reading[1])
        return best

    def _line(self, line: Image.Image) -> tuple[str, float]:
        width = next((w for w in _WIDTHS if w >= line.width), _WIDTHS[-1])
        text, score = decode(self._model.run([_padded(line, width)])[0][0], self._characters)
        return text.strip(), score

    def close(self) -> None:
        """Release the models."""
        self._model.close()
        self._orientation.close()


def _padded(line: Image.Image, width: int) -> NDArray[np.float32]:
    """(1, 3, 48, width): the line at the left, grey beyond it."""
    if line.width > width:
        line = line.resize((width, _HEIGHT), Image.Resampling.BILINEAR)
    made = np.zeros((1, 3, _HEIGHT, width), np.float32)
    made[..., : line.width] = normalised(np.asarray(line))
    return made
