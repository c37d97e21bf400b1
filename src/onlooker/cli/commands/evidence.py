"""``onlooker evidence``: a package that shows whether anything in it was changed."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.cli.commands.recordings import DEFAULT, AsJson, Folder, camera_time, open_recordings
from onlooker.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from onlooker.recording import Recordings, Subject

__all__ = ["app"]

app = typer.Typer(help="Export evidence, and verify that it is as it was.", no_args_is_help=True)


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "--out", "-o", help="The package to write, such as out.zip.")],
    event: Annotated[str | None, typer.Option("--event", help="Id of an event, or a unique beginning of it.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Instead of an event: name of a camera.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Wall time with its zone, or 90, 1:30.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until this time, written like --from.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The watch configuration to put in, without its secrets.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Sign with this Ed25519 private key (a PEM file).")] = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write clip, event, observations, what made them, and configuration into one package.

    Its manifest has the SHA-256 of each file, chained, under one root. Note the root elsewhere, or sign with --key: so
    it can be told from a package that somebody made anew.

    \b
    Examples:
      onlooker evidence export --event 3f2a9c01 --out case-7.zip --library lib
      onlooker evidence export --camera yard --from 1:00 --to 2:00 --out case-8.zip --key key.pem --library lib
    """
    from onlooker import __version__
    from onlooker.recording import make_evidence
    from onlooker.timeline import open_store

    if (event is None) == (camera is None):
        raise UsageError("of what is evidence wanted?", hint="give --event ID, or --camera NAME with --from and --to")
    with open_recordings(library) as recordings:
        subject = _event(library, event) if event is not None else _span(recordings, camera or "", start, end)
        known = (library / "library.sqlite").exists()
        store = open_store(library, create=False, read_only=True) if known else None
        try:
            made = make_evidence(
                recordings,
                store,
                subject,
                output,
                version=__version__,
                configuration=_configuration(config),
                models=_models(),
                key=key,
            )
        finally:
            if store is not None:
                store.close()
    if as_json:
        print(json.dumps(made.as_dict(), ensure_ascii=False))
        return
    print(f"{made.path}: {len(made.files)} files")
    print(f"root {made.root}" + (f", signed by {made.public_key}" if made.public_key else ""))
    print("note the root elsewhere: onlooker evidence verify --root tells whether it is the same", file=sys.stderr)


@app.command()
def verify(
    package: Annotated[Path, typer.Argument(help="The package.")],
    root: Annotated[str | None, typer.Option("--root", help="The root that was noted when it was made.")] = None,
    public: Annotated[
        Path | None, typer.Option("--public", help="The key that must have signed it (a PEM file).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether every byte of a package is as it was; exits with 1 and says which is not, if one is not.

    \b
    Examples:
      onlooker evidence verify case-7.zip
      onlooker evidence verify case-8.zip --public public.pem --json
    """
    from onlooker.recording import verify_evidence
    from onlooker.recording.manifest import public_key_of

    verdict = verify_evidence(package, root=root, public_key=public_key_of(public) if public is not None else None)
    if as_json:
        print(json.dumps(verdict.as_dict(), ensure_ascii=False))
    elif verdict.intact:
        signer = f", signed by {verdict.public_key}" if verdict.public_key else ", not signed"
        print(f"{package}: intact, {verdict.files} files, root {verdict.root}{signer}")
    else:
        for finding in verdict.findings:
            print(f"{package}: {finding.problem}: {finding.path}: {finding.detail}")
    raise typer.Exit(0 if verdict.intact else 1)


def _event(library: Path, event: str) -> Subject:
    from onlooker.events import Journal
    from onlooker.recording import event_subject

    journal = Journal.open(library, create=False, read_only=True)
    try:
        return event_subject(journal.get(event).as_dict())
    finally:
        journal.close()


def _span(recordings: Recordings, camera: str, start: str | None, end: str | None) -> Subject:
    from onlooker.recording import Subject

    if start is None or end is None:
        raise UsageError("which stretch of the camera?", hint="give --from and --to")
    zero = recordings.zero(camera)
    return Subject(camera, camera_time(start, zero), camera_time(end, zero))


def _configuration(path: Path | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="give the file that onlooker watch was given") from None
    return loaded if isinstance(loaded, dict) else {"content": loaded}


def _models() -> list[Any]:
    from onlooker.models import catalogue, entry

    return [{"name": n, "digest": entry(n).digest(), "sha256": entry(n).sha256} for n in sorted(catalogue())]
