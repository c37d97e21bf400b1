"""Contact sheet and thumbnail sprite with its WebVTT file, from small JPEGs kept in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from onlooker.core.time import Timestamp

__all__ = [
    "SPRITE_COLUMNS",
    "SPRITE_ROWS",
    "Picture",
    "Thinned",
    "contact_sheet",
    "shrink_jpeg",
    "sprite",
    "sprite_vtt",
]

SPRITE_COLUMNS: Final = 10
SPRITE_ROWS: Final = 10
_QUALITY: Final = 75


@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture and its time."""

    time: Timestamp
    jpeg: bytes


class Thinned:
    """Keeps pictures at least an interval apart; when they are too many, the interval doubles.

    What is kept depends on the pictures' times alone, not on when they are added.

    Args:
        interval: seconds between two pictures at first.
        limit: most pictures kept.
    """

    def __init__(self, interval: Fraction, limit: int) -> None:
        self.interval, self._limit = interval, limit
        self.pictures: list[Picture] = []

    def wants(self, time: Timestamp) -> bool:
        """Whether a picture of this moment, the latest so far, would be kept."""
        return not self.pictures or self._slot(time) > self._slot(self.pictures[-1].time)

    def add(self, time: Timestamp, jpeg: bytes) -> None:
        """Keep a picture that is wanted."""
        self.pictures.append(Picture(time, jpeg))
        while len(self.pictures) > self._limit:
            self.interval *= 2
            kept: list[Picture] = []
            for picture in self.pictures:
                if not kept or self._slot(picture.time) > self._slot(kept[-1].time):
                    kept.append(picture)
            self.pictures = kept

    def _slot(self, time: Timestamp) -> int:
        return int(time.value // self.interval)


def shrink_jpeg(jpeg: bytes, width: int, quality: int = _QUALITY) -> bytes:
    """The same picture, ``width`` pixels wide, as JPEG."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        height = max(1, round(picture.height * width / picture.width))
        # decoding at a fraction of the size is several times faster
        picture.draft("RGB", (width, height))
        small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def contact_sheet(pictures: Sequence[Picture], limit: int) -> bytes:
    """One JPEG that shows pictures in rows, each with its time.

    Args:
        pictures: of the same width, at least one.
        limit: at most so many are shown, evenly taken.
    """
    if len(pictures) > limit:
        pictures = [pictures[i * len(pictures) // limit] for i in range(limit)]
    columns = min(len(pictures), 6 if len(pictures) > 12 else 4)
    small = [(p.time, Image.open(io.BytesIO(p.jpeg))) for p in pictures]
    width = max(picture.width for _, picture in small)
    height = max(picture.height for _, picture in small)
    gap, line = 6, 16
    rows = -(-len(small) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), (24, 24, 26))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for i, (time, picture) in enumerate(small):
        x = gap + i % columns * (width + gap)
        y = gap + i // columns * (height + line + gap)
        sheet.paste(picture, (x, y))
        draw.text((x + 2, y + height), str(time), fill=(220, 220, 220), font=font)
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def sprite(pictures: Sequence[Picture]) -> list[bytes]:
    """JPEGs of up to 10×10 tiles each, row by row."""
    sheets: list[bytes] = []
    per_sheet = SPRITE_COLUMNS * SPRITE_ROWS
    tiles = [Image.open(io.BytesIO(p.jpeg)) for p in pictures]
    for start in range(0, len(tiles), per_sheet):
        part = tiles[start : start + per_sheet]
        width, height = tiles[0].size
        rows = -(-len(part) // SPRITE_COLUMNS)
        sheet = Image.new("RGB", (min(len(part), SPRITE_COLUMNS) * width, rows * height))
        for i, tile in enumerate(part):
            sheet.paste(tile, (i % SPRITE_COLUMNS * width, i // SPRITE_COLUMNS * height))
        stream = io.BytesIO()
        sheet.save(stream, "JPEG", quality=_QUALITY)
        sheets.append(stream.getvalue())
    return sheets


def _stamp(time: Timestamp) -> str:
    millis = int(time.value * 1000)
    return f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}"


def sprite_vtt(pictures: Sequence[Picture], end: Timestamp) -> str:
    """WebVTT cues that name the tile of each stretch (W3C WebVTT; spatial media fragments).

    Args:
        pictures: the tiles, in order of time.
        end: where the last one's stretch ends.
    """
    width, height = Image.open(io.BytesIO(pictures[0].jpeg)).size
    lines = ["WEBVTT", ""]
    stops = [p.time for p in pictures[1:]] + [max(end, pictures[-1].time + Fraction(1, 1000))]
    # the first tile stands for what comes before it too
    starts = [Timestamp.of_seconds(Fraction(0)), *(p.time for p in pictures[1:])]
    per_sheet = SPRITE_COLUMNS * SPRITE_ROWS
    for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        column, row = i % SPRITE_COLUMNS, i % per_sheet // SPRITE_COLUMNS
        name = f"sprite-{i // per_sheet:03d}.jpg"
        place = f"#xywh={column * width},{row * height},{width},{height}"
        lines += [f"{_stamp(start)} --> {_stamp(stop)}", name + place, ""]
    return "\n".join(lines)
