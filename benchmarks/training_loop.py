"""The training loop beside bare forward and backward passes of the same model on the same batches.

    python benchmarks/training_loop.py

Writes results/training_loop.json: seconds of a step in the loop (augmentation, losses, optimiser,
running mean, log) and of the same work without the loop's bookkeeping (inputs ready, loss, backward, optimiser step);
rounds alternate, the median of their ratios counts. Augmentation and batches are told apart: work that a bare
loop would have to do too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _harness import save
from _recipes import ROOT, dataset_of

import onlooker.learning.training.train as training_module
from onlooker.learning.precision import computing_in
from onlooker.learning.training.batches import normalised
from onlooker.learning.training.loop import Run, learning, one_step

STEPS, ROUNDS = 12, 7


def prepared(recipe: str, settings: list[str]) -> Run:
    """A run of a recipe that is ready to begin."""
    training: Any = training_module
    kept: list[Run] = []
    real = training.fit
    training.fit = kept.append
    finish = training.finish
    training.finish = lambda *_, **__: None
    try:
        with tempfile.TemporaryDirectory() as folder:
            training.train(ROOT / "recipes" / recipe, overrides=settings, out=Path(folder) / "run", bundle=False)
    finally:
        training.fit, training.finish = real, finish
    return kept[0]


def bare(run: Run, batches: list[Any]) -> float:
    """Seconds of forward, loss, backward and step on inputs that are ready."""
    task = next(iter(run.recipe.tasks))
    head = run.model.head(task)
    ready = [
        ({n: normalised(x, run.training.facts.inputs[n]) for n, x in b.inputs.items()}, b.values[task]) for b in batches
    ]
    learning(run)
    began = time.perf_counter()
    for inputs, values in ready:
        for optimiser in run.optimisers:
            optimiser.zero_grad(set_to_none=True)
        with computing_in(run.precision, "cpu"):
            raw = run.model(inputs).raw[task]
        head.loss(raw.float(), values).mean().backward()
        for optimiser in run.optimisers:
            optimiser.step()
    return time.perf_counter() - began


def looped(run: Run, batches: list[Any]) -> float:
    """Seconds of the loop's steps on the same batches."""
    learning(run)
    began = time.perf_counter()
    for batch in batches:
        one_step(run, batch)
        run.standing.step += 1
    took = time.perf_counter() - began
    run.standing.step = 0
    return took


def measured(recipe: str, settings: list[str]) -> dict[str, Any]:
    """Medians of both and of their ratio."""
    run = prepared(recipe, settings)
    batches = [b for b, _ in zip(run.training.batches(), range(STEPS), strict=False)]
    began = time.perf_counter()
    for _ in zip(run.training.batches(), range(STEPS), strict=False):
        pass
    gathering = time.perf_counter() - began
    rounds: list[tuple[float, float]] = []
    works: list[Callable[[Run, list[Any]], float]] = [bare, looped]
    bare(run, batches[:2])
    for _ in range(ROUNDS):
        rounds.append((works[0](run, batches), works[1](run, batches)))
    ratio = statistics.median(b / a for a, b in rounds)
    return {
        "bare ms a step": round(1e3 * statistics.median(a for a, _ in rounds) / len(batches), 2),
        "loop ms a step": round(1e3 * statistics.median(b for _, b in rounds) / len(batches), 2),
        "gathering a batch, ms": round(1e3 * gathering / len(batches), 2),
        "overhead": round(ratio - 1, 4),
        "rounds": [round(b / a - 1, 4) for a, b in rounds],
    }


def main() -> None:
    """Measure with and without augmentation."""
    dataset_of("fights")
    none = ["augment={}", "training.ema=0", "training.clip=null", "training.threads=1"]
    result = {
        "loop alone": measured("fights.yaml", none),
        "with augmentation, running mean, clipping": measured("fights.yaml", ["training.threads=1"]),
    }
    print(result)
    save("training_loop", result)


if __name__ == "__main__":
    main()
