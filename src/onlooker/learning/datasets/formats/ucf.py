"""UCF101 lists (Soomro et al. 2012): ``trainlist01.txt``, ``testlist01.txt``, ``classInd.txt``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from onlooker.learning.datasets.formats._lists import ListOptions, VideoList, imported, lines_of, numbered_files
from onlooker.learning.datasets.formats.format import FormatOptions, Imported, part_of, wrong
from onlooker.learning.datasets.manifest import Kind, MediaKind

__all__ = ["FORMAT", "Ucf"]

_GROUP = re.compile(r"v_(.+)_(g\d+)_c\d+$")


class Ucf(VideoList):
    """``CLASS/v_CLASS_gNN_cNN.avi [number]`` a line; videos of one group were cut from one source."""

    name: ClassVar[str] = "ucf"
    description: ClassVar[str] = "UCF101 lists of paths, with class numbers or without"
    holds: ClassVar[frozenset[Kind]] = frozenset()
    media: ClassVar[frozenset[MediaKind]] = frozenset()
    Options: ClassVar[type[FormatOptions]] = ListOptions

    def read(self, path: Path, options: ListOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        lists = numbered_files(path, [f"*list{options.number:02d}.txt", f"*list_{options.number}*.txt"], "UCF")
        folder = path if path.is_dir() else path.parent
        classes = _classes(folder / "classInd.txt")
        rows: list[tuple[str, str | None, str | None, str | None, tuple[float, float] | None]] = []
        for file in lists:
            word = re.match(r"[a-z]+?(?=list|_)", file.name.lower())
            split = part_of(word[0]) if word else None
            for line, parts in lines_of(file):
                number = parts[1] if len(parts) > 1 and parts[1].isdecimal() else None
                # without a number, a blank is one of the name
                name = (parts[0] if number else " ".join(parts)).replace("\\", "/")
                label = Path(name).parent.name or number
                if number and classes:
                    label = classes.get(int(number))
                    if label is None:
                        raise wrong(file, f"there is no class {number} in {folder / 'classInd.txt'}", line)
                found = _GROUP.match(Path(name).stem)
                rows.append((name, label, split, f"{found[1]}_{found[2]}" if found else None, None))
        return imported(path, media or folder, options.task, rows, options.absent, list(classes.values()))


def _classes(path: Path) -> dict[int, str]:
    """Class names by number; empty where there is no such file."""
    if not path.is_file():
        return {}
    made: dict[int, str] = {}
    for line, cut in lines_of(path):
        # names may have blanks
        parts = " ".join(cut).split(None, 1)
        if len(parts) != 2 or not parts[0].isdecimal():
            raise wrong(path, "expected a number and a class name", line)
        if parts[1] in made.values():
            raise wrong(path, f"the class {parts[1]!r} is there twice", line)
        made[int(parts[0])] = parts[1]
    return made


FORMAT = Ucf()
