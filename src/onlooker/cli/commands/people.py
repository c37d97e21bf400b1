"""``onlooker people``: who is who in a library."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from onlooker.people import People, PersonInfo, Redecided

__all__ = ["app"]

app = typer.Typer(help="Say who is who: enrol, name, correct, forget people.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Who = Annotated[str, typer.Argument(help="A person's name, or unknown-N.")]
DEFAULT = Path("onlooker-library")


@contextmanager
def _people(folder: Path, *, create: bool = False, read_only: bool = False) -> Generator[People]:
    from onlooker.people import People
    from onlooker.timeline import open_store

    # only looked at, a library that cannot be written will do
    read_only = read_only and not os.access(folder, os.W_OK)
    store = open_store(folder, create=create, read_only=read_only)
    try:
        yield People(store)
    finally:
        store.close()


def _say(result: dict[str, Any], as_json: bool, lines: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    console = Console(soft_wrap=True)
    for line in lines:
        console.print(escape(line))


def _counts(done: Redecided) -> dict[str, Any]:
    return {
        "tracks_decided": done.tracks,
        "tracks_changed": done.changed,
        "sources_without_identity": done.undecided,
        "seconds": round(done.seconds, 3),
    }


def _decided(done: Redecided) -> list[str]:
    lines = [f"{done.changed} of {done.tracks} tracks changed"]
    if done.undecided:
        lines.append(f"{done.undecided} sources wait for: onlooker analyze --only identity")
    return lines


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    images: Annotated[list[Path] | None, typer.Argument(help="Pictures with the person's face alone.")] = None,
    voice: Annotated[list[Path] | None, typer.Option("--voice", help="A recording of the voice; repeatable.")] = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Enrol a person by pictures of the face, recordings of the voice, or both; again to add more.

    Enrol people only who agreed to it, or where the law allows it: see docs/responsible-use.md.

    \b
    Examples:
      onlooker people enroll "Ann Lee" ann1.jpg ann2.jpg --library films
      onlooker people enroll "Ann Lee" --voice ann.wav
    """
    with _people(library, create=True) as people:
        done = people.enroll(name, [str(p) for p in images or ()], [str(p) for p in voice or ()])
    result = {
        "name": done.name,
        "enrolled_faces": done.faces,
        "enrolled_voices": done.voices,
        "qualities": done.qualities,
        "warnings": list(done.warnings),
        **_counts(done.redecided),
    }
    lines = [f"{done.name}: {done.faces} faces and {done.voices} voices enrolled"]
    lines += [f"warning: {w}" for w in done.warnings]
    _say(result, as_json, lines + _decided(done.redecided))


@app.command(name="list")
def list_people(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """List the people, those without a name too.

    \b
    Examples:
      onlooker people list --library films
    """
    with _people(library, read_only=True) as people:
        found = people.list()
    _say({"people": [p.as_dict() for p in found]}, as_json, [_line(p) for p in found] or ["nobody"])


def _line(person: PersonInfo) -> str:
    enrolled = f"{person.faces} faces, {person.voices} voices enrolled; " if not person.unknown else ""
    where = f" in {person.sources} sources" if person.tracks else ""
    picture = f"  {person.picture}" if person.picture else ""
    return f"{person.name}: {enrolled}{person.tracks} tracks{where}, {person.seconds:.1f} s{picture}"


@app.command()
def show(who: Who, library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Show where somebody is seen or heard.

    \b
    Examples:
      onlooker people show "Ann Lee"
      onlooker people show unknown-3 --json
    """
    with _people(library, read_only=True) as people:
        found = people.show(who)
    lines = [_line(found)]
    for a in found.appearances:
        o = a.observation
        by = f"{o.data.get('decided_by')}, distance {o.data.get('distance')} of {o.data.get('threshold')}"
        lines.append(f"  {o.span.start} - {o.span.end}  {a.path}@{o.track}  {by}")
    _say({**found.as_dict(), "appearances": [a.as_dict() for a in found.appearances]}, as_json, lines)


@app.command()
def name(
    what: Annotated[str, typer.Argument(help="unknown-N, a track as SOURCE@TRACK, or an observation's id.")],
    name: Annotated[str, typer.Argument(help="Who it is.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say who an unknown person or a track is.

    \b
    Examples:
      onlooker people name unknown-3 "Ann Lee"
      onlooker people name talk.mp4@face-2 "Ann Lee"
    """
    with _people(library) as people:
        done = people.name(what, name)
    _say({"what": what, "name": name, **_counts(done)}, as_json, [f"{what} is {name}", *_decided(done)])


@app.command()
def merge(
    who: Who,
    other: Annotated[str, typer.Argument(help="The person that is the same.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say that two are one person; the first name stays.

    \b
    Examples:
      onlooker people merge "Ann Lee" "A. Lee"
      onlooker people merge unknown-3 unknown-7
    """
    with _people(library) as people:
        done = people.merge(who, other)
    _say({"name": who, "merged": other, **_counts(done)}, as_json, [f"{other} is {who}", *_decided(done)])


@app.command()
def split(
    who: Who,
    tracks: Annotated[list[str] | None, typer.Argument(help="Tracks (SOURCE@TRACK) that are somebody else.")] = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say that some of a person's tracks are somebody else, who becomes a new unknown person.

    Without tracks, the person is divided into the two groups that are the least alike.

    \b
    Examples:
      onlooker people split unknown-3 talk.mp4@face-2 talk.mp4@face-9
      onlooker people split "Ann Lee"
    """
    with _people(library) as people:
        fresh, done = people.split(who, tracks or ())
    _say({"name": who, "split": fresh, **_counts(done)}, as_json, [f"{fresh} was split off {who}", *_decided(done)])


@app.command(name="not")
def reject(
    who: Who,
    track: Annotated[str, typer.Argument(help="A track as SOURCE@TRACK, or an observation's id.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say that a track is not this person; it is remembered for good.

    \b
    Examples:
      onlooker people not "Ann Lee" talk.mp4@face-2
    """
    with _people(library) as people:
        done = people.reject(who, track)
    _say({"name": who, "not": track, **_counts(done)}, as_json, [f"{track} is not {who}", *_decided(done)])


@app.command()
def forget(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Remove somebody from the library for good: name, vectors, tracks, measurements, and the face in its pictures.

    The videos, and what was exported before, are not touched.

    \b
    Examples:
      onlooker people forget "Ann Lee" --yes --library films
    """
    if not yes and not as_json:
        typer.confirm(f"Remove {who} for good?", abort=True)
    with _people(library) as people:
        done = people.forget(who)
    result = {
        "forgotten": done.name,
        "tracks": done.tracks,
        "observations": done.observations,
        "measurements": done.measurements,
        "pictures": done.pictures,
        "copies": list(done.copies),
        "texts_with_the_name": done.said,
    }
    lines = [
        f"{done.name} was removed: {done.tracks} tracks, {done.observations} observations,"
        f" {done.pictures} pictures changed"
    ]
    lines += [f"delete the old copy by hand: {library / copy}" for copy in done.copies]
    if done.said:
        lines.append(f"the name still stands in {done.said} lines of speech or text")
    _say(result, as_json, lines)


@app.command()
def decide(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Decide all stored tracks anew, without decoding.

    \b
    Examples:
      onlooker people decide
    """
    with _people(library) as people:
        done = people.redecide()
    _say(_counts(done), as_json, _decided(done))
