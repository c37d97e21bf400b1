"""What compression gives on trained recipes, beside what its libraries give by themselves; and random contracts.

    python benchmarks/compress.py expression                 # trains the recipe where it is not, compresses, compares
    python benchmarks/compress.py cifar10 --budget 3600
    python benchmarks/compress.py expression --contracts 30  # each is kept on held-out data or refused
    python benchmarks/compress.py fight_folds                # what was chosen for fights, on all clips, by five parts
    python benchmarks/compress.py families                   # LSTM, ConvLSTM, fused, several tasks: prune, distil, int8

Writes results/compress_NAME.json. Libraries alone: ONNX Runtime's and NNCF's default quantisation of the trained
model's bundle, Torch-Pruning's default pruning of half of the channels with the same fine-tuning.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _compress_families import FAMILIES, family
from _compress_folds import over_folds
from _harness import RESULTS, save
from _recipes import ROOT, dataset_of, trained

from onlooker.bundles import load_bundle
from onlooker.learning.compress.contract import Contract, drop_of
from onlooker.learning.compress.measure import costs_beside, worth_of
from onlooker.learning.compress.plan import RATIOS, said
from onlooker.learning.compress.run import compress
from onlooker.learning.compress.search import Request, Search
from onlooker.learning.compress.students import asked_students
from onlooker.shadow.at_work import at_work

RECIPES = {
    "cifar10": "cifar10", "cifar10_three": "cifar10", "fights": "fights", "motions": "motions",
    "expression": "expression", "sounds": "sounds", "digits_fused": "digits",
}  # fmt: skip
"""By recipe, its dataset."""


def alone(epochs: int) -> dict[str, tuple[dict[str, Any], ...]]:
    """What each library does by itself, by its name; what is pruned learns for so many epochs, as ours does."""
    own = {"step": "int8", "max_drop": 1.0, "least_gain": 0}
    return {
        "ONNX Runtime's quantiser alone": ({**own, "method": "onnxruntime", "operators": "flow"},),
        "NNCF alone": ({**own, "method": "nncf"},),
        "Torch-Pruning alone": ({"step": "prune", "ratio": 0.5, "epochs": epochs},),
    }


def measured(name: str, budget: float | None, samples: int | None, *, teachers: int, **more: Any) -> dict[str, Any]:
    """The search for what keeps a contract, and each library alone, on the same model and data."""
    data = dataset_of(RECIPES[name])
    run, seconds = trained(f"{name}.yaml", f"{name}_deployed", bundle=True)
    out = ROOT / "runs" / "benchmarks" / f"{name}_compressed"
    also = [trained(f"{name}.yaml", f"{name}_deployed", seed=1 + n)[0] for n in range(teachers)]
    request = Request(
        str(run), data, out=out, budget=budget, samples=samples, teachers=tuple(also), **more
    )  # fmt: skip
    found = compress(request, at_work=at_work)
    search = Search(request)
    libraries = {who: _library(search, steps, found["candidates"]) for who, steps in alone(request.passes).items()}
    chosen = found["chosen"]
    result: dict[str, Any] = {"seconds of training": round(seconds), "baseline": found["baseline"], "chosen": chosen}
    if chosen is not None:
        base = found["baseline"]
        chosen_costs = costs_beside({"base": load_bundle(search.original.bundle), "it": load_bundle(chosen["bundle"])})
        result["ratios"] = {
            "over eager PyTorch, float32": round(base["eager_ms"] / chosen["latency_ms"], 2),
            "over the bundle, each in its fastest engine": chosen["speed_up"],
            "smaller": round(base["size_mb"] / chosen["size_mb"], 2),
            "again": round(chosen_costs["base"].latency_ms / chosen_costs["it"].latency_ms, 2),
        }
        print(said(tuple(chosen["steps"])), result["ratios"], flush=True)
    result["libraries alone"] = libraries
    result["candidates"] = [
        {
            k: r.get(k)
            for k in ("steps", "accuracy", "drop", "latency_ms", "speed_up", "size_mb", "kept", "front", "error")
        }
        for r in found["candidates"]
    ]
    return result


def _library(search: Search, steps: tuple[dict[str, Any], ...], ours: list[dict[str, Any]]) -> dict[str, Any]:
    """A library's own point, and whether one of ours is as accurate, as fast and as small, or better."""
    one = search.tried(steps)
    if one.costs is None or one.accuracy is None:
        return {"error": one.error}
    beyond = [
        r for r in ours
        if r.get("speed_up") and r["accuracy"] >= one.accuracy - 1e-9 and r["speed_up"] >= 0.97 * one.speed_up
        and r["size_mb"] <= 1.03 * one.costs.size_mb
    ]  # fmt: skip
    made = {
        "accuracy": one.accuracy, "speed_up": one.speed_up, "size_mb": one.costs.size_mb,
        "at or beyond it": [said(tuple(r["steps"])) for r in beyond],
    }  # fmt: skip
    print(made, flush=True)
    return made


SMALL: dict[str, tuple[str, ...]] = {
    "expression": (
        "inputs.face={network: frame_cnn, widths: [16, 32, 64], stem: 1}",
        "training.batch=32",
        "training.ema=0.9",
        "training.epochs=60",
        "training.threads=1",
        "training.workers=0",
    ),
}
"""By recipe, settings that make the model of random contracts small."""


