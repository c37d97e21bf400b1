"""A picture of how classes are spread over splits."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Fit", "draw_balance", "plain"]

Fit = Callable[[str, int, float], tuple[str, Any]]
"""Fits words into a width: gives what there is room for, and the font."""

_COLOURS = ("#1769aa", "#e08a00", "#2e7d32", "#8e44ad", "#00796b", "#ad1457", "#5d4037", "#455a64")
_INK, _SOFT, _LINE, _GROUND = "#1a2028", "#5c6773", "#dde2e8", "#ffffff"
_LEFT, _RIGHT, _ROW, _WIDTH = 220, 110, 20, 1000
_MOST = 60


def plain(words: str, size: int, room: float) -> tuple[str, Any]:
    """Pillow's own font, and as much of the words as fits into ``room`` pixels."""
    font = ImageFont.load_default(size)
    while words and font.getlength(words) > room:
        words = words[:-1]
    return words, font


def draw_balance(facts: Mapping[str, Any], fit: Fit = plain) -> bytes:
    """PNG of the classes of each task as bars, split by split.

    Args:
        facts: what `statistics_of` gives.
        fit: fits words into widths; the default knows Latin letters only.
    """
    tasks = {n: t for n, t in facts["tasks"].items() if t.get("classes")}
    rows = sum(min(len(t["classes"]), _MOST + 1) * _ROW + 56 for t in tasks.values())
    picture = Image.new("RGB", (_WIDTH, 96 + max(rows, 40)), _GROUND)
    pen = ImageDraw.Draw(picture)

    def write(x: float, y: float, words: str, size: int, fill: str, room: float, anchor: str = "ls") -> None:
        said, font = fit(words, size, room)
        if said:
            pen.text((x, y), said, font=font, fill=fill, anchor=anchor)

    write(20, 34, facts["name"], 22, _INK, _WIDTH - 40)
    splits = [*facts["splits"]]
    colours = {s: _COLOURS[n % len(_COLOURS)] for n, s in enumerate(splits)}
    x = 20.0
    for split in splits:
        pen.rectangle((x, 52, x + 12, 64), fill=colours[split])
        words = f"{split or 'no split'}: {facts['splits'][split]}"
        write(x + 18, 63, words, 14, _SOFT, 200)
        x += 40 + min(200.0, fit(words, 14, 200)[1].getlength(words))
    top = 84
    if not tasks:
        write(20, top + 20, "no task has classes", 14, _SOFT, 400)
    for name, task in tasks.items():
        write(20, top + 22, f"{name} ({task['kind']}, {task['missing']} without label)", 16, _INK, _WIDTH - 40)
        top += 34
        shown = sorted(task["classes"].items(), key=lambda c: -sum(c[1].values()))
        most = max((sum(c.values()) for _, c in shown), default=0) or 1
        for label, counts in shown[:_MOST]:
            write(_LEFT - 10, top + 14, label, 13, _INK, _LEFT - 30, "rs")
            x = float(_LEFT)
            for split in splits:
                wide = counts[split] / most * (_WIDTH - _LEFT - _RIGHT)
                pen.rectangle((x, top + 3, x + wide, top + _ROW - 4), fill=colours[split]) if counts[split] else None
                x += wide
            write(x + 8, top + 14, str(sum(counts.values())), 12, _SOFT, _RIGHT)
            top += _ROW
        if len(shown) > _MOST:
            write(_LEFT, top + 14, f"{len(shown) - _MOST} more", 12, _SOFT, 200)
            top += _ROW
        pen.line((20, top + 10, _WIDTH - 20, top + 10), fill=_LINE)
        top += 22
    out = io.BytesIO()
    picture.crop((0, 0, _WIDTH, min(picture.height, top + 10))).save(out, "PNG")
    return out.getvalue()
