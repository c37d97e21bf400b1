"""Trains the shipped recipes and measures what they reach, over several seeds.

    python benchmarks/recipes.py digits moods       # seen and heard: fused, single senses, missing and spoilt senses
    python benchmarks/recipes.py motions actions    # four networks beside each other; with sound
    python benchmarks/recipes.py fight_folds --seeds 1   # sound on all clips, each tested once
    python benchmarks/recipes.py costs              # what those networks cost, without training: a minute
    python benchmarks/recipes.py faces faces_half   # together against alone, and with half of the labels
    python benchmarks/recipes.py cifar10 cifar10_three expression emotion sounds --seeds 3

Writes results/recipe_NAME.json. Settings were chosen on validation parts; the test parts are looked at here alone. Runs
are kept in runs/benchmarks and not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from _fight_folds import fight_folds
from _harness import save
from _recipes import ROOT, accuracy, dataset_of, right, run_of, spread, trained, untrained
from numpy.typing import NDArray
from torch import Tensor

from onlooker.learning.complexity import count
from onlooker.learning.evaluate.bootstrap import Units, drawn, interval
from onlooker.learning.recipe import load_recipe
from onlooker.learning.run_folder import RunFolder, load_model
from onlooker.learning.training.gains import compare_with_single
from onlooker.learning.training.score import predict
from onlooker.learning.training.train import Quiet
from onlooker.learning.views import View

NETWORKS = {
    "tconv": "{{network: tconv, form: {form}, {more}}}",
    "crnn": "{{network: crnn, {more}}}",
    "cnn_rnn": "{{network: cnn_rnn, {more}}}",
    "cnn": "{{network: frame_cnn, {more}}}",
}

MOTIONS = ("3d", "widths: [16, 32, 64], dropout: 0.1, pool: max")
ACTIONS = ("shift", "widths: [8, 16, 32, 48], dropout: 0.3, pool: max, difference: alone")
"""The form of the convolutions over time, and what all networks share."""
LONGER = ("training.epochs=50", "augment.saturation=0.4")
MOTIONS_OWN = {
    "tconv": (),
    "crnn": (*LONGER, "tasks.motion.pool=mean"),
    "cnn_rnn": (*LONGER, "tasks.motion.pool=last", "optimiser.rate=0.0015", "optimiser.weight_decay=0.02"),
    "cnn": (*LONGER, "tasks.motion.pool=mean", "optimiser.weight_decay=0.02"),
}
"""Of each network on motions: the best of some random settings by the validation part."""


def digits(seeds: int) -> dict[str, Any]:
    """Fused against each single sense, with senses missing or spoilt."""
    dataset_of("digits")
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        for sense in ("picture", "sound"):
            folder, _ = trained(f"digits_{sense}.yaml", f"digits_{sense}", seed=seed)
            alone = RunFolder(folder).read("metrics.json")["test"]["digit"]["accuracy"]
            _note(found, f"{sense} alone", alone)
        folder, _ = trained("digits_fused.yaml", "digits_fused", seed=seed)
        _fused(found, run_of(folder), "digit", ("picture", "sound"))
    return _compared(found, ("picture", "sound"))


def moods(seeds: int) -> dict[str, Any]:
    """The mood of a face and a voice: fused against the same recipe with one of them.

    Few people are sad: differences to a sense alone have their interval over people, and actors, too.
    """
    dataset_of("moods")
    found: dict[str, list[float]] = {}
    ahead: dict[str, list[NDArray[np.float64]]] = {"face": [], "voice": []}
    for seed in range(seeds):
        recipe = load_recipe(ROOT / "recipes" / "emotion_fused.yaml")
        alone: dict[str, NDArray[np.float64]] = {}
        for sense in ("face", "voice"):
            own = json.dumps({sense: recipe.inputs[sense].model_dump(mode="json")})
            folder, _ = trained(
                "emotion_fused.yaml", f"emotion_{sense}", seed=seed, settings=[f"inputs={own}", "fusion=null"]
            )
            _note(found, f"{sense} alone", RunFolder(folder).read("metrics.json")["test"]["mood"]["accuracy"])
            alone[sense] = right(run_of(folder), "mood")
        folder, _ = trained("emotion_fused.yaml", "emotion_fused", seed=seed)
        run = run_of(folder)
        _fused(found, run, "mood", ("face", "voice"))
        for sense, other in (("face", "voice"), ("voice", "face")):
            ahead[sense].append(right(run, "mood", without=frozenset({other})) - alone[sense])
    told, samples = _compared(found, ("face", "voice")), run[3].samples
    for sense, (other, group) in {"face": ("voice", "person"), "voice": ("face", "actor")}.items():
        between = _over(np.mean(ahead[sense], 0), [s.groups[group] for s in samples])
        told[f"fused, {other} missing, against {sense} alone, 95 % over {group}s"] = between
    return told


def _over(values: NDArray[np.float64], owners: Sequence[str]) -> list[float]:
    """In percent, the 95 % interval of the mean when those are drawn whom the values belong to."""
    names, number = np.unique(owners, return_inverse=True)
    units = Units(number.astype(np.int64), len(names), "people")
    draws = drawn(lambda rows: {"mean": float(values[rows].mean())}, np.arange(len(values)), units)
    between = interval(draws.values["mean"])
    assert between is not None
    return [round(100 * v, 2) for v in between]


def _note(found: dict[str, list[float]], name: str, value: float) -> None:
    found.setdefault(name, []).append(value)
    print(f"{name}: {100 * value:.2f}", flush=True)


def _fused(found: dict[str, list[float]], run: tuple[Any, ...], task: str, senses: tuple[str, str]) -> None:
    """The accuracy with both senses, with each missing, and with noise in the place of each."""
    _note(found, "fused", accuracy(run, task))  # type: ignore[arg-type]
    for sense in senses:

        def noise(x: dict[str, Tensor], sense: str = sense) -> dict[str, Tensor]:
            return {n: torch.randn_like(v) if n == sense else v for n, v in x.items()}

        _note(found, f"fused, {sense} missing", accuracy(run, task, without=frozenset({sense})))  # type: ignore[arg-type]
        _note(found, f"fused, {sense} noise", accuracy(run, task, change=noise))  # type: ignore[arg-type]


def _compared(found: dict[str, list[float]], senses: tuple[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = {name: spread(values) for name, values in found.items()}
    best = max(result[f"{sense} alone"]["mean"] for sense in senses)
    result["fused above the best single sense"] = round(result["fused"]["mean"] - best, 2)
    for sense, left in (senses, senses[::-1]):
        for how in ("missing", "noise"):
            key = f"fused, {sense} {how}"
            result[f"{key}, against {left} alone"] = round(result[key]["mean"] - result[f"{left} alone"]["mean"], 2)
    return result


def _side_by_side(
    recipe: str, task: str, form: str, more: str, seeds: int, own: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, template in NETWORKS.items():
        network = template.format(form=form, more=more)
        values: list[float] = []
        facts: dict[str, Any] = {}
        for seed in range(seeds):
            run = f"{recipe.removesuffix('.yaml')}_{name}"
            settings = [f"inputs.video={network}", *(own or {}).get(name, ())]
            folder, took = trained(recipe, run, seed=seed, settings=settings)
            metrics = RunFolder(folder).read("metrics.json")["test"][task]
            values.append(metrics["accuracy"])
            if not facts:
                model, _, known = load_model(folder)
                facts = {**_costs(model, known), "seconds of training": round(took)}
        rows[name] = {**spread(values), **facts}
        print(f"{recipe} {name}: {rows[name]}", flush=True)
    return rows


def costs(seeds: int) -> dict[str, Any]:
    """The networks of motions and actions beside each other with the weights that they begin with."""
    told: dict[str, Any] = {}
    for recipe, form, more in (("motions", *MOTIONS), ("fights", *ACTIONS)):
        dataset_of(recipe)
        rows: dict[str, Any] = {}
        for name, template in NETWORKS.items():
            settings = [f"inputs.video={template.format(form=form, more=more)}"]
            torch.manual_seed(0)
            rows[name] = _costs(*untrained(f"{recipe}.yaml", settings))
            print(recipe, name, rows[name], flush=True)
        told[recipe] = rows
    return told


def _costs(model: Any, facts: Any) -> dict[str, Any]:
    """Parameters, multiply-adds, latency of one clip, and how far the streaming form is from the whole clip."""
    torch.set_num_threads(1)
    model.eval()
    x = torch.randn(1, *facts.shape("video"))
    size = count(model, {"video": x})
    times: list[float] = []
    with torch.no_grad():
        for _ in range(20):
            began = time.perf_counter()
            model({"video": x})
            times.append(time.perf_counter() - began)
        net = model.network("video")
        gap = None
        if net.streams:
            state, steps = net.initial_state(1), []
            for at in range(0, x.shape[1], net.chunk):
                features, state = net.stream(x[:, at : at + net.chunk], state)
                steps.append(features.steps)
            gap = float((torch.cat(steps, 1) - net(x).steps).abs().max())
    torch.set_num_threads(2)
    return {
        "parameters": size.parameters,
        "million multiply-adds": round(size.multiply_adds / 1e6, 1),
        "eager ms a clip, one thread": round(1e3 * statistics.median(times), 2),
        "streaming against whole": gap,
    }


def motions(seeds: int) -> dict[str, Any]:
    """Four networks on motions that only the order of frames tells apart."""
    dataset_of("motions")
    return _side_by_side("motions.yaml", "motion", *MOTIONS, seeds, MOTIONS_OWN)


def actions(seeds: int) -> dict[str, Any]:
    """Four networks on fights, and with sound."""
    dataset_of("fights")
    rows = _side_by_side("fights.yaml", "action", *ACTIONS, seeds)
    pairs: dict[str, list[float]] = {
        "video": [],
        "video and sound": [],
        "video, heard clips": [],
        "both, heard clips": [],
    }
    for seed in range(seeds):
        alone, _ = trained("fights.yaml", "fights_tconv", seed=seed)
        both, _ = trained("fights_heard.yaml", "fights_heard", seed=seed)
        for folder, names in (
            (alone, ("video", "video, heard clips")),
            (both, ("video and sound", "both, heard clips")),
        ):
            model, _, _, data = run_of(folder)
            found = predict(model, data)
            right = found.raw["action"].argmax(1) == found.values["action"]
            heard = np.array([data.samples[n].labels.get("audible") == "heard" for n in found.numbers])
            pairs[names[0]].append(float(right.mean()))
            pairs[names[1]].append(float(right[heard].mean()))
    return {"networks": rows, "sound": {name: spread(values) for name, values in pairs.items()}}


ALONE = "inputs.face={network: frame_cnn, widths: [32, 64, 96, 128], stem: 1, dropout: 0.2}"
"""The trunk of a task by itself; that of three together is a quarter wider, and still has 54 % of the parameters."""


def faces(seeds: int) -> dict[str, Any]:
    """Three tasks together against each alone."""
    return _together("faces", [], seeds)


def faces_half(seeds: int) -> dict[str, Any]:
    """The same with half of each task's labels."""
    return _together("faces_half", [HALF], seeds)


