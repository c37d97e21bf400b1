"""``onlooker export``: observations in the formats of other tools."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.core.store import Query
from onlooker.core.time import Span, Timestamp, parse_seconds

__all__ = ["command", "replaced"]

_FAR = Fraction(10**9)


def command(
    sources: Annotated[list[str] | None, typer.Argument(help="Ids, paths or file names of sources.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All sources of the library.")] = False,
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    format: Annotated[str, typer.Option("--format", help="See --list.")] = "jsonl",
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only these kinds; repeatable.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="Only these labels; repeatable.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Not before this time: 90, 1:30, 2m.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Not after this time.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="A file; - is standard output.")] = Path("-"),
    show_list: Annotated[bool, typer.Option("--list", help="List the formats.")] = False,
) -> None:
    """Write observations in another tool's format.

    \b
    Examples:
      onlooker export talk.mp4 --library lib --format jsonl > talk.jsonl
      onlooker export --all --library lib --format coco -o boxes.json
      onlooker export talk.mp4 --library lib --format webvtt --kind shot -o shots.vtt
      onlooker export --list
    """
    if show_list:
        for name in plugin_names("exports"):
            print(f"{name:12} {load_plugin('exports', name).description}")
        return
    from onlooker.reports.export import ExportRequest
    from onlooker.timeline import open_store

    if format not in plugin_names("exports"):
        raise UsageError(f"no format is called {format!r}", hint=f"known: {', '.join(plugin_names('exports'))}")
    if bool(sources) == everything:
        raise UsageError("say which sources", hint="name them, or give --all")
    span = None
    if start is not None or end is not None:
        first = parse_seconds(start) if start is not None else Fraction(0)
        last = parse_seconds(end) if end is not None else _FAR
        if last < first:
            raise UsageError(f"--to {end} lies before --from {start}")
        span = Span(Timestamp.of_seconds(first), Timestamp.of_seconds(last))
    store = open_store(library, create=False, read_only=True)
    try:
        named = store.sources() if everything else [store.source(s) for s in sources or []]
        chosen = list({s.info.id: s for s in named}.values())
        query = Query(kinds=tuple(kind or ()), labels=tuple(label or ()), span=span)
        exporter = load_plugin("exports", format)()
        with _opened(output) as out:
            summary = exporter.write(ExportRequest(chosen, store.query, query), out)
    finally:
        store.close()
    for what, count in sorted(summary.left_out.items()):
        print(f"onlooker: {count} of {what} have no place in {format}", file=sys.stderr)
    if str(output) != "-":
        print(f"{output}: {summary.written} observations", file=sys.stderr)


@contextmanager
def _opened(output: Path) -> Iterator[BinaryIO]:
    if str(output) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with replaced(output) as path, path.open("wb") as file:
        yield file


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its place when all went well; nothing half done is left.

    Raises:
        UsageError: the folder cannot be written.
    """
    if target.exists() and not target.is_file() and not target.is_dir():
        yield target  # a pipe or device is written to, never replaced
        return
    try:
        number, name = tempfile.mkstemp(prefix=f".{target.stem[:40]}-", suffix=target.suffix, dir=target.parent)
        os.close(number)
    except OSError as error:
        raise UsageError(f"cannot write {str(target)!r}: {error.strerror}", hint="check the folder") from None
    path = Path(name)
    try:
        yield path
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        path.replace(target)
    except OSError as error:
        raise OnlookerError(f"cannot write {str(target)!r}: {error.strerror or error}", hint="check the disk") from None
    finally:
        path.unlink(missing_ok=True)
