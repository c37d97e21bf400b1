"""``onlooker compress``: a smaller and faster bundle that keeps a contract, or how near one comes."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from onlooker.cli.bundle_costs import at_work_line
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.learning.compress.devices import Device
    from onlooker.learning.compress.step import Told

__all__ = ["command"]

_BROKEN = 4
"""Exit code where the contract cannot be kept."""


def command(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="Folder, zip, added bundle's name, or a run's folder.")
    ],
    data: Annotated[Path, typer.Option("--data", help="The dataset's folder; it needs three parts.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of the search; the chosen bundle is in OUT/bundle.")],
    max_drop: Annotated[
        float, typer.Option("--max-drop", help="Points that a task's main metric may lose, on samples held out.")
    ] = 1.0,
    max_latency: Annotated[
        float | None, typer.Option("--max-latency", help="Milliseconds of a look here, one thread.")
    ] = None,
    speed_up: Annotated[
        float | None, typer.Option("--speed-up", help="Times as fast as the bundle, measured beside it.")
    ] = None,
    max_size: Annotated[float | None, typer.Option("--max-size", help="MB of the files that are loaded.")] = None,
    device: Annotated[
        str, typer.Option("--device", help="Where looks are timed: cpu, cuda, or auto: where it would be served here.")
    ] = "auto",
    engine: Annotated[
        str | None, typer.Option("--engine", help="openvino or onnxruntime; for each bundle the faster without it.")
    ] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Time of trying: 90s, 20m, 2h.")] = None,
    steps: Annotated[str | None, typer.Option("--steps", help="Only these, such as prune,distil,int8.")] = None,
    teacher: Annotated[
        list[Path] | None, typer.Option("--teacher", help="A further run that teaches; repeatable.")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(
            "--student",
            metavar="SETTINGS",
            help="A smaller network that learns from the original, by settings of its recipe; repeatable. "
            "Without it, one of the same kind with fewer layers.",
        ),
    ] = None,
    student_epochs: Annotated[
        int | None,
        typer.Option("--student-epochs", min=0, help="That it learns; as many as the original without it; 0: none."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Of learning after a network was pruned, factored or given an exit; 3."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=20, help="Of the validation part, at most, for each candidate.")
    ] = 2000,
    video: Annotated[
        Path | None,
        typer.Option("--video", help="A clip to measure the whole pipeline on; the test part's first one without it."),
    ] = None,
    slices: Annotated[
        bool, typer.Option(help="Try the finalists on corrupted samples too: dark, blurred, occluded ...")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all chances.")] = 0,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, max=1024, help="For training; all processors without it. Looks have one."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search in OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Make a bundle smaller and faster and keep a contract, or refuse and show how near one comes.

    Channels are pruned, weights learn from the original, numbers become int8, alone and after each other; what a
    library cannot do to a network is told and passed over. Candidates are judged by the validation part; the fastest
    that keeps the contract is held to it on the test part, beside the original. Exit code 4: none keeps it. Both are
    measured inside the pipeline of analyze too, with decoding, on a clip.

    \b
    Examples:
      onlooker compress runs/fights --data datasets/fights --out runs/fights-small --max-drop 1 --speed-up 2
      onlooker compress fights --data datasets/fights --max-latency 5 --budget 20m --out runs/fast --json
      onlooker compress model.zip --data yard --max-size 1 --steps int8,weight_only --out runs/tiny
      onlooker compress runs/fights --data datasets/fights --out runs/fast --student 'inputs.video.widths=[16, 48]'
    """
    from onlooker.learning.datasets.asked import seconds_of
    from onlooker.learning.parts import require_torch

    require_torch()
    from onlooker.learning.compress.contract import Contract
    from onlooker.learning.compress.devices import check_device
    from onlooker.learning.compress.plan import check_steps
    from onlooker.learning.compress.run import compress
    from onlooker.learning.compress.search import Request
    from onlooker.learning.compress.students import asked_students
    from onlooker.learning.run_folder import make_folder
    from onlooker.shadow.at_work import at_work

    check_device(device, engine)
    only = tuple(name.strip() for name in steps.split(",")) if steps else ()
    check_steps(only)
    _check_out(out, resume)
    if video is not None:
        _check_clip(bundle, video)
    request = Request(
        bundle, data, Contract(max_drop, max_latency, speed_up, max_size), out,
        None if budget is None else seconds_of(budget, "--budget"), only,
        tuple(teacher or ()), engine, epochs, samples, slices, seed, threads, video=video,
        device=cast("Device", device), students=tuple(asked_students(student)) if student else None,
        student_epochs=student_epochs,
    )  # fmt: skip
    make_folder(out)
    with _progress(as_json) as told:
        found = compress(request, told, at_work)
    print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(_lines(found)))
    leaks = [leak["message"] for leak in found["confirmed"][-1]["leaks"]] if found["confirmed"] else []
    for text in (*found["warnings"], *(f"test part: {message}" for message in leaks)):
        print(f"onlooker: warning: {text}", file=sys.stderr)
    if found["chosen"] is None:
        print("onlooker: no candidate keeps the contract", file=sys.stderr)
        raise typer.Exit(_BROKEN)


