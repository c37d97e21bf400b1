"""A dataset: a folder with ``dataset.yaml`` and its samples.

>>> import tempfile
>>> from onlooker.learning.datasets.manifest import Sample, Task
>>> with tempfile.TemporaryDirectory() as folder:
...     tasks = {"mood": Task(kind="class", classes=("good",))}
...     made = Dataset.create(Path(folder) / "moods", name="moods", tasks=tasks)
...     _ = made.put([Sample(id="1", text="all is well", labels={"mood": "good"})])
...     made.save()
...     Dataset.load(Path(folder) / "moods").samples[0].labels
{'mood': 'good'}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from onlooker.core.errors import ConfigError, UsageError
from onlooker.core.located import first_complaint
from onlooker.learning.datasets.manifest import NAMES, DatasetInfo, Media, Sample, Task, is_name
from onlooker.learning.datasets.parquet import parquet_lines, write_parquet
from onlooker.learning.datasets.typed_yaml import load_yaml, write_whole

__all__ = ["MANIFEST", "Dataset", "common_parts"]

MANIFEST = "dataset.yaml"
_HINT = "see onlooker dataset schema"
_FILES = ("samples.jsonl", "samples.parquet")


def common_parts(one: str, other: str) -> str:
    """The parts that two names of splits have in common, joined as they are; empty: they share nothing.

    >>> common_parts("train+val", "val"), common_parts("test", "train+val")
    ('val', '')
    """
    return "+".join(name for name in one.split("+") if name in other.split("+"))


class Dataset:
    """Samples with their tasks, in memory; `save` writes them.

    Attributes:
        folder: where it lies.
        info: what ``dataset.yaml`` says.
        samples: all of them, with typed labels.
    """

    def __init__(self, folder: Path, info: DatasetInfo, samples: Iterable[Sample] = ()) -> None:
        self.folder = folder
        self.info = info
        self.samples: list[Sample] = list(samples)
        self._former: Path | None = None

    @classmethod
    def create(
        cls, folder: Path, *, name: str, tasks: Mapping[str, Task] | None = None, root: str = ".", description: str = ""
    ) -> Dataset:
        """A new dataset without samples; the folder is made, and ``dataset.yaml`` written.

        Raises:
            UsageError: there is one already, or the folder cannot be written.
            ConfigError: a name is not one.
        """
        if (folder / MANIFEST).exists():
            raise UsageError(f"{folder} holds a dataset already", hint="import adds to it; or choose another folder")
        try:
            info = DatasetInfo(name=name, description=description, root=root, tasks=dict(tasks or {}))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(p) for p in first["loc"])
            raise ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}", hint=_HINT) from None
        made = cls(folder, info)
        made.save()
        return made

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """A dataset from its folder, all of it checked.

        Where ``dataset.yaml`` names a file of samples that is not there yet, they are read from the other one, and
        `save` writes that which is named in its place.

        Raises:
            ConfigError: it is not there or wrong; names file and line.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise ConfigError(f"{folder} holds no dataset ({MANIFEST})", hint="onlooker dataset create makes one")
        info = load_yaml(path, DatasetInfo, _HINT)
        made = cls(folder, info)
        seen: dict[str, str] = {}
        file = folder / info.samples
        if not file.exists():
            made._former = file = _other(file)
        for where, sample in _read(file):
            try:
                typed = sample.with_labels(info.tasks)
            except ValueError as error:
                raise ConfigError(f"{where}: {error}", hint=_HINT) from None
            if typed.id in seen:
                raise ConfigError(f"{where}: the id {typed.id!r} was used at {seen[typed.id]}", hint="make it another")
            if typed.split is not None and typed.split not in info.splits:
                known = ", ".join(info.splits) or "none"
                raise ConfigError(f"{where}: split: {path.name} knows no {typed.split!r}; it has {known}", hint=_HINT)
            seen[typed.id] = where
            made.samples.append(typed)
        return made

    @property
    def root(self) -> Path:
        """The folder that media paths start from."""
        return self.folder / self.info.root

    def path(self, media: Media) -> Path:
        """Where a medium lies."""
        return self.root / media.path

    def put(self, samples: Iterable[Sample], tasks: Mapping[str, Task] | None = None) -> tuple[int, int]:
        """Add samples, replacing those of the same id, and tasks, whose classes are joined.

        Returns:
            How many are new, and how many were replaced.

        Raises:
            UsageError: a task is there with another kind, or its name is none.
            ValueError: a label does not fit its task.
        """
        joined = dict(self.info.tasks)
        for name, task in (tasks or {}).items():
            joined[name] = _joined(name, joined.get(name), task)
        typed = [s.with_labels(joined) for s in samples]
        splits = dict.fromkeys([*self.info.splits, *(s.split for s in typed if s.split is not None)])
        self.info = self.info.model_copy(update={"tasks": joined, "splits": tuple(splits)})
        place = {s.id: n for n, s in enumerate(self.samples)}
        new = 0
        for sample in typed:
            if sample.id in place:
                self.samples[place[sample.id]] = sample
            else:
                place[sample.id] = len(self.samples)
                self.samples.append(sample)
                new += 1
        return new, len(typed) - new

    def of_split(self, split: str | None) -> list[Sample]:
        """The samples of one split, or of several joined by ``+``; all for None.

        Raises:
            UsageError: there is no such split.
        """
        if split is None:
            return list(self.samples)
        wanted = split.split("+")
        if missing := [name for name in wanted if name not in self.info.splits]:
            known = ", ".join(self.info.splits) or "none: onlooker dataset split makes them"
            raise UsageError(f"{self.folder} has no split {missing[0]!r}", hint=f"there are {known}")
        return [s for s in self.samples if s.split in wanted]

    def save(self) -> None:
        """Write both files, the samples first; each is whole or as it was.

        Raises:
            UsageError: the folder cannot be written, or Parquet is not installed.
        """
        path = self.folder / self.info.samples
        if path.suffix == ".parquet":
            write_parquet(path, self.samples)
        else:
            write_whole(path, "".join(s.model_dump_json(exclude_defaults=True) + "\n" for s in self.samples))
        values = self.info.model_dump(mode="json", exclude_defaults=True, exclude={"version"})
        body = yaml.safe_dump({"version": 1, **values}, sort_keys=False, allow_unicode=True, width=110)
        write_whole(self.folder / MANIFEST, body)
        if self._former is not None and self._former.parent == self.folder and self._former != path:
            # what it says would be old from now on
            self._former.unlink(missing_ok=True)
        self._former = None


