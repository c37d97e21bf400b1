"""The commands that look at a dataset and make other things of it."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from onlooker.cli.commands.dataset.answers import progress, say, unusable
from onlooker.cli.commands.dataset.options import AsJson, Folder, Settings, Split, load
from onlooker.core.errors import UsageError
from onlooker.learning.datasets import asked

__all__ = ["check", "export", "formats", "prepare", "schema", "show", "split", "stats"]


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

    dataset = load(folder)
    with progress("checking", as_json) as told:
        report = check_dataset(dataset, deep=deep, near_duplicates=near, progress=lambda _, n, of: told(n, of))
    lines = [f"{f.level:8}{f.code:28}{f.message}" for f in report.findings[:200]]
    lines += [f"... and {len(report.findings) - 200} more"] if len(report.findings) > 200 else []
    seen = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in report.looked_at.items())
    lines.append(f"{folder}: {'good' if report.good else 'not good'}; looked at {seen}")
    say(as_json, report.as_dict(), lines)
    raise typer.Exit(0 if report.good and not (strict and any(f.level == "warning" for f in report.findings)) else 1)


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
    dataset = load(folder)
    pairs: Any = []
    if near:
        with progress("comparing", as_json) as told:
            pairs = near_pairs(prints_of(dataset, dataset.samples, told))
    report = split_dataset(
        dataset, shares, seed=seed, folds=folds, by=by, stratify=stratify, pairs=pairs, near_duplicates=near
    )
    dataset.save()
    lines = [f"{name:12}{n:7}" for name, n in report.samples.items()]
    lines.append(f"{report.families} families that stay together, the largest of {report.largest} samples; "
                 f"{report.joined} pairs of near-duplicates")  # fmt: skip
    say(as_json, report.as_dict(), [*lines, *report.notes])


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

    facts = statistics_of(load(folder))
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
    say(as_json, facts, lines)


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

    page, shown = build_page(load(folder), PageRequest(split, label, sample or (), limit))
    write_whole(output, page)
    say(as_json, {"page": str(output), "shown": shown}, [f"{output}: {shown} samples"])


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

    dataset, chosen = load(folder), format_of(format)
    samples = [s for s in dataset.of_split(split) if not proposed or s.status == "proposed"]
    done = chosen.write(dataset, samples, target, options_of(chosen, asked.settings(setting)))
    lines = [f"{target}: {done.samples} samples in {len(done.files)} files"]
    lines += done.notes
    lines += [f"left out: {n} {reason}" for reason, n in done.left_out.items() if n]
    left = {k: n for k, n in done.left_out.items() if n}
    files = [str(f) for f in done.files]
    say(as_json, {"samples": done.samples, "files": files, "left_out": left, "notes": done.notes}, lines)


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

    dataset, how = load(folder), asked.preparation_of(file, setting)
    names = asked.pairs(rename, "--rename")
    with progress("preparing", as_json) as told:
        _, report = prepare_dataset(
            dataset, into, how, rename=names, cache_bytes=asked.bytes_of(cache), workers=workers, progress=told
        )
    lines = [f"{into}: {report.samples} samples, {report.decoded} decoded, {report.cache_bytes / 1e6:.1f} MB kept"]
    lines += unusable(report.failures)
    say(as_json, report.as_dict(), lines)
    raise typer.Exit(1 if report.failures else 0)


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
    say(as_json, values, lines)


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
