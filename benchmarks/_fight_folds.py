"""Fights by video, by sound and by both: each of five parts is tested once, so that all clips are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _recipes import ROOT, dataset_of, run_of, trained
from _tagged_sound import linear, tagged

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.recipe import load_recipe
from onlooker.learning.training.score import predict

__all__ = ["FOLDS", "fight_folds", "fold_of"]

FOLDS = 5
WEIGHTS = (0.25, 0.5, 1.0)
"""Of the tagger's log-odds beside those of the video."""


def fight_folds(seeds: int) -> dict[str, Any]:
    """Video, video with sound, and sound alone; of the clips with a sound also what a pretrained tagger tells."""
    dataset = Dataset.load(dataset_of("fight_folds"))
    both = load_recipe(ROOT / "recipes" / "fights_heard.yaml")
    sound = json.dumps({"sound": both.inputs["sound"].model_dump(mode="json")})
    kinds: dict[str, tuple[str, list[str]]] = {
        "video": ("fights.yaml", []),
        "video and sound": ("fights_heard.yaml", []),
        "sound": ("fights_heard.yaml", [f"inputs={sound}", "fusion=null"]),
    }
    odds: dict[str, dict[str, float]] = {name: {} for name in kinds}
    for fold in range(FOLDS):
        for name, (recipe, own) in kinds.items():
            for seed in range(seeds):
                for sample, value in _odds(fold_of(recipe, fold, seed=seed, settings=own), f"f{fold}").items():
                    odds[name][sample] = odds[name].get(sample, 0.0) + value / seeds
    return _told(dataset, odds | _tagged(dataset, odds["video"]))


def fold_of(recipe: str, fold: int, *, seed: int = 0, settings: Sequence[str] = ()) -> Path:
    """The run that learned from three parts, was chosen by a fourth, and has the fifth left to be tested on."""
    splits = f"splits={{train: {_parts(fold, 1, 2, 3)}, validation: {_parts(fold, 4)}, test: f{fold}}}"
    run = f"fight_folds_{'sound' if settings else recipe.removesuffix('.yaml')}_{fold}"
    own = ["dataset=../datasets/fight_folds", splits, "training.threads=1", *settings]
    return trained(recipe, run, seed=seed, settings=own)[0]


def _parts(fold: int, *after: int) -> str:
    return "+".join(f"f{(fold + n) % FOLDS}" for n in after)


def _odds(folder: Path, part: str) -> dict[str, float]:
    """Log-odds of a fight, by sample."""
    model, _, _, data = run_of(folder, part)
    found = predict(model, data)
    raw = np.asarray(found.raw["action"])
    return {data.samples[n].id: float(raw[row, 0] - raw[row, 1]) for row, n in enumerate(found.numbers)}


def _heard(dataset: Dataset) -> list[Any]:
    return [s for s in dataset.samples if s.labels["audible"] == "heard"]


def _tagged(dataset: Dataset, video: dict[str, float]) -> dict[str, dict[str, float]]:
    """Log-odds by the tagger's scores of the clips with a sound, alone and added to those of the video."""
    samples = _heard(dataset)
    rows = tagged([dataset.path(s.media[0]) for s in samples])
    truth = np.array([s.labels["action"] == "fight" for s in samples])
    fold = np.array([s.split for s in samples])
    made = np.zeros(len(samples))
    for part in np.unique(fold):
        made[fold == part] = linear(rows[fold != part], truth[fold != part], rows[fold == part])
    told = {"tagged sound": {s.id: float(v) for s, v in zip(samples, made, strict=True)}}
    for weight in WEIGHTS:
        told[f"video and {weight:g} of tagged sound"] = {
            s.id: video[s.id] + weight * float(v) for s, v in zip(samples, made, strict=True)
        }
    return told


def _told(dataset: Dataset, odds: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Percent right of all clips and of those with a sound; how often one alone is right there."""
    truth = {s.id: s.labels["action"] == "fight" for s in dataset.samples}
    heard = {s.id for s in _heard(dataset)}
    result: dict[str, Any] = {"clips": len(truth), "with a sound": len(heard)}
    result["the commoner class, with a sound"] = round(
        100 * max(np.mean([truth[n] for n in heard]), 1 - np.mean([truth[n] for n in heard])), 1
    )
    right = {name: {n: (v > 0) == truth[n] for n, v in values.items()} for name, values in odds.items()}
    for name, values in right.items():
        for which, chosen in (("all", set(truth)), ("with a sound", heard), ("without", set(truth) - heard)):
            own = [values[n] for n in chosen if n in values]
            if len(own) == len(chosen):
                share = float(np.mean(own))
                error = (share * (1 - share) / len(own)) ** 0.5
                result[f"{name}, {which}"] = {"percent": round(100 * share, 1), "plus or minus": round(196 * error, 1)}
    one, both = (np.array([right[n][k] for k in sorted(heard)]) for n in ("video", "video and sound"))
    result["only one right, with a sound"] = {"video": int((one & ~both).sum()), "both": int((both & ~one).sum())}
    return result
