"""``onlooker improve``: from what people said of a model to a better version of it."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import UsageError
from onlooker.core.time import parse_seconds

if TYPE_CHECKING:
    from onlooker.improving.improvement import Improvement

__all__ = ["command"]


def command(
    name: Annotated[str, typer.Argument(help="Name of an added bundle; its version in use is improved.")],
    library: Annotated[
        Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="Whose feedback and stored video.")
    ] = Path("onlooker-library"),
    run: Annotated[
        Path | None, typer.Option("--run", help="Run folder that made the bundle; found in runs/ by itself.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Dataset that it learned from; as the run says without it.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of it; LIBRARY/improve/NAME/VERSION.")] = None,
    budget: Annotated[str, typer.Option("--budget", help="Time for all rounds together: 5m, 90s.")] = "10m",
    replay: Annotated[int, typer.Option("--replay", min=0, help="Old samples of an epoch, at most.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all chances.")] = 0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Of training.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes of the shadow.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Put it to use if nothing speaks against it.")] = False,
    hidden: Annotated[bool, typer.Option("--with-hidden", help="Also where the library hides people.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Learn from false alarms and missed moments: label, fine-tune, shadow on the stored video, promote or leave.

    Old samples are replayed and what the model says elsewhere is kept. Without regressions it is put to use with --yes,
    or after a question; with them only if you say so. Ctrl-C stops, the same command goes on; onlooker models rollback
    undoes. Exit code: 0 promoted, ready or nothing to do, 2 nothing to learn until you label, 4 regressions or nothing
    fixed, 130 stopped.

    \b
    Examples:
      onlooker feedback wrong 3f2a9c01 --library lib
      onlooker feedback missed fights yard.mp4 1:30 1:34 fight --library lib
      onlooker improve fights --library lib --yes
      onlooker improve fights --library lib --run runs/fights --data datasets/fights --budget 5m --json
    """
    from onlooker.bundles.added import added_bundle
    from onlooker.improving.improve import ImproveRequest, Told, improve
    from onlooker.improving.page import write_improvement
    from onlooker.learning.parts import require_torch

    require_torch()
    folder = out or library / "improve" / name / added_bundle(name).digest[:16]
    request = ImproveRequest(
        name, library, folder, run, data, float(parse_seconds(budget)), replay, hidden, seed, threads, workers
    )
    with _telling(as_json) as told:
        made = improve(request, Told(*told))
    write_improvement(made)
    if made.best is not None and made.decision in ("ready", "left") and _wanted(made, yes, as_json):
        _promote(made)
        write_improvement(made)
    _say(made, as_json)
    raise typer.Exit({"promoted": 0, "ready": 0, "nothing to do": 0, "nothing to learn": 2}.get(made.decision, 4))


def _promote(made: Improvement) -> None:
    """Put the candidate to use, unless another version came into use while it was made."""
    from onlooker.bundles.added import promote

    assert made.best is not None
    try:
        promote(made.request.name, made.best.bundle.digest, after=made.used.digest)
        made.decision = "promoted"
    except UsageError as error:
        made.decision = "left"
        made.reasons.append(error.message)


def _wanted(made: Improvement, yes: bool, as_json: bool) -> bool:
    """Whether it is put to use: without regressions by --yes, otherwise only by a person."""
    if yes and made.decision == "ready":
        return True
    if as_json or yes or not sys.stdin.isatty():
        return False
    _table(made)
    return typer.confirm(f"put the new version of {made.request.name} to use?", default=made.decision == "ready")


@contextmanager
def _telling(quiet: bool) -> Iterator[tuple[Any, Any, Any, Any]]:
    """What tells on standard error how it goes."""
    from onlooker.cli.commands.train import progress_of

    def say(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    yield say, None, progress_of(quiet), None


def _table(made: Improvement) -> None:
    """Feedback and regressions, a line each."""
    names = {source: path.name for source, (path, _) in made.footage.files.items()}
    for fix in made.heeded if made.best is None else made.best.verdicts.fixes:
        said = fix.feedback.said
        state = fix.state if fix.fixed else fix.state.upper()
        print(f"{state:10} {said.verdict:6} {said.label} [{names[said.source]} {said.start:.2f} to {said.end:.2f} s]")
    if made.best is None:
        return
    for c in made.best.verdicts.changed:
        print(f"{'LOST' if c.lost else 'NEW':10} {c.kind} {c.label} [{names[c.source]} {c.start:.2f} to {c.end:.2f} s]")
    print(f"{made.best.verdicts.kept} other observations are kept")
    for name, task in made.held_out.get("tasks", {}).items():
        print(f"{name}: {task['metric']} on held-out data {task['other']:.4g} before, {task['value']:.4g} after")


def _say(made: Improvement, as_json: bool) -> None:
    if as_json:
        print(json.dumps(made.as_dict(), ensure_ascii=False))
        return
    _table(made)
    if made.decision == "nothing to do":
        print("nothing to do: the version in use does already all that was asked for")
    for reason in made.reasons:
        print(f"against it: {reason}")
    if made.waiting:
        labels = made.request.folder / "labels"
        export = f"onlooker dataset export {labels} label-studio FILE --proposed"
        print(f"{len(made.waiting)} stretches wait for a label: {export}")
    for key, why in made.footage.unusable.items():
        print(f"cannot be used: {key}: {why}")
    print(f"report: {made.request.folder / 'report.html'}")
    name = made.request.name
    if made.decision == "promoted":
        print(f"{name}: the new version is in use; undo: onlooker models rollback {name}")
    elif made.best is not None:
        print(f"to use it: onlooker models promote {name} {made.best.bundle.digest[:16]}")
