"""``onlooker analyze``: turn videos into a timeline."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.core.analyzer import Quality
    from onlooker.pipeline.run_local import RunReport, SourceReport
    from onlooker.pipeline.run_source import Progress

__all__ = ["command", "stopping", "watching"]

_QUALITIES = ("fast", "balanced", "best")


def command(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, globs or addresses.")],
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    profile: Annotated[str, typer.Option("--profile", help="Name of a profile, or a YAML file.")] = "default",
    only: Annotated[
        str, typer.Option("--only", help="Only these analyzers, with commas; what they need comes along.")
    ] = "",
    quality: Annotated[str | None, typer.Option("--quality", help="fast, balanced or best.")] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes: several files at once, or segments of one long file."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="analyzer.setting=value, over the profile's; repeatable.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be done, and do nothing.")] = False,
    redo: Annotated[bool, typer.Option("--redo", help="Forget these analyzers' earlier results first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Analyse videos into a library: one decode for all analyzers.

    What is done already is not done again; Ctrl-C stops cleanly and the same command goes on. Exit code: 0 all good,
    1 bad use, 2 something could not be looked at, 3 no source worked, 130 stopped.

    \b
    Examples:
      onlooker analyze talk.mp4 --library lib
      onlooker analyze footage/ --library lib --profile surveillance --workers 2
      onlooker analyze match.mkv --library lib --only shots,keyframes --quality best
      onlooker analyze talk.mp4 --library lib --plan
      onlooker analyze talk.mp4 --library lib --set shots.level=fast --json
    """
    from onlooker.library import run_options
    from onlooker.sources import expand_inputs

    if quality is not None and quality not in _QUALITIES:
        raise UsageError(f"no quality is called {quality!r}", hint="fast, balanced or best")
    level: Quality | None = quality  # pyright: ignore[reportAssignmentType]
    names = [name.strip() for name in only.split(",") if name.strip()]
    options = run_options(
        library, profile=profile, only=names, quality=level, settings=_settings(settings or []), redo=redo
    )
    addresses = expand_inputs(paths)
    if plan:
        _print_plans(addresses, options, as_json=as_json)
        return
    from onlooker.pipeline.run_local import analyze_paths

    saying = "onlooker: stopping; the same command will go on from here"
    with stopping(saying) as stop, watching(len(addresses), quiet=as_json) as progress:
        report = analyze_paths(addresses, options, workers=workers, progress=progress, stop=stop)
    if as_json:
        print(json.dumps({"library": str(library), **report.as_dict(), **_privacy(library)}, ensure_ascii=False))
    else:
        _print_report(report, library)
    raise typer.Exit(report.exit_code)


def _settings(texts: list[str]) -> dict[str, dict[str, Any]]:
    """``shots.level=fast`` to ``{"shots": {"level": "fast"}}``; values are YAML."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        analyzer, dot, field = path.strip().partition(".")
        if not (equals and dot and analyzer and field):
            raise UsageError(f"not a setting: {text!r}", hint="write analyzer.setting=value")
        try:
            found.setdefault(analyzer, {})[field] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"not a value: {value!r} in {text!r}", hint="quote it as YAML") from None
    return found


def _print_plans(addresses: list[str], options: Any, *, as_json: bool) -> None:
    from onlooker.core.store import Failure
    from onlooker.pipeline.run_local import plan_paths

    plans = plan_paths(addresses, options)
    failed = [p for p in plans if isinstance(p, Failure)]
    if as_json:
        sources = [{"path": p.source, "failure": p.as_dict()} if isinstance(p, Failure) else p.as_dict() for p in plans]
        print(json.dumps({"sources": sources}, ensure_ascii=False))
    else:
        for entry in plans:
            lines = [f"{entry.source}: {entry.message}"] if isinstance(entry, Failure) else entry.lines()
            print("\n".join(lines))
    raise typer.Exit(3 if len(failed) == len(plans) else 2 if failed else 0)


@contextmanager
def stopping(saying: str) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, saying so; a second one ends at once."""
    stop = threading.Event()

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print(f"\n{saying}", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    terminate = signal.signal(signal.SIGTERM, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, terminate)


@contextmanager
def watching(count: int, *, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on a terminal; nothing when standard error is piped or JSON was asked for."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    import time

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, tuple[TaskID, float]] = {}

    def show(progress: Progress | Any) -> None:
        if progress.path not in tasks:
            name = Path(progress.path).name or progress.path
            tasks[progress.path] = (bar.add_task(name, total=progress.duration or None, speed=""), time.monotonic())
        task, begun = tasks[progress.path]
        if progress.phase in ("done", "failed"):
            bar.update(task, completed=progress.duration or 1, total=progress.duration or 1, visible=count > 1)
            return
        passed = time.monotonic() - begun
        speed = f"{progress.position / passed:.1f} x real time" if passed > 0.5 else ""
        bar.update(task, completed=progress.position, total=progress.duration or None, speed=speed)

    with bar:
        yield show


def _privacy(library: Path) -> dict[str, Any]:
    """The library's privacy setting, if it has one."""
    from onlooker.redaction.policy import library_policy
    from onlooker.timeline import open_store

    if not (library / "library.sqlite").exists():
        return {}
    store = open_store(library, create=False, read_only=True)
    try:
        policy = library_policy(store)
    finally:
        store.close()
    return {} if policy is None else {"privacy": policy.model_dump(mode="json")}


def _print_report(report: RunReport, library: Path) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for source in report.sources:
        console.print(f"[bold]{escape(source.path)}[/]", _summary(source), soft_wrap=True)
        for failure in source.failures:
            what = f"{failure.analyzer}: " if failure.analyzer else ""
            where = f" ({failure.span})" if failure.span else ""
            console.print(f"  [red]could not look:[/] {escape(what + failure.message + where)}", soft_wrap=True)
    privacy = _privacy(library).get("privacy")
    if privacy:
        hidden = ", ".join(privacy["hide"]) or "nothing"
        kept = f", sources kept for {privacy['retention']}" if privacy["retention"] else ""
        console.print(f"privacy: {hidden} hidden in pictures{kept}; see: onlooker library privacy", soft_wrap=True)
    if report.stopped:
        console.print("stopped; the same command goes on from here")
    elif any(s.source for s in report.sources):
        console.print(
            f"library: {escape(str(library))}; next: onlooker search, show, report --library {escape(str(library))}"
        )


def _summary(source: SourceReport) -> str:
    if not source.source:
        return "failed"
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(source.counts.items()))
    length = source.duration_seconds
    pace = f" ({length / source.elapsed_seconds:.1f} x real time)" if length and source.ran else ""
    done = f"{source.elapsed_seconds:.1f} s{pace}" if source.ran else "nothing to do"
    return f"{done}: {counts or 'nothing found'}"
