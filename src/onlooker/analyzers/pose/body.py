"""Key points of one person, from the square around the box: MoveNet Lightning (Google 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._faces import square_crop
from onlooker.models import load

__all__ = ["MODEL", "POINTS", "BodyPoints"]

MODEL, POINTS = "movenet-lightning", 17
_SIZE = 192
# what is kept around the box, in longer sides: left and right, above (raised arms are often outside the box), below
_ROOM = np.array([0.05, 0.15, 0.05, 0.05])

# a box so much wider than high may hold one who lies, and is looked at from the sides too
_LYING = 1.1


class BodyPoints:
    """The loaded network.

    Args:
        threads: how many it may use.
        crop: side of the square, in longer sides of the box.
    """

    def __init__(self, *, threads: int, crop: float) -> None:
        self._crop = crop
        self._model: Any = load(MODEL, threads=threads)

    def find(self, picture: NDArray[np.uint8], box: NDArray[np.floating]) -> NDArray[np.float32]:
        """(17, 3) x, y (fractions of the picture), score of the key points in COCO order.

        What the square shows beside the box is blackened, or the network takes a neighbour's limbs.

        Args:
            picture: (h, w, 3) RGB.
            box: left, top, right, bottom of the person, 0..1.
        """
        box = np.asarray(box[:4], np.float32)
        size = np.array([picture.shape[1], picture.shape[0]], np.float32)
        extent = (box[2:] - box[:2]) * size
        longer = max(float(extent.max()), 2 / self._crop)
        side = longer * self._crop
        crop = np.zeros((1, _SIZE, _SIZE, 3), np.int32)
        half = np.tile(extent / longer / 2, 2) * [-1, -1, 1, 1] + _ROOM * [-1, -1, 1, 1]
        left, top, right, bottom = (np.clip(half / self._crop + 0.5, 0, 1) * _SIZE).round().astype(int)
        crop[0, top:bottom, left:right] = square_crop(picture, box, self._crop, _SIZE)[top:bottom, left:right]
        made = self._look(crop)
        if extent[0] > _LYING * extent[1]:
            made = max(
                [made, *(self._turned(crop, quarters) for quarters in (1, 3))], key=lambda m: float(m[:, 2].mean())
            )
        place = (box[:2] + box[2:]) / 2 + (made[:, 1::-1] - 0.5) * side / size
        return np.column_stack([place, made[:, 2]]).astype(np.float32)

    def _look(self, crop: NDArray[np.int32]) -> NDArray[np.float32]:
        """(17, 3) y, x (fractions of the square), score."""
        return self._model.run([crop])[0].reshape(POINTS, 3)

    def _turned(self, crop: NDArray[np.int32], quarters: int) -> NDArray[np.float32]:
        """The same, looked at turned: the network knows people who stand or sit."""
        y, x, score = self._look(np.ascontiguousarray(np.rot90(crop, quarters, (1, 2)))).T
        return np.stack([x, 1 - y, score] if quarters == 1 else [1 - x, y, score], 1)

    def close(self) -> None:
        """Release the model."""
        self._model.close()
