"""Makes ``analyzers/identity/thresholds.json``: distances and how often they take a stranger for somebody.

    python benchmarks/identity_fit.py [face] [voice]

Faces are measured on every other person of LFW and ten of ORL; benchmarks/identity.py reports on the others. Voices are
measured on all 18 actors of RAVDESS, too few to spare half of them: benchmarks/identity.py calibrates on half of them,
many times, and reports on the other half. Faces are compared as they are in use: one or the mean of three photographs
with the mean of one, three or five.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
from _people import Set, lfw, orl, ravdess

RATES = [10**e for e in np.arange(-6, -0.49, 0.25)]
MEASURED = 1e-4
"""Below this rate, or a higher one, distances are drawn on along the straight line (rate in decades) of the last
measured ones.
"""
CAUTION = 3
"""The distance of a rate is the one measured at a third of it: how alike strangers are differs from one set of people
to another by more than chance.
"""
VOICE_CAUTION = 5
"""With few people it matters more who they are: with this one 19 of 20 halves of the actors keep to the rate that the
other half states (benchmarks/identity.py).
"""
COMBINATIONS = list(product((1, 3), (1, 3, 5)))
DISCOUNTS = np.arange(0, 1.05, 0.1)
TARGET = Path(__file__).resolve().parents[1] / "src/onlooker/analyzers/identity/thresholds.json"


def means(vectors: np.ndarray, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Unit mean vectors and their unity, as `onlooker.analyzers.identity.samples.mean_sample` makes them."""
    made = np.stack([vectors[g].mean(0) for g in groups])
    unity = np.linalg.norm(made, axis=1)
    return made / unity[:, None], unity


def strangers(data: Set, seen: int, known: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and products of unity of pairs of means that are of different people."""
    groups = {n: ([], []) for n in (0, 1)}
    for who in sorted(set(data.people)):
        own = np.flatnonzero(data.people == who)
        for _ in range(max(4, len(own) // 2)):
            for side, count in enumerate((seen, known)):
                if len(own) >= count:
                    groups[side][0].append(rng.choice(own, count, replace=False))
                    groups[side][1].append(who)
    (a, ua), (b, ub) = (means(data.vectors, groups[side][0]) for side in (0, 1))
    other = np.array(groups[0][1])[:, None] != np.array(groups[1][1])[None]
    return (a @ b.T)[other], np.outer(ua, ub)[other]


def curve(distances: np.ndarray, caution: int) -> np.ndarray:
    """The distance of each of `RATES`; NaN where it cannot be known from so many comparisons."""
    ordered = np.sort(distances)
    # ten comparisons must lie below a distance for its rate to be known
    least = max(MEASURED, 10 * caution / len(ordered)) * 0.99
    measured = [r for r in RATES if r >= least]
    found = np.interp([r / caution * len(ordered) for r in measured], np.arange(len(ordered)), ordered)
    return np.concatenate([np.full(len(RATES) - len(measured), np.nan), found])


def drawn_on(distances: np.ndarray) -> np.ndarray:
    """With what is not known on the straight line of the five lowest rates that are."""
    known = np.flatnonzero(np.isfinite(distances))
    slope, start = np.polyfit(np.log10(RATES)[known[:5]], distances[known[:5]], 1)
    low = slope * np.log10(RATES[: known[0]]) + start if known[0] else []
    return np.maximum.accumulate(np.concatenate([low, distances[known]]))


def fit(sets: list[Set], caution: int = CAUTION) -> dict:
    rng = np.random.default_rng(0)
    pairs = {(s.name, c): strangers(s, *c, rng) for s, c in product(sets, COMBINATIONS)}
    at = [i for i, r in enumerate(RATES) if 2e-2 <= r <= 1.1e-1]

    def curves(power: float) -> np.ndarray:
        return np.stack([curve(1 - cosine * unity**power, caution) for cosine, unity in pairs.values()])

    # the power by which the distances of all combinations agree best at rates that matter
    spread = {float(p): float(np.nanstd(curves(p)[:, at], 0).mean()) for p in DISCOUNTS}
    power = min(spread, key=lambda p: spread[p])
    every = curves(power)
    known = np.isfinite(every).any(0)
    strict = np.full(len(RATES), np.nan)
    strict[known] = np.nanmin(every[:, known], 0)
    strict = np.maximum(0.0, drawn_on(strict))
    return {
        "discount": round(power, 2),
        "table": [[float(f"{r:.3g}"), round(float(d), 5)] for r, d in zip(RATES, strict, strict=True)],
        "measured_down_to": MEASURED,
        "caution": caution,
        "people": {s.name: len(set(s.people)) for s in sets},
        "comparisons": int(sum(len(c) for c, _ in pairs.values())),
        "made_by": "benchmarks/identity_fit.py",
    }


def main() -> None:
    result = json.loads(TARGET.read_text())
    asked = sys.argv[1:] or ["face", "voice"]
    if "face" in asked:
        result["face"] = fit([lfw().part(True), orl().part(True)])
    if "voice" in asked:
        result["voice"] = fit([ravdess()], VOICE_CAUTION)
    TARGET.write_text(json.dumps(result, indent=1) + "\n")
    for name, own in result.items():
        print(name, "discount", own["discount"], own["people"], own["comparisons"], "comparisons")
        for rate, distance in own["table"]:
            print(f"  {rate:9.3g}  {distance:.4f}")


if __name__ == "__main__":
    main()
