"""``onlooker clip``: cut spans out of a source."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onlooker.cli.commands.export import replaced
from onlooker.core.errors import SourceError, UsageError
from onlooker.core.store import Query
from onlooker.core.time import Span, Timestamp, parse_seconds

if TYPE_CHECKING:
    from onlooker.core.store import SourceStatus, Store
    from onlooker.pipeline.profile import Privacy

__all__ = ["command", "hiding", "original", "write_cut"]


def command(
    what: Annotated[str, typer.Argument(help="A source (id, path or file name), or an observation's id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as out.mp4.")],
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    start: Annotated[str | None, typer.Option("--from", help="Where to begin: 90, 1:30, 2m.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Where to end.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="All spans of these kinds, joined.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="All spans with these labels, joined.")] = None,
    unhidden: Annotated[
        bool, typer.Option("--unhidden", help="Hide nothing, though the library's privacy setting says so.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Encode again, to the frame; else copy at keyframes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Cut spans out of a source into a file that plays.

    \b
    Examples:
      onlooker clip talk.mp4 --library lib --from 1:30 --to 2:00 -o part.mp4
      onlooker clip 8a4007eb --library lib -o shot.mp4 --exact
      onlooker clip street.mp4 --library lib --kind track --label car -o cars.mp4
    """
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=True)
    try:
        source, spans = _spans(store, what, start, end, tuple(kind or ()), tuple(label or ()))
        path = original(source)
        policy = hiding(store, unhidden=unhidden)
    finally:
        store.close()
    exact = exact or policy is not None
    actual = write_cut(path, spans, output, exact=exact, policy=policy)
    result = {
        "path": str(output),
        "source": source.info.id,
        "exact": exact,
        "hidden": [] if policy is None else list(policy.hide),
        "spans": [[round(s.start.seconds, 6), round(s.end.seconds, 6)] for s in actual],
    }
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(f"{output}: {', '.join(str(s) for s in actual)}")
        if not exact and actual != spans:
            print("cut at keyframes; --exact cuts to the frame", file=sys.stderr)


def _spans(
    store: Store, what: str, start: str | None, end: str | None, kinds: tuple[str, ...], labels: tuple[str, ...]
) -> tuple[SourceStatus, list[Span]]:
    try:
        source = store.source(what)
    except UsageError as missing:
        try:
            observation = store.get(what)
        except UsageError:
            raise missing from None
        if observation.span.duration <= 0:
            raise UsageError(f"the observation {what} is a moment, not a span", hint="give --from and --to") from None
        return store.source(observation.source), [observation.span]
    if kinds or labels:
        query = Query(sources=(source.info.id,), kinds=kinds, labels=labels)
        spans = _joined([o.span for o in store.query(query) if o.span.duration > 0])
        if not spans:
            raise UsageError("no observation fits", hint="look with onlooker search")
        return source, spans
    if start is None and end is None:
        raise UsageError("say what to cut", hint="give --from and --to, --kind or --label, or an observation's id")
    first = parse_seconds(start) if start else parse_seconds("0")
    last = parse_seconds(end) if end else source.info.duration
    if last is None or last <= first:
        raise UsageError("the span to cut is empty", hint="check --from and --to")
    return source, [Span(Timestamp.of_seconds(first), Timestamp.of_seconds(last))]


def _joined(spans: list[Span]) -> list[Span]:
    """Spans in order, those that touch or overlap made one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: s.start):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def original(source: SourceStatus) -> str:
    """A path where the source's file still lies unchanged.

    Raises:
        SourceError: it is gone or was changed.
    """
    from onlooker.sources.identity import content_id

    for path in (*source.paths, source.info.path):
        if "://" in path:
            return path
        if Path(path).is_file():
            if content_id(Path(path)) == source.info.id:
                return path
            raise SourceError(f"{path} was changed since it was analysed", hint="analyse it again")
        if Path(path).is_dir() or "%" in path:
            return path
    raise SourceError(f"the file of {source.info.path} is gone", hint="put it back where it was")


def hiding(store: Store, *, unhidden: bool) -> Privacy | None:
    """The library's privacy setting if it hides something, unless the user wants it ``unhidden``; says either."""
    from onlooker.redaction.policy import library_policy

    policy = library_policy(store)
    if policy is None or not policy.hide:
        return None
    names = ", ".join(policy.hide)
    if unhidden:
        print(f"unhidden: {names} can be recognised, against the library's privacy setting", file=sys.stderr)
        return None
    print(f"{names} are hidden: the library's privacy setting", file=sys.stderr)
    return policy


def write_cut(
    path: str,
    spans: list[Span],
    output: Path,
    *,
    exact: bool,
    height: int | None = None,
    policy: Privacy | None = None,
) -> list[Span]:
    """Cut, atomically; returns the spans that were really cut. A ``policy`` that hides makes it an exact cut."""
    from onlooker.sources import open_source
    from onlooker.sources.cut import cut_copy, cut_exact

    with replaced(output) as part:
        if not exact and policy is None:
            return cut_copy(path, spans, part)
        source = open_source(path)
        try:
            if policy is None:
                cut_exact(source, spans, part, height=height)
            else:
                from onlooker.redaction.clips import cut_hidden

                cut_hidden(source, spans, part, policy, height=height)
        finally:
            source.close()
        return spans
