"""The commands that bring samples into a dataset."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.cli.commands.dataset.answers import progress, say, unusable
from onlooker.cli.commands.dataset.options import AsJson, Folder, Into, Settings
from onlooker.core.errors import UsageError
from onlooker.learning.datasets import asked

if TYPE_CHECKING:
    from onlooker.core.store import Store
    from onlooker.learning.datasets.from_library import Verdict

__all__ = ["create", "from_library", "import_"]


def create(
    folder: Folder,
    name: Annotated[str | None, typer.Option("--name", help="What people call it; the folder's name.")] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="NAME=KIND or NAME=KIND:CLASS,CLASS; repeatable.")
    ] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the media, if not the dataset's own.")] = None,
    description: Annotated[str, typer.Option("--description", help="For people: origin, licence.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make an empty dataset.

    \b
    Examples:
      onlooker dataset create fights --task action=class:fight,calm
      onlooker dataset create yard --task objects=boxes:person,car --root footage
    """
    from onlooker.learning.datasets.dataset import Dataset

    tasks = {key: asked.task_of(spec) for key, spec in asked.pairs(task, "--task").items()}
    relative = "." if root is None else os.path.relpath(root.resolve(), folder.resolve())
    made = Dataset.create(
        folder, name=name or folder.resolve().name, tasks=tasks, root=relative, description=description
    )
    say(as_json, made.info.model_dump(mode="json"), [f"{folder}: a dataset with {len(tasks)} tasks"])


