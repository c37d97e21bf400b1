"""``onlooker events``: what the rules found, what people said of it, and who was told."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.cli.event_words import event_line, events_query, mute_line, user_name, wall_time
from onlooker.core.errors import UsageError
from onlooker.core.time import parse_age

if TYPE_CHECKING:
    from onlooker.events import EventRecord, Journal

__all__ = ["app"]

app = typer.Typer(help="Look through events, judge them, quiet them, and see who was told.", no_args_is_help=True)

DEFAULT = Path("onlooker-library")
Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Id = Annotated[str, typer.Argument(help="Id of an event, or the first 8 digits or more.")]
Rules = Annotated[list[str] | None, typer.Option("--rule", help="Only events of this rule; repeatable.")]
Cameras = Annotated[list[str] | None, typer.Option("--camera", help="Only events of this camera; repeatable.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only events of this source's id; repeatable.")]
States = Annotated[list[str] | None, typer.Option("--state", help="new, update or end: the latest; repeatable.")]
Severity = Annotated[str | None, typer.Option("--severity", help="At least: info, low, medium, high, critical.")]
Since = Annotated[str | None, typer.Option("--from", help="Not ended before: 2026-05-01T08:00+02:00, or 24h ago.")]
Until = Annotated[str | None, typer.Option("--to", help="Begun before: a wall time, or so long ago.")]
Seen = Annotated[bool | None, typer.Option("--acknowledged/--unacknowledged", help="Whether somebody has seen them.")]
Judged = Annotated[str | None, typer.Option("--verdict", help="Only events that were judged: right or wrong.")]
By = Annotated[str | None, typer.Option("--by", help="Who says so; without it, you.")]
Note = Annotated[str, typer.Option("--note", help="A remark.")]
SinkName = Annotated[str | None, typer.Option("--sink", help="Only those of this sink.")]


@app.command(name="list")
def list_events(
    library: Folder = DEFAULT,
    rule: Rules = None,
    camera: Cameras = None,
    source: Sources = None,
    state: States = None,
    severity: Severity = None,
    since: Since = None,
    until: Until = None,
    acknowledged: Seen = None,
    verdict: Judged = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Leave out so many.")] = 0,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The other way round.")] = False,
    as_json: AsJson = False,
) -> None:
    """List events, newest first.

    \b
    Examples:
      onlooker events list --library lib
      onlooker events list --library lib --rule yard --severity high --from 24h --unacknowledged
      onlooker events list --library lib --state new --json
    """
    query = events_query(
        rule, camera, source, state, severity, since, until, acknowledged, verdict, limit, offset, oldest_first
    )
    with _opened(library) as journal:
        found, total = journal.query(query), journal.count(query)
    if as_json:
        _print({"count": len(found), "total": total, "events": [r.as_dict() for r in found]})
        return
    for record in found:
        print(event_line(record))
    print(f"{len(found)} of {total} events")


@app.command()
def show(id: Id, library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Show everything about one event: its states, evidence, and what was said of it.

    \b
    Examples:
      onlooker events show 3f2a9c01 --library lib
    """
    with _opened(library) as journal:
        record = journal.get(id)
        states = journal.states(record.event.id)
    values = record.as_dict()
    if as_json:
        _print({**values, "states": [s.as_dict() for s in states]})
        return
    for name, value in values.items():
        if value not in (None, [], {}, ""):
            print(f"{name:13} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    for state in states:
        print(f"state {state.number:<7} {state.state}")


@app.command()
def ack(id: Id, library: Folder = DEFAULT, by: By = None, note: Note = "", as_json: AsJson = False) -> None:
    """Say that you have seen an event.

    \b
    Examples:
      onlooker events ack 3f2a9c01 --note "the postman"
    """
    with _opened(library, writing=True) as journal:
        journal.acknowledge(id, by or user_name(), note)
        record = journal.get(id)
    _told(record, as_json)


@app.command()
def feedback(
    id: Id,
    verdict: Annotated[str, typer.Argument(help="right, or wrong for a false alarm.")],
    library: Folder = DEFAULT,
    by: By = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Say whether an event is right; kept for learning.

    \b
    Examples:
      onlooker events feedback 3f2a9c01 wrong --note "a cat"
    """
    with _opened(library, writing=True) as journal:
        journal.feedback(id, verdict, by or user_name(), note)  # pyright: ignore[reportArgumentType]
        record = journal.get(id)
    _told(record, as_json)


@app.command()
def mute(
    library: Folder = DEFAULT,
    rule: Annotated[str | None, typer.Option("--rule", help="Only this rule.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Only this camera.")] = None,
    duration: Annotated[str | None, typer.Option("--for", help="For so long: 30m, 2h, 1d.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until this wall time.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All rules and cameras.")] = False,
    by: By = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Tell nobody of events that begin from now on; they are still kept. An event that was told is told to its end.

    \b
    Examples:
      onlooker events mute --rule yard --for 2h
      onlooker events mute --camera front --until 2026-05-02T08:00+02:00 --note "painters"
      onlooker events mute --all --for 15m
    """
    if duration is not None and until is not None:
        raise UsageError("--for and --until exclude each other", hint="give one of them")
    if everything == (rule is not None or camera is not None):
        raise UsageError("say what to mute", hint="give --rule, --camera or both; or --all alone")
    end = None if until is None else wall_time(until)
    if duration is not None:
        end = datetime.now(UTC) + timedelta(seconds=float(parse_age(duration)))
    with _opened(library, writing=True) as journal:
        made = journal.mute(rule, camera, end, by=by or user_name(), note=note)
    if as_json:
        _print(made.as_dict())
        return
    print(f"mute {made.number}: {mute_line(made.as_dict())}")


@app.command()
def unmute(
    number: Annotated[int, typer.Argument(help="Number of the mute.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """End a mute.

    \b
    Examples:
      onlooker events unmute 3
    """
    with _opened(library, writing=True) as journal:
        journal.unmute(number)
    if as_json:
        _print({"number": number, "ended": True})
        return
    print(f"mute {number} has ended")


@app.command()
def mutes(
    library: Folder = DEFAULT,
    past: Annotated[bool, typer.Option("--past", help="Also those that have ended by themselves.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what is muted.

    \b
    Examples:
      onlooker events mutes --library lib
    """
    with _opened(library) as journal:
        found = [m.as_dict() for m in journal.mutes(past=past)]
    if as_json:
        _print({"mutes": found})
        return
    for one in found:
        print(f"{one['number']}: {mute_line(one)}")
    if not found:
        print("nothing is muted")


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="A .jsonl or .csv file; - prints JSON lines.")],
    library: Folder = DEFAULT,
    rule: Rules = None,
    camera: Cameras = None,
    source: Sources = None,
    state: States = None,
    severity: Severity = None,
    since: Since = None,
    until: Until = None,
    acknowledged: Seen = None,
    verdict: Judged = None,
) -> None:
    """Write events with all that was said of them, oldest first.

    \b
    Examples:
      onlooker events export week.csv --from 7d
      onlooker events export wrong.jsonl --verdict wrong
      onlooker events export - --rule yard
    """
    from onlooker.cli.event_files import write_events

    query = events_query(rule, camera, source, state, severity, since, until, acknowledged, verdict, None, 0, True)
    with _opened(library) as journal:
        count = write_events((r.as_dict() for r in journal.query(query)), output)
    if str(output) != "-":
        print(f"{count} events in {output}")


@app.command()
def dead(library: Folder = DEFAULT, sink: SinkName = None, as_json: AsJson = False) -> None:
    """List what sinks could not be told, and why.

    \b
    Examples:
      onlooker events dead --library lib
      onlooker events dead --sink phone --json
    """
    with _opened(library) as journal:
        found = journal.dead(sink)
    if as_json:
        _print({"count": len(found), "dead": [d.as_dict() for d in found]})
        return
    for one in found:
        what = f"{one.event.state} of {one.event.rule} on {one.event.camera} ({one.event.id[:8]})"
        print(f"{one.number}: {one.sink}: {what}: {one.error}")
    print(f"{len(found)} dead letters")


@app.command()
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers of dead letters.")] = None,
    library: Folder = DEFAULT,
    sink: SinkName = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back: they are delivered again by the running ``onlooker watch``, or the next.

    \b
    Examples:
      onlooker events replay 12 13
      onlooker events replay --sink phone
      onlooker events replay --all
    """
    if sum((bool(numbers), sink is not None, everything)) != 1:
        raise UsageError("say which dead letters", hint="give numbers, --sink or --all")
    with _opened(library, writing=True) as journal:
        count = journal.replay(numbers or None, sink)
    if as_json:
        _print({"replayed": count})
        return
    print(f"{count} dead letters wait again")


@app.command()
def sinks(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Show how each sink is doing: what waits, what was given up, what went wrong last.

    \b
    Examples:
      onlooker events sinks --library lib
    """
    with _opened(library) as journal:
        found = journal.sinks()
    if as_json:
        _print({"sinks": [s.as_dict() for s in found]})
        return
    for one in found:
        trouble = "" if one.last_error is None else f"; last error: {one.last_error}"
        counts = f"{one.delivered} told, {one.waiting} waiting, {one.dead} dead"
        print(f"{one.name} ({one.kind or 'not configured'}): {counts}{trouble}")
    if not found:
        print("no sink was told anything yet")


@app.command(name="test-sink")
def try_a_sink(
    name: Annotated[str, typer.Argument(help="Name of the sink in the configuration.")],
    config: Annotated[Path, typer.Option("--config", help="The watch configuration.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Tell a sink of a made-up event, to its end; exits with 1 where it does not take it.

    \b
    Examples:
      onlooker events test-sink phone --config home.yaml
    """
    from onlooker.events.trial import try_sink
    from onlooker.station.config import load_watch

    sections = load_watch(config).sinks.sections
    if name not in sections:
        raise UsageError(f"no sink is called {name!r} in {config}", hint=f"known: {', '.join(sections) or 'none'}")
    error = try_sink(name, sections[name], library)
    if as_json:
        _print({"sink": name, "kind": sections[name].kind, "good": error is None, "error": error})
    else:
        print(f"{name}: good" if error is None else f"{name}: {error}")
    raise typer.Exit(0 if error is None else 1)


# -- parts --


@contextmanager
def _opened(library: Path, *, writing: bool = False) -> Generator[Journal]:
    from onlooker.events import Journal

    # only looked at, a library that cannot be written will do
    journal = Journal.open(library, create=False, read_only=not writing and not os.access(library, os.W_OK))
    with journal:
        yield journal


def _print(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False))


def _told(record: EventRecord, as_json: bool) -> None:
    if as_json:
        _print(record.as_dict())
    else:
        print(event_line(record))