def _joined(name: str, there: Task | None, new: Task) -> Task:
    if not is_name(name):
        raise UsageError(f"the task {name!r} is no name", hint=NAMES)
    if there is None:
        return new
    if there.kind != new.kind:
        raise UsageError(f"the task {name!r} is of kind {there.kind}, not {new.kind}", hint="import it by another name")
    return there.model_copy(update={"classes": tuple(dict.fromkeys((*there.classes, *new.classes)))})


def _other(file: Path) -> Path:
    """The file of samples in the other form."""
    found = next((f for f in (file.with_name(name) for name in _FILES) if f.is_file()), None)
    if found is None:
        raise ConfigError(
            f"{file.parent} has no {file.name}, which its {MANIFEST} names", hint="bring it back, or create it anew"
        )
    return found


def _read(path: Path) -> Iterator[tuple[str, Sample]]:
    """Samples, each with file and line (or row) for errors."""
    lines = parquet_lines(path) if path.suffix == ".parquet" else _text_lines(path)
    for number, line in lines:
        where = f"{path}:{number}"
        try:
            yield where, Sample.model_validate_json(line)
        except ValidationError as error:
            _, place, message = first_complaint(error, "there is no such field")
            raise ConfigError(f"{where}: {place}: {message}" if place else f"{where}: {message}", hint=_HINT) from None


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the file") from None
