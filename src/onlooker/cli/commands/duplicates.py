"""``onlooker duplicates``: the same footage in several sources of a library."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["command"]


def command(
    source: Annotated[
        str | None, typer.Argument(help="Id, path or file name: only what this source shares with others.")
    ] = None,
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    shortest: Annotated[float, typer.Option("--shortest", min=1, help="Seconds that must be shared.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the same footage in several sources.

    Compares the fingerprints that ``onlooker analyze`` (analyzer duplicates) left in the library; nothing is decoded.
    Copies are found when encoded anew, scaled, cropped a little, brightened, marked with a logo, or cut into something
    else.

    \b
    Examples:
      onlooker duplicates --library films
      onlooker duplicates trailer.mp4 --library films --shortest 5 --json
    """
    from onlooker.analyzers.duplicates.analyzer import find_duplicates
    from onlooker.analyzers.duplicates.config import DuplicatesConfig
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=True)
    try:
        names = {status.info.id: status.paths[0] if status.paths else status.info.path for status in store.sources()}
        wanted = store.source(source).info.id if source is not None else None
        found = find_duplicates(store, wanted, DuplicatesConfig(shortest_seconds=shortest))
        pairs = [
            {
                "source": o.source,
                "path": names[o.source],
                "start_seconds": round(o.span.start.seconds, 3),
                "end_seconds": round(o.span.end.seconds, 3),
                "score": o.score,
                **o.data,
                "other_path": names[str(o.data["other_source"])],
            }
            for o in found
        ]
    finally:
        store.close()
    groups = _groups((str(p["source"]), str(p["other_source"])) for p in pairs)
    if as_json:
        print(json.dumps({"pairs": pairs, "groups": groups}))
        return
    _print(pairs, groups, names)


def _groups(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Sources that are joined by pairs, largest group first."""
    groups: list[set[str]] = []
    for pair in pairs:
        touched = [g for g in groups if g & set(pair)]
        groups = [g for g in groups if not g & set(pair)] + [set(pair).union(*touched)]
    return sorted((sorted(g) for g in groups), key=lambda g: (-len(g), g))


def _print(pairs: list[dict[str, Any]], groups: list[list[str]], names: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from onlooker.core.time import Timestamp

    console = Console()
    if not pairs:
        console.print("No footage is shared.")
    for i, group in enumerate(groups, 1):
        console.print(f"[bold]Group {i}[/bold]: {escape(', '.join(Path(names[s]).name for s in group))}")
        for pair in (p for p in pairs if p["source"] in group):
            start, end, other = (
                Timestamp.of_seconds(float(pair[key]))
                for key in ("start_seconds", "end_seconds", "other_start_seconds")
            )
            console.print(
                f"  {escape(Path(pair['path']).name)} {start} - {end}"
                f" is {escape(Path(pair['other_path']).name)} from {other}"
                f" (likeness {pair['similarity']:.2f}, movement {pair['movement']:.2f})",
                highlight=False,
            )
