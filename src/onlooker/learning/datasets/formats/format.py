"""The form of a dataset format, and what formats share."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Kind, LabelledBox, Media, MediaKind, Sample, Task
from onlooker.learning.datasets.media import kind_of, look_at

__all__ = [
    "Format",
    "FormatOptions",
    "Found",
    "Imported",
    "Written",
    "around",
    "box_of_pixels",
    "classes_of",
    "filled",
    "frame_of",
    "in_order",
    "kind_of",
    "media_files",
    "medium",
    "no_label",
    "only_task",
    "parsing",
    "part_of",
    "read_json",
    "refuse",
    "sample_id",
    "task_of_kind",
    "video_rate",
    "wrong",
]

_PARTS = {
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "training": "train",
    "testing": "test",
    "eval": "test",
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class FormatOptions(BaseModel):
    """Base of a format's options; each is a ``--set`` of the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(slots=True)
class Found:
    """A sample as a format gives it: media without facts, and fields that groups and splits can be made of."""

    sample: Sample
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Imported:
    """What a format read.

    Args:
        root: the folder that media paths start from.
        tasks: by name.
        found: the samples.
        left_out: what could not be taken, counted by reason.
        notes: what was taken for what, where it could be something else.
    """

    root: Path
    tasks: dict[str, Task]
    found: list[Found]
    left_out: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Written:
    """What a format wrote: samples or labels, the files, and what it has no place for, counted by reason.

    ``videos`` tells how pictures of each video begin, see `video_names`; ``notes`` are what a user should know.
    """

    samples: int = 0
    files: list[Path] = field(default_factory=list[Path])
    left_out: Counter[str] = field(default_factory=Counter[str])
    videos: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])


class Format(Protocol):
    """One format.

    Attributes:
        name: how the command line calls it.
        description: one line for people.
        holds: kinds of task that come back the same when they are written and read; empty: it is read only.
        media: kinds of media that it writes.
        Options: what a user may set.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    holds: ClassVar[frozenset[Kind]]
    media: ClassVar[frozenset[MediaKind]]
    Options: ClassVar[type[FormatOptions]]

    def read(self, path: Path, options: Any, media: Path | None, space: Path) -> Imported:
        """Read a file or folder.

        Args:
            path: what the user named.
            options: of the type ``Options``.
            media: folder of the media, where the user said so.
            space: folder for media that lie inside of other files and must be taken out.

        Raises:
            ConfigError: it is not of this format; names file and, where there are lines, line.
            UsageError: the options do not fit.
        """
        ...

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: Any) -> Written:
        """Write samples of a dataset.

        Raises:
            UsageError: the format cannot hold it, or ``target`` cannot be written.
        """
        ...


def refuse(name: str) -> UsageError:
    """The error of a format that is read only."""
    return UsageError(f"{name} is read only", hint="export to another format")


def wrong(path: Path, message: str, line: int | None = None, hint: str | None = None) -> ConfigError:
    """An error of a file, with its line where it has one."""
    where = f"{path}:{line}" if line is not None else str(path)
    return ConfigError(f"{where}: {message}", hint=hint)


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        ConfigError: it cannot be read or is no JSON; names the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    except json.JSONDecodeError as error:
        raise wrong(path, f"not JSON: {error.msg}", error.lineno) from None
    except ValueError:
        raise wrong(path, "not JSON: a number in it is too long") from None
    except RecursionError:
        raise wrong(path, "not JSON: too deep") from None


@contextlib.contextmanager
def parsing(path: Path, what: str, line: int | None = None) -> Iterator[None]:
    """Turn what goes wrong in strange content into an error that names the file and what was looked at."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{p}: " for p in [what, ".".join(str(p) for p in first["loc"])] if p)
        raise wrong(path, where + first["msg"].removeprefix("Value error, "), line) from None
    except KeyError as error:
        raise wrong(path, f"{what}: {error.args[0]!r} is missing", line) from None
    except (TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError) as error:
        raise wrong(path, f"{what}: {error}", line) from None


def media_files(folder: Path, *, series: bool = False) -> list[Path]:
    """Media under a folder, sorted; hidden files are passed over, and tables unless ``series`` asks for them.

    Raises:
        ConfigError: it is no folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", hint="check the path")
    unwanted = (None,) if series else (None, "series")
    found = (p for p in sorted(folder.rglob("*")) if kind_of(p) not in unwanted and p.is_file())
    return [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]


def medium(path: str, kind: MediaKind | None = None, **facts: Any) -> Media:
    """A medium by its path.

    Raises:
        ValueError: it is none, or leads out of the root.
    """
    kind = kind or kind_of(path)
    if kind is None:
        raise ValueError(f"{path!r} is no video, picture, sound, text or series by its name")
    return Media(path=path, kind=kind, **facts)


def no_label(what: str, names: Sequence[str], most: int = 12) -> str:
    """The note that no label was asked for.

    Args:
        what: that holds labels, as ``--label`` calls it.
        names: of those that could.
        most: how many are told.

    >>> no_label("COLUMN", ["mood"]), no_label("COLUMN", [])
    ('no label was taken; --label TASK=COLUMN takes one: mood', 'no label was taken')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    said = f"; --label TASK={what} takes one: {', '.join(names[:most])}{more}" if names else ""
    return f"no label was taken{said}"


