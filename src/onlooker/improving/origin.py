"""The run that a bundle was made by: found by its bundle, or checked where it is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onlooker.bundles.folder import MANIFEST, Bundle, load_bundle
from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder

__all__ = ["began_from", "check_run", "data_of", "run_of"]


def run_of(name: str, used: Bundle, library: Path) -> Path:
    """The folder of the run that made a bundle: below ``runs`` here, or of an earlier improvement.

    Args:
        name: of the added bundle.
        used: its version in use.
        library: whose improvements are looked through.

    Raises:
        UsageError: it is not there.
    """
    for run in _known(library):
        if _digest(run) == used.digest:
            return run
    raise UsageError(
        f"the run that made {name} {used.digest[:16]} was not found", hint="say --run FOLDER of onlooker train"
    )


def _known(library: Path) -> Iterator[Path]:
    places = [Path("runs").glob(f"*/bundle/{MANIFEST}"), library.glob(f"improve/*/*/round-*/run/bundle/{MANIFEST}")]
    for place in places:
        yield from (found.parent.parent for found in sorted(place))


def _digest(run: Path) -> str | None:
    try:
        return load_bundle(run / "bundle", check=False).digest
    except OnlookerError:
        return None


def check_run(run: Path, recipe: Recipe, name: str, used: Bundle) -> None:
    """What is learned has to come out of the weights of the version in use.

    The run's bundle is that version; or the version was made of it by compression or another export, which both say of
    themselves: they name the same recipe and data.

    Args:
        run: its folder.
        recipe: of the run.
        name: of the added bundle.
        used: its version in use.

    Raises:
        UsageError: the run made something else.
    """
    outputs = [o.name for o in used.manifest.outputs]
    if missing := [task for task in outputs if task not in recipe.tasks]:
        raise UsageError(
            f"{run} is not the run that made {used.manifest.name}: it has no task {missing[0]!r}, it has "
            f"{', '.join(recipe.tasks)}",
            hint="say --run FOLDER of the run that did",
        )
    made = _digest(run)
    if made == used.digest or _trained_alike(run, used):
        return
    told = "has no bundle" if made is None else f"made {made[:16]}"
    hint = "without --run it is looked for in runs/ and in the library's improvements"
    if made is not None and made == used.manifest.provenance.parent:
        hint += f"; to begin from that earlier version: onlooker models promote {name} {made[:16]}"
    raise UsageError(f"{run} is not the run that made {name} {used.digest[:16]}, which is in use: it {told}", hint=hint)


def _trained_alike(run: Path, used: Bundle) -> bool:
    origin = used.manifest.provenance
    try:
        told = RunFolder(run).environment
    except (OSError, ValueError):
        return False
    return origin.recipe is not None and (origin.recipe, origin.dataset) == (told.get("recipe"), told.get("dataset"))


def began_from(run: Path, used: Bundle) -> Path:
    """The bundle whose weights a run goes on from: its own, or where it kept none the version in use."""
    return (run / "bundle").resolve() if _digest(run) is not None else used.folder


def data_of(recipe: Recipe) -> Path | None:
    """The folder of the dataset that a recipe names, where it is at hand."""
    folder = Path(recipe.dataset)
    return folder if (folder / "dataset.yaml").is_file() else None
