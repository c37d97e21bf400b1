"""The rows of tables, and the records of JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.formats.format import read_json, wrong

__all__ = ["NO_TEXT", "Row", "read_commas", "rows_of"]

NO_TEXT = (".parquet", ".feather", ".xlsx", ".xls", ".ods")
"""Suffixes of tables that are no text."""
_COMMA = re.compile(r"\s*[+-]?\d*(,\d+)?([eE][+-]?\d+)?\s*", re.ASCII)
_LARGEST = 2**31 - 1  # characters of a cell: the boxes of a long video


@dataclass(slots=True)
class Row:
    """A row, or a record.

    Args:
        line: where it has one.
        values: by column.
        name: what errors call it.
        commas: whether numbers in it may have decimal commas: another mark parts its columns.
    """

    line: int | None
    values: dict[str, Any]
    name: str = "row"
    commas: bool = False

    def text(self, column: str) -> str:
        """A value as text; what is none as JSON."""
        value = self.values[column]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a file, by its suffix.

    Raises:
        ConfigError: it cannot be read or is no table; names the line.
    """
    suffix = path.suffix.lower()
    if suffix in NO_TEXT:
        raise wrong(path, "tables are CSV, TSV or JSON", hint="save it as one of them")
    if suffix == ".json":
        yield from _json_rows(path)
        return
    try:
        # as it is: line breaks inside of cells and strings belong to them
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path; tables are UTF-8") from None
    if suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    values = json.loads(line)
                except ValueError as error:
                    raise wrong(path, f"not JSON: {error}", number) from None
                if not isinstance(values, dict):
                    raise wrong(path, "expected an object", number)
                yield Row(number, values)
        return
    csv.field_size_limit(_LARGEST)
    mark = _delimiter(suffix, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        head = next((row for row in reader if row), [])
        if len(set(head)) != len(head) or not head:
            raise wrong(path, "expected a first line of different column names", 1)
        for row in reader:
            if not row:
                continue
            if len(row) != len(head):
                raise wrong(path, f"{len(row)} fields, but {len(head)} columns", reader.line_num)
            yield Row(reader.line_num, dict(zip(head, row, strict=True)), commas=mark != ",")
    except csv.Error as error:
        raise wrong(path, f"no table: {error}", reader.line_num) from None


def read_commas(rows: Sequence[Row], column: str, missing: Collection[str]) -> None:
    """Write the numbers of a column with points, where all of them are with decimal commas or whole.

    Args:
        rows: of a table.
        column: that may hold numbers.
        missing: values that are none.
    """
    there = [r for r in rows if r.commas and r.values.get(column, "") not in ("", *missing)]
    if all(_COMMA.fullmatch(r.text(column)) for r in there):
        for row in there:
            row.values[column] = row.text(column).replace(",", ".")


def _delimiter(suffix: str, text: str) -> str:
    """Tab in TSV; else comma, or what a first line without commas has: spreadsheets write as their language does."""
    first = text.lstrip("\r\n").partition("\n")[0]
    if suffix == ".tsv":
        return "\t"
    return "," if "," in first else next((mark for mark in ";\t" if mark in first), ",")


def _json_rows(path: Path) -> Iterator[Row]:
    values = read_json(path)
    if isinstance(values, dict):
        # records by name: {"a.mp4": {...}} or {"a.mp4": value}
        values = [{"key": k, **(v if isinstance(v, dict) else {"value": v})} for k, v in values.items()]
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise wrong(path, "expected a list or an object of records")
    for number, record in enumerate(values, 1):
        yield Row(None, record, f"record {number}")
