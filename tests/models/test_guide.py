"""The guide's entry is one."""

from __future__ import annotations

import re
from pathlib import Path

from onlooker.models.entries import parse_entry

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "models.md"


def test_the_entry_in_the_guide_is_valid():
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert parse_entry(text, "guide").labels == ("forklift",)
