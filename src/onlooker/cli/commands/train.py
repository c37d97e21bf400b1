"""``onlooker train``: a model from a labelled dataset, as a recipe says."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from onlooker.learning.training.train import Estimate

__all__ = ["command", "progress_of"]

Recipe = Annotated[Path | None, typer.Argument(metavar="RECIPE", help="A YAML file.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="NAME.NAME=VALUE on top of the recipe; repeatable.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run folder; runs/NAME without it.")]


def command(
    recipe: Recipe = None,
    set_: Set = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    bundle: Annotated[bool, typer.Option(help="Make the bundle at the end.")] = True,
    single: Annotated[
        bool, typer.Option("--against-single", help="Then train each task alone too, and compare.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipes, for editors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Train a model as a recipe says; its run folder holds weights, curves, metrics, report and the bundle.

    Ctrl-C stops it; --resume goes on from the last state, with the same numbers as if nothing had happened. On several
    processes or machines: torchrun --nproc-per-node 2 -m onlooker train RECIPE.

    \b
    Examples:
      onlooker train recipes/fights.yaml
      onlooker train recipes/fights.yaml --set training.epochs=3 --set optimiser.rate=0.002 --out runs/short
      onlooker train recipes/fights.yaml --resume
      onlooker train recipes/faces.yaml --against-single
      onlooker models add runs/fights/bundle
    """
    from onlooker.core.errors import UsageError
    from onlooker.learning.parts import require_torch

    require_torch()
    if schema:
        from onlooker.learning.recipe import recipe_schema

        print(json.dumps(recipe_schema(), ensure_ascii=False, indent=1))
        return
    if recipe is None:
        raise UsageError("give a recipe", hint="onlooker train recipes/NAME.yaml")
    from onlooker.learning.recipe import read_values

    values, _ = read_values(recipe, set_ or ())
    folder = out or Path("runs") / str(values.get("name") or recipe.stem)
    if values.get("kind") == "anomaly":
        from onlooker.learning.anomaly import train as train_anomaly

        if single or not bundle:
            option, why = ("--against-single", "has one task") if single else ("--no-bundle", "makes the bundle alone")
            raise UsageError(f"{option}: anomaly learning {why}", hint=f"leave {option} out")
        train_anomaly(recipe, overrides=set_ or (), out=folder, resume=resume)
    else:
        from onlooker.learning.training.train import train

        if single:
            from onlooker.learning.training.gains import check_comparable

            check_comparable(recipe, set_ or ())
        train(recipe, overrides=set_ or (), out=folder, resume=resume, progress=progress_of(as_json), bundle=bundle)
        if single:
            from onlooker.learning.training.gains import compare_with_single

            compare_with_single(recipe, overrides=set_ or (), out=folder, progress=lambda name: progress_of(as_json))
    if int(os.environ.get("RANK", "0")) == 0:
        _say(folder, as_json)


def _say(folder: Path, as_json: bool) -> None:
    """What came of it."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    made = {"run": str(folder), "metrics": metrics, "report": str(folder / "report.html")}
    if (folder / "gains.json").is_file():
        made["gains"] = json.loads((folder / "gains.json").read_text(encoding="utf-8"))
    if (folder / "bundle").is_dir():
        made["bundle"] = str(folder / "bundle")
    if (folder / "left_out.json").is_file():
        made["left_out"] = json.loads((folder / "left_out.json").read_text(encoding="utf-8"))
    if as_json:
        print(json.dumps(made, ensure_ascii=False))
        return
    for part, tasks in metrics.items():
        for task, values in tasks.items():
            if isinstance(values, dict):
                shown = ", ".join(f"{n} {v:.4g}" for n, v in list(values.items())[:5] if isinstance(v, int | float))
                print(f"{part:12} {task}: {shown or 'its labels are too few to measure anything'}")
    for task, values in made.get("gains", {}).get("tasks", {}).items():
        print(f"{'together':12} {task}: {values['metric']} {values['together']:.4g}, alone {values['alone']:.4g}")
    for task, why in made.get("gains", {}).get("left_out", {}).items():
        print(f"{'together':12} {task}: not compared: {why}")
    for word in made.get("gains", {}).get("suggestion", {}).get("words", ()):
        print(f"{'advice':12} {word}")
    if "left_out" in made:
        from onlooker.learning.training.left_out import words_of

        for line in words_of(made["left_out"]):
            print(f"{'left out':12} {line}")
    print(f"{'report':12} {made['report']}")
    if "bundle" in made:
        print(f"{'bundle':12} {made['bundle']}: onlooker models add {made['bundle']}")


def progress_of(as_json: bool) -> Any:
    """Who is told of a run: a bar and lines on standard error, or nobody."""
    if as_json or int(os.environ.get("RANK", "0")) != 0:
        return None
    return _Terminal()


class _Terminal:
    """Tells of a run: a bar on a terminal, a line for each epoch everywhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(file=sys.stderr, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not sys.stderr.isatty())
        self._task: Any = None
        self._what = ""

    def _show(self, what: str, done: int, count: int) -> None:
        if what != self._what:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._bar.start()
            self._task, self._what = self._bar.add_task(what, total=count), what
        self._bar.update(self._task, completed=done, total=count)

    def decoded(self, done: int, count: int) -> None:
        """Samples are being decoded."""
        self._show("decoding", done, count)

    def begun(self, estimate: Estimate, notes: Sequence[str]) -> None:
        """The run begins."""
        self._stop()
        for note in notes:
            self._console.print(note, soft_wrap=True)
        minutes = estimate.seconds / 60
        self._console.print(
            f"{estimate.parameters:,} parameters ({estimate.trained:,} trained), {estimate.multiply_adds / 1e6:,.1f} M "
            f"multiply-adds a sample; about {estimate.memory / 1e6:,.0f} MB for a batch, {estimate.data / 1e6:,.0f} MB "
            f"of samples; {estimate.steps} steps an epoch, about {minutes:.1f} min in all",
            soft_wrap=True,
        )

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step is done."""
        self._show(f"epoch {epoch + 1}", step, steps)
        if self._task is not None:
            self._bar.update(self._task, description=f"epoch {epoch + 1}  loss {loss:.4f}")

    def epoch(self, line: Mapping[str, Any]) -> None:
        """An epoch is over."""
        self._stop()
        losses = ", ".join(f"{name} {value:.4f}" for name, value in line["loss"].items())
        said = f"epoch {line['epoch'] + 1:3}  loss {losses}"
        for name, metrics in line.get("validation", {}).items():
            first = next(iter(metrics.items()), None)
            said += f"  {name} {first[0]} {first[1]:.4f}" if first else ""
        self._console.print(said, soft_wrap=True)
        if note := line.get("note"):
            self._console.print(note, soft_wrap=True)

    def _stop(self) -> None:
        self._bar.stop()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task, self._what = None, ""