def contracts(name: str, count: int, samples: int | None) -> dict[str, Any]:
    """Random contracts over one search's folder; what is chosen is measured once more by itself, on the test part."""
    data = dataset_of(RECIPES[name])
    run, _ = trained(f"{name}.yaml", f"{name}_small", settings=SMALL.get(name, ()), bundle=True)
    out = ROOT / "runs" / "benchmarks" / f"{name}_small_compressed"
    draw = random.Random(0)
    told: dict[str, Any] = {"contracts": 0, "kept": 0, "refused": 0, "broken": 0, "each": []}
    asked = {"samples": samples, "slices": False, "steps": ("prune", "distil", "int8"), "epochs": 1, "threads": 1}
    first = Search(Request(str(run), data, Contract(), out, ratios=(0.4, 0.8), **asked))
    base, _ = worth_of(first.original.bundle, data, first.test, like=run)
    size = first.candidates[0].costs
    assert size is not None
    for number in range(count):
        contract = Contract(
            max_drop=draw.choice([0.0, 0.5, 1.0, 2.0, 5.0, 10.0]),
            speed_up=draw.choice([None, None, 1.1, 1.3, 2.0, 4.0]),
            max_size_mb=draw.choice([None, None, *(round(size.size_mb * s, 4) for s in (0.9, 0.5, 0.3, 0.1))]),
        )
        found = compress(Request(str(run), data, contract, out, ratios=(0.4, 0.8), **asked))
        verdict = "refused" if found["chosen"] is None else _again(found["chosen"], contract, base, first, data)
        told[verdict] += 1
        told["contracts"] += 1
        steps = None if found["chosen"] is None else said(tuple(found["chosen"]["steps"]))
        told["each"].append({**dataclasses.asdict(contract), "verdict": verdict, "chosen": steps})
        save(f"compress_{name}_contracts", told)
        print(number, told["each"][-1], flush=True)
    return told


def _again(chosen: Mapping[str, Any], contract: Contract, base: Any, search: Search, data: Path) -> str:
    bundle = load_bundle(chosen["bundle"])
    worth, _ = worth_of(bundle.folder, data, search.test, engine=chosen["engine"], like=search.original.run)
    costs = costs_beside({"base": search.base, "it": bundle}, rounds=200)
    speed_up = costs["base"].latency_ms / costs["it"].latency_ms
    kept = all(drop_of(one, worth[name]) <= contract.max_drop + 1e-6 for name, one in base.items())
    kept = kept and (contract.max_size_mb is None or costs["it"].size_mb <= contract.max_size_mb)
    # the time was kept when it was confirmed; the machine may be a little slower now
    kept = kept and (contract.speed_up is None or speed_up >= 0.9 * contract.speed_up)
    return "kept" if kept else "broken"


def families(only: Sequence[str] | None) -> None:
    """All, or some in the place of what is known of them."""
    path = RESULTS / "compress_families.json"
    if not only:
        path.unlink(missing_ok=True)
    for name in only or FAMILIES:
        told = family(name)
        known = json.loads(path.read_text())["families"] if path.exists() else {}
        save("compress_families", {"families": {**known, name: told}})


def main() -> None:
    """Those that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+", choices=[*sorted(RECIPES), "families", "fight_folds"])
    parser.add_argument("--budget", type=float, help="seconds of trying for each")
    parser.add_argument("--samples", type=int, default=1000, help="of the validation part for each candidate")
    parser.add_argument("--epochs", type=int, default=3, help="of learning after channels were pruned")
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS, help="of the channels that pruning tries")
    parser.add_argument("--student", action="append", help="as of the command; without it, one with fewer layers")
    parser.add_argument("--student-epochs", type=int, help="likewise; without it, as many as the recipe's")
    parser.add_argument("--teachers", type=int, default=0, help="further seeds of the recipe that teach too")
    parser.add_argument("--max-drop", type=float, default=1.0, help="points that may be lost")
    parser.add_argument("--threads", type=int, default=1, help="for training")
    parser.add_argument("--only", nargs="+", choices=list(FAMILIES), help="families to measure anew")
    parser.add_argument("--contracts", type=int, help="draw so many contracts in place of the comparison")
    given = parser.parse_args()
    for name in given.names:
        if name == "families":
            families(given.only)
        elif name == "fight_folds":
            save("compress_fight_folds", over_folds(("compress_fights", "compress_fights_drop_3.4"), given.threads))
        elif given.contracts:
            contracts(name, given.contracts, given.samples)
        else:
            how: dict[str, Any] = {"epochs": given.epochs, "ratios": tuple(given.ratios), "threads": given.threads}
            how |= {"student_epochs": given.student_epochs, "contract": Contract(max_drop=given.max_drop)}
            how["students"] = tuple(asked_students(given.student)) if given.student else None
            how["teachers"] = given.teachers
            told = name if given.max_drop == 1 else f"{name}_drop_{given.max_drop:g}"
            save(f"compress_{told}", measured(name, given.budget, given.samples, **how))


if __name__ == "__main__":
    main()
