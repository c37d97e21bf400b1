"""How commands of datasets answer, and show how far they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["progress", "say"]


def say(as_json: bool, values: dict[str, Any], lines: Sequence[str]) -> None:
    """Print one JSON object, or lines for people."""
    if as_json:
        print(json.dumps(values, ensure_ascii=False))
    else:
        print("\n".join(line.encode("utf-8", "replace").decode() for line in lines))


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
