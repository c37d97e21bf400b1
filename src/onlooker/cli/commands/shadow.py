"""``onlooker shadow``: a candidate beside the bundle in use, and where they differ."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.shadow.stored import Shadow

__all__ = ["command"]


def command(
    name: Annotated[str, typer.Argument(help="Name of an added bundle; its version in use is compared.")],
    candidate: Annotated[
        str, typer.Argument(help="Beginning of a version's digest, another added bundle, or a bundle's folder or zip.")
    ],
    sources: Annotated[list[str] | None, typer.Argument(help="Videos, folders or globs.")] = None,
    library: Annotated[
        Path | None, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="All files of this library's sources.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="What cameras recorded into the library, in place of stored video.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the report; shadow-NAME-VERSION.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="Whose settings of NAME both get.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="setting=value for both; repeatable.")] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, max=1, help="Scores that differ by more are told.")
    ] = 0.2,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a candidate beside the bundle in use, on the same pictures, and report where they differ.

    Nothing of it goes into your library. Ctrl-C stops; the same command goes on. With --live it reports what cameras
    with ``shadow:`` in the watch configuration have recorded; see docs/guides/improve.md.

    \b
    Examples:
      onlooker shadow fights 3f2a9c01 footage/*.mp4 --out compared
      onlooker shadow fights runs/fights-2/bundle --library lib --json
      onlooker shadow fights 3f2a9c01 --library lib --live
    """
    from onlooker.shadow.candidate import pair_of
    from onlooker.shadow.page import write_shadow

    if live and (library is None or sources):
        raise UsageError("--live compares what cameras recorded", hint="give --library alone")
    if not live and bool(sources) == (library is not None):
        raise UsageError("give videos, or a library", hint="onlooker shadow NAME CANDIDATE VIDEO, or --library LIB")
    pair = pair_of(name, candidate)
    folder = out or Path(f"shadow-{name}-{pair.candidate.digest[:8]}")
    own = _settings(settings or [])
    if live:
        from onlooker.shadow.live import recorded

        assert library is not None
        found = recorded(pair, library, tolerance=tolerance)
        page = write_shadow(found, folder, library)
    else:
        found = _stored(pair, sources, library, folder, profile, own, tolerance, workers, quiet=as_json)
        page = write_shadow(found, folder, library)
    _say(found, page, as_json)
    raise typer.Exit(130 if found.stopped else 2 if found.failures else 0)


def _settings(texts: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not (name and mark):
            raise UsageError(f"not a setting: {text!r}", hint="--set thresholds='{fight: 0.7}'")
        try:
            made[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"not a value: {value!r} in {text!r}", hint="quote it as YAML") from None
    return made


def _stored(
    pair: Any, sources: list[str] | None, library: Path | None, folder: Path, profile: str | None,
    own: dict[str, Any], tolerance: float, workers: int | None, *, quiet: bool,
) -> Shadow:  # fmt: skip
    from onlooker.cli.commands.analyze import stopping, watching
    from onlooker.shadow.stored import ShadowRequest, run_shadow, stored_paths
    from onlooker.sources import expand_inputs

    paths = stored_paths(library) if library is not None else expand_inputs(sources or [])
    request = ShadowRequest(pair, paths, folder, profile, own, tolerance, workers)
    saying = "onlooker: stopping; the same command will go on from here"
    with stopping(saying) as stop, watching(len(paths), quiet=quiet) as progress:
        return run_shadow(request, progress=progress, stop=stop)


def _say(found: Shadow, page: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**found.as_dict(), "report": str(page)}, ensure_ascii=False))
        return
    whole = found.whole
    for kind, counts in whole.counts.items():
        agreement = whole.agreement[kind]
        said = "" if agreement is None else f", agreement {agreement:.1%}"
        print(f"{kind}: in use {counts['used']}, candidate {counts['candidate']}, paired {counts['paired']}{said}")
    for sort, count in whole.as_dict()["different"].items():
        print(f"{sort}: {count}")
    for failure in found.failures:
        print(f"could not look: {failure.analyzer or failure.source}: {failure.message}")
    print(f"report: {page}")
    if not found.live and found.pair.other.startswith(f"{found.pair.name}@"):
        print(f"to use it: onlooker models promote {found.pair.name} {found.pair.candidate.digest[:16]}")
