"""``onlooker feedback``: say which observations are wrong or right, and what was missed."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from onlooker.core.errors import UsageError
from onlooker.core.time import parse_seconds

if TYPE_CHECKING:
    from onlooker.core.store import Store

__all__ = ["app"]

app = typer.Typer(help="Say what a model saw wrongly, rightly, or missed; for onlooker improve.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
Id = Annotated[str, typer.Argument(help="Id of the observation, or its beginning: see onlooker search.")]
Note = Annotated[str, typer.Option("--note", help="For people.")]
From = Annotated[str | None, typer.Option("--from", help="Only from this time of the source on: 90, 1:30, 2m.")]
To = Annotated[str | None, typer.Option("--to", help="Only until then.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_DEFAULT = Path("onlooker-library")


@app.command()
def wrong(
    id: Id,
    library: Folder = _DEFAULT,
    start: From = None,
    end: To = None,
    instead: Annotated[str | None, typer.Option("--instead", help="The label that holds in its place.")] = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Say that an observation is wrong (a false alarm), and what it is instead where you know.

    \b
    Examples:
      onlooker feedback wrong 3f2a9c01 --library lib
      onlooker feedback wrong 3f2a9c01 --instead noFight --note "children playing"
      onlooker feedback wrong 3f2a9c01 --from 1:30 --to 1:36
    """
    _judge(id, library, "wrong", (start, end), instead, note, as_json)


@app.command()
def right(
    id: Id, library: Folder = _DEFAULT, start: From = None, end: To = None, note: Note = "", as_json: AsJson = False
) -> None:
    """Say that an observation is right, so that onlooker improve sees to it that it stays.

    \b
    Examples:
      onlooker feedback right 3f2a9c01 --library lib
    """
    _judge(id, library, "right", (start, end), None, note, as_json)


@app.command()
def missed(
    name: Annotated[str, typer.Argument(help="Name of the added bundle that should have seen it.")],
    source: Annotated[str, typer.Argument(help="Id, path or file name of the source.")],
    start: Annotated[str, typer.Argument(metavar="FROM", help="From when: 90, 1:30, 2m.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Until when.")],
    label: Annotated[str, typer.Argument(help="What it should have said.")],
    library: Folder = _DEFAULT,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Say that something was missed.

    \b
    Examples:
      onlooker feedback missed fights yard.mp4 1:30 1:34 fight --library lib
    """
    from onlooker.bundles.added import added_bundle
    from onlooker.improving.feedback import Said, check_label

    check_label(name, added_bundle(name).manifest, label)
    with _opened(library) as store:
        info = store.source(source).info
        since, until = float(parse_seconds(start)), float(parse_seconds(end))
        if not since < until:
            raise UsageError(f"expected a moment, got {start} to {end}", hint="FROM is before TO")
        said = Said(
            verdict="missed", source=info.id, start=since, end=until, analyzer=name, label=label, by=_user(), note=note
        )
        _keep(store, said, as_json)


@app.command(name="list")
def show(
    library: Folder = _DEFAULT,
    name: Annotated[str | None, typer.Option("--name", help="Only on this bundle; judged events come along.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what was said.

    \b
    Examples:
      onlooker feedback list --library lib
      onlooker feedback list --library lib --name fights --json
    """
    from onlooker.improving.feedback import collect, read_feedback

    with _opened(library, writing=False) as store:
        found = read_feedback(store) if name is None else collect(library, name, store)
        paths = {s.info.id: s.info.path for s in store.sources()}
    if as_json:
        print(json.dumps({"feedback": [f.as_dict() for f in found]}, ensure_ascii=False))
        return
    for one in found:
        said = one.said
        where = f"{Path(paths.get(said.source, said.source)).name} {said.start:.2f} to {said.end:.2f} s"
        instead = f", instead {said.instead}" if said.instead else ""
        print(f"{one.key} {said.verdict:6} {said.analyzer}: {said.label}{instead} [{where}] {said.note}".rstrip())
    if not found:
        print("nothing was said yet")


@app.command()
def remove(
    key: Annotated[str, typer.Argument(help="The key, or its beginning: see onlooker feedback list.")],
    library: Folder = _DEFAULT,
) -> None:
    """Take a piece of feedback back.

    \b
    Examples:
      onlooker feedback remove 3f2a9c01 --library lib
    """
    from onlooker.improving.feedback import remove_feedback

    with _opened(library) as store:
        print(f"{remove_feedback(store, key)} removed")


@contextmanager
def _opened(library: Path, *, writing: bool = True) -> Iterator[Store]:
    import os

    from onlooker.timeline import open_store

    with closing(open_store(library, create=False, read_only=not writing and not os.access(library, os.W_OK))) as store:
        yield store


def _user() -> str:
    from onlooker.cli.event_words import user_name

    return user_name()


def _judge(
    id: str, library: Path, verdict: Literal["wrong", "right"], part: tuple[str | None, str | None],
    instead: str | None, note: str, as_json: bool,
) -> None:  # fmt: skip
    from onlooker.bundles.added import added_bundle, added_names
    from onlooker.improving.feedback import Said, check_label

    with _opened(library) as store:
        o = store.get(id)
        name = o.producer.analyzer if o.producer is not None else ""
        if name not in added_names():
            who = name or "nobody"
            raise UsageError(f"{o.id[:8]} was made by {who}, which is no added bundle", hint="improve learns bundles")
        if instead is not None:
            check_label(name, added_bundle(name).manifest, instead)
        start, end = _part((o.span.start.seconds, max(o.span.end.seconds, o.span.start.seconds + 0.05)), part)
        said = Said(
            verdict=verdict, source=o.source, start=start, end=end, analyzer=name, kind=o.kind,
            label=o.label or o.kind, instead=instead, by=_user(), note=note,
        )  # fmt: skip
        _keep(store, said, as_json)


def _part(span: tuple[float, float], part: tuple[str | None, str | None]) -> tuple[float, float]:
    """The part of an observation that is meant, in seconds."""
    start = span[0] if part[0] is None else max(span[0], float(parse_seconds(part[0])))
    end = span[1] if part[1] is None else min(span[1], float(parse_seconds(part[1])))
    if not start < end:
        raise UsageError(f"the observation lasts from {span[0]:g} to {span[1]:g} s", hint="--from and --to lie in it")
    return round(start, 6), round(end, 6)


def _keep(store: Store, said: Any, as_json: bool) -> None:
    from onlooker.improving.feedback import put_feedback

    key = put_feedback(store, said)
    if as_json:
        print(json.dumps({"key": key, **said.model_dump(mode="json")}, ensure_ascii=False))
    else:
        what = f"{said.label} from {said.start:.2f} to {said.end:.2f} s is {said.verdict}"
        print(f"{key}: {what}; next: onlooker improve {said.analyzer}")
