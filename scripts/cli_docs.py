"""Writes docs/cli.md: the help of every command, as a terminal of 100 columns shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def help_of(*command: str) -> str:
    """The help text without colours and trailing spaces."""
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    environment.pop("ONLOOKER_LIBRARY", None)
    done = subprocess.run(
        [sys.executable, "-m", "onlooker", *command, "--help"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
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