def import_(
    format: Annotated[str, typer.Argument(help="See onlooker dataset formats.")],
    path: Annotated[Path, typer.Argument(help="File or folder to import.")],
    into: Into,
    media: Annotated[Path | None, typer.Option("--media", help="Folder of the media, where it lies elsewhere.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="TASK=COLUMN or TASK=COLUMN:KIND, in csv and arrays; numbers of a table are regression; repeatable.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="SORT={field} or SORT=field~REGEX; repeatable.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="A name, {field}, or field~REGEX.")] = None,
    overlap: Annotated[
        list[str] | None, typer.Option("--overlap", help="Sort of group that may be on several sides; repeatable.")
    ] = None,
    setting: Settings = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the media into the dataset's folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add samples from another format. Labels that come back from a labelling tool find their samples by id.

    \b
    Examples:
      onlooker dataset import folders clips/ --into fights --set task=action
      onlooker dataset import csv labels.csv --into esc10 --set media=audio/{file} --label sound=label \\
          --group 'source=file~^\\d-(\\d+)-' --split 'fold{fold}'
      onlooker dataset import mot PETS09-S2L1/ --into pets --set every=5
      onlooker dataset import label-studio labelled.json --into yard
    """
    from onlooker.learning.datasets.dataset import MANIFEST, Dataset
    from onlooker.learning.datasets.importing import ImportRequest, import_samples

    options: dict[str, Any] = asked.settings(setting)
    if label:
        options["labels"] = asked.pairs(label, "--label")
    request = ImportRequest(format, path, options, media, asked.pairs(group, "--group"), split, copy)
    there, fresh = into.exists(), not (into / MANIFEST).exists()
    dataset = Dataset.create(into, name=into.resolve().name) if fresh else Dataset.load(into)
    if overlap:
        dataset.info = dataset.info.model_copy(update={"overlap": tuple(overlap)})
    try:
        with progress("importing", as_json) as told:
            report = import_samples(dataset, request, told)
    except BaseException:
        if fresh:  # a refused import leaves no empty dataset behind
            for name in (MANIFEST, dataset.info.samples):
                (into / name).unlink(missing_ok=True)
            if not there and not any(into.iterdir()):
                into.rmdir()
        raise
    lines = [f"{into}: {report.new} new, {report.replaced} replaced, {len(dataset.samples)} in all"]
    tasks = dataset.info.tasks
    lines += [
        f"{name}: {t.kind}" + (f", {len(t.classes)} classes" if t.has_classes else "") for name, t in tasks.items()
    ]
    lines += report.notes
    lines += [f"left out: {n} {reason}" for reason, n in report.left_out.items() if n]
    lines += unusable(report.failures)
    kinds = {name: task.kind for name, task in tasks.items()}
    say(as_json, {"samples": len(dataset.samples), **report.as_dict(), "tasks": kinds}, lines)


def from_library(
    library: Annotated[Path, typer.Argument(help="The library folder.")],
    into: Into,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Kind of observation; repeatable.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="Only these labels; repeatable.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Id, path or file name; repeatable.")] = None,
    uncertain: Annotated[
        str | None, typer.Option("--uncertain", help="Only moments with a score in this range: 0.3..0.6.")
    ] = None,
    events: Annotated[bool, typer.Option(help="Take events that people said to be right or wrong.")] = True,
    gap: Annotated[float, typer.Option("--gap", min=0, help="Seconds between moments, at least.")] = 1.0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Moments of each source.")] = 200,
    hidden: Annotated[bool, typer.Option("--with-hidden", help="Also where the library hides people.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn what a library holds into samples: proposals for a person to look at, and judged events.

    Export the proposals to a labelling tool and import what comes back: labels find their samples by id.

    \b
    Examples:
      onlooker dataset from-library lib --into yard --kind object --uncertain 0.3..0.6
      onlooker dataset export yard label-studio tasks.json --proposed
      onlooker dataset import label-studio labelled.json --into yard
    """
    from onlooker.learning.datasets.dataset import MANIFEST, Dataset
    from onlooker.learning.datasets.from_library import LibraryRequest, samples_from_library
    from onlooker.timeline import open_store

    low, high = asked.range_of(uncertain)
    fresh = not (into / MANIFEST).exists()
    store = open_store(library, create=False, read_only=True)
    try:
        _allowed(store, hidden)
        chosen = [store.source(s) for s in source] if source else store.sources()
        dataset = Dataset.create(into, name=into.resolve().name) if fresh else Dataset.load(into)
        request = LibraryRequest(
            tuple(kind or ("object",)), tuple(label or ()), low, high, uncertain is not None, gap, limit=limit
        )
        said = _verdicts(library) if events else []
        report = samples_from_library(dataset, chosen, store.query, request, said, store.cached_id)
        held = store.counts()
        report.notes += [
            f"the library has no observation of kind {name}; it has {', '.join(sorted(held)) or 'none'}"
            for name in kind or ()
            if not held.get(name)
        ]
    finally:
        store.close()
    taken = ", ".join(f"{n} {reason}" for reason, n in report.taken.items()) or "nothing"
    left = f", {report.left} left as people labelled them" if report.left else ""
    lines = [f"{into}: {report.new} new, {report.replaced} replaced{left} ({taken})", *report.notes]
    lines += unusable(report.failures)
    say(as_json, report.as_dict(), lines)


def _allowed(store: Store, hidden: bool) -> None:
    """A library that hides people gives its videos only where the user says so."""
    from onlooker.redaction.policy import library_policy

    policy = library_policy(store)
    if policy is not None and policy.hide and not hidden:
        raise UsageError(
            f"the library hides {', '.join(policy.hide)}, and samples show videos as they are",
            hint="say --with-hidden if that is allowed",
        )


def _verdicts(library: Path) -> list[Verdict]:
    """The last word on every event that people judged."""
    from onlooker.events import EventQuery, Journal
    from onlooker.events.journal import FILE
    from onlooker.learning.datasets.from_library import Verdict

    if not (library / FILE).is_file():
        return []
    with Journal.open(library, create=False, read_only=True) as journal:
        records = journal.query(EventQuery(limit=None, oldest_first=True))
    last = [(r.event, r.feedback[-1]) for r in records if r.feedback]
    return [Verdict(event, said.verdict, said.by, said.note) for event, said in last]
