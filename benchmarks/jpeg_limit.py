"""What JPEG costs on CIFAR-10: how much accuracy a second compression takes, where a first one cannot be undone.

    python benchmarks/jpeg_limit.py [--seeds 3] [--qualities 75]       # about 3 minutes a seed and quality on two cores

The labelled set holds JPEG copies (quality 75, colours at half size), the originals are not at hand. So the copies are
compressed once more, with the blocks shifted by five pixels so that it is not the same rounding again, and a network
learns from and is tried on these: what falls is what such a compression costs. That the second takes no more out of a
picture than the first did is measured beside it, on crops of larger photographs made as small, of which the originals
are known. Writes results/jpeg_limit.json.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _harness import DATA, save
from _recipes import ROOT, dataset_of, spread, trained
from numpy.typing import NDArray
from PIL import Image

from onlooker.learning.datasets.dataset import MANIFEST, Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.splitting import split_dataset
from onlooker.learning.run_folder import RunFolder

NETWORK = (
    "inputs.picture={network: whitened_cnn, widths: [64, 256, 256], depth: 2, activation: silu, whitening_bias: false}",
)
"""The recipe's own network, narrower: differences are asked for, not the best figure."""
SHIFT, SIDE, GIVEN = 5, 32, 75
Picture = NDArray[np.uint8]


def compressed(picture: Picture, quality: int, *, shift: int = 0) -> Picture:
    """A picture (H, W, 3) after JPEG with colours at half size, its blocks begun `shift` pixels outside."""
    height, width = picture.shape[:2]
    wide = np.pad(picture, ((shift, shift), (shift, shift), (0, 0)), mode="reflect")
    held = io.BytesIO()
    Image.fromarray(wide).save(held, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(held).convert("RGB"))[shift : shift + height, shift : shift + width]


def _originals(folder: Path) -> Iterator[Picture]:
    """Squares of photographs at a tenth of their size or less, where what JPEG did to the large ones is gone."""
    for path in sorted(folder.rglob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        side = min(picture.size)
        for left, top in {(0, 0), (picture.width - side, picture.height - side)}:
            square = picture.crop((left, top, left + side, top + side))
            yield np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))


def _error(a: Picture, b: Picture) -> float:
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def losses(folder: Path) -> dict[str, Any]:
    """How far the first compression takes pictures from their originals, and the second from the first, in dB."""
    first, second, count = 0.0, 0.0, 0
    for picture in _originals(folder):
        once = compressed(picture, GIVEN)
        first += _error(picture, once)
        second += _error(once, compressed(once, GIVEN, shift=SHIFT))
        count += 1

    def decibels(total: float) -> float:
        return round(10 * math.log10(255**2 * count / total), 2)

    return {"pictures": count, "first, dB": decibels(first), "second, dB": decibels(second)}


def _again(quality: int) -> Path:
    """The dataset of twice compressed pictures, made where it is not there."""
    folder = ROOT / "datasets" / f"cifar10_again_{quality}"
    if (folder / MANIFEST).exists():
        return folder
    unfinished = folder.with_name(f"{folder.name}.unfinished")  # it has its name only when it is whole
    shutil.rmtree(unfinished, ignore_errors=True)
    dataset = Dataset.create(unfinished, name=folder.name, description=f"CIFAR-10, compressed twice, then at {quality}")
    for part in ("train", "test"):
        held = np.load(DATA / "cifar10" / f"{part}_jpeg.npz")
        ends, joined = held["offsets"], held["jpeg"].tobytes()
        pictures = np.stack([
            compressed(np.asarray(Image.open(io.BytesIO(joined[a:b])).convert("RGB")), quality, shift=SHIFT)
            for a, b in itertools.pairwise(ends)
        ])  # fmt: skip
        path = ROOT / "datasets" / f"{folder.name}_{part}.npz"
        np.savez(path, images=pictures, labels=held["labels"], classes=held["classes"])
        options = {"labels": {"object": "labels"}, "classes": "classes"}
        import_samples(dataset, ImportRequest("arrays", path, options, split="test" if part == "test" else None))
        if part == "train":
            split_dataset(dataset, {"train": 0.9, "val": 0.1}, pairs=[], near_duplicates=False)
        path.unlink()
    dataset.save()
    return unfinished.rename(folder)


def _accuracy(run: str, seed: int, dataset: Path) -> float:
    settings = [f"dataset={dataset}", *NETWORK]
    folder, _ = trained("cifar10_three.yaml", run, seed=seed, settings=settings)
    return RunFolder(folder).read("metrics.json")["test"]["object"]["accuracy"]


def main() -> None:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--qualities", type=int, nargs="+", default=[GIVEN], help="of the second compression")
    asked = parser.parse_args()
    result: dict[str, Any] = {"losses": losses(DATA / "coco128")}
    print(result["losses"], flush=True)
    places = {"as they are": dataset_of("cifar10")}
    places |= {f"again at {quality}": _again(quality) for quality in asked.qualities}
    found: dict[str, list[float]] = {name: [] for name in places}
    for seed in range(asked.seeds):
        for name, place in places.items():
            run = f"cifar10_jpeg_{name.replace(' ', '_')}"
            found[name].append(_accuracy(run, seed, place))
            print(f"{name}, seed {seed}: {100 * found[name][-1]:.2f}", flush=True)
    rows = {name: spread(values) for name, values in found.items()}
    bare = rows["as they are"]["mean"]
    result |= {
        "percent": rows,
        "points lost": {n: round(bare - r["mean"], 2) for n, r in rows.items() if r["mean"] != bare},
    }
    print(result["points lost"])
    save("jpeg_limit", {"seeds": asked.seeds, **result})


if __name__ == "__main__":
    main()
