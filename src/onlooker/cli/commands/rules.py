"""``onlooker rules``: check rule files, try them on what is stored, and ask why they fired or did not."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import UsageError
from onlooker.core.time import Span, Timestamp, parse_seconds

if TYPE_CHECKING:
    from onlooker.core.media import SourceInfo
    from onlooker.core.store import Store
    from onlooker.rules import Event

__all__ = ["app"]

app = typer.Typer(help="Check rules, try them on what is stored, and ask why they fired.", no_args_is_help=True)

DEFAULT = Path("onlooker-library")
Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Id, path or file name; repeatable.")]
Start = Annotated[str | None, typer.Option("--from", help="Not before this time of each source: 90, 1:30, 2m.")]
End = Annotated[str | None, typer.Option("--to", help="Not after this time.")]
Clock = Annotated[
    str | None, typer.Option("--clock", help="Wall time at which the sources begin: 2026-05-01T08:00:00+02:00.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="Rule files.")], as_json: AsJson = False) -> None:
    """Check rule files; says file and line of what is wrong, and exits with 1.

    \b
    Examples:
      onlooker rules check yard.yaml
      onlooker rules check rules/*.yaml --json
    """
    from onlooker.core.errors import ConfigError
    from onlooker.rules import load_rules

    results: list[dict[str, Any]] = []
    for path in files:
        try:
            rules = load_rules(path)
        except ConfigError as error:
            results.append({"file": str(path), "good": False, "error": str(error)})
        else:
            results.append({"file": str(path), "good": True, "rules": [r.id for r in rules.rules]})
    good = all(r["good"] for r in results)
    if as_json:
        print(json.dumps({"good": good, "files": results}, ensure_ascii=False))
    else:
        for r in results:
            print(f"{r['file']}: good, {len(r['rules'])} rules" if r["good"] else f"wrong: {r['error']}")
    raise typer.Exit(0 if good else 1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of rule files, for editors.

    \b
    Examples:
      onlooker rules schema > onlooker-rules.schema.json
    """
    from onlooker.rules import rules_schema

    print(json.dumps(rules_schema(), indent=2, ensure_ascii=False))


@app.command()
def conditions(as_json: AsJson = False) -> None:
    """List the conditions that rules can be made of.

    \b
    Examples:
      onlooker rules conditions
    """
    from onlooker.rules import rules_schema

    properties = rules_schema()["$defs"]["Condition"]["properties"]
    if as_json:
        print(json.dumps({n: p.get("description", "") for n, p in properties.items()}, ensure_ascii=False))
        return
    for name, values in properties.items():
        print(f"{name:15} {values.get('description', '')}")


@app.command(name="test")
def run_test(
    file: Annotated[Path, typer.Argument(help="A rule file.")],
    library: Folder = DEFAULT,
    source: Sources = None,
    start: Start = None,
    end: End = None,
    clock: Clock = None,
    states: Annotated[
        bool, typer.Option("--states", help="Print new, update and end, not ended events alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run rules over stored observations: the events that they would have made live.

    \b
    Examples:
      onlooker rules test yard.yaml --library lib
      onlooker rules test yard.yaml --library lib --source door.mp4 --from 1:00 --to 2:00 --json
      onlooker rules test yard.yaml --library lib --clock 2026-05-01T22:00:00+02:00
    """
    from onlooker.rules import load_rules

    rules = load_rules(file)
    begun = time.perf_counter()
    with _opened(library) as store:
        chosen = _chosen(store, source)
        events = list(_events(store, rules, chosen, _span(start, end), clock))
        paths = {info.id: info.path for info in chosen}
    told = _in_order(events if states else [e for e in events if e.state == "end"], chosen)
    seconds = time.perf_counter() - begun
    if as_json:
        result = {
            "rules": [r.id for r in rules.rules],
            "sources": len(chosen),
            "seconds": round(seconds, 3),
            "count": len(told),
            "events": [{**e.as_dict(), "path": paths[e.source]} for e in told],
        }
        print(json.dumps(result, ensure_ascii=False))
        return
    _print(told, paths)
    print(f"{len(told)} events of {len(rules.rules)} rules on {len(chosen)} sources in {seconds:.1f} s")


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A rule file.")],
    at: Annotated[str, typer.Option("--at", help="The moment: 90, 1:30, 2m.")],
    library: Folder = DEFAULT,
    source: Sources = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only this rule; repeatable.")] = None,
    clock: Clock = None,
    as_json: AsJson = False,
) -> None:
    """Say for a moment why a rule fired, or which condition kept it from firing.

    \b
    Examples:
      onlooker rules explain yard.yaml --library lib --source door.mp4 --at 1:23
    """
    from onlooker.rules import explain as explained
    from onlooker.rules import load_rules

    rules = load_rules(file)
    moment = Timestamp.of_seconds(parse_seconds(at)).nanoseconds
    with _opened(library) as store:
        found = [
            (info, answer)
            for info in _chosen(store, source)
            for answer in explained(store, rules, info, moment, _clock(clock))
            if not rule or answer.rule in rule
        ]
    if as_json:
        results = [{"source": info.id, "path": info.path, **answer.as_dict()} for info, answer in found]
        print(json.dumps({"at": moment / 1e9, "rules": results}, ensure_ascii=False))
        return
    for info, answer in found:
        state = "fires" if answer.going_on else "does not fire"
        print(f"{info.path} at {at}: {answer.rule} {state}")
        for line in answer.lines:
            print(f"  {'  ' * line.depth}{'yes' if line.holds else 'no ':3} {line.path}: {line.why}")
        for reason in answer.kept_by:
            print(f"  kept by {reason}")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The rule file in use.")],
    new: Annotated[Path, typer.Argument(help="The changed one.")],
    library: Folder = DEFAULT,
    source: Sources = None,
    start: Start = None,
    end: End = None,
    clock: Clock = None,
    as_json: AsJson = False,
) -> None:
    """Show which events a change of the rules would add, remove or move.

    \b
    Examples:
      onlooker rules diff yard.yaml yard-new.yaml --library lib
    """
    from onlooker.rules import compare, load_rules

    before, after = load_rules(old), load_rules(new)
    with _opened(library) as store:
        chosen, span = _chosen(store, source), _span(start, end)
        changes = compare(*(list(_events(store, rules, chosen, span, clock)) for rules in (before, after)))
        paths = {info.id: info.path for info in chosen}
    counts = {sort: sum(c.sort == sort for c in changes) for sort in ("same", "moved", "added", "gone")}
    if as_json:
        print(json.dumps({**counts, "changes": [c.as_dict() for c in changes if c.sort != "same"]}, ensure_ascii=False))
        return
    marks = {"gone": "-", "added": "+", "moved": "~"}
    for change in changes:
        event = change.new or change.old
        if change.sort != "same" and event is not None:
            print(f"{marks[change.sort]} {_line(event, paths)}")
    print(", ".join(f"{n} {sort}" for sort, n in counts.items()))


# -- parts --

_MANY = 200_000
"""From so many observations on, several processes are worth their start."""


@contextmanager
def _opened(library: Path) -> Iterator[Store]:
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=not os.access(library, os.W_OK))
    try:
        yield store
    finally:
        store.close()


def _chosen(store: Store, refs: list[str] | None) -> list[SourceInfo]:
    return [store.source(ref).info for ref in refs] if refs else [s.info for s in store.sources()]


def _events(
    store: Store, rules: Any, chosen: list[SourceInfo], span: Span | None, clock: str | None
) -> Iterator[Event]:
    from onlooker.rules import backtest, backtest_apart
    from onlooker.timeline import open_store

    moment = _clock(clock)
    begin = {} if moment is None else {info.id: moment for info in chosen}
    workers = os.cpu_count() or 1
    if workers == 1 or len(rules.rules) == 1 or sum(sum(store.counts(i.id).values()) for i in chosen) < _MANY:
        return backtest(store, rules, chosen, span, begin)
    opener = partial(open_store, store.folder, create=False, read_only=True)
    return backtest_apart(opener, rules, chosen, span, begin, workers=workers)


def _in_order(events: list[Event], chosen: list[SourceInfo]) -> list[Event]:
    """By source, and within it as they were told."""
    places = {info.id: i for i, info in enumerate(chosen)}
    return sorted(events, key=lambda e: (places[e.source], e.start if e.end is None else e.end, e.rule, e.number))


def _clock(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"not a wall time: {text!r}", hint="write 2026-05-01T08:00:00+02:00") from None
    if moment.tzinfo is None:
        raise UsageError(f"{text!r} does not say which time zone", hint="end it with Z or +02:00")
    return moment


def _span(start: str | None, end: str | None) -> Span | None:
    if start is None and end is None:
        return None
    first = parse_seconds(start) if start else parse_seconds("0")
    last = parse_seconds(end) if end else parse_seconds("1000000h")
    if last < first:
        raise UsageError(f"--from {start} is after --to {end}", hint="swap them")
    return Span.of_seconds(first, last)


def _print(events: list[Event], paths: dict[str, str]) -> None:
    for event in events:
        print(_line(event, paths))


def _line(event: Event, paths: dict[str, str]) -> str:
    moment = Timestamp.of_seconds(event.start / 1e9)
    end = "" if event.end is None else f" - {Timestamp.of_seconds(event.end / 1e9)}"
    tracks = f" {', '.join(event.tracks)}" if event.tracks else ""
    data = ", ".join(f"{k} {v}" for k, v in event.data.items())
    name = Path(paths.get(event.source, event.source)).name
    what = f" {event.label}" if event.label else ""
    return f"{moment}{end} {event.state:6} {event.severity:8} {event.rule}{what}{tracks} [{name}] {data}".rstrip()
