"""``onlooker plugins``: what is installed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["command"]


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List analyzers, sources, stores, sinks, exports and runtimes, built in and from other packages."""
    from onlooker.core.plugins import GROUPS, plugin_names

    found = {group: plugin_names(group) for group in GROUPS}
    if as_json:
        print(json.dumps(found))
        return
    for group, names in found.items():
        print(f"{group:10} {', '.join(names) or 'none'}")
