"""Writes docs/cli.md: the help of every command, as a terminal of 100 columns shows it."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

from typer.main import get_command

from onlooker.cli.main import app

ROOT = Path(__file__).resolve().parents[1]


def help_of(*command: str) -> str:
    """The help text without colours and trailing spaces."""
    terminal = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    with mock.patch.dict(os.environ, terminal), contextlib.redirect_stdout(io.StringIO()) as told:
        os.environ.pop("ONLOOKER_LIBRARY", None)
        get_command(app).main([*command, "--help"], prog_name="python -m onlooker", standalone_mode=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", told.getvalue())
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).strip("\n")


def names(text: str) -> list[str]:
    """Commands listed in a group's help."""
    listed = text[text.index("Commands") :]
    return re.findall(r"^│ ([a-z][a-z-]*)\s{2,}", listed, re.MULTILINE)


def build() -> str:
    """The whole page."""
    top = help_of()
    parts = ["# Commands\n\nMade by `python scripts/cli_docs.py`; a test compares it.\n", f"```text\n{top}\n```\n"]
    for name in names(top):
        text = help_of(name)
        parts.append(f"## onlooker {name}\n\n```text\n{text}\n```\n")
        if re.search(r"^╭─ Commands", text, re.MULTILINE):
            parts += [f"### onlooker {name} {sub}\n\n```text\n{help_of(name, sub)}\n```\n" for sub in names(text)]
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "cli.md").write_text(build(), encoding="utf-8")
    print("written: docs/cli.md")
