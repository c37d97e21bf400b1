"""``onlooker probe``: what is in a file, without analysing it."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from onlooker.core.errors import OnlookerError

__all__ = ["command"]


def command(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, globs or addresses.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Say what is in files or behind addresses: streams, length, keyframes, and what looks wrong.

    \b
    Examples:
      onlooker probe talk.mp4
      onlooker probe footage/ --json
    """
    from onlooker.sources import expand_inputs
    from onlooker.sources.probe import probe

    found: list[dict[str, Any]] = []
    failed = 0
    for address in expand_inputs(paths):
        try:
            found.append(probe(address))
        except OnlookerError as error:
            failed += 1
            found.append({"path": address, "error": str(error)})
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for one in found:
            _print(one)
    raise typer.Exit(0 if not failed else 3 if failed == len(found) else 2)


def _print(one: dict[str, Any]) -> None:
    print(one["path"])
    for key, value in one.items():
        if key == "path" or value in (None, [], {}):
            continue
        entries = value if isinstance(value, list) else [value]
        for entry in entries:
            shown = entry
            if isinstance(entry, dict):
                shown = ", ".join(f"{k} {v}" for k, v in entry.items() if v not in (None, False, "", {}))
            print(f"  {key:12} {shown}")
