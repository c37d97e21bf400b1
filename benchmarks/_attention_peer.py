"""Runs in the peer's environment: MediaPipe's face mesh, and the head pose of the usual recipe (six points, a generic
model, ``cv2.solvePnP``). ``python _attention_peer.py PICTURES.npz RESULT.npz``.
"""

from __future__ import annotations

import sys
import time

import cv2  # pyright: ignore[reportMissingImports]
import mediapipe as mp  # pyright: ignore[reportMissingImports]
import numpy as np

# nose tip, chin, outer corners of the eyes (left, right in the picture), corners of the mouth, in millimetres
MODEL = np.array(
    [[0, 0, 0], [0, 63.6, -12.5], [-43.3, -32.7, -26], [43.3, -32.7, -26], [-28.9, 28.9, -24.1], [28.9, 28.9, -24.1]]
)
POINTS = [1, 152, 33, 263, 61, 291]
LIDS = [(33, 133, 160, 144, 158, 153), (263, 362, 387, 373, 385, 380)]


def pose(points: np.ndarray, size: int) -> np.ndarray:
    """Yaw, pitch, roll in the signs of ``attention``."""
    camera = np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1]], float)
    # x right, y down, z away from the camera: the model's nose is nearest
    model = MODEL * [1, 1, -1]
    # the default solver starts from a linear guess that is often behind the camera
    _, vector, place = cv2.solvePnP(model, points[POINTS, :2], camera, None, flags=cv2.SOLVEPNP_SQPNP)
    vector, _ = cv2.solvePnPRefineLM(model, points[POINTS, :2], camera, None, vector, place)
    rotation = cv2.Rodrigues(vector)[0]
    rotation = np.diag([1, 1, -1]) @ rotation @ np.diag([1, 1, -1])
    x, y, z = rotation[:, 2]
    yaw, pitch = np.arctan2(x, z), np.arcsin(np.clip(-y, -1, 1))
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    rest = (about_y @ about_x).T @ rotation
    return np.degrees([yaw, pitch, np.arctan2(rest[1, 0], rest[0, 0])])


def main() -> None:
    pictures = np.load(sys.argv[1])["pictures"]
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)
    rows = np.full((len(pictures), 4), np.nan)
    mesh.process(pictures[0])
    start = time.perf_counter()
    for row, picture in zip(rows, pictures, strict=True):
        found = mesh.process(picture).multi_face_landmarks
        if not found:
            continue
        height, width = picture.shape[:2]
        points = np.array([[p.x * width, p.y * height, p.z * width] for p in found[0].landmark])
        row[:3] = pose(points, width)
        ratios = []
        for outer, inner, a, b, c, d in LIDS:
            high = np.linalg.norm(points[a] - points[b]) + np.linalg.norm(points[c] - points[d])
            ratios.append(high / (2 * np.linalg.norm(points[outer] - points[inner])))
        row[3] = np.mean(ratios)
    np.savez(sys.argv[2], rows=rows, milliseconds=(time.perf_counter() - start) / len(pictures) * 1000)


if __name__ == "__main__":
    main()