def sample_id(path: str, *, span: tuple[float, float] | None = None, at: float | None = None) -> str:
    """The id of a sample, from what it shows.

    >>> sample_id("a/b.mp4", span=(1.5, 3)), sample_id("a/b.mp4", at=0.04)
    ('a/b.mp4#1.5-3', 'a/b.mp4#0.04')
    """
    if span is not None:
        return f"{path}#{span[0]:g}-{span[1]:g}"
    return path if at is None else f"{path}#{round(at, 6):g}"


def part_of(name: str) -> str | None:
    """The split that a folder or subset is named after, or None.

    >>> part_of("Validation"), part_of("kitchen")
    ('val', None)
    """
    lower = name.lower()
    lower = _PARTS.get(lower, lower)
    return lower if lower in ("train", "val", "test") else None


def filled(spec: str, fields: Mapping[str, str]) -> str | None:
    r"""A value out of the fields of a sample; None where it is empty or nothing matches.

    Args:
        spec: a text with ``{field}``, or ``field~regular expression`` with one group.
        fields: by name.

    Raises:
        UsageError: there is no such field, or no regular expression.

    >>> filled("{file}", {"file": "a.mp4"}), filled(r"file~^(\w)", {"file": "a.mp4"})
    ('a.mp4', 'a')
    """
    name, mark, pattern = spec.partition("~")
    if not mark:

        def put(match: re.Match[str]) -> str:
            return _field(match[1], fields)

        return re.sub(r"\{([^{}]+)\}", put, spec) or None
    try:
        found = re.search(pattern, _field(name, fields))
    except re.error as error:
        raise UsageError(f"{pattern!r} is no regular expression: {error}") from None
    if found is None:
        return None
    return (found[1] if found.re.groups else found[0]) or None


def _field(name: str, fields: Mapping[str, str]) -> str:
    if name not in fields:
        raise UsageError(f"there is no field {name!r}", hint=f"there are {', '.join(sorted(fields))}")
    return fields[name]


def classes_of(samples: Iterable[Sample], task: str, kind: Kind) -> tuple[str, ...]:
    """All classes that samples name, see `in_order`."""
    probe = Task(kind=kind)
    return in_order({n for s in samples if task in s.labels for n in probe.names(s.labels[task])})


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names sorted; by their numbers where all begin with one.

    >>> in_order({"10", "9", "2"}), in_order({"10", "9", "b"})
    (('2', '9', '10'), ('10', '9', 'b'))
    """
    held = sorted(names)
    numbers = [_NUMBER.match(n) for n in held]
    if not all(numbers):
        return tuple(held)
    return tuple(sorted(held, key=lambda n: float(_NUMBER.match(n)[0])))  # pyright: ignore[reportOptionalSubscript]


def box_of_pixels(left: float, top: float, wide: float, high: float, width: float, height: float) -> Any:
    """A box in fractions of a picture of ``width`` by ``height`` pixels.

    Raises:
        ValueError: a size is not positive.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"a picture of {width} x {height}")
    if wide < 0 or high < 0:
        raise ValueError(f"a box of {wide} x {high}")
    sides = (left / width, top / height, (left + wide) / width, (top + high) / height)
    return tuple(round(float(v), 7) for v in sides)


def around(
    left: float, top: float, right: float, bottom: float, degrees: float, pivot: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The upright box around a box of pixels that is turned clockwise about ``pivot``.

    >>> around(0, 0, 4, 2, 90, (2, 1))
    (1.0, -1.0, 3.0, 3.0)
    """
    angle = math.radians(degrees)
    cos, sin = round(math.cos(angle), 12), round(math.sin(angle), 12)
    corners = [(x - pivot[0], y - pivot[1]) for x in (left, right) for y in (top, bottom)]
    across = [pivot[0] + x * cos - y * sin for x, y in corners]
    down = [pivot[1] + x * sin + y * cos for x, y in corners]
    return min(across), min(down), max(across), max(down)


def only_task(dataset: Dataset, kinds: Iterable[Kind], wanted: str | None, format: str) -> tuple[str, Task]:
    """The task that a format with room for one writes.

    Raises:
        UsageError: there is none, or several and none was named.
    """
    allowed = tuple(kinds)
    names = [n for n, t in dataset.info.tasks.items() if t.kind in allowed and wanted in (None, n)]
    if len(names) == 1:
        return names[0], dataset.info.tasks[names[0]]
    said = " or ".join(allowed)
    if not names:
        raise UsageError(f"there is no task of kind {said} to write as {format}", hint="see onlooker dataset stats")
    raise UsageError(f"{format} holds one task; there are {', '.join(names)}", hint=f"--set task={names[0]}")


def task_of_kind(dataset: Dataset, kind: Kind, wanted: str | None = None) -> str | None:
    """The first task of a kind, or None."""
    return next((n for n, t in dataset.info.tasks.items() if t.kind == kind and wanted in (None, n)), None)


def video_rate(path: Path, given: float | None = None) -> Fraction:
    """Frames a second of a video.

    Raises:
        ConfigError: it is not there or does not say.
    """
    if given is not None:
        return Fraction(str(given))
    rate = (
        look_at(path.parent, Media(path=path.name, kind="video"), digest=False).frame_rate if path.is_file() else None
    )
    if rate is None:
        raise ConfigError(f"the frames a second of {path} are not known", hint="name it, or give --set rate=25")
    return rate


def frame_of(box: LabelledBox, rate: Fraction) -> int:
    """The number, from 0, of the frame that a box lies on."""
    return round(Fraction(str(box.at or 0)) * rate)
