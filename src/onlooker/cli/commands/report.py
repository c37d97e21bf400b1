"""``onlooker report``: an HTML page or a picture of what is known."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onlooker import __version__
from onlooker.cli.commands.clip import hiding, original
from onlooker.cli.commands.export import replaced
from onlooker.core.errors import SourceError, UsageError

if TYPE_CHECKING:
    from onlooker.core.store import SourceStatus, Store
    from onlooker.pipeline.profile import Privacy

__all__ = ["command", "write_report"]


def command(
    sources: Annotated[list[str] | None, typer.Argument(help="Ids, paths or file names; all without any.")] = None,
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path("report.html"),
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write a PNG picture of the timeline of one source instead.")
    ] = None,
    copy_video: Annotated[bool, typer.Option("--copy-video", help="Put copies of the videos beside the page.")] = False,
    unhidden: Annotated[
        bool, typer.Option("--unhidden", help="Show the original videos, though the library's privacy setting hides.")
    ] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write one HTML page with player, timeline and search; it works from disk and offline.

    \b
    Examples:
      onlooker report talk.mp4 --library lib -o talk.html
      onlooker report --library lib -o all.html --copy-video
      onlooker report talk.mp4 --library lib --picture timeline.png
    """
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=True)
    try:
        named = [store.source(s) for s in sources or []] or store.sources()
        chosen = list({s.info.id: s for s in named}.values())
        if not chosen:
            raise UsageError(f"the library {library} holds no source", hint="analyse something first")
        if picture is not None:
            _write_picture(store, chosen, picture)
        else:
            write_report(store, chosen, output, copy_video=copy_video, policy=hiding(store, unhidden=unhidden))
    finally:
        store.close()
    target = picture or output
    print(target)
    if open_it:
        typer.launch(str(target))


def write_report(
    store: Store,
    chosen: list[SourceStatus],
    output: Path,
    *,
    copy_video: bool = False,
    policy: Privacy | None = None,
) -> None:
    """Write the page for these sources of a library; with a ``policy`` that hides, no videos but redacted copies."""
    from onlooker.reports.html_report import ReportInput, build_report, link_to

    videos: dict[str, str] = {}
    for source in chosen:
        try:
            path = original(source)
        except SourceError:
            continue  # the page says that the video is not there
        if policy is not None:
            if not copy_video:
                continue
            beside = output.with_name(f"{output.stem}-{source.info.id[:8]}.mp4")
            _write_hidden(path, beside, policy)
            path = str(beside)
        elif copy_video and Path(path).is_file():
            beside = output.with_name(f"{output.stem}-{source.info.id[:8]}{Path(path).suffix}")
            shutil.copyfile(path, beside)
            path = str(beside)
        videos[source.info.id] = link_to(path, output)
    failures = {s.info.id: store.failures(s.info.id) for s in chosen}
    given = ReportInput(chosen, store.query, failures, store.folder, videos, store.counts)
    page = build_report(given, f"made by onlooker {__version__}")
    with replaced(output) as part:
        part.write_text(page, encoding="utf-8")


def _write_hidden(path: str, beside: Path, policy: Privacy) -> None:
    from onlooker.redaction.look import things
    from onlooker.redaction.redact import Redaction, redact
    from onlooker.sources import open_source

    source = open_source(path)
    try:
        if source.info.video is not None:
            with replaced(beside) as part:
                redact(source, part, Redaction(things(policy.hide), policy.style))
    finally:
        source.close()


def _write_picture(store: Store, chosen: list[SourceStatus], target: Path) -> None:
    from onlooker.reports.picture import draw_timeline

    if len(chosen) != 1:
        raise UsageError(f"a picture shows one source, not {len(chosen)}", hint="name one")
    drawn = draw_timeline(chosen[0], store.query, store.folder, counts=store.counts(chosen[0].info.id))
    with replaced(target) as part:
        drawn.save(part, "PNG", optimize=True)
