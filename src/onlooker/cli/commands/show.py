"""``onlooker show``: what a library knows of one source, or all of one observation."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import UsageError
from onlooker.core.store import Query
from onlooker.reports.export import one_line

if TYPE_CHECKING:
    from onlooker.core.observation import Observation, Producer
    from onlooker.core.store import SourceStatus, Store

__all__ = ["command", "describe_observation", "describe_source"]

_FEW = 12


def command(
    what: Annotated[
        str, typer.Argument(metavar="SOURCE|ID", help="A source's id, path or file name, or an observation's id.")
    ],
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what is known of a source, or everything about one observation and who made it.

    \b
    Examples:
      onlooker show talk.mp4 --library films
      onlooker show 3f2a9c01 --json
    """
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=not os.access(library, os.W_OK))
    try:
        status, observation = _find(store, what)
        if observation is not None:
            described = describe_observation(store, observation)
            if as_json:
                typer.echo(json.dumps(described, ensure_ascii=False))
            else:
                _print_observation(described)
        elif status is not None:
            described = describe_source(store, status)
            if as_json:
                typer.echo(json.dumps(described, ensure_ascii=False))
            else:
                _print_source(described)
    finally:
        store.close()


def _find(store: Store, what: str) -> tuple[SourceStatus | None, Observation | None]:
    try:
        return store.source(what), None
    except UsageError as unknown:
        if not 8 <= len(what) <= 32 or any(c not in "0123456789abcdef" for c in what.lower()):
            raise
        try:
            return None, store.get(what)
        except UsageError:
            raise unknown from None


def _producer(producer: Producer) -> dict[str, Any]:
    return {
        "producer": str(producer),
        "analyzer": producer.analyzer,
        "version": producer.version,
        "config": producer.config,
        "bundle": producer.bundle,
    }


def describe_observation(store: Store, observation: Observation) -> dict[str, Any]:
    """All fields of an observation, its exact times and the trace to what made it."""
    o = observation
    assert o.producer is not None, "stores give out complete observations"
    status = store.source(o.source)
    state = next((s for s in status.states if s.producer == o.producer), None)
    return {
        **o.as_dict(),
        "exact": {
            name: {"pts": moment.pts, "time_base": str(moment.time_base)}
            for name, moment in (("start", o.span.start), ("end", o.span.end))
        },
        "ordinal": o.ordinal,
        "vector": None if o.vector is None else {"space": o.vector_space, "size": len(o.vector)},
        "trace": {
            **_producer(o.producer),
            "complete": state.complete if state else None,
            "source": o.source,
            "paths": list(status.paths),
        },
    }


def describe_source(store: Store, status: SourceStatus) -> dict[str, Any]:
    """What is known of a source: facts, counts, failures, producers, and what was found, list by list."""
    info, identity = status.info, status.info.id
    video = info.video
    return {
        "source": identity,
        "paths": list(status.paths),
        "container": info.container,
        "duration_seconds": None if info.duration is None else round(float(info.duration), 6),
        "size": info.size,
        "live": info.live,
        "video": None
        if video is None
        else {
            "codec": video.codec,
            "width": video.width,
            "height": video.height,
            "frame_rate": None if video.frame_rate is None else round(float(video.frame_rate), 6),
            "rotation": video.rotation,
            "bit_depth": video.bit_depth,
        },
        "audio": [
            {"codec": a.codec, "sample_rate": a.sample_rate, "channels": a.channels, "language": a.language}
            for a in info.audio
        ],
        "tags": dict(info.tags),
        "counts": dict(store.counts(identity)),
        "failures": [f.as_dict() for f in store.failures(identity)],
        "producers": [
            {
                **_producer(s.producer),
                "complete": s.complete,
                "position_seconds": None if s.position is None else round(s.position.seconds, 6),
                "frames": s.frames,
                "seconds": round(s.seconds, 3),
            }
            for s in status.states
        ],
        **_content(store, identity),
    }


def _content(store: Store, identity: str) -> dict[str, Any]:
    """What was found, list by list: the summary, people, and observations in order of time."""
    from onlooker.reports.people import SpeakerAt, gather_people, names_of

    def of(*kinds: str) -> list[Observation]:
        return list(store.query(Query(sources=(identity,), kinds=kinds)))

    facts, identities = of("fact"), of("identity")
    names = names_of(identities, facts)
    speaker = SpeakerAt(of("speaker"), names)
    people = gather_people(identities, of("face_track"))
    return {
        "summary": " ".join(o.text for o in of("summary") if o.text and o.label != "chapter") or None,
        "people": [
            {
                "name": p.name,
                "known": p.known,
                "seconds": round(p.seconds, 3),
                "start_seconds": round(min(o.span.start.seconds for o in p.spans), 6),
                "end_seconds": round(max(o.span.end.seconds for o in p.spans), 6),
                "times": len(p.spans),
                "picture": p.picture,
            }
            for p in people
            if p.spans
        ],
        "chapters": [o.as_dict() for o in of("chapter")],
        "topics": [o.as_dict() for o in of("topic", "keyword")],
        "transcript": [{**o.as_dict(), "speaker": speaker.of(o)} for o in of("speech")],
        "texts": [o.as_dict() for o in of("text")],
        "sounds": [o.as_dict() for o in of("sound")],
        "facts": [o.as_dict() for o in facts],
        "safety": [o.as_dict() for o in of("safety")],
        "shots": [o.as_dict() for o in of("shot")],
        "tracks": [o.as_dict() for o in of("track")],
    }


