"""``onlooker dataset``: labelled samples: import, check, split, look at, prepare, export."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import UsageError
from onlooker.learning.datasets import asked

if TYPE_CHECKING:
    from onlooker.core.store import Store
    from onlooker.learning.datasets.dataset import Dataset
    from onlooker.learning.datasets.from_library import Verdict

__all__ = ["app"]

app = typer.Typer(help="Labelled samples: import, check, split, look at, prepare, export.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset's folder.")]
Into = Annotated[Path, typer.Option("--into", help="The dataset's folder; made where there is none.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="OPTION=VALUE of the format; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Split = Annotated[str | None, typer.Option("--split", help="Only this split.")]


@app.command()
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
    _say(as_json, made.info.model_dump(mode="json"), [f"{folder}: a dataset with {len(tasks)} tasks"])


@app.command(name="import")
def import_(
    format: Annotated[str, typer.Argument(help="See onlooker dataset formats.")],
    path: Annotated[Path, typer.Argument(help="File or folder to import.")],
    into: Into,
    media: Annotated[Path | None, typer.Option("--media", help="Folder of the media, where it lies elsewhere.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="TASK=COLUMN or TASK=COLUMN:KIND, in csv and arrays; repeatable."),
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
    fresh = not (into / MANIFEST).exists()
    dataset = Dataset.create(into, name=into.resolve().name) if fresh else Dataset.load(into)
    if overlap:
        dataset.info = dataset.info.model_copy(update={"overlap": tuple(overlap)})
    try:
        with _progress("importing", as_json) as told:
            report = import_samples(dataset, request, told)
    except BaseException:
        if fresh:  # a refused import leaves no empty dataset behind
            for name in (MANIFEST, dataset.info.samples):
                (into / name).unlink(missing_ok=True)
        raise
    lines = [f"{into}: {report.new} new, {report.replaced} replaced, {len(dataset.samples)} in all"]
    lines += [f"left out: {n} {reason}" for reason, n in report.left_out.items() if n]
    lines += [f"cannot be used: {name}: {reason}" for name, reason in [*report.failures.items()][:20]]
    _say(as_json, {"samples": len(dataset.samples), **report.as_dict()}, lines)


@app.command()
def check(
    folder: Folder,
    deep: Annotated[bool, typer.Option("--deep", help="Decode files whole, not at three places only.")] = False,
    near: Annotated[bool, typer.Option(help="Look for near-duplicates on two sides.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail the check too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for broken files, conflicts, boxes and spans out of place, imbalance, and leaks between splits.

    Exits with 1 where there are errors.

    \b
    Examples:
      onlooker dataset check fights
      onlooker dataset check fights --deep --strict --json
    """
    from onlooker.learning.datasets.checking import check_dataset

    dataset = _load(folder)
    with _progress("checking", as_json) as told:
        report = check_dataset(dataset, deep=deep, near_duplicates=near, progress=lambda _, n, of: told(n, of))
    lines = [f"{f.level:8}{f.code:28}{f.message}" for f in report.findings[:200]]
    lines += [f"... and {len(report.findings) - 200} more"] if len(report.findings) > 200 else []
    seen = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in report.looked_at.items())
    lines.append(f"{folder}: {'good' if report.good else 'not good'}; looked at {seen}")
    _say(as_json, report.as_dict(), lines)
    raise typer.Exit(0 if report.good and not (strict and any(f.level == "warning" for f in report.findings)) else 1)