HALF = "training.drop_labels={who: 0.5, gender: 0.5, expression: 0.5}"


def _together(run: str, settings: list[str], seeds: int) -> dict[str, Any]:
    dataset_of("faces")
    rows: dict[str, list[float]] = {}
    facts: dict[str, Any] = {}
    for seed in range(seeds):
        own = [f"training.seed={seed}", *settings]
        folder, _ = trained("faces.yaml", run, seed=seed, settings=settings)
        told = compare_with_single(
            ROOT / "recipes" / "faces.yaml", overrides=own, out=folder, progress=lambda _: Quiet(), alone=[ALONE]
        )
        for task, values in told["tasks"].items():
            for key in ("together", "alone"):
                rows.setdefault(f"{task} {values['metric']} {key}", []).append(values[key])
        facts = told["parameters"]
        print(run, seed, {key: round(values[-1], 4) for key, values in rows.items()}, flush=True)
    return {key: spread(values) for key, values in rows.items()} | {"parameters": facts}


def plain(recipe: str, dataset: str, task: str) -> Callable[[int], dict[str, Any]]:
    """A recipe's own test metrics over seeds."""

    def run(seeds: int) -> dict[str, Any]:
        dataset_of(dataset)
        metrics: dict[str, list[float]] = {}
        seconds: list[float] = []
        for seed in range(seeds):
            folder, took = trained(recipe, recipe.removesuffix(".yaml"), seed=seed)
            seconds.append(took)
            for name, value in RunFolder(folder).read("metrics.json")["test"][task].items():
                metrics.setdefault(name, []).append(value)
        return {name: spread(values) for name, values in metrics.items()} | {"seconds": round(statistics.mean(seconds))}

    return run


