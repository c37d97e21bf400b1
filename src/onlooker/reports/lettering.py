"""Text in pictures: a font for each text, and only letters that it has."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

from PIL import ImageFont

__all__ = ["FONTS", "Lettering"]

FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf"),
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf", "SourceHanSansSC-Regular.otf"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf"),
    *("PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Medium.ttc", "msyh.ttc", "simsun.ttc", "uming.ttc"),
)
"""File names of fonts with accents or with Chinese, looked for where the system keeps its fonts; none comes with
onlooker."""

_CUT = "…"
_NOWHERE = "\uffff"
"""A code point that no font has: what it looks like is the sign for a missing letter."""


class Lettering:
    """Fits texts into widths.

    Args:
        fonts: file names of fonts to try where Pillow's own lacks a letter.

    ``missing`` tells whether letters had to be left out.
    """

    def __init__(self, fonts: tuple[str, ...] = FONTS) -> None:
        self._fonts = fonts
        self.missing = False

    def fit(self, words: str, size: int, room: float) -> tuple[str, Any]:
        """As much of the words as there is room for, in letters that the font has, and the font."""
        words = "".join(c for c in unicodedata.normalize("NFC", words[:200]) if c.isprintable())
        font = _plain(size)
        if not all(_has(font, c) for c in words):
            # the first of those that have the most letters
            font = max((font, *_installed(self._fonts, size)), key=lambda f: sum(_has(f, c) for c in words))
        kept = "".join(c if _has(font, c) else _plainer(font, c) for c in words)
        self.missing = self.missing or len(kept) < len(words)
        kept = " ".join(kept.split())
        if font.getlength(kept) <= room:
            return kept, font
        while kept and font.getlength(kept + _CUT) > room:
            kept = kept[:-1]
        return (kept.rstrip() + _CUT if kept else ""), font


@lru_cache(maxsize=16)
def _plain(size: int) -> Any:
    return ImageFont.load_default(size)


@lru_cache(maxsize=16)
def _installed(fonts: tuple[str, ...], size: int) -> tuple[Any, ...]:
    found: list[Any] = []
    for name in fonts:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return tuple(found)


def _plainer(font: Any, letter: str) -> str:
    """The letter without its accents where the font has that, else nothing."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
    return bare if bare and all(_has(font, c) for c in bare) else ""


@lru_cache(maxsize=20_000)
def _has(font: Any, letter: str) -> bool:
    """Whether the font has its own picture for the letter."""
    return letter.isspace() or _drawn(font, letter) != _drawn(font, _NOWHERE)


@lru_cache(maxsize=20_000)
def _drawn(font: Any, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
