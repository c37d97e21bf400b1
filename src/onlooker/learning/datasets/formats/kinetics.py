"""Kinetics lists: CSV of label, youtube_id, time_start, time_end, split (Kay et al. 2017)."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import ClassVar

from onlooker.learning.datasets.formats._lists import ListOptions, VideoList, imported, numbered_files
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Imported,
    kind_of,
    media_files,
    parsing,
    part_of,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, MediaKind

__all__ = ["FORMAT", "Kinetics"]

_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


class Kinetics(VideoList):
    """Clips are looked for by name: ``ID_000012_000022.*`` (cut) or ``ID.*`` (whole, of which the span is meant)."""

    name: ClassVar[str] = "kinetics"
    description: ClassVar[str] = "Kinetics lists"
    holds: ClassVar[frozenset[Kind]] = frozenset()
    media: ClassVar[frozenset[MediaKind]] = frozenset()
    Options: ClassVar[type[FormatOptions]] = ListOptions

    def read(self, path: Path, options: ListOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        root = media or (path if path.is_dir() else path.parent)
        videos = (p for p in media_files(root) if kind_of(p) == "video")
        there = {p.stem: p.relative_to(root).as_posix() for p in videos}
        rows: list[tuple[str, str | None, str | None, str | None, tuple[float, float] | None]] = []
        for file in numbered_files(path, ["*.csv"], "Kinetics"):
            try:
                text = file.read_bytes().decode("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise wrong(file, f"cannot be read: {error}") from None
            reader = csv.DictReader(io.StringIO(text, newline=""))
            missing = [c for c in _COLUMNS[1:4] if c not in (reader.fieldnames or ())]
            if missing:
                raise wrong(file, f"there is no column {missing[0]}", 1)
            for record in reader:
                with parsing(file, "row", reader.line_num):
                    start, end = _seconds(record, "time_start"), _seconds(record, "time_end")
                    name = record["youtube_id"]
                    cut = f"{name}_{int(start):06d}_{int(end):06d}"
                    found = there.get(cut) or there.get(name) or f"{cut}.mp4"
                    span = (start, end) if cut not in there and name in there else None
                    split = part_of(record.get("split") or file.stem)
                    rows.append((found, record.get("label") or None, split, name, span))
        return imported(path, root, options.task, rows, options.absent)


def _seconds(record: dict[str, str | None], column: str) -> float:
    text = record[column]
    try:
        return float(text or "")
    except ValueError:
        said = "nothing" if text is None else repr(text)
        raise ValueError(f"{column}: expected a number, got {said}") from None


FORMAT = Kinetics()
