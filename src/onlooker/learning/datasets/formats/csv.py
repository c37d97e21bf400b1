"""Tables: CSV, TSV, JSON lines, or one JSON list or object of records."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._rows import NO_TEXT, Row, read_commas, rows_of
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    classes_of,
    filled,
    kind_of,
    medium,
    no_label,
    parsing,
    part_of,
    sample_id,
    video_rate,
    wrong,
)
from onlooker.learning.datasets.manifest import KINDS, Kind, MediaKind, Sample, Task, is_name
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Table", "TableOptions"]

_PREFIX, _GROUP = "label:", "group:"
_HEAD = ("file", "id", "split", "start", "end", "at", "text")
_MORE = ("status", "weight", "weights", "origin", "notes")


class TableOptions(FormatOptions):
    """Options.

    Attributes:
        media: where a row's file is, with ``{column}``; several with ``;`` between.
        labels: by task: ``column`` or ``column:kind``; without it, columns named ``label:TASK:KIND``.
        start, end: columns of seconds, where a row is a span of its file.
        at: column of seconds, where a row is a frame.
        text: column of words that are the sample itself.
        separator: between the labels of a multi-label column.
        missing: values that mean that there is no label, besides nothing.
        unit: of the numbers in a spans column: ``seconds``; ``frames`` from 0 up to but not with the last; ``frames1``
            from 1 with the last.
        rate: frames a second for them, where the file does not say.
        ids: whether a column called ``id`` names the samples; one that repeats itself never does.
    """

    media: str = "{file}"
    labels: dict[str, str] = Field(default_factory=dict)
    start: str | None = None
    end: str | None = None
    at: str | None = None
    text: str | None = None
    separator: str = ";"
    missing: str = ""
    unit: str = Field(default="seconds", pattern="^(seconds|frames|frames1)$")
    rate: float | None = Field(default=None, gt=0)
    ids: bool = True


class Table:
    """Rows with a column for each task.

    A column ``split`` is the samples' split: validation, training and testing are val, train and test.
    """

    name: ClassVar[str] = "csv"
    description: ClassVar[str] = "tables: .csv, .tsv, .jsonl, .json"
    holds: ClassVar[frozenset[Kind]] = frozenset(KINDS)
    media: ClassVar[frozenset[MediaKind]] = frozenset(("video", "image", "audio", "text", "series"))
    Options: ClassVar[type[FormatOptions]] = TableOptions

    def read(self, path: Path, options: TableOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        root = media or path.parent
        rows = list(rows_of(path))
        if not rows:
            raise wrong(path, "there are no rows")
        columns = list(dict.fromkeys(c for r in rows for c in r.values))
        if len(named := [r.text("id") for r in rows if r.values.get("id") not in (None, "")]) > len(set(named)):
            # whose ids they are, the table does not say; they are no sample's
            options = options.model_copy(update={"ids": False})
        wanted = _wanted(path, columns, options, rows)
        made = Imported(root, {}, [])
        if not wanted:
            made.notes.append(no_label("COLUMN", _could_be_labels(columns, rows, options)))
        for row in rows:
            with parsing(path, row.name, row.line):
                found = _found(row, columns, wanted, options, root, made)
            if found is None:
                made.left_out["rows that name no medium"] += 1
            else:
                made.found.append(found)
        if not made.found:
            raise wrong(path, f"none of {len(rows)} rows names a medium", hint="--set media=FOLDER/{column}")
        for task, (_, kind) in wanted.items():
            with_classes = Task(kind=kind).has_classes
            classes = classes_of((f.sample for f in made.found), task, kind) if with_classes else ()
            made.tasks[task] = Task(kind=kind, classes=classes)
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: TableOptions) -> Written:
        """Everything, in columns that `read` knows by their names."""
        if target.suffix.lower() in (".json", ".jsonl", *NO_TEXT):
            raise UsageError(f"{target}: this format writes CSV, or TSV", hint=f"call it {target.stem}.csv")
        tasks = dataset.info.tasks
        sorts = sorted({g for s in samples for g in s.groups})
        head = [*_HEAD, *(f"{_GROUP}{g}" for g in sorts)]
        head += [f"{_PREFIX}{name}:{task.kind}" for name, task in tasks.items()]
        usual = {f: Sample.model_fields[f].get_default(call_default_factory=True) for f in _MORE}
        more = [f for f in _MORE if any(getattr(s, f) != usual[f] for s in samples)]
        out = io.StringIO()
        writer = csv.writer(out, delimiter="\t" if target.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writerow([*head, *more])
        for sample in samples:
            span: tuple[Any, Any] = sample.span or ("", "")
            at = "" if sample.at is None else sample.at
            paths = [m.path for m in sample.media]
            files = json.dumps(paths, ensure_ascii=False) if any(";" in p for p in paths) else ";".join(paths)
            row: list[Any] = [files, sample.id, sample.split or "", *span, at, sample.text or ""]
            row += [sample.groups.get(g, "") for g in sorts]
            row += [_cell(task, sample.labels.get(name), options.separator) for name, task in tasks.items()]
            held = [getattr(sample, f) for f in more]
            row += [json.dumps(v, ensure_ascii=False) if isinstance(v, dict) else v for v in held]
            writer.writerow(row)
        write_whole(target, out.getvalue())
        return Written(len(samples), [target])


def _cell(task: Task, label: Any, separator: str) -> str:
    if label is None:
        return ""
    if task.kind in ("boxes", "spans"):
        return json.dumps([p.model_dump(mode="json", exclude_defaults=True) for p in label], ensure_ascii=False)
    if task.kind == "multi-label":
        if any(separator in name for name in label) or label in ((), ("",)):
            return json.dumps(list(label), ensure_ascii=False)
        return separator.join(label)
    if task.kind == "regression" and isinstance(label, tuple):
        return json.dumps(list(label))
    # JSON where the plain text would be taken for a missing label
    return json.dumps(label) if label == "" else str(label)


def _wanted(
    path: Path, columns: Sequence[str], options: TableOptions, rows: Sequence[Row]
) -> dict[str, tuple[str, Kind]]:
    """By task: its column and kind."""
    wanted: dict[str, tuple[str, Kind]] = {}
    named: Kind | None
    given = options.labels or {
        c.removeprefix(_PREFIX).rpartition(":")[0]: f"{c}:{c.rpartition(':')[2]}"
        for c in columns
        if c.startswith(_PREFIX)
    }
    for task, spec in given.items():
        column, _, kind = spec.rpartition(":") if spec not in columns and ":" in spec else (spec, "", "")
        if column not in columns:
            raise UsageError(f"{path} has no column {column!r}", hint=f"it has {', '.join(columns)}")
        named = next((k for k in KINDS if k == kind), None)
        if kind and named is None:
            raise UsageError(f"no kind of task is called {kind!r}", hint=f"there are {', '.join(KINDS)}")
        if named in (None, "regression"):
            read_commas(rows, column, _missing(options))
        wanted[task] = (column, named or _kind(column, rows, _missing(options)))
    if options.media == TableOptions().media and "file" not in columns:
        said = f"it has {', '.join(columns)}; --set media={{COLUMN}} is that of the media, media= means none"
        raise UsageError(f"{path} has no column 'file'", hint=said)
    for column in (options.start, options.end, options.at, options.text):
        if column is not None and column not in columns:
            raise UsageError(f"{path} has no column {column!r}", hint=f"it has {', '.join(columns)}")
    for column in (options.start or "start", options.end or "end", options.at or "at"):
        read_commas(rows, column, ())
    return wanted


def _could_be_labels(columns: Sequence[str], rows: Sequence[Row], options: TableOptions) -> list[str]:
    """Columns that say something and are not known to mean anything else."""
    used = {*_HEAD, *_MORE}
    used |= {c for c in (options.start, options.end, options.at, options.text) if c}
    for part in options.media.split(";"):
        name, mark, _ = part.partition("~")
        used |= {name} if mark else set(re.findall(r"\{([^{}]+)\}", part))
    there = {c for r in rows for c, v in r.values.items() if v not in (None, "")}
    return [c for c in columns if c in there - used and not c.startswith(_GROUP)]


def _missing(options: TableOptions) -> set[str]:
    """Values that mean that there is no label."""
    return {m for m in options.missing.split(";") if m}


def _kind(column: str, rows: Sequence[Row], missing: Collection[str]) -> Kind:
    """Regression where all that is there are numbers, else class."""
    values = [r.values.get(column) for r in rows]
    there = [v for v in values if v not in (None, "", *missing)]
    if any(isinstance(v, bool) for v in there):
        return "class"
    try:
        numbers = [float(v) for v in there]
    except (TypeError, ValueError):
        return "class"
    return "regression" if numbers else "class"


def _found(
    row: Row,
    columns: Sequence[str],
    wanted: dict[str, tuple[str, Kind]],
    options: TableOptions,
    root: Path,
    made: Imported,
) -> Found | None:
    fields = {c: "" if row.values.get(c) is None else row.text(c) for c in columns}
    paths = _paths(fields, options, root)
    labelled = {column for column, _ in wanted.values()}
    text = fields.get(options.text or ("text" if "text" not in labelled else "")) or None
    if (not paths and text is None) or any(kind_of(p) is None for p in paths):
        return None
    missing = _missing(options)
    whole = _span(fields, options.start or "start", options.end or "end")
    at = _number(fields, options.at or "at")
    labels: dict[str, Any] = {}
    for task, (column, kind) in wanted.items():
        value = row.values.get(column)
        if value is None or value == "" or (isinstance(value, str) and value in missing):
            continue
        if value == [] and kind not in ("boxes", "spans", "multi-label"):
            continue
        try:
            shaped = _label(value, kind, task, options, root / paths[0] if paths else root)
            labels[task] = Task(kind=kind).shape(shaped)
        except (TypeError, ValueError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise ValueError(f"{task}: {said.removeprefix('Value error, ')}; got {str(value)[:80]}") from None
    key = fields.get("id") if options.ids else None
    split = None if "split" in labelled else _split(fields, made)
    sample = Sample(
        id=key or sample_id(";".join(paths) or (text or "")[:100], span=whole, at=at),
        media=tuple(medium(p) for p in paths),
        span=whole,
        at=at,
        text=text,
        groups={c.removeprefix(_GROUP): v for c, v in fields.items() if c.startswith(_GROUP) and v},
        split=split,
        labels=labels,
        **({} if options.labels else _own(fields)),
    )
    return Found(sample, fields)


def _paths(fields: dict[str, str], options: TableOptions, root: Path) -> list[str]:
    """The files of a row, below ``root``."""
    found: list[str] = []
    for part in options.media.split(";") if options.media else ():
        name = filled(part, fields)
        if name and name[0] == "[" and not (root / name).is_file():
            found += [str(p) for p in json.loads(name)]
        elif name:
            found += [name] if (root / name).is_file() else [p for p in name.split(";") if p]
    return [_below(p, root) for p in found]


def _below(path: str, root: Path) -> str:
    if not Path(path).is_absolute():
        return PurePosixPath(path).as_posix()
    for top, whole in ((root, Path(path)), (root.resolve(), Path(path).resolve())):
        if whole.is_relative_to(top):
            return whole.relative_to(top).as_posix()
    raise ValueError(f"{path} is not below {root}: say --media FOLDER, above all of the files")


def _split(fields: dict[str, str], made: Imported) -> str | None:
    """What a column ``split`` says; of a table of ours as it stands."""
    said = fields.get("split", "").strip()
    if not said or set(_HEAD) <= fields.keys():
        return said or None
    if not is_name(said):
        made.left_out["splits that are no names"] += 1
        return None
    return part_of(said) or said


def _own(fields: dict[str, str]) -> dict[str, Any]:
    """What `Table.write` says of a sample besides its files, split and labels."""
    made: dict[str, Any] = {}
    for name in _MORE:
        if fields.get(name):
            made[name] = json.loads(fields[name]) if name in ("weights", "origin") else fields[name]
    return made


def _number(fields: dict[str, str], column: str) -> float | None:
    value = fields.get(column)
    try:
        return float(value) if value else None
    except ValueError:
        raise ValueError(f"{column}: expected a number, got {value!r}") from None


def _span(fields: dict[str, str], start: str, end: str) -> tuple[float, float] | None:
    first, last = _number(fields, start), _number(fields, end)
    if first is not None and last is not None:
        return first, last
    for there, lacking, value in ((start, end, first), (end, start, last)):
        if value is not None and lacking in fields:
            raise ValueError(f"{there} is {value:g}, but {lacking} is empty")
    return None


def _label(value: Any, kind: Kind, task: str, options: TableOptions, file: Path) -> Any:
    """A label from a cell: JSON where the kind needs it, else text."""
    if isinstance(value, str) and (kind in ("boxes", "spans") or value[:1] == "[" or value == '""'):
        value = json.loads(value) if kind not in ("class", "ordinal", "identity") else value
    match kind:
        case "multi-label":
            return value.split(options.separator) if isinstance(value, str) else [str(v) for v in value]
        case "regression":
            return [float(v) for v in value] if isinstance(value, list) else float(value)
        case "spans":
            return _spans(value, task, options, file)
        case "boxes":
            return value
        case "text":
            return "\n".join(str(v) for v in value) if isinstance(value, list) else str(value)
        case _ if isinstance(value, dict | list):
            raise ValueError("expected a name")
        case _:
            return str(value).lower() if isinstance(value, bool) else str(value)


def _spans(value: Any, task: str, options: TableOptions, file: Path) -> Any:
    """``[start, end]``, a list of those, or spans in full."""
    pairs = value
    if len(value) == 2 and all(isinstance(v, int | float) for v in value):
        pairs = [value]
    if not all(isinstance(p, list) for p in pairs):
        return pairs
    if options.unit == "seconds":
        return [{"label": task, "start": s, "end": e} for s, e in pairs]
    rate = video_rate(file, options.rate)
    first = 1 if options.unit == "frames1" else 0
    return [
        {
            "label": task,
            "start": round(float(Fraction(s - first) / rate), 6),
            "end": round(float(Fraction(e) / rate), 6),
        }
        for s, e in pairs
    ]


FORMAT = Table()