def cifar10_three(seeds: int) -> dict[str, Any]:
    """Accuracy on the test part after each epoch, learned from all 50,000 pictures.

    Settings were chosen on the validation part before; here it is learned from too, and the test part is tried after
    each epoch: the last epoch is kept, so that nothing is chosen by it.
    """
    dataset_of("cifar10")
    settings = ["splits.train=train+val", "splits.validation=test"]
    epochs: dict[str, list[float]] = {}
    single: list[float] = []
    seconds: list[float] = []
    for seed in range(seeds):
        folder, took = trained("cifar10_three.yaml", "cifar10_three", seed=seed, settings=settings)
        held = RunFolder(folder)
        for line in held.history():
            accuracy_then = line["validation"]["object"]["accuracy"]
            epochs.setdefault(f"epoch {line['epoch'] + 1}, mirrored", []).append(accuracy_then)
        single.append(held.read("metrics.json")["test without averaging"]["object"]["accuracy"])
        seconds.append(took)
    result = {key: spread(values) for key, values in epochs.items()}
    return {**result, "last epoch, not mirrored": spread(single), "seconds": round(statistics.mean(seconds))}


ALL = ("splits.train=train+val", "splits.validation=null")
"""Of CIFAR-10, all 50,000 pictures are learned from, and nothing is tried before the end."""


