"""The process of one analysis: reads its task from standard input, writes progress as lines of JSON.

It ends, keeping what is done, when its input is closed: when the job is cancelled, and when the server dies however.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from functools import partial
from typing import Any

__all__ = ["main"]

_APART = 0.5
"""Least seconds between two lines of progress."""


def main() -> None:
    """Run the task on standard input."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    # what libraries print must not come between the lines of progress
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    stop = threading.Event()
    threading.Thread(target=_until_closed, args=(stop,), daemon=True).start()
    _say(out, _run(task, out, stop))


def _until_closed(stop: threading.Event) -> None:
    while sys.stdin.readline():
        pass
    stop.set()


def _say(out: Any, line: dict[str, Any]) -> None:
    try:
        print(json.dumps(line, ensure_ascii=False), file=out, flush=True)
    except OSError:
        os._exit(1)  # nobody listens any more, and what was done is committed


def _run(task: dict[str, Any], out: Any, stop: threading.Event) -> dict[str, Any]:
    import time

    from onlooker.core.errors import OnlookerError
    from onlooker.library import run_options
    from onlooker.pipeline.run_local import analyze_paths
    from onlooker.sources import open_source
    from onlooker.sources.policy import AddressPolicy

    last = 0.0

    def progress(now: Any) -> None:
        nonlocal last
        if now.phase == "read" and time.monotonic() - last < _APART:
            return
        last = time.monotonic()
        fields = {"position": round(now.position, 3), "duration": round(now.duration, 3), "phase": now.phase}
        _say(out, {"progress": {"source": task["labels"].get(now.path, now.path), **fields}})

    try:
        options = run_options(
            task["library"],
            profile=task["profile"],
            only=task["only"],
            quality=task["quality"],
            redo=task["redo"],
        )
        policy = AddressPolicy(private=task["private"], public=True)
        options = replace(options, open_source=partial(open_source, policy=policy))
        report = analyze_paths(task["addresses"], options, workers=1, progress=progress, stop=stop)
    except OnlookerError as error:
        return {"error": error.message, "hint": error.hint, "type": type(error).__name__}
    result = report.as_dict()
    for source in result["sources"]:
        # as it may be shown: without password and query
        source["path"] = task["labels"].get(source["path"], source["path"])
    return {"result": result}


if __name__ == "__main__":
    main()
