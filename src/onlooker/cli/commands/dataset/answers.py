"""How commands of datasets answer, and show how far they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["progress", "say", "unusable"]

_MOST = 20


def say(as_json: bool, values: dict[str, Any], lines: Sequence[str]) -> None:
    """Print one JSON object, or lines for people."""
    if as_json:
        print(json.dumps(values, ensure_ascii=False))
    else:
        print("\n".join(line.encode("utf-8", "replace").decode() for line in lines))


def unusable(failures: Mapping[str, str]) -> list[str]:
    """Lines that tell of media that cannot be used, and how many more there are than those."""
    lines = [f"cannot be used: {name}: {reason}" for name, reason in [*failures.items()][:_MOST]]
    more = len(failures) - _MOST
    return [*lines, f"cannot be used: ... and {more} more, {len(failures)} in all"] if more > 0 else lines


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