@app.command()
def split(
    folder: Folder,
    parts: Annotated[list[str] | None, typer.Argument(help="NAME=SHARE for each side: train=0.8 val=0.2.")] = None,
    folds: Annotated[int | None, typer.Option("--folds", min=2, help="So many equal folds instead.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed gives another split.")] = 0,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Sort of group that stays together; all without it; repeatable.")
    ] = None,
    stratify: Annotated[str | None, typer.Option("--stratify", help="Spread the classes of this task alone.")] = None,
    near: Annotated[bool, typer.Option(help="Keep near-duplicates together.")] = True,
    as_json: AsJson = False,
) -> None:
    """Put every sample on one side: sources, persons and near-duplicates stay together, classes are spread evenly.

    \b
    Examples:
      onlooker dataset split fights train=0.7 val=0.15 test=0.15
      onlooker dataset split faces --folds 5 --by person --stratify expression --seed 3
    """
    from onlooker.learning.datasets.likeness import near_pairs, prints_of
    from onlooker.learning.datasets.splitting import split_dataset

    if bool(parts) == bool(folds):
        raise UsageError("say how to split", hint="train=0.8 val=0.2, or --folds 5")
    try:
        shares = {name: float(value) for name, value in asked.pairs(parts, "a share").items()}
    except ValueError:
        raise UsageError(f"not shares: {' '.join(parts or [])}", hint="train=0.8 val=0.2") from None
    dataset = _load(folder)
    pairs: Any = []
    if near:
        with _progress("comparing", as_json) as told:
            pairs = near_pairs(prints_of(dataset, dataset.samples, told))
    report = split_dataset(
        dataset, shares, seed=seed, folds=folds, by=by, stratify=stratify, pairs=pairs, near_duplicates=near
    )
    dataset.save()
    lines = [f"{name:12}{n:7}" for name, n in report.samples.items()]
    lines.append(f"{report.families} families that stay together, the largest of {report.largest} samples; "
                 f"{report.joined} pairs of near-duplicates")  # fmt: skip
    _say(as_json, report.as_dict(), [*lines, *report.notes])


