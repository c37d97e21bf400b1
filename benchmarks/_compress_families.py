"""Models of further families through pruning, distillation and int8, one after the other, with parity checked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from _recipes import ROOT, dataset_of, trained, with_bundle

from onlooker.bundles import load_bundle, play, verify_bundle
from onlooker.bundles.folder import Bundle
from onlooker.bundles.golden import read_golden
from onlooker.bundles.running import engines
from onlooker.learning.compress.collapse import collapsed
from onlooker.learning.compress.contract import Contract, drop_of
from onlooker.learning.compress.measure import costs_beside, eager_milliseconds, worth_of
from onlooker.learning.compress.onnx_bundle import difference
from onlooker.learning.compress.search import Request, Search
from onlooker.learning.export.parity import compare
from onlooker.learning.export.plan import plan
from onlooker.learning.run_folder import RunFolder, load_model

__all__ = ["FAMILIES", "family"]

_CLIPS = (
    "prepare.pictures={frames: 16, width: 32, height: 32}", "training.drop_labels={motion: 0.5}", "training.batch=16",
    "training.ema=0.9", "training.epochs=6",
)  # fmt: skip
_SHORT = ("training.threads=1", "training.workers=0")
FAMILIES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "three tasks": ("faces", "faces", "faces", ()),
    "fused, picture and sound": ("digits_fused", "digits", "family_fused", (
        "training.drop_labels={digit: 0.9}", "inputs.picture.widths=[16, 32, 48]", "inputs.sound.widths=[16, 32, 48]",
        "training.ema=0.9", "training.epochs=24", *_SHORT,
    )),
    "CNN and LSTM": ("motions", "motions", "family_lstm", (
        "inputs.video={network: cnn_rnn, cell: lstm, difference: alone, widths: [12, 24], size: 32, hidden: 48}",
        *_CLIPS, *_SHORT,
    )),
    "ConvLSTM": ("motions", "motions", "family_convlstm", (
        "inputs.video={network: crnn, cell: lstm, difference: alone, widths: [12, 24], hidden: 24}", *_CLIPS, *_SHORT,
    )),
}  # fmt: skip
"""By name, the recipe, its dataset, the run's name, and settings that make it small."""

STEPS: tuple[dict[str, Any], ...] = (
    {"step": "prune", "ratio": 0.4, "epochs": 0},
    {"step": "distil", "epochs": 5},
    {"step": "int8", "max_drop": 0.03, "least_gain": 0, "samples": 64, "validation": 200},
)
_LONGER: dict[str, dict[str, dict[str, Any]]] = {
    "fused, picture and sound": {"distil": {"epochs": 20}, "int8": {"max_drop": 0.1, "samples": 256}},
}
"""By family and step, settings that take the place of those above: two senses that lost 40 % each learn for longer."""
_SAMPLES = 400


def _steps_of(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(step | _LONGER.get(name, {}).get(str(step["step"]), {}) for step in STEPS)


def family(name: str) -> dict[str, Any]:
    """A model of one family, trained shortly, through all steps; the accuracy is that of the test part."""
    recipe, dataset, called, settings = FAMILIES[name]
    run, seconds = trained(f"{recipe}.yaml", called, settings=settings, bundle=True)
    with_bundle(run)
    data, steps = dataset_of(dataset), _steps_of(name)
    out = ROOT / "runs" / "benchmarks" / f"{called}_compressed"
    shutil.rmtree(out, ignore_errors=True)
    search = Search(Request(str(run), data, Contract(), out, samples=100, threads=1))
    first, made = _worth(search.original.bundle, data, search.test, run), []
    for count in range(1, len(steps) + 1):
        one = search.tried(steps[:count])
        if one.bundle is None or one.error is not None:
            failed = {"failed": steps[count - 1]["step"], "error": one.error}
            return {"seconds of training": round(seconds), "accuracy before": _values(first), "steps": made, **failed}
        worth = _worth(one.bundle, data, search.test, run)
        lost = {n: round(drop_of(first[n], w), 2) for n, w in worth.items()}
        made.append({"step": steps[count - 1]["step"], "accuracy": _values(worth), "points lost": lost})
        print(name, made[-1], flush=True)
    assert one.bundle is not None
    final = load_bundle(one.bundle)
    costs = costs_beside({"before": search.base, "after": final}, rounds=100)
    eager = eager_milliseconds(run)
    before, after = costs["before"], costs["after"]
    return {
        "recipe": recipe,
        "settings": list(settings),
        "seconds of training": round(seconds),
        "accuracy before": _values(first),
        "steps": made,
        "fell far more than the average": collapsed(first, worth, [], []),
        "milliseconds": {"eager PyTorch": eager, "before": before.latency_ms, "after": after.latency_ms},
        "engines": {"before": before.engine, "after": after.engine},
        "times as fast as eager PyTorch": round(eager / after.latency_ms, 2),
        "times as fast": round(before.latency_ms / after.latency_ms, 2),
        "times smaller": round(before.size_mb / after.size_mb, 2),
        "int8": {k: v for k, v in final.manifest.provenance.steps[-1].settings.items() if k in _TOLD},
        "parity": _parity(search, final, steps),
    }


_TOLD = ("layers", "kept", "left", "difference", "drop", "operators")


def _worth(bundle: Path, data: Path, split: str, run: Path) -> dict[str, Any]:
    return worth_of(bundle, data, split, samples=_SAMPLES, like=run)[0]


def _values(worth: dict[str, Any]) -> dict[str, Any]:
    return {
        n: {"metric": w.metric, "value": round(w.value, 4), "ci95": w.ci95, "count": w.count} for n, w in worth.items()
    }


def _parity(search: Search, final: Bundle, steps: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """The bundle before int8 and the final one against the model in PyTorch, engines against each other, the replay."""
    folder = search.made(steps[:-1])
    assert folder.run is not None
    run = RunFolder(folder.run)
    model, recipe, facts = load_model(folder.run)
    assert final.manifest.golden is not None
    golden = read_golden(final.path(final.manifest.golden.file))
    inputs = {n: a for n, a in golden.items() if n.startswith("in.")}
    exported = run.read("parity.json")
    against = compare(plan(model, recipe, facts, run.read("calibration.json")), final, model, recipe, inputs)
    found = {name: play(final, inputs, engine=name) for name in engines(final)}
    names = sorted(found)
    apart = [difference(found[a], found[b]) for i, a in enumerate(names) for b in names[i + 1 :]]
    checks = verify_bundle(final)
    return {
        "before int8, against PyTorch": _largest(exported),
        "inputs": exported["inputs"],
        "int8, against PyTorch": _largest(against),
        "int8, between engines": round(max(apart), 6) if apart else None,
        "engines": names,
        "golden replay": "good" if checks.good else [c.detail for c in checks.checks if c.state == "bad"],
    }


def _largest(found: dict[str, Any]) -> float:
    """The largest difference of any tensor in any engine, as a share of its largest number where that is above 1."""
    shares = [t["largest"] / max(1.0, t["scale"]) for tensors in found["engines"].values() for t in tensors.values()]
    return round(max(shares), 8)
