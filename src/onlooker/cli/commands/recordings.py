"""``onlooker recordings``: what cameras recorded."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import UsageError
from onlooker.core.time import parse_age, parse_seconds

if TYPE_CHECKING:
    from onlooker.recording import Recordings

__all__ = ["app", "camera_time", "open_recordings", "wall_time"]

app = typer.Typer(help="List, export, delete and mend what cameras recorded.", no_args_is_help=True)

DEFAULT = Path("onlooker-library")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Camera = Annotated[str, typer.Argument(help="Name of the camera.")]
Start = Annotated[
    str | None,
    typer.Option("--from", help="From this time on: 2026-05-01T08:00:00+02:00, or since the camera's zero: 90, 1:30."),
]
End = Annotated[str | None, typer.Option("--to", help="Until this time, written like --from.")]


def open_recordings(library: Path) -> Recordings:
    """The recordings of a library that exists.

    Raises:
        UsageError: nothing was ever recorded there.
    """
    from onlooker.recording import Recordings

    if not (library / "recordings").is_dir():
        raise UsageError(
            f"nothing was recorded in {library}", hint="give --library the folder that onlooker watch writes"
        )
    return Recordings(library, create=False)


def camera_time(text: str, zero: float) -> int:
    """Nanoseconds of the camera, from a wall time with its zone or from a time since the camera's zero.

    Raises:
        UsageError: it is neither.
    """
    if "-" not in text.strip()[1:] and "T" not in text.upper():
        return round(parse_seconds(text) * 1_000_000_000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "write 2026-05-01T08:00:00+02:00, or 90 or 1:30 since the camera's zero"
        raise UsageError(f"not a time: {text!r}", hint=hint) from None
    if moment.tzinfo is None:
        raise UsageError(f"the time {text!r} has no zone", hint="write 2026-05-01T08:00:00+02:00, or ...Z")
    return round(((moment - _EPOCH) / timedelta(microseconds=1) - zero * 1e6) * 1000)


def wall_time(zero: float, time: int) -> str:
    """A camera's time as wall time, to the millisecond, UTC."""
    moment = _EPOCH + timedelta(seconds=zero, microseconds=time // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stretch(recordings: Recordings, camera: str, start: str | None, end: str | None) -> tuple[int, int]:
    zero = recordings.zero(camera)
    last = max((s.end for s in recordings.segments(camera)), default=0)
    return (
        0 if start is None else camera_time(start, zero),
        last if end is None else camera_time(end, zero),
    )


def _say(result: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    print(json.dumps(result, ensure_ascii=False) if as_json else "\n".join(lines))


@app.command(name="list")
def list_recordings(
    camera: Annotated[str | None, typer.Option("--camera", help="Only this camera.")] = None,
    start: Start = None,
    end: End = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List files, in order of time.

    \b
    Examples:
      onlooker recordings list --library lib
      onlooker recordings list --camera yard --from 2026-05-01T08:00:00Z --library lib --json
    """
    with open_recordings(library) as recordings:
        found: list[dict[str, Any]] = []
        lines: list[str] = []
        for name in [camera] if camera is not None else recordings.cameras():
            zero = recordings.zero(name)
            since = None if start is None else camera_time(start, zero)
            until = None if end is None else camera_time(end, zero)
            for s in recordings.segments(name, since, until):
                found.append(s.as_dict())
                state = "  being written" if s.open else ""
                length = (s.end - s.start) / 1e9
                lines.append(f"{wall_time(zero, s.start)}  {length:8.1f} s  {s.bytes / 1e6:8.2f} MB  {s.path}{state}")
    _say({"recordings": found, "bytes": sum(f["bytes"] for f in found)}, lines or ["none"], as_json=as_json)


@app.command()
def gaps(
    camera: Camera, start: Start = None, end: End = None, library: Folder = DEFAULT, as_json: AsJson = False
) -> None:
    """List where a camera was not recorded, and why.

    \b
    Examples:
      onlooker recordings gaps yard --library lib
    """
    with open_recordings(library) as recordings:
        found = recordings.gaps(camera, *_stretch(recordings, camera, start, end))
        zero = recordings.zero(camera)
    lines = [f"{wall_time(zero, g.start)}  {(g.end - g.start) / 1e9:8.1f} s  {g.reason}" for g in found]
    _say({"camera": camera, "gaps": [g.as_dict() for g in found]}, lines or ["none"], as_json=as_json)


@app.command()
def export(
    camera: Camera,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as out.mp4.")],
    start: Start = None,
    end: End = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write a stretch as one MP4, without coding it anew. It begins with the keyframe before --from.

    \b
    Examples:
      onlooker recordings export yard --from 2026-05-01T08:00:00Z --to 2026-05-01T08:05:00Z -o out.mp4 --library lib
      onlooker recordings export yard --from 1:00 --to 2:00 -o out.mp4 --library lib
    """
    if output.suffix.lower() != ".mp4":
        raise UsageError(f"{output} would be no MP4", hint="give an --output that ends with .mp4")
    with open_recordings(library) as recordings:
        since, until = _stretch(recordings, camera, start, end)
        pieces = recordings.export_pieces(camera, since, until, output)
        missing = recordings.gaps(camera, since, until)
        zero = recordings.zero(camera)
    shown = [{"at": p.at / 1e9, "start": p.start / 1e9, "end": p.end / 1e9} for p in pieces]
    result = {"path": str(output), "bytes": output.stat().st_size, "pieces": shown}
    result["gaps"] = [g.as_dict() for g in missing]
    first, last = wall_time(zero, pieces[0].start), wall_time(zero, pieces[-1].end)
    lines = [f"{output}: {first} to {last}"]
    lines += [f"not recorded: {wall_time(zero, g.start)} to {wall_time(zero, g.end)}, {g.reason}" for g in missing]
    _say(result, lines, as_json=as_json)


@app.command()
def retain(
    camera: Annotated[list[str] | None, typer.Option("--camera", help="Only this camera; repeatable.")] = None,
    days: Annotated[str | None, typer.Option("--days", help="Keep this long instead: 7d, 12h.")] = None,
    size: Annotated[str | None, typer.Option("--bytes", help="Keep at most this much of each instead: 20GB.")] = None,
    event_days: Annotated[str | None, typer.Option("--event-days", help="Keep what events hold so long: 30d.")] = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Delete what is not to be kept: as each camera was configured, or as the options say.

    \b
    Examples:
      onlooker recordings retain --library lib
      onlooker recordings retain --camera yard --days 2d --bytes 5GB --library lib
    """
    from pydantic import ValidationError

    from onlooker.recording import Retained

    changes: dict[str, Any] = {} if size is None else {"bytes": size}
    for name, text in (("days", days), ("event_days", event_days)):
        if text is not None:
            changes[name] = float(parse_age(text)) / 86_400
    done = Retained()
    with open_recordings(library) as recordings:
        for name in camera or recordings.cameras():
            known = recordings.settings(name)
            try:
                settings = type(known).model_validate({**known.model_dump(), **changes})
            except ValidationError:
                hint = "write --days 7d and --bytes 20GB"
                raise UsageError(f"not to be kept like that: {changes}", hint=hint) from None
            done.add(recordings.retain(settings, [name]))
    lines = [f"deleted {done.files} files, {done.bytes / 1e6:.1f} MB, and {done.clips} clips of events"]
    _say(done.as_dict(), lines, as_json=as_json)


@app.command()
def recover(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Make index and files agree after a crash. Recording does this by itself when it begins.

    \b
    Examples:
      onlooker recordings recover --library lib
    """
    begun = time.monotonic()
    with open_recordings(library) as recordings:
        done = recordings.recover()
    lines = [
        f"{done.mended} files mended, {done.found} found, {done.removed} removed, {done.missing} missing,"
        f" in {time.monotonic() - begun:.1f} s",
        *(f"{name} is being recorded and was left alone" for name in done.busy),
    ]
    if done.foreign:
        lines.append(f"{done.foreign} files are none of onlooker's and were left alone")
    _say(done.as_dict(), lines, as_json=as_json)
