"""Observations as Arrow tables and Parquet files, for statistics with DuckDB, pandas or Polars."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from onlooker.core.errors import StoreError, UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Query, Store

__all__ = ["COLUMNS", "to_arrow", "write_parquet"]

_BATCH = 16_384

COLUMNS = (
    ("id", "string"),
    ("source", "string"),
    ("kind", "string"),
    ("start_ns", "int64"),
    ("end_ns", "int64"),
    ("score", "float64"),
    ("label", "string"),
    ("left", "float64"),
    ("top", "float64"),
    ("right", "float64"),
    ("bottom", "float64"),
    ("track", "string"),
    ("text", "string"),
    ("data", "string"),
    ("media", "list<string>"),
    ("vector_space", "string"),
    ("vector", "list<float>"),
    ("analyzer", "string"),
    ("producer", "string"),
)
"""Names and types of the columns. Times are nanoseconds, rounded down; ``data`` is JSON text; box edges are fractions
of the displayed picture.
"""


def _pyarrow() -> Any:
    try:
        pyarrow = importlib.import_module("pyarrow")
        importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("Arrow and Parquet need pyarrow", hint="pip install 'onlooker[arrow]'") from None
    return pyarrow


def _schema(pa: Any) -> Any:
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "list<string>": pa.list_(pa.string()),
        "list<float>": pa.list_(pa.float32()),
    }
    return pa.schema([(name, types[kind]) for name, kind in COLUMNS])


def _row(o: Observation) -> tuple[Any, ...]:
    return (
        o.id,
        o.source,
        o.kind,
        o.span.start.nanoseconds,
        o.span.end.nanoseconds,
        o.score,
        o.label,
        *(o.box or (None, None, None, None)),
        o.track,
        o.text,
        json.dumps(dict(o.data)) if o.data else None,
        list(o.media),
        o.vector_space,
        o.vector,
        o.producer.analyzer if o.producer else None,
        str(o.producer) if o.producer else None,
    )


def _batches(pa: Any, observations: Iterable[Observation]) -> Iterator[Any]:
    schema, stream = _schema(pa), iter(observations)
    while part := [_row(o) for o in islice(stream, _BATCH)]:
        columns = zip(*part, strict=True)
        arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def to_arrow(observations: Iterable[Observation]) -> Any:
    """A ``pyarrow.Table`` with the columns of `COLUMNS`, built in batches.

    Raises:
        UsageError: pyarrow is not installed.
    """
    pa = _pyarrow()
    return pa.Table.from_batches(_batches(pa, observations), schema=_schema(pa))


def write_parquet(store: Store, path: str | Path, query: Query | None = None) -> int:
    """Write the visible observations that fit to one Parquet file, without holding them all in memory.

    Returns:
        How many were written.

    Raises:
        UsageError: pyarrow is not installed.
        StoreError: the file cannot be written.
    """
    pa = _pyarrow()
    count, target = 0, Path(path)
    unfinished = target.with_name(target.name + ".part")
    try:
        with pa.parquet.ParquetWriter(str(unfinished), _schema(pa), compression="zstd") as writer:
            for batch in _batches(pa, store.query(query or Query())):
                writer.write_batch(batch)
                count += batch.num_rows
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(f"cannot write {target}: {error}", hint="check the folder and the disk's space") from error
    return count
