"""``onlooker library``: look after a library."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import StoreError, UsageError
from onlooker.core.time import parse_age

if TYPE_CHECKING:
    from onlooker.timeline.stores.embedded import EmbeddedStore

__all__ = ["app", "parse_age", "parse_size"]

app = typer.Typer(help="Look after a library: what is in it, check, retain, migrate.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DEFAULT = Path("onlooker-library")

_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_size(text: str) -> int:
    """Bytes from ``10GB``, ``500MB``, ``1.5GiB`` or ``1000000``.

    Raises:
        UsageError: the text is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]I?|)B?", text.strip().upper())
    if match is None:
        raise UsageError(f"not a size: {text!r}", hint="write 10GB, 500MB or 1.5GiB")
    return int(Fraction(match[1]) * _SIZES[match[2]])


def _open(folder: Path, *, writing: bool = False) -> EmbeddedStore:
    from onlooker.timeline.stores.embedded import EmbeddedStore

    return EmbeddedStore(folder, create=False, read_only=not writing and not os.access(folder, os.W_OK))


def _say(result: dict[str, Any], as_json: bool, lines: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    console = Console(soft_wrap=True)
    for line in lines:
        console.print(escape(line))


@app.command()
def info(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Say how much is in a library.

    \b
    Examples:
      onlooker library info --library films
    """
    with _open(library) as store:
        result: dict[str, Any] = {
            "library": str(library),
            "sources": len(store.sources()),
            "counts": dict(store.counts()),
            "failures": len(store.failures()),
            **store.sizes(),
        }
    lines = [
        f"{result['library']}: {result['sources']} sources, {result['failures']} failures",
        f"database {result['database_bytes'] / 1e6:.1f} MB, media {result['media_bytes'] / 1e6:.1f} MB,"
        f" schema {result['schema']}",
        *(f"  {kind}: {count}" for kind, count in result["counts"].items()),
    ]
    _say(result, as_json, lines)


@app.command(name="list")
def list_sources(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """List the sources.

    \b
    Examples:
      onlooker library list --json
    """
    from onlooker.core.time import Timestamp

    with _open(library) as store:
        members = [
            {
                "source": s.info.id,
                "paths": list(s.paths),
                "duration_seconds": None if s.info.duration is None else round(float(s.info.duration), 6),
                "counts": dict(store.counts(s.info.id)),
                "complete": bool(s.states) and all(state.complete for state in s.states),
                "failures": len(store.failures(s.info.id)),
            }
            for s in store.sources()
        ]
    lines: list[str] = []
    for m in members:
        duration = "?" if m["duration_seconds"] is None else str(Timestamp.of_seconds(m["duration_seconds"]))
        state = "complete" if m["complete"] else "not complete"
        failed = f", {m['failures']} failures" if m["failures"] else ""
        lines.append(f"{m['source'][:12]}  {duration}  {state}{failed}  {m['paths'][-1]}")
    _say({"sources": members}, as_json, lines or ["no sources"])


@app.command()
def remove(
    source: Annotated[str, typer.Argument(help="A source's id, path or file name.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Delete a source and all that is stored of it; the video itself is not touched.

    \b
    Examples:
      onlooker library remove talk.mp4
    """
    with _open(library, writing=True) as store:
        status = store.source(source)
        store.remove_source(status.info.id)
    removed = {"removed": status.info.id, "paths": list(status.paths)}
    _say(removed, as_json, [f"removed {status.info.id} ({status.paths[-1]})"])


@app.command()
def retain(
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Delete sources added longer ago: 30d.")
    ] = None,
    max_size: Annotated[str | None, typer.Option("--max-size", help="Delete the oldest until it fits: 10GB.")] = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Delete what is too old or too much; the videos themselves are not touched.

    \b
    Examples:
      onlooker library retain --older-than 30d --max-size 10GB
    """
    if older_than is None and max_size is None:
        raise UsageError("nothing to go by", hint="give --older-than 30d, --max-size 10GB, or both")
    age = None if older_than is None else parse_age(older_than)
    size = None if max_size is None else parse_size(max_size)
    with _open(library, writing=True) as store:
        count = store.retain(older_than_seconds=age, max_bytes=size)
        result = {"removed": count, "sources": len(store.sources()), **store.sizes()}
    _say(result, as_json, [f"removed {count} sources; {result['sources']} are left"])


@app.command()
def check(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Read everything once and say what is damaged, missing, or there for nothing.

    Exits with 1 where something is damaged or missing.

    \b
    Examples:
      onlooker library check --library films
    """
    with _open(library) as store:
        found = store.check()
    result = {
        "ok": found.ok,
        "observations": found.observations,
        "damage": found.damage,
        "missing_media": found.missing_media,
        "dangling_media": found.dangling_media,
    }
    lines = [f"{found.observations} observations checked: {'all is well' if found.ok else 'there is damage'}"]
    lines += [f"damaged: {line}" for line in found.damage]
    lines += [f"missing: {path}" for path in found.missing_media]
    if found.dangling_media:
        lines.append(f"{len(found.dangling_media)} files belong to nothing; see: onlooker library vacuum")
    _say(result, as_json, lines)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def migrate(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Bring an older library up to date; a copy of its database is made first.

    \b
    Examples:
      onlooker library migrate --library films
    """
    if not os.access(library, os.W_OK) and library.exists():
        raise StoreError(f"{library} cannot be written", hint="check its permissions")
    with _open(library, writing=True) as store:
        copy, schema = store.migrated_copy, store.sizes()["schema"]
    result = {"schema": schema, "migrated": copy is not None, "copy": None if copy is None else str(copy)}
    lines = [f"schema {schema}: {'up to date' if copy is None else f'migrated; the old one is kept in {copy}'}"]
    _say(result, as_json, lines)


@app.command()
def vacuum(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Finish deletions, delete files that belong to nothing, and give space back to the disk.

    \b
    Examples:
      onlooker library vacuum
    """
    with _open(library, writing=True) as store:
        result = store.vacuum()
    freed = f"{result['bytes_freed'] / 1e6:.1f} MB freed, {result['media_deleted']} files deleted"
    _say(dict(result), as_json, [freed])