@app.command()
def stats(
    folder: Folder,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the classes as a PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count samples, classes, boxes, spans and media by split.

    \b
    Examples:
      onlooker dataset stats fights --picture balance.png
    """
    from onlooker.learning.datasets.statistics import statistics_of

    facts = statistics_of(_load(folder))
    if picture is not None:
        from onlooker.learning.datasets.balance_picture import draw_balance
        from onlooker.learning.datasets.typed_yaml import write_whole
        from onlooker.reports.lettering import Lettering

        write_whole(picture, draw_balance(facts, Lettering().fit))
    sides = ", ".join(f"{name or 'no split'} {n}" for name, n in facts["splits"].items())
    lines = [f"{facts['name']}: {facts['samples']} samples ({sides or 'no splits'})"]
    lines += [f"{kind}: {', '.join(f'{k} {v}' for k, v in held.items())}" for kind, held in facts["media"].items()]
    for name, task in facts["tasks"].items():
        more = {k: v for k, v in task.items() if k not in ("kind", "classes", "by_split")}
        lines.append(f"{name} ({task['kind']}): {', '.join(f'{k} {v}' for k, v in more.items())}")
        for label, counts in task.get("classes", {}).items():
            said = ", ".join(f"{s or 'no split'} {n}" for s, n in counts.items())
            lines.append(f"  {label:24}{sum(counts.values()):7}  {said}")
    _say(as_json, facts, lines)


@app.command()
def show(
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("dataset.html"),
    split: Split = None,
    label: Annotated[str | None, typer.Option("--label", help="TASK or TASK=CLASS: only those.")] = None,
    sample: Annotated[list[str] | None, typer.Option("--sample", help="Id; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, taken evenly.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page of samples with their labels: pictures with boxes, spans, sound. It works offline.

    \b
    Examples:
      onlooker dataset show fights -o fights.html
      onlooker dataset show fights --split val --label action=fight -o fights.html
    """
    from onlooker.learning.datasets.page import PageRequest, build_page
    from onlooker.learning.datasets.typed_yaml import write_whole

    page, shown = build_page(_load(folder), PageRequest(split, label, sample or (), limit))
    write_whole(output, page)
    _say(as_json, {"page": str(output), "shown": shown}, [f"{output}: {shown} samples"])


@app.command()
def export(
    folder: Folder,
    format: Annotated[str, typer.Argument(help="See onlooker dataset formats.")],
    target: Annotated[Path, typer.Argument(help="File or folder to write.")],
    split: Split = None,
    proposed: Annotated[bool, typer.Option("--proposed", help="Only samples that await a look by a person.")] = False,
    setting: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write samples in another format, such as tasks for a labelling tool.

    \b
    Examples:
      onlooker dataset export yard coco yard.json --split train
      onlooker dataset export yard label-studio tasks.json --proposed
    """
    from onlooker.learning.datasets.formats import format_of, options_of

    dataset, chosen = _load(folder), format_of(format)
    samples = [s for s in dataset.of_split(split) if not proposed or s.status == "proposed"]
    done = chosen.write(dataset, samples, target, options_of(chosen, asked.settings(setting)))
    lines = [f"{target}: {done.samples} samples in {len(done.files)} files"]
    lines += [f"left out: {n} {reason}" for reason, n in done.left_out.items() if n]
    left = {k: n for k, n in done.left_out.items() if n}
    _say(as_json, {"samples": done.samples, "files": [str(f) for f in done.files], "left_out": left}, lines)


@app.command(name="from-library")
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
        report = samples_from_library(dataset, chosen, store.query, request, said)
    finally:
        store.close()
    taken = ", ".join(f"{n} {reason}" for reason, n in report.taken.items()) or "nothing"
    lines = [f"{into}: {report.new} new, {report.replaced} replaced ({taken})"]
    lines += [f"cannot be used: {name}: {reason}" for name, reason in report.failures.items()]
    _say(as_json, report.as_dict(), lines)


@app.command()
def prepare(
    folder: Folder,
    into: Annotated[Path, typer.Option("--into", help="Folder of the prepared dataset.")],
    file: Annotated[Path | None, typer.Option("--file", help="YAML of the preparation; options change it.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="pictures.frames=16, sound.rate=16000, ...; repeatable.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", help="TASK.CLASS=NEW, or =- to drop it; repeatable.")
    ] = None,
    cache: Annotated[str, typer.Option("--cache", help="Keep so much of what was decoded: 500MB, 8GB, 0.")] = "4GB",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that decode.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Say which part, rate and size become arrays, measure mean and deviation, and fill the cache of decoded clips.

    \b
    Examples:
      onlooker dataset prepare fights --into fights-112 --set pictures.frames=16 --set pictures.width=112
      onlooker dataset prepare esc10 --into esc10-16k --set pictures= --set sound.rate=16000 --set sound.seconds=5
      onlooker dataset prepare faces --into faces-2 --rename expression.sad=other --rename expression.fear=-
    """
    from onlooker.learning.datasets.preparing import prepare_dataset

    dataset, how = _load(folder), asked.preparation_of(file, setting)
    names = asked.pairs(rename, "--rename")
    with _progress("preparing", as_json) as told:
        _, report = prepare_dataset(
            dataset, into, how, rename=names, cache_bytes=asked.bytes_of(cache), workers=workers, progress=told
        )
    lines = [f"{into}: {report.samples} samples, {report.decoded} decoded, {report.cache_bytes / 1e6:.1f} MB kept"]
    lines += [f"cannot be used: {name}: {reason}" for name, reason in [*report.failures.items()][:20]]
    _say(as_json, report.as_dict(), lines)
    raise typer.Exit(1 if report.failures else 0)


@app.command()
def formats(as_json: AsJson = False) -> None:
    """List the formats with their options.

    \b
    Examples:
      onlooker dataset formats
    """
    from onlooker.learning.datasets.formats import format_names, format_of

    known = {n: format_of(n) for n in format_names()}
    values = {
        n: {"description": f.description, "writes": sorted(f.holds), "options": f.Options.model_json_schema()}
        for n, f in known.items()
    }
    lines: list[str] = []
    for name, f in known.items():
        lines.append(f"{name:14}{f.description} ({'read and write' if f.holds else 'read only'})")
        lines.append(f"{'':14}--set {', '.join(f.Options.model_fields)}")
    _say(as_json, values, lines)


@app.command()
def schema(
    what: Annotated[str, typer.Argument(metavar="dataset|sample|preparation", help="Which file's.")] = "dataset",
) -> None:
    """Print the JSON Schema of dataset.yaml, of a line of samples.jsonl, or of a preparation.

    \b
    Examples:
      onlooker dataset schema sample > sample.schema.json
    """
    from onlooker.learning.datasets.manifest import info_schema, sample_schema
    from onlooker.learning.datasets.preparation import Preparation

    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "dataset": info_schema, "sample": sample_schema, "preparation": Preparation.model_json_schema
    }  # fmt: skip
    if what not in makers:
        raise UsageError(f"there is no schema of {what!r}", hint=", ".join(makers))
    print(json.dumps(makers[what](), indent=2, ensure_ascii=False))


# -- parts --


def _load(folder: Path) -> Dataset:
    from onlooker.learning.datasets.dataset import Dataset

    return Dataset.load(folder)


def _say(as_json: bool, values: dict[str, Any], lines: Sequence[str]) -> None:
    if as_json:
        print(json.dumps(values, ensure_ascii=False))
    else:
        print("\n".join(line.encode("utf-8", "replace").decode() for line in lines))


@contextmanager
def _progress(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


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
