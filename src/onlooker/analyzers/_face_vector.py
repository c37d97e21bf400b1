"""Face recognition: the vector of a face, by which two faces are compared.

The network is dlib's ResNet of 29 layers as face-api carries it: 150 x 150 pixels to 128 numbers. Vectors are made of
length 1 and compared by the cosine, which keeps strangers apart better than the Euclidean distance of the vectors as
they come (benchmarks/identity.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._faces import align, landmarks
from onlooker.models import load

__all__ = ["DIMENSIONS", "MODEL", "SPACE", "FaceEncoder", "unit"]

MODEL = SPACE = "face-identity"
DIMENSIONS = 128
_SIZE = 150
_PADDING = 0.2
# where dlib's mean face has the eyes, the nose and the corners of the mouth, in fractions of the square around it
_MEAN_FACE = np.array(
    [[0.22549, 0.21599], [0.75476, 0.21599], [0.490127, 0.515625], [0.254149, 0.780233], [0.726104, 0.780233]]
)
_POINTS = ((_MEAN_FACE + _PADDING) / (1 + 2 * _PADDING) * _SIZE).astype(np.float32)

Floats = NDArray[np.float32]


def unit(vectors: NDArray[Any]) -> Floats:
    """The vectors (..., d) made of length 1; vectors of zeros stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-9)).astype(np.float32)


class FaceEncoder:
    """The network and what comes before it.

    Args:
        threads: how many the engine may use.
        mirror: whether the mirrored face is looked at too and the mean taken: surer, at twice the cost.
    """

    def __init__(self, threads: int, *, mirror: bool) -> None:
        self._model = load(MODEL, threads=threads)
        self._mirror = mirror

    def vector(self, picture: NDArray[np.uint8], face: Floats) -> Floats:
        """(128,) of length 1 for one face of an RGB picture (h, w, 3); ``face`` as in `onlooker.analyzers._faces`."""
        height, width = picture.shape[:2]
        upright = align(picture, landmarks(face, width, height), _POINTS, _SIZE)
        pixels = upright.astype(np.float32).transpose(2, 0, 1)[None]
        sides = [pixels, pixels[..., ::-1]] if self._mirror else [pixels]
        seen = [unit(self._model.run([np.ascontiguousarray(s)])[0][0]) for s in sides]
        return unit(np.mean(seen, axis=0))

    def close(self) -> None:
        """Release the network."""
        self._model.close()