def cifar10(seeds: int) -> dict[str, Any]:
    """Accuracy on the test part after the last of twelve epochs, learned from all 50,000 pictures.

    Settings were chosen on the validation part before; the test part is not looked at before the end.
    """
    dataset_of("cifar10")
    ways: dict[str, tuple[View, ...]] = {
        "as they are": (),
        "mirrored": ("mirror",),
        "mirrored and moved": ("mirror", "shift"),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    seconds: list[float] = []
    for seed in range(seeds):
        folder, took = trained("cifar10.yaml", "cifar10", seed=seed, settings=ALL)
        run = run_of(folder)
        for name, views in ways.items():
            found[name].append(accuracy(run, "object", views=views))
        seconds.append(took)
    return {**{n: spread(v) for n, v in found.items()}, "seconds": round(statistics.mean(seconds))}


MEMBERS = ((448, 1, "cifar10_members"), (512, 1, "cifar10_members_512"), (512, 0, "cifar10_members_apart"))
"""Channels of the later groups, groups that both members share, and the name of the run."""


def _members(channels: int, shared: int) -> list[str]:
    network = f"widths: [128, {channels}, {channels}], depth: 3, whitening_least: 0.05, members: 2, shared: {shared}"
    return [
        f"inputs.picture={{network: whitened_cnn, stem: [64], {network}}}",
        "tasks.object.members=2",
        "optimiser.rest_rate=0.82",
    ]


def cifar10_members(seeds: int) -> dict[str, Any]:
    """As `cifar10`, by two members that share the stem and the first group, or the stem alone; up to twice the time."""
    dataset_of("cifar10")
    found: dict[str, list[float]] = {}
    for channels, shared, run in MEMBERS:
        what = f"{channels} channels" if shared else f"{channels} channels, the stem alone shared"
        for seed in range(seeds):
            folder, _ = trained("cifar10.yaml", run, seed=seed, settings=[*ALL, *_members(channels, shared)])
            metrics = RunFolder(folder).read("metrics.json")
            _note(found, f"{what}, mirrored and moved", metrics["test"]["object"]["accuracy"])
            _note(found, f"{what}, as they are", metrics["test without averaging"]["object"]["accuracy"])
    return {name: spread(values) for name, values in found.items()}


RECIPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "cifar10": cifar10,
    "cifar10_members": cifar10_members,
    "cifar10_three": cifar10_three,
    "digits": digits,
    "moods": moods,
    "motions": motions,
    "costs": costs,
    "actions": actions,
    "faces": faces,
    "fight_folds": fight_folds,
    "faces_half": faces_half,
    "expression": plain("expression.yaml", "expression", "expression"),
    "emotion": plain("emotion.yaml", "emotion", "emotion"),
    "sounds": plain("sounds.yaml", "sounds", "sound"),
}


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help=", ".join(RECIPES))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for name in given.names or list(RECIPES):
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        save(f"recipe_{name}", {"seeds": given.seeds, "device": device, "percent": RECIPES[name](given.seeds)})


if __name__ == "__main__":
    main()