# -- printing --


def _time(seconds: float | None) -> str:
    from onlooker.core.time import Timestamp

    return "?" if seconds is None else str(Timestamp.of_seconds(seconds))


def _print_observation(described: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in described.items():
        if name == "trace" or value is None or value == []:
            continue
        said = f"{value:.6f} ({_time(value)})" if name.endswith("_seconds") else _plain(value)
        table.add_row(escape(name), escape(said))
    for name, value in described["trace"].items():
        table.add_row(f"trace: {name}", escape(_plain(value)))
    Console().print(table)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_source(d: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{escape(d['paths'][-1])}[/bold]")
    video = d["video"]
    picture = f"{video['codec']} {video['width']}x{video['height']}" if video else "no video"
    sound = ", ".join(a["codec"] for a in d["audio"]) or "no sound"
    console.print(f"{d['source']}  {_time(d['duration_seconds'])}  {escape(picture)}  {escape(sound)}")
    for path in d["paths"][:-1]:
        console.print(f"also seen as {escape(path)}")
    counts = Table("kind", "count", box=None, pad_edge=False)
    for kind, count in d["counts"].items():
        counts.add_row(escape(kind), str(count))
    console.print(counts)
    runs = Table("producer", "state", "frames", "seconds", box=None, pad_edge=False)
    for p in d["producers"]:
        state = "complete" if p["complete"] else f"stopped at {_time(p['position_seconds'])}"
        runs.add_row(escape(p["producer"]), state, str(p["frames"]), f"{p['seconds']:.1f}")
    console.print(runs)
    for failure in d["failures"]:
        where = "" if failure["start_seconds"] is None else f" at {_time(failure['start_seconds'])}"
        who = failure["analyzer"] or failure["stage"]
        console.print(f"[red]failed[/red] {escape(who)}{where}: {escape(failure['message'])}")
    if d["summary"]:
        console.print(f"[bold]summary[/bold]\n{escape(one_line(d['summary']))}")
    _print_some(console, "chapters", d["chapters"], _said)
    _print_some(console, "topics and keywords", d["topics"], _said)
    _print_some(console, "people", d["people"], _person)
    _print_some(console, "said", d["transcript"], lambda o: f"{o['speaker']}: {_said(o)}" if o["speaker"] else _said(o))
    _print_some(console, "written", d["texts"], _said)
    _print_some(console, "heard", d["sounds"], _said)
    _print_some(console, "facts", d["facts"], _fact)
    _print_some(console, "safety", d["safety"], _said)
    _print_some(console, "shots", d["shots"], lambda o: str(o.get("transition") or o["label"] or ""))
    _print_some(console, "tracks", d["tracks"], lambda o: f"{o['label'] or ''} {o['track'] or ''}".strip())


def _said(o: dict[str, Any]) -> str:
    return one_line(o["text"] or o["label"] or o["kind"])


def _person(p: dict[str, Any]) -> str:
    return f"{one_line(p['name'])}, {p['seconds']:.1f} s" + (f" in {p['times']} parts" if p["times"] > 1 else "")


def _fact(o: dict[str, Any]) -> str:
    """The fact with what it rests on: ``speaker-1 is Ada (voice 60 %, lips 40 %)``, or its counts."""
    senses = o.get("senses")
    said = o["label"] if o["text"] is None else o["text"]
    if isinstance(senses, dict) and senses:
        parts = [f"{k} {100 * v:.0f} %" for k, v in senses.items() if isinstance(v, int | float)]
        return one_line(f"{said} ({', '.join(parts)})")
    labels = o.get("labels")
    if isinstance(labels, dict):
        return one_line(f"{said}: " + ", ".join(f"{n} {name}" for name, n in labels.items()))
    return one_line(said or "fact")


def _print_some(console: Any, title: str, members: list[dict[str, Any]], said: Any) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not members:
        return
    table = Table("start", "end", "what", title=title, title_justify="left", box=None, pad_edge=False)
    for o in members[:_FEW]:
        table.add_row(_time(o["start_seconds"]), _time(o["end_seconds"]), escape(said(o)))
    console.print(table)
    if len(members) > _FEW:
        console.print(f"... and {len(members) - _FEW} more (--json shows all)")
