"""What lists of videos share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    medium,
    parsing,
    refuse,
    sample_id,
    wrong,
)
from onlooker.learning.datasets.manifest import Sample, Task

__all__ = ["ListOptions", "VideoList", "imported", "lines_of", "numbered_files"]


class ListOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        number: which of the published splits.
        absent: whether videos that are listed but not there are passed over (some cannot be had any more).
    """

    task: str = "action"
    number: int = 1
    absent: bool = True


class VideoList:
    """Base of formats that are read only."""

    name = ""

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: ListOptions) -> Written:
        """Refuses.

        Raises:
            UsageError: always.
        """
        raise refuse(self.name)


def lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their number, cut at the last blank that is followed by a word.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip().rsplit(None, 1)


def numbered_files(path: Path, patterns: Sequence[str], name: str) -> list[Path]:
    """The files of a list: ``path`` itself, or those of a folder.

    Raises:
        ConfigError: there are none.
    """
    found = [path] if path.is_file() else sorted({p for pattern in patterns for p in path.glob(pattern)})
    if not found:
        raise wrong(path, f"no {name} lists ({', '.join(patterns)})", hint="name the folder that holds the lists")
    return found


def imported(
    lists: Path,
    root: Path,
    task: str,
    rows: Sequence[tuple[str, str | None, str | None, str | None, tuple[float, float] | None]],
    absent: bool,
    classes: Sequence[str] = (),
) -> Imported:
    """Samples from rows of path, class, split, source group and span; what rows say two things of is left out.

    Args:
        lists: their file or folder.
        root: folder of the videos.
        task: name of the task.
        rows: what the lists say.
        absent: whether videos that are not there are passed over.
        classes: in order; without them, those of the rows.

    Raises:
        ConfigError: no video of the list is there, or one is not and ``absent`` is false.
    """
    if not rows:
        raise wrong(lists, "the lists name no video")
    made = Imported(root, {}, [])
    unlike = dict.fromkeys(rows)
    made.left_out["listed twice"] += len(rows) - len(unlike)
    said = Counter((path, span) for path, _, _, _, span in unlike)
    made.left_out["listed with several labels or splits"] += sum(n > 1 for n in said.values())
    for path, label, split, group, span in unlike:
        if said[path, span] > 1:
            continue
        if not (root / path).is_file():
            if not absent:
                raise ConfigError(f"{root / path} is listed but not there", hint="check --media, or set absent=true")
            made.left_out["listed but not there"] += 1
            continue
        groups = {"source": group} if group else {}
        labels = {task: label} if label is not None else {}
        with parsing(root, "listed video"):
            key, one = sample_id(path, span=span), medium(path, "video")
            made.found.append(Found(Sample(id=key, media=(one,), span=span, split=split, groups=groups, labels=labels)))
    if not made.found and max(said.values()) > 1:
        raise wrong(
            lists,
            "no video of the lists has one label and one split",
            hint="remove one of each, or name one list alone",
        )
    if not made.found:
        raise ConfigError(f"none of the {len(rows)} listed videos is in {root}", hint="say --media FOLDER")
    known = classes or sorted({r[1] for r in rows if r[1] is not None})
    made.tasks[task] = Task(kind="class", classes=tuple(known))
    return made
