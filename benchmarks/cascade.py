"""A cascade of near equals: what a small bundle that is nearly as good as the large one saves, and what is kept.

    python benchmarks/cascade.py            # reads kept runs; trains those that are not there (hours, of cifar10)
    python benchmarks/cascade.py expression

*cifar10*: the three-epoch network of recipes/cifar10_three.yaml, and what `onlooker compress` made of it (half pruned,
distilled, int8). *expression*: the network of recipes/expression.yaml, and one of half its widths and of a stage less.
The threshold by default is that of the analyzer; ``chosen`` is the smallest at which the validation part lost nothing.
Both are judged on pictures of the test part, by which nothing was chosen. A difference to the large one has a 95 %
interval by 2000 draws of pictures. Cost is CPU time of a look (preprocessing and network, one thread), the median of
five passes. Result: results/cascade.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from _harness import RESULTS, save, timed
from _recipes import RUNS, dataset_of, trained
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers.bundle.cascade import enough
from onlooker.bundles import Bundle, load_bundle
from onlooker.bundles.outputs import Classification
from onlooker.bundles.preprocess import Still, one_picture, picture_tensor
from onlooker.bundles.running import Engine, NetworkRun
from onlooker.bundles.scores import probabilities
from onlooker.learning.datasets.dataset import Dataset

MOST = {"val": 1500, "test": 2500}
PASSES, TIMED = 5, 60
GRID = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)


def pair(name: str) -> tuple[Path, Path]:
    """The folders of the large bundle and of the small one."""
    if name == "cifar10":
        run, _ = trained("cifar10_three.yaml", "cifar10_three_deployed", bundle=True)
        small = RUNS / "cifar10_three_compressed" / "bundle"
        if not small.is_dir():
            raise SystemExit("run benchmarks/compress.py cifar10_three first")
        return run / "bundle", small
    of = "inputs.face={{network: frame_cnn, widths: {}, stem: 1, dropout: {}}}"
    large, _ = trained(
        "expression.yaml", "adaptive_large", settings=[of.format([32, 64, 128, 192], 0.4), "training.epochs=40"],
        bundle=True,
    )  # fmt: skip
    small, _ = trained("expression.yaml", "expression_small", settings=[of.format([16, 32, 64], 0.0)], bundle=True)
    return large / "bundle", small / "bundle"


def pictures(name: str, part: str) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Pictures of a part, spread evenly, and their labels."""
    dataset = Dataset.load(dataset_of(name))
    (task,) = [n for n, t in dataset.info.tasks.items() if t.kind == "class"]
    samples = [s for s in dataset.of_split(part) if task in s.labels]
    count = min(len(samples), MOST[part])
    some = [samples[n * len(samples) // count] for n in range(count)]
    shown = [np.asarray(Image.open(dataset.path(s.media[0])).convert("RGB")) for s in some]
    return shown, [str(s.labels[task]) for s in some]


class Judged:
    """A bundle over pictures: which answers are right, how sure it is, and what a look costs.

    Args:
        bundle: it.
        shown: by part, pictures and labels.
    """

    def __init__(self, bundle: Bundle, shown: dict[str, tuple[list[NDArray[np.uint8]], list[str]]]) -> None:
        network, output = bundle.manifest.networks[0], bundle.manifest.outputs[0]
        assert isinstance(output, Classification)
        run, facts = NetworkRun(Engine(bundle, threads=1), network), network.input

        def look(picture: NDArray[np.uint8]) -> NDArray[Any]:
            tensor = picture_tensor(one_picture(Still(picture), facts)[0], facts)  # type: ignore[arg-type]
            return probabilities(output, run.step(tensor, {})[0][output.tensor].reshape(-1))

        self.right: dict[str, NDArray[np.bool_]] = {}
        self.sure: dict[str, NDArray[Any]] = {}
        for part, (some, true) in shown.items():
            rows = np.stack([look(p) for p in some])
            self.right[part] = np.array([output.labels[n] for n in rows.argmax(1)]) == np.array(true)
            self.sure[part] = rows.max(1)
        some = shown["test"][0][:TIMED]
        spent = [timed(lambda: [look(p) for p in some])[2] for _ in range(PASSES)]
        self.milliseconds = 1000 * statistics.median(spent) / len(some)
        run.close()


def cascaded(large: Judged, small: Judged, part: str, least: float) -> tuple[NDArray[np.bool_], float]:
    """Which answers of the cascade are right, and the share of looks that the large one makes."""
    asked = small.sure[part] < least
    return np.where(asked, large.right[part], small.right[part]), float(asked.mean())


def chosen(large: Judged, small: Judged) -> float:
    """The smallest threshold at which the validation part loses nothing."""
    for least in np.unique(np.append(np.round(small.sure["val"], 3), 1.01)):
        if cascaded(large, small, "val", float(least))[0].mean() >= large.right["val"].mean():
            return float(least)
    return 1.01


def row(large: Judged, small: Judged, least: float) -> dict[str, Any]:
    """A threshold on the test part."""
    good, share = cascaded(large, small, "test", least)
    apart = good.astype(float) - large.right["test"]
    random = np.random.default_rng(0)
    drawn = [float(apart[random.integers(0, len(apart), len(apart))].mean()) for _ in range(2000)]
    return {
        "accuracy": round(float(good.mean()), 4),
        "against_large": round(float(apart.mean()), 4),
        "ci95": [round(float(x), 4) for x in np.quantile(drawn, [0.025, 0.975])],
        "large_looks": round(share, 4),
        "cpu_ms": round(small.milliseconds + share * large.milliseconds, 4),
    }


def measured(name: str) -> dict[str, Any]:
    """Both bundles alone and as a cascade at several thresholds."""
    shown = {part: pictures(name, part) for part in MOST}
    folders = pair(name)
    bundles = [load_bundle(folder) for folder in folders]
    large, small = (Judged(bundle, shown) for bundle in bundles)
    result: dict[str, Any] = {"pictures": {part: len(true) for part, (_, true) in shown.items()}}
    for which, one in (("large", large), ("small", small)):
        rate = {part: round(float(one.right[part].mean()), 4) for part in MOST}
        result[which] = {"accuracy": rate["test"], "validation": rate["val"], "cpu_ms": round(one.milliseconds, 4)}
    default, least = enough(bundles[0].manifest), chosen(large, small)
    result["by default"] = {"first_sure": round(default, 4), **row(large, small, default)}
    result["chosen"] = {"first_sure": round(least, 4), **row(large, small, least)}
    result |= {f"first_sure {t}": row(large, small, t) for t in GRID}
    print(name, json.dumps(result, indent=1), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", default=["cifar10", "expression"], choices=["cifar10", "expression"])
    path = RESULTS / "cascade.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name in parser.parse_args().pairs:
        known[name] = measured(name)
        save("cascade", known)


if __name__ == "__main__":
    main()
