"""Parts of a report's page: one HTML file without scripts that works from disk and offline."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Cell", "class_rows", "data_address", "document", "escaped", "number", "section", "table"]

_MOST_ROWS = 200
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


class Cell(NamedTuple):
    """A cell of a table with a class of its own, such as ``low`` or ``word``."""

    value: Any
    look: str


def escaped(value: Any) -> str:
    """Text as HTML; what no file can hold becomes a question mark.

    >>> escaped("<b>")
    '&lt;b&gt;'
    """
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"))


def number(value: Any) -> str:
    """What a table says of a value: numbers with four significant digits.

    >>> number(0.123456), number(12345.0), number(None)
    ('0.1235', '12345', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def table(head: Sequence[Any], rows: Sequence[Sequence[Any]], *, main: int | None = None) -> str:
    """A table; the row of the number ``main`` stands out."""
    made = ["<table><thead><tr>", *(_cell("th", c) for c in head), "</tr></thead><tbody>"]
    for place, row in enumerate(rows):
        made += ['<tr class="main">' if place == main else "<tr>", *(_cell("td", c) for c in row), "</tr>"]
    return "".join([*made, "</tbody></table>"])


def _cell(tag: str, value: Any) -> str:
    look = f' class="{escaped(value.look)}"' if isinstance(value, Cell) and value.look else ""
    shown = value.value if isinstance(value, Cell) else value
    return f"<{tag}{look}>{escaped(number(shown))}</{tag}>"


def class_rows(by_label: Mapping[str, Mapping[str, float]]) -> list[list[Any]]:
    """Head and rows of the table of classes, the worst ones marked."""
    if not by_label:
        return []
    names = list(dict.fromkeys(m for values in by_label.values() for m in values))
    rows: list[list[Any]] = [["class", *names]]
    for label, values in list(by_label.items())[:_MOST_ROWS]:
        row: list[Any] = [label]
        for name in names:
            value = values.get(name)
            shares = name in ("precision", "recall", "f1", "ap")
            look = "lower" if shares and value is not None and value < 0.25 else "low"
            row.append(Cell(value, look) if shares and value is not None and value < 0.5 else value)
        rows.append(row)
    return rows


def section(title: str, *parts: str) -> str:
    """A part of the page; parts are HTML."""
    return f"<section><h2>{escaped(title)}</h2>{''.join(parts)}</section>"


def document(title: str, about: str, sections: Sequence[str]) -> str:
    """The whole page.

    Args:
        title: its heading.
        about: a line below it.
        sections: from `section`.
    """
    style = (resources.files(__package__ or "") / "page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escaped(title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{escaped(title)}</h1><p>{escaped(about)}</p></header>"
        f"<main>{''.join(sections)}</main></body></html>\n"
    )


def data_address(content: bytes | Path, media: str) -> str:
    """Bytes or a file as an address that holds them."""
    body = content.read_bytes() if isinstance(content, Path) else content
    return f"data:{media};base64,{base64.b64encode(body).decode()}"
