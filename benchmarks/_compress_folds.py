"""What was chosen for a small set, on all of its clips: five models, each compressed and tested on clips of its own.

Thirty clips cannot tell a point. The steps that the search chose on the usual parts are done to each of the models that
learned from three fifths of the clips and were chosen by a fourth, and all answers to the fifths that they had not met
are counted together.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from typing import Any

from _fight_folds import FOLDS, fold_of
from _harness import RESULTS
from _recipes import ROOT, dataset_of, with_bundle
from scipy.stats import binomtest

from onlooker.bundles import load_bundle
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.measure import costs_beside, eager_milliseconds, worth_of
from onlooker.learning.compress.plan import said
from onlooker.learning.compress.search import Request, Search

__all__ = ["over_folds"]


def over_folds(results: Sequence[str], threads: int) -> dict[str, Any]:
    """Of the choices of some results of the search, what they lose over all clips and what they gain."""
    chosen = {name: json.loads((RESULTS / f"{name}.json").read_text())["chosen"]["steps"] for name in results}
    return {
        name: _told(steps, [_fold(tuple(steps), fold, threads) for fold in range(FOLDS)])
        for name, steps in chosen.items()
    }


def _fold(steps: tuple[dict[str, Any], ...], fold: int, threads: int) -> dict[str, Any]:
    """One of the models: clips right before and after, those that changed, and what it costs."""
    data, run = dataset_of("fight_folds"), with_bundle(fold_of("fights.yaml", fold))
    out = ROOT / "runs" / "benchmarks" / f"fight_folds_fights_{fold}" / "compressed"
    shutil.rmtree(out, ignore_errors=True)
    search = Search(Request(str(run), data, Contract(), out, threads=threads))
    one = search.tried(steps)
    assert one.bundle is not None, one.error
    base = search.original.bundle
    _, found = worth_of(one.bundle, data, search.test, against=str(base), like=run)
    change = found.against["action"]
    costs = costs_beside({"base": search.base, "it": load_bundle(one.bundle)}, rounds=300)
    before, after = costs["base"], costs["it"]
    told = {
        "clips": change.count,
        "right before": round(change.other * change.count),
        "right after": round(change.value * change.count),
        "fixed": len(change.fixed),
        "broken": len(change.broken),
        "over eager PyTorch, float32": eager_milliseconds(run) / after.latency_ms,
        "over the bundle": before.latency_ms / after.latency_ms,
        "smaller": before.size_mb / after.size_mb,
    }
    print(said(steps), fold, told, flush=True)
    return told


def _told(steps: Sequence[dict[str, Any]], folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    count, fixed, worse = (sum(f[k] for f in folds) for k in ("clips", "fixed", "broken"))
    ratios = {
        k: round(statistics.median(f[k] for f in folds), 2)
        for k in ("over eager PyTorch, float32", "over the bundle", "smaller")
    }
    # of the paired difference: each clip counts +1, -1 or 0
    error = ((fixed + worse) / count - ((fixed - worse) / count) ** 2) ** 0.5 / count**0.5
    return {
        "steps": said(tuple(steps)),
        "percent before": round(100 * sum(f["right before"] for f in folds) / count, 2),
        "percent after": round(100 * sum(f["right after"] for f in folds) / count, 2),
        "points gained": round(100 * (fixed - worse) / count, 2),
        "plus or minus": round(196 * error, 2),
        "p (McNemar, exact)": round(float(binomtest(fixed, fixed + worse).pvalue), 3) if fixed + worse else 1.0,
        **ratios,
        "folds": list(folds),
    }
