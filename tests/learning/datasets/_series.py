"""Clips with a series beside them: one is quick, one slow, in what was measured and not in what is seen."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from analyzers.conftest import read_pictures, write_clip

CLASSES = ("quick", "slow")


def write_series(path: Path, rate: float, *, seconds: float = 2.0, seed: int = 0) -> Path:
    """A swing of so many a second at 25 rows a second, and a pulse every second, of which most cells are empty."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 6)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["time", "swing", "pulse"])
        for number in range(round(seconds * 25)):
            swing = np.sin(2 * np.pi * rate * number / 25 + phase) + random.normal(0, 0.05)
            pulse = f"{random.uniform(60, 120):.1f}" if number % 25 == 0 else ""
            table.writerow([f"{number / 25:g}", f"{swing:.4f}", pulse])
    return path


def series_folder(folder: Path, footage: Path, *, train: int = 8, other: int = 4) -> Path:
    """SPLIT/CLASS/N.mp4 and N.series.csv; one sample of each class of the training part lacks its series."""
    shown = read_pictures(footage, 4, width=40, height=32)
    random, number = np.random.default_rng(1), 0
    for split, count in (("train", train), ("val", other), ("test", other)):
        for label in CLASSES:
            place = folder / split / label
            place.mkdir(parents=True)
            for one in range(count):
                number += 1
                write_clip(shown[number : number + 20], place / f"{number}.mp4", rate=10, crf=10)
                if split != "train" or one:
                    rate = random.uniform(3.5, 4.5) if label == "quick" else random.uniform(0.8, 1.2)
                    write_series(place / f"{number}.series.csv", rate, seed=number)
    return folder
