"""Writes src/onlooker/analyzers/attention/shape.csv: the mean face that heads are compared with.

``python scripts/face_shape.py LFW_FOLDER``: the 468 points of the network ``face-landmark`` on the faces of the
labelled set that are seen from the front, brought together (generalised Procrustes analysis: Gower 1975, doi
10.1007/BF02291478), their mean made symmetric, and turned as these faces were on average: into the camera.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from onlooker.analyzers._faces import FRONTAL
from onlooker.analyzers.attention.network import FaceNetworks
from onlooker.analyzers.faces.detector import FaceDetector, quality_columns

TARGET = Path(__file__).resolve().parents[1] / "src/onlooker/analyzers/attention/shape.csv"
LEAST_FRONTAL = 0.88
OUTER = [33, 263]


def nearest(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The points (n, 3) shifted, turned and scaled onto others."""
    a, b = points - points.mean(0), to - to.mean(0)
    left, values, right = np.linalg.svd(b.T @ a)
    sides = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (values * sides).sum() / (a**2).sum() * a @ ((left * sides) @ right).T + to.mean(0)


def normal(points: np.ndarray) -> np.ndarray:
    """Shifted and scaled so that the outer corners of the eyes are 1 apart around the origin."""
    corners = points[OUTER]
    return (points - corners.mean(0)) / np.linalg.norm(corners[1] - corners[0])


def main() -> None:
    folder = Path(sys.argv[1]) / "images"
    detector = FaceDetector(size=256, threads=1, least=0.5, overlap=0.3)
    networks = FaceNetworks(crop=1.45, threads=1)
    faces: list[np.ndarray] = []
    for path in sorted(folder.glob("*.jpg")):
        picture = np.asarray(Image.open(path).convert("RGB").resize((256, 256)))
        rows = quality_columns(picture, detector.detect_picture(picture))
        for row in rows[rows[:, FRONTAL] >= LEAST_FRONTAL][:1]:
            points, presence = networks.points(picture, row)
            if presence > 0.9:
                faces.append(normal(points))
    average = np.mean(faces, axis=0)
    mean = average
    for _ in range(10):
        mean = np.mean([nearest(f, mean) for f in faces], axis=0)
    mean = normal(nearest(mean, average))
    # the point on the other side is the one nearest to the mirrored point
    mirrored = mean * [-1, 1, 1]
    other = np.linalg.norm(mean[:, None] - mirrored[None], axis=2).argmin(1)
    mean = normal((mean + mirrored[other]) / 2)
    lines = [
        "# mean face: 468 points (x to the picture's right, y down, z towards the camera; 1 = between the outer eye",
        f"# corners) of {len(faces)} faces of Labeled Faces in the Wild as seen by the network face-landmark;",
        "# made by scripts/face_shape.py",
        *(",".join(f"{v:.4f}" for v in p) for p in mean),
    ]
    TARGET.write_text("\n".join(lines) + "\n")
    print(f"{len(faces)} faces: {TARGET.name} written")


if __name__ == "__main__":
    main()
