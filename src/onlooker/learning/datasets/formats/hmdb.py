"""HMDB51 lists (Kuehne et al. 2011): ``CLASS_test_split1.txt`` with 1 (train), 2 (test) or 0 after each video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from onlooker.learning.datasets.formats._lists import ListOptions, VideoList, imported, lines_of, numbered_files
from onlooker.learning.datasets.formats.format import FormatOptions, Imported, wrong
from onlooker.learning.datasets.manifest import Kind, MediaKind

__all__ = ["FORMAT", "Hmdb"]

_SPLITS = {"1": "train", "2": "test", "0": None}
_NAME = re.compile(r"(.+)_test_split\d+$")


class Hmdb(VideoList):
    """One list for each class; the film that a clip was cut from stands before the class in its name."""

    name: ClassVar[str] = "hmdb"
    description: ClassVar[str] = "HMDB51 lists"
    holds: ClassVar[frozenset[Kind]] = frozenset()
    media: ClassVar[frozenset[MediaKind]] = frozenset()
    Options: ClassVar[type[FormatOptions]] = ListOptions

    def read(self, path: Path, options: ListOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        folder = path if path.is_dir() else path.parent
        root = media or folder
        rows: list[tuple[str, str | None, str | None, str | None, tuple[float, float] | None]] = []
        for file in numbered_files(path, [f"*_test_split{options.number}.txt"], "HMDB"):
            named = _NAME.match(file.stem)
            if named is None:
                raise wrong(file, "expected a name such as brush_hair_test_split1.txt")
            label = named[1]
            for line, parts in lines_of(file):
                if len(parts) != 2 or parts[1] not in _SPLITS:
                    raise wrong(file, "expected a video and 0, 1 or 2", line)
                name = f"{label}/{parts[0]}" if (root / label).is_dir() else parts[0]
                film = parts[0].partition(f"_{label}_")[0]
                rows.append((name, label, _SPLITS[parts[1]], film if film != parts[0] else None, None))
        return imported(path, root, options.task, rows, options.absent)


FORMAT = Hmdb()
