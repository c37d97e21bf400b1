"""``onlooker highlights``: a short reel of the most interesting moments."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from onlooker.cli.commands.clip import hiding, original, write_cut
from onlooker.core.errors import UsageError

__all__ = ["command"]


def command(
    source: Annotated[str, typer.Argument(help="Id, path or file name of the source.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as reel.mp4.")],
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Length of the reel.")] = 60.0,
    height: Annotated[int | None, typer.Option("--height", min=16, help="Scale to this height.")] = None,
    unhidden: Annotated[
        bool, typer.Option("--unhidden", help="Hide nothing, though the library's privacy setting says so.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a short reel, and say why each part was chosen.

    \b
    Examples:
      onlooker highlights match.mp4 --library lib --seconds 45 -o reel.mp4
    """
    from onlooker.reports.highlights import choose_highlights
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=True)
    try:
        status = store.source(source)
        chosen = choose_highlights(status, store.query, seconds)
        path = original(status)
        policy = hiding(store, unhidden=unhidden)
    finally:
        store.close()
    if not chosen:
        raise UsageError(f"{status.info.path} has no shots to choose from", hint="analyse it with shots first")
    write_cut(path, [c.span for c in chosen], output, exact=True, height=height, policy=policy)
    if as_json:
        parts = [{"span": [c.span.start.seconds, c.span.end.seconds], "score": c.score, "why": c.why} for c in chosen]
        print(json.dumps({"path": str(output), "parts": parts}, ensure_ascii=False))
        return
    for part in chosen:
        print(f"{part.span}  {part.score:.2f}  {', '.join(part.why)}")
    print(output)
