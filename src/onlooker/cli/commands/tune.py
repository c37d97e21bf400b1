"""``onlooker tune``: search the settings of a recipe."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["command"]


def command(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file.")],
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="How many there are to be, earlier ones included.")
    ] = 20,
    budget: Annotated[str | None, typer.Option("--budget", help="Time of this sitting: 90s, 30m, 2h.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes that try at once.")] = 1,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="NAME.NAME=VALUE on top of the recipe; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The search's folder; runs/NAME-tune without it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Search the settings of a recipe for the best score, or for score, latency and size together.

    What is tried stands in the recipe under search; without it learning rate, weight decay and batch are. Trials that
    fall behind are stopped early. The same command goes on with a search that was stopped, and with the trial that it
    was at. The report shows all trials, what mattered, and the front of those that no other beats in everything;
    best.yaml trains the best. Exits with 1 where no trial was completed.

    \b
    Examples:
      onlooker tune recipes/fights.yaml --trials 30
      onlooker tune recipes/fights.yaml --budget 2h --jobs 2
      onlooker tune recipes/fights.yaml --set 'search.objectives=[score, latency]' --out runs/fast
    """
    from onlooker.learning.parts import require_torch

    require_torch()
    from onlooker.learning.datasets.asked import seconds_of
    from onlooker.learning.recipe import load_recipe
    from onlooker.learning.tune import tune

    folder = out or Path("runs") / f"{load_recipe(recipe, set_ or ()).name}-tune"

    def told(line: Mapping[str, Any]) -> None:
        values = "  ".join(f"{n} {v:.4g}" for n, v in line["values"].items())
        settings = "  ".join(
            f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}" for n, v in line["settings"].items()
        )
        said = f"  {line['error']}" if "error" in line else ""
        print(f"trial {line['trial']:3} {line['state']:9} {values}  {settings}{said}", file=sys.stderr)

    seconds = None if budget is None else seconds_of(budget, "--budget")
    found = tune(recipe, overrides=set_ or (), out=folder, trials=trials, budget=seconds, jobs=jobs, told=told)
    if not found["finished"] and budget is not None:
        print(f"onlooker: the budget of {budget} was over before a trial was finished", file=sys.stderr)
    if as_json:
        print(json.dumps({**found, "folder": str(folder)}, ensure_ascii=False))
        return
    over = sum(line["state"] != "stopped" for line in found["trials"])
    print(f"{over} of {trials} trials, {found['finished']} of them now; best: {found['best']}; front: {found['front']}")
    print(f"report  {folder / 'report.html'}")
    print(f"train   onlooker train {folder / 'best.yaml'}")
