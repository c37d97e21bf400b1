"""Faces in picture files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from onlooker.analyzers._face_vector import FaceEncoder
from onlooker.analyzers._faces import QUALITY
from onlooker.analyzers.faces.detector import FaceDetector, quality_columns
from onlooker.analyzers.identity.samples import Sample
from onlooker.core.errors import UsageError

__all__ = ["FaceReader", "FoundFace", "read_picture"]

Picture: TypeAlias = NDArray[np.uint8]

_LONGEST, _SHORTEST = 1280, 320
"""Sides of the picture in which faces are looked for, in pixels: larger ones are reduced, smaller ones enlarged."""
_SURE = 0.5
_BESIDE = 0.4
"""A second face counts from this share of the first one's size on; smaller ones are passers-by."""


def read_picture(path: Path) -> Picture:
    """RGB (h, w, 3), upright.

    Raises:
        UsageError: it is no picture, or cannot be read.
    """
    try:
        with Image.open(path) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}", hint="check the path") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"cannot read the picture {path}: {error}", hint="give a JPEG, PNG or WebP file") from None


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face of a picture: its row (see ``analyzers/_faces``) and its vector."""

    row: NDArray[np.float32]
    sample: Sample

    @property
    def quality(self) -> float:
        """0..1."""
        return float(self.row[QUALITY])


class FaceReader:
    """Finds the face of a picture and makes its vector; loads its networks once.

    Args:
        threads: how many the engine may use.
    """

    def __init__(self, threads: int = 2) -> None:
        self._detector = FaceDetector(size=_LONGEST, threads=threads, least=_SURE, overlap=0.3)
        self._encoder = FaceEncoder(threads, mirror=True)

    def faces(self, picture: Picture) -> list[FoundFace]:
        """All faces, the largest first; a face that fills the picture is found too."""
        rows = self.rows(picture)
        if not len(rows):
            border = max(picture.shape[:2]) // 2
            framed = np.pad(picture, ((border, border), (border, border), (0, 0)), mode="edge")
            rows, picture = self.rows(framed), framed
        sides = np.maximum(*((rows[:, 2:4] - rows[:, :2]) * [picture.shape[1], picture.shape[0]]).T)
        return [FoundFace(rows[i], Sample(self._encoder.vector(picture, rows[i]))) for i in np.argsort(-sides)]

    def rows(self, picture: Picture) -> NDArray[np.float32]:
        """(n, 19) of `onlooker.analyzers._faces`: the faces, the surest first."""
        height, width = picture.shape[:2]
        scale = max(min(1.0, _LONGEST / max(width, height)), _SHORTEST / max(width, height))
        wide, high = (max(32, round(side * scale / 32) * 32) for side in (width, height))
        found = self._detector.detect_picture(np.asarray(Image.fromarray(picture).resize((wide, high))))
        return quality_columns(picture, found)

    def only_face(self, path: Path) -> FoundFace:
        """The one face of a picture file.

        Raises:
            UsageError: no face, several, or no picture.
        """
        picture = read_picture(path)
        found = self.faces(picture)
        if not found:
            raise UsageError(f"no face in {path}", hint="give a picture in which the face is sharp and larger")
        beside = [f for f in found if _side(f.row, picture) >= _BESIDE * _side(found[0].row, picture)]
        if len(beside) > 1:
            raise UsageError(f"{len(beside)} faces in {path}", hint="cut the picture so that it shows one person")
        return found[0]

    def close(self) -> None:
        """Release the networks."""
        self._detector.close()
        self._encoder.close()


def _side(row: NDArray[np.float32], picture: Picture) -> float:
    """The longer side of a face's box, in shares of the picture's pixels."""
    height, width = picture.shape[:2]
    return max(float(row[2] - row[0]) * width, float(row[3] - row[1]) * height)