def _check_out(out: Path, resume: bool) -> None:
    """That nothing is written among what is no search."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not resume:
        raise UsageError(f"{out} is not empty", hint="--resume goes on with it; or give another --out")
    if not (out / "baseline").is_dir():
        raise UsageError(f"{out} holds no search to go on with", hint="give another --out")


def _check_clip(bundle: str, video: Path) -> None:
    """That the clip can be analysed is better known before the search than after it."""
    from contextlib import ExitStack

    from onlooker.learning.evaluate.opening import open_subject
    from onlooker.shadow.at_work import unfit

    with ExitStack() as stack:
        reason = unfit(open_subject(bundle, stack).bundle.manifest, video)
    if reason is not None:
        raise UsageError(reason, hint="give another clip: --video")


def _lines(found: Mapping[str, Any]) -> list[str]:
    from onlooker.learning.compress.plan import missed, said

    base, chosen = found["baseline"], found["chosen"]
    eager = "" if base["eager_ms"] is None else f"; eager PyTorch {base['eager_ms']:.3g} ms"
    made = [f"{'the baseline':34} {_cells(base)}{eager}"]
    for row in found["candidates"]:
        name = said(tuple(row["steps"]))
        made.append(f"{name:34} {row['error']}" if "error" in row else f"{name:34} {_cells(row)}{_verdict(row)}")
    if found["not_tried"]:
        made.append(f"{found['not_tried']} more were not tried: the budget was used up")
    if chosen is not None:
        what = said(tuple(chosen["steps"])) or "the baseline itself"
        short = "; the budget cut its training short" if chosen["cut_short"] else ""
        made.append(f"chosen: {what}, {chosen['speed_up']:g} times as fast; kept on the test part too{short}")
        made += [f"  {n}: {t['metric']} {t['value']:.4g}" for n, t in chosen["tasks"].items()]
        made += [
            f"  fell far more: {c['kind']} {c['name']} of {c['task']}: {c['before']:.3g} to {c['after']:.3g}"
            for c in chosen["collapsed"]
        ]
        made.append(f"bundle  {chosen['bundle']}")
    else:
        made += [f"near: {said(tuple(r['steps']))}: {missed(r, found['confirmed'])}" for r in found["nearest"]]
        made += [f"on the test part: {said(tuple(c['steps']))}: {'; '.join(c['broken'])}" for c in found["confirmed"]]
    if found["confirmed"]:
        made += [f"leak into the test part: {leak['message']}" for leak in found["confirmed"][-1]["leaks"]]
        made += [f"note on the test part: {note}" for note in found["confirmed"][-1]["notes"]]
    made += _pipeline_lines(found)
    made += [f"not run on {name}: {reason}" for name, reason in found["device"]["not_run"].items()]
    return [*made, f"report  {found['folder']}/report.html"]


def _pipeline_lines(found: Mapping[str, Any]) -> list[str]:
    pipeline = found["pipeline"]
    if pipeline["note"] is not None:
        return [f"the whole pipeline was not measured: {pipeline['note']}"]
    made = [f"in the whole pipeline on {pipeline['clip']}:"]
    for name in ("baseline", "chosen"):
        if found[name] is not None and (told := found[name]["pipeline"]) is not None:
            made.append(f"  {name}: {at_work_line(told)}")
    return made


def _cells(row: Mapping[str, Any]) -> str:
    speed = row.get("speed_up", 1.0)
    return (
        f"{row['accuracy']:.4f}  {row['latency_ms']:8.3f} ms  x{speed:<5.3g} {row['size_mb']:8.3f} MB  {row['engine']}"
    )


def _verdict(row: Mapping[str, Any]) -> str:
    short = "; the budget cut its training short" if row["cut_short"] else ""
    return f"  {'kept' if row['kept'] else '; '.join(row['broken'])}{short}"


@contextmanager
def _progress(quiet: bool) -> Iterator[Told]:
    """A line for what is done, on a terminal; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as status:
        yield lambda what, done, of: status.update(f"{what}: {done} of {of}")
