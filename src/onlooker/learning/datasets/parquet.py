"""Samples in Parquet: columns to ask by, and JSON for what is nested."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["parquet_lines", "write_parquet"]

_PLAIN = ("id", "split", "status")
_NESTED = ("media", "groups", "labels")
_COLUMNS = (*_PLAIN, *_NESTED, "rest")
_NEEDED = ("id", "media", "labels")
_HINT = "see onlooker dataset schema"


def _parquet() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("Parquet needs pyarrow", hint="pip install 'onlooker[arrow]'") from None


def parquet_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The rows of a file as JSON objects of samples, with their numbers from 1.

    ``rest`` holds the fields of a sample that have no column; other columns are none of ours. All hold text.

    Raises:
        ConfigError: the file is none, a column is missing or no text, or a row holds no JSON.
        UsageError: Parquet is not installed.
    """
    arrow, parquet = _parquet()
    try:
        schema = parquet.read_schema(path)
        held = [name for name in _COLUMNS if name in schema.names]
        if missing := [name for name in _NEEDED if name not in held]:
            said = f"{path} has no column {' and none '.join(missing)}; it has {', '.join(schema.names) or 'none'}"
            raise ConfigError(said, hint=f"columns are {', '.join(_COLUMNS)}")
        for name in held:
            if not _is_text(arrow, schema.field(name).type):
                form = "JSON as text" if name in (*_NESTED, "rest") else "text"
                kind = str(schema.field(name).type)[:80]
                raise ConfigError(f"{path}: column {name}: expected {form}, got {kind}", hint=_HINT)
        rows = parquet.read_table(path, columns=held).to_pylist()
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the file") from None
    for number, row in enumerate(rows, 1):
        values = {k: row[k] for k in _PLAIN if row.get(k) is not None}
        for name in _NESTED:
            if row.get(name):
                values[name] = _json(path, number, name, row[name])
        rest = _json(path, number, "rest", row.get("rest") or "{}")
        if not isinstance(rest, dict):
            raise ConfigError(f"{path}:{number}: rest: expected an object, got {row['rest'][:80]}", hint=_HINT)
        yield number, json.dumps({**rest, **values})


def _is_text(arrow: Any, kind: Any) -> bool:
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    return str(kind) in ("string", "large_string", "string_view", "null")


def _json(path: Path, number: int, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}:{number}: {name}: not JSON: {error}", hint=_HINT) from None


def write_parquet(path: Path, samples: Iterable[Sample]) -> None:
    """Write a file that `parquet_lines` reads, whole or not at all.

    Raises:
        UsageError: Parquet is not installed, or the file cannot be written.
    """
    arrow, parquet = _parquet()
    rows: list[dict[str, Any]] = []
    for sample in samples:
        values = sample.model_dump(mode="json", exclude_defaults=True)
        row = {k: values.pop(k, None) for k in ("id", "split")}
        row["status"] = sample.status
        values.pop("status", None)
        for nested in _NESTED:
            row[nested] = json.dumps(values.pop(nested, [] if nested == "media" else {}), ensure_ascii=False)
        row["rest"] = json.dumps(values, ensure_ascii=False)
        rows.append(row)
    table = arrow.Table.from_pylist(rows, schema=arrow.schema([(name, arrow.string()) for name in _COLUMNS]))
    sink = arrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())
