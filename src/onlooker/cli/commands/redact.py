"""``onlooker redact``: a copy of a video in which people or things cannot be recognised."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.cli.commands.analyze import stopping
from onlooker.cli.commands.export import replaced
from onlooker.core.errors import Interrupted, UsageError
from onlooker.core.time import Span, Timestamp, parse_seconds

if TYPE_CHECKING:
    from onlooker.core.media import VideoInfo
    from onlooker.redaction.cover import Style
    from onlooker.redaction.redact import Redacted
    from onlooker.redaction.survey import Shown, Zone

__all__ = ["command", "parse_zone"]

_SIZES = {"fast": 480, "balanced": 640, "best": 1280}


def command(
    video: Annotated[str, typer.Argument(help="The video file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as out.mp4.")],
    hide: Annotated[
        list[str] | None,
        typer.Option(
            "--hide", help="faces (the default), persons, plates, screens, text, or none; with commas, or repeated."
        ),
    ] = None,
    all_but: Annotated[
        list[str] | None,
        typer.Option("--all-but", help="Leave this enrolled person's face visible, where it is sure; repeatable."),
    ] = None,
    style: Annotated[str, typer.Option("--style", help="blur, pixelate or fill.")] = "blur",
    mute: Annotated[bool, typer.Option("--mute", help="Leave the sound out.")] = False,
    mute_speech: Annotated[
        bool, typer.Option("--mute-speech", help="Silence the sound where somebody speaks.")
    ] = False,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box", help="Hide LEFT,TOP,RIGHT,BOTTOM too (pixels, or shares 0..1), with @FROM-TO; repeatable."
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, max=2.0, help="Share of its size by which a box is grown.")
    ] = 0.2,
    quality: Annotated[
        str, typer.Option("--quality", help="fast, balanced or best: how small a face is found.")
    ] = "balanced",
    library: Annotated[
        Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="Whose people --all-but means.")
    ] = Path("onlooker-library"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a copy of a video with faces, or other things, hidden in every frame.

    What is found is followed forwards and backwards in time, so that frames in which it was missed are covered too; two
    detectors look for faces in every frame. Size, frame times and sound stay; titles, places and other metadata do not.
    Plates are lines of text within vehicles. Look at the result before you publish it: no detector finds everything.

    \b
    Examples:
      onlooker redact talk.mp4 -o safe.mp4
      onlooker redact street.mp4 -o safe.mp4 --hide persons,plates --style pixelate --mute
      onlooker redact desk.mp4 -o safe.mp4 --hide screens --box 0,0,320,90@1:00-1:20
      onlooker redact talk.mp4 -o safe.mp4 --all-but "Ann Lee" --library lib
    """
    from onlooker.redaction.cover import STYLES
    from onlooker.redaction.follow import Follow
    from onlooker.redaction.look import things
    from onlooker.redaction.redact import Redaction, redact
    from onlooker.sources import open_source

    chosen: Style | None = style if style in STYLES else None  # pyright: ignore[reportAssignmentType]
    if chosen is None:
        raise UsageError(f"no style is called {style!r}", hint=", ".join(STYLES))
    if quality not in _SIZES:
        raise UsageError(f"no quality is called {quality!r}", hint=", ".join(_SIZES))
    wanted = [name.strip() for group in hide or ["faces"] for name in group.split(",")]
    if output.exists() and Path(video).exists() and output.samefile(video):
        raise UsageError("the redacted video would take the place of the original", hint="give another --output")
    source, but = open_source(video), None
    try:
        zones = tuple(parse_zone(text, source.info.video) for text in box or ())
        wish = Redaction(
            things([name for name in wanted if name != "none"]),
            chosen,
            zones,
            "all" if mute else "speech" if mute_speech else "none",
            _SIZES[quality],
            Follow(margin=margin),
        )
        with stopping("onlooker: stopping; nothing is written") as stop, _watching(video, quiet=as_json) as tell:
            but = _shown(library, all_but or [])
            with replaced(output) as part:
                done = redact(source, part, wish, but=but, progress=tell, stop=stop.is_set)
    except Interrupted:
        raise typer.Exit(130) from None
    finally:
        source.close()
        if but is not None:
            but.close()
    _say(done, wish.style, output, as_json=as_json)
    raise typer.Exit(2 if done.unread else 0)


def _shown(library: Path, names: list[str]) -> Shown | None:
    if not names:
        return None
    from onlooker.redaction.people import open_shown

    return open_shown(library, names)


def parse_zone(text: str, video: VideoInfo | None) -> Zone:
    """``0.1,0.2,0.5,0.4`` or ``10,20,300,200``, with ``@1:00-1:20`` behind it for a stretch of time.

    Raises:
        UsageError: the text is none of these.
    """
    from onlooker.redaction.survey import Zone

    place, _, when = text.partition("@")
    hint = "write LEFT,TOP,RIGHT,BOTTOM in pixels or in shares 0..1, and @FROM-TO for a stretch"
    try:
        sides = [float(v) for v in place.split(",")]
    except ValueError:
        raise UsageError(f"not a box: {text!r}", hint=hint) from None
    if len(sides) == 4 and max(sides) > 1 and video is not None:
        sides = [v / (video.width, video.height)[n % 2] for n, v in enumerate(sides)]
    if len(sides) != 4 or not (0 <= sides[0] < sides[2] <= 1 and 0 <= sides[1] < sides[3] <= 1):
        raise UsageError(f"not a box within the picture: {text!r}", hint=hint)
    left, top, right, bottom = sides
    if not when:
        return Zone((left, top, right, bottom))
    first, dash, last = when.partition("-")
    start, end = parse_seconds(first), parse_seconds(last) if dash else None
    if end is None or end <= start:
        raise UsageError(f"not a stretch of time: {when!r}", hint=hint)
    return Zone((left, top, right, bottom), Span(Timestamp.of_seconds(start), Timestamp.of_seconds(end)))


@contextmanager
def _watching(name: str, *, quiet: bool) -> Iterator[Callable[[float], None] | None]:
    """A progress bar on a terminal; nothing when standard error is piped or JSON was asked for."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    task = bar.add_task(Path(name).name, total=1.0)
    with bar:
        yield lambda share: bar.update(task, completed=share)


def _say(done: Redacted, style: str, output: Path, *, as_json: bool) -> None:
    if as_json:
        result: dict[str, Any] = {"path": str(output), "style": style, **done.as_dict()}
        print(json.dumps(result, ensure_ascii=False))
        return
    found = ", ".join(f"{count} {thing}" for thing, count in done.tracks.items()) or "boxes by hand"
    share = f"{100 * done.hidden_share:.1f} % of the picture"
    print(f"{output}: {found} followed; hidden in {done.frames_hidden} of {done.frames} frames, {share}")
    if done.shown_tracks:
        print(f"{done.shown_tracks} left visible in part or throughout")
    print(f"sound {done.sound}" + (f", silent in {len(done.silent)} stretches" if done.silent else ""))
    for span in done.unread:
        print(f"could not read {span}: it is missing", file=sys.stderr)
    print("look at it before you publish it: no detector finds everything", file=sys.stderr)
