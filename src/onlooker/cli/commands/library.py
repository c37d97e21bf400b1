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
    from onlooker.core.store import Store
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

    The retention of the library's privacy setting holds in any case, and alone where no option is given.

    \b
    Examples:
      onlooker library retain --older-than 30d --max-size 10GB
    """
    age = None if older_than is None else parse_age(older_than)
    size = None if max_size is None else parse_size(max_size)
    with _open(library, writing=True) as store:
        kept = _retention(store)
        if age is None and size is None and kept is None:
            hint = "give --older-than 30d, --max-size 10GB, or both; or a profile with privacy: {retention: 30d}"
            raise UsageError("nothing to go by", hint=hint)
        ages = [a for a in (age, kept) if a is not None]
        count = store.retain(older_than_seconds=min(ages, default=None), max_bytes=size)
        result = {"removed": count, "sources": len(store.sources()), **store.sizes()}
    _say(result, as_json, [f"removed {count} sources; {result['sources']} are left"])


def _retention(store: Store) -> Fraction | None:
    from onlooker.redaction.policy import library_policy

    policy = library_policy(store)
    return None if policy is None else policy.retention_seconds


@app.command()
def privacy(
    forget: Annotated[bool, typer.Option("--forget", help="Keep everything from now on.")] = False,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say what the library does not keep of people: the privacy settings of the profiles that were run, joined.

    What was hidden or erased under the setting stays so until it is analysed again with --redo.

    \b
    Examples:
      onlooker library privacy --library lessons
      onlooker library privacy --library lessons --forget
    """
    from onlooker.redaction.policy import forget_policy, library_policy

    with _open(library, writing=forget) as store:
        if forget:
            forget_policy(store)
        policy = library_policy(store)
    result = {"privacy": None if policy is None else policy.model_dump(mode="json")}
    lines = ["everything is kept"]
    if policy is not None:
        lines = [
            f"hidden in pictures and clips: {', '.join(policy.hide) or 'nothing'} ({policy.style})",
            f"vectors of faces and voices are {'kept' if policy.keep_embeddings else 'not kept'}",
            f"pictures of single faces are {'kept' if policy.best_shots else 'not kept'}",
            f"sources are kept {'for ' + policy.retention if policy.retention else 'until they are removed'}",
        ]
    _say(result, as_json, lines)


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
