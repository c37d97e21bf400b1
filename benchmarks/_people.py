"""Faces of LFW and ORL and voices of RAVDESS as vectors, and who of them is calibrated on and who is reported."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _harness import DATA
from PIL import Image

from onlooker.analyzers.identity.samples import Sample
from onlooker.core.errors import UsageError
from onlooker.people.pictures import FaceReader, read_picture
from onlooker.people.voices import only_voice


@dataclass
class Set:
    """Vectors of length 1 (n, d), whose they are, where from, and which are for thresholds only."""

    name: str
    vectors: np.ndarray
    people: np.ndarray
    files: list[str]
    calibration: np.ndarray
    missed: int = 0

    def part(self, calibration: bool) -> Set:
        """The people for thresholds, or those for reports."""
        keep = self.calibration == calibration
        files = [f for f, k in zip(self.files, keep, strict=True) if k]
        return Set(self.name, self.vectors[keep], self.people[keep], files, self.calibration[keep], self.missed)


def _split(people: list[str]) -> np.ndarray:
    """Every other person, by name, is calibrated on."""
    chosen = set(sorted(set(people))[::2])
    return np.array([p in chosen for p in people])


def cached(name: str) -> Path | None:
    """Where something is kept for the next run, if anything is."""
    folder = os.environ.get("ONLOOKER_BENCH_CACHE")
    return None if folder is None else Path(folder) / name


def _cached(name: str, make):
    """Vectors take minutes: kept beside the temporary files of this machine for the next run of today's code."""
    from onlooker.models import bundle_digest

    digest = bundle_digest("speaker" if name == "ravdess" else "face-identity")[:12]
    path = cached(f"{name}-{digest}.npz")
    if path is None:
        return make()
    if path.exists():
        with np.load(path) as z:
            return z["vectors"], z["people"].tolist(), z["files"].tolist(), int(z["missed"])
    made = make()
    np.savez(path, vectors=made[0], people=np.array(made[1]), files=np.array(made[2]), missed=made[3])
    return made


def central_face(reader: FaceReader, picture: np.ndarray) -> Sample | None:
    """The face nearest to the middle: LFW's people stand there, others beside them."""
    found = reader.faces(picture)
    if not found:
        return None
    return min(found, key=lambda f: abs(f.row[0] + f.row[2] - 1) + abs(f.row[1] + f.row[3] - 1)).sample


def lfw_rows() -> list[tuple[str, str]]:
    with open(DATA / "lfw_multitask/labels.csv", encoding="utf-8") as stream:
        return [(r["file"], r["identity"]) for r in csv.DictReader(stream)]


def lfw() -> Set:
    """195 people, 4 to 10 photographs of each; 250 x 250, grey, encoded again."""

    def make():
        reader, vectors, people, files, missed = FaceReader(), [], [], [], 0
        for file, who in lfw_rows():
            sample = central_face(reader, read_picture(DATA / "lfw_multitask/images" / file))
            if sample is None:
                missed += 1
                continue
            vectors.append(sample.vector)
            people.append(who)
            files.append(file)
        reader.close()
        return np.stack(vectors), people, files, missed

    vectors, people, files, missed = _cached("lfw", make)
    return Set("lfw", vectors, np.array(people), files, _split(people), missed)


def orl() -> Set:
    """30 people, 10 photographs of each, taken in one studio; 92 x 112, grey."""

    def make():
        reader, vectors, people, files, missed = FaceReader(), [], [], [], 0
        z = np.load(DATA / "orl_faces/orl.npz")
        for i, (picture, who) in enumerate(zip(z["images"], z["ids"].tolist(), strict=True)):
            sample = central_face(reader, np.stack([picture] * 3, -1))
            if sample is None:
                missed += 1
                continue
            vectors.append(sample.vector)
            people.append(f"orl-{who:02d}")
            files.append(str(i))
        reader.close()
        return np.stack(vectors), people, files, missed

    vectors, people, files, missed = _cached("orl", make)
    calibration = np.array([int(p[4:]) <= 10 for p in people])
    return Set("orl", vectors, np.array(people), files, calibration, missed)


def ravdess() -> Set:
    """18 actors, every third of their recordings: ten of about four seconds of each."""

    def make():
        vectors, people, files, missed = [], [], [], 0
        with open(DATA / "ravdess_speech/labels.csv", encoding="utf-8") as stream:
            rows = sorted(csv.DictReader(stream), key=lambda r: (r["actor"], r["file"]))[::3]
        for row in rows:
            try:
                sample = only_voice(next((DATA / "ravdess_speech").rglob(Path(row["file"]).name)))
            except UsageError:
                missed += 1
                continue
            vectors.append(sample.vector)
            people.append(f"actor-{int(re.sub(r'[^0-9]', '', row['actor'])):02d}")
            files.append(row["file"])
        return np.stack(vectors), people, files, missed

    vectors, people, files, missed = _cached("ravdess", make)
    return Set("ravdess", vectors, np.array(people), files, _split(people), missed)


def as_frames(photographs: list[np.ndarray], count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Frames as a poor camera might show a person: small, blurred by movement, noisy, dim, compressed."""
    frames = []
    for n in range(count):
        picture = Image.fromarray(photographs[n % len(photographs)])
        size = int(rng.uniform(60, 160))  # a face takes about 0.4 of it
        small = picture.resize((size, size), Image.Resampling.BOX)
        pixels = np.asarray(small, np.float32)
        length = int(rng.integers(1, 4))
        pixels = np.mean([np.roll(pixels, k, axis=int(rng.integers(2))) for k in range(length)], axis=0)
        pixels = pixels * rng.uniform(0.5, 1.1) + rng.normal(0, rng.uniform(2, 14), pixels.shape)
        stream = io.BytesIO()
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
            stream, "JPEG", quality=int(rng.integers(40, 90))
        )
        stream.seek(0)
        frames.append(np.asarray(Image.open(stream).convert("RGB")))
    return frames
