"""Imports: a format's samples with groups, splits and facts of their media, into a dataset."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from onlooker.core.errors import ConfigError, SourceError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import Found, Imported, format_of, options_of
from onlooker.learning.datasets.formats.format import filled
from onlooker.learning.datasets.manifest import NAMES, Media, Sample
from onlooker.learning.datasets.media import look_at
from onlooker.learning.datasets.moments import told_apart
from onlooker.learning.datasets.returned import find_frames, find_tasks
from onlooker.sources.identity import content_id

__all__ = ["ImportReport", "ImportRequest", "import_samples"]

MEDIA_FOLDER = "media"
_TELLS_ALL = "csv"
"""A format with all files of a sample."""
_ABOVE = "import them into a dataset of their own, or all into a new one, by --media of a folder that holds both"


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Args:
        format: name of the format.
        path: file or folder.
        options: the format's own.
        media: folder of the media, where the format cannot know.
        groups: by sort: a text with ``{field}``, or ``field~regular expression``.
        split: the same, for the split; None keeps the format's.
        copy: whether to copy media into the dataset's folder.
    """

    format: str
    path: Path
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    media: Path | None = None
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    split: str | None = None
    copy: bool = False


@dataclass(slots=True)
class ImportReport:
    """What came of it; ``failures`` are media that cannot be used and why, ``notes`` what was taken for what."""

    new: int = 0
    replaced: int = 0
    failures: dict[str, str] = field(default_factory=dict[str, str])
    left_out: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        left = {k: n for k, n in self.left_out.items() if n}
        counts = {"new": self.new, "replaced": self.replaced}
        return {**counts, "left_out": left, "failures": self.failures, "notes": self.notes}


def import_samples(
    dataset: Dataset, request: ImportRequest, progress: Callable[[int, int], None] | None = None
) -> ImportReport:
    """Read samples and add them to ``dataset``, which is saved.

    A sample of an id that is there is replaced, but keeps its split, groups, weights, origin, notes and files beside
    where the new one has none: labels that come back from a labelling tool find their sample.

    Raises:
        ConfigError, UsageError: the file or the request is wrong; nothing was changed.
    """
    format = format_of(request.format)
    options = options_of(format, dict(request.options))
    made = format.read(request.path, options, request.media, dataset.folder / MEDIA_FOLDER)
    if not made.found and not sum(made.left_out.values()):
        raise ConfigError(f"{request.path}: there is no sample in it", hint="onlooker dataset formats tells of each")
    _ordered(dataset, made)
    find_frames(made, dataset)
    find_tasks(made, dataset, options)
    known = {s.id: s for s in dataset.samples}
    for found, sample in zip(made.found, told_apart((f.sample for f in made.found), known), strict=True):
        found.sample = sample
    reader = _Media(dataset, made, request, known)
    report = ImportReport(left_out=made.left_out, notes=made.notes)
    samples: list[Sample] = []
    for number, found in enumerate(made.found):
        sample = _placed(found, request)
        try:
            media = tuple(reader.take(m) for m in sample.media)
        except SourceError as error:
            report.failures[sample.id] = str(error)
            continue
        old, new = known.get(sample.id), sample.model_copy(update={"media": media})
        samples.append(new if old is None else _merged(old, new, dataset.root, told=request.format == _TELLS_ALL))
        if progress is not None:
            progress(number + 1, len(made.found))
    if made.found and not samples:
        name, reason = next(iter(report.failures.items()))
        raise ConfigError(f"{request.path}: none of its {len(made.found)} samples can be used; {name}: {reason}")
    ids = Counter(s.id for s in samples)
    twice = next((i for i, n in ids.items() if n > 1), None)
    if twice is not None:
        raise ConfigError(f"{request.path}: two samples are called {twice!r}", hint="they name the same file")
    if samples and not dataset.samples:
        dataset.info = dataset.info.model_copy(update={"root": reader.root})
    try:
        report.new, report.replaced = dataset.put(samples, made.tasks)
    except ValueError as error:
        raise ConfigError(f"{request.path}: {error}") from None
    dataset.save()
    return report


def _ordered(dataset: Dataset, made: Imported) -> None:
    """Grades in words have an order that no file tells."""
    for name, task in made.tasks.items():
        if task.kind == "ordinal" and name not in dataset.info.tasks and not all(c[:1].isdigit() for c in task.classes):
            raise UsageError(
                f"{name}: the order of {', '.join(task.classes)} is not known",
                hint=f"onlooker dataset create DATASET --task {name}=ordinal:LEAST,...,MOST, then import into it",
            )


def _placed(found: Found, request: ImportRequest) -> Sample:
    """The sample with groups and split out of its fields."""
    sample = found.sample
    path = sample.media[0].path if sample.media else sample.id
    name = path.rpartition("/")[2]
    fields = {"path": path, "name": name, "stem": name.rpartition(".")[0] or name, "folder": path.rpartition("/")[0]}
    fields |= {k: v for k, v in sample.labels.items() if isinstance(v, str)}
    # a table's own columns mean what they say, whatever they are called
    fields = {**fields, **found.fields, "split": sample.split or found.fields.get("split", "")}
    groups = dict(sample.groups)
    for sort, spec in request.groups.items():
        value = filled(spec, fields)
        if value is not None:
            groups[sort] = value
    split = sample.split if request.split is None else filled(request.split, fields)
    try:
        return Sample.model_validate({**sample.model_dump(), "groups": groups, "split": split})
    except ValidationError as error:
        where, said = error.errors()[0]["loc"][0], error.errors()[0]["input"]
        raise UsageError(f"{sample.id}: {where}: {said!r} is no name", hint=NAMES) from None


def _merged(old: Sample, new: Sample, root: Path, *, told: bool) -> Sample:
    """A sample that is there, as it is now.

    Args:
        old: as it was.
        new: as it comes.
        root: of the dataset's media.
        told: whether it comes with all of its files.
    """
    kept: dict[str, Any] = {}
    for name in ("split", "groups", "origin", "notes", "text", "at", "span", "weights"):
        if not getattr(new, name) and getattr(old, name):
            kept[name] = getattr(old, name)
    if new.weight == Sample.model_fields["weight"].default:
        kept["weight"] = old.weight
    fresh = {m.path: m for m in new.media}
    beside = [m for m in old.media if m.path not in fresh and (root / m.path).is_file()]
    if beside and not told and fresh.keys() < {m.path for m in old.media}:
        # a format with place for one file says nothing of the others
        kept["media"] = tuple(fresh.get(m.path, m) for m in old.media if m.path in fresh or m in beside)
    said = {**old.labels, **new.labels}
    if not new.labels or (new.status == "proposed" and old.status == "labelled" and old.labels):
        # nothing was said, or less than a person's word
        kept |= {"status": old.status}
        said = old.labels
    elif new.status == "labelled" and old.status == "proposed":
        # what a person did not take over was a proposal only
        said = new.labels
    kept["labels"] = said
    return new.model_copy(update=kept)


class _Media:
    """Brings media to where the dataset expects them, and looks at each once."""

    def __init__(self, dataset: Dataset, made: Imported, request: ImportRequest, known: Mapping[str, Sample]) -> None:
        self._source = made.root.resolve()
        self._seen: dict[Media, Media] = {}
        self._facts = {m.path: m for s in known.values() for m in s.media}
        folder = dataset.folder.resolve()
        inside = self._source == folder
        self._copy = folder / MEDIA_FOLDER if request.copy and not inside else None
        self.root = "." if self._copy or inside else os.path.relpath(self._source, folder)
        self._known_root = dataset.root.resolve()
        paths = list(dict.fromkeys(m.path for f in made.found for m in f.sample.media))
        if self._copy is not None:
            if known and self._known_root != folder:
                raise UsageError(f"media of the dataset lie in {self._known_root}", hint="do not copy")
            self._check_copies(paths, self._copy)
            self._check_ids(made.found, known)
        elif known and self._source != self._known_root:
            self._check_known(paths, request.path, copied=self._known_root == folder)

    def _check_known(self, paths: Sequence[str], path: Path, *, copied: bool) -> None:
        """Media of another root must be those that the dataset has, such as when they come back labelled."""
        hint = "import with --copy, or say --media" if copied else _ABOVE
        said = f"media of the dataset lie in {self._known_root}, those of {path} in {self._source}"
        if any(p not in self._facts for p in paths):
            raise UsageError(said, hint=hint)
        others = [p for p in paths if self._is_another(p)]
        if others:
            raise UsageError(f"{said}; of one name, but of other content: {_some(others)}", hint=hint)

    def _is_another(self, path: str) -> bool:
        """Whether a file of the new root is not the one that the dataset knows by that path."""
        if not (self._source / path).is_file():
            return False
        digest = self._facts[path].digest
        if digest is None and (self._known_root / path).is_file():
            digest = content_id(self._known_root / path)
        return digest != content_id(self._source / path)

    def _check_copies(self, paths: Sequence[str], folder: Path) -> None:
        """No copy may take the place of a file with other content."""
        others = [
            p
            for p in paths
            if (folder / p).exists() and (self._source / p).is_file() and not _same(self._source / p, folder / p)
        ]
        if others:
            hint = "give them other names, import them into a dataset of their own, or remove what is not wanted there"
            raise UsageError(f"{folder} has files of these names with other content: {_some(others)}", hint=hint)

    def _check_ids(self, found: Sequence[Found], known: Mapping[str, Sample]) -> None:
        """No copy may come under the id of a sample that shows other files, which lie elsewhere in the dataset."""
        for sample in (f.sample for f in found if f.sample.id in known):
            there = known[sample.id].media
            kinds = {m.kind for m in there}
            for path in (m.path for m in sample.media if m.kind in kinds and (self._source / m.path).is_file()):
                if any(m.path == f"{MEDIA_FOLDER}/{path}" for m in there):
                    continue
                if content_id(self._source / path) not in {m.digest for m in there}:
                    said = f"the dataset has another sample called {sample.id}, which shows {there[0].path}"
                    raise UsageError(
                        said, hint="give the files other names, or import them into a dataset of their own"
                    )

    def take(self, media: Media) -> Media:
        """The medium with its facts.

        Raises:
            SourceError: it is missing or cannot be read.
        """
        if media in self._seen:
            return self._seen[media]
        there = self._facts.get(media.path)
        if there is not None and there.kind == media.kind and not (self._source / media.path).is_file():
            return there
        if not (self._source / media.path).exists():
            raise SourceError(f"{self._source / media.path} is not there", hint="say --media FOLDER")
        taken = look_at(self._source, media)
        if self._copy is not None:
            _copied(self._source / media.path, self._copy / media.path)
            taken = taken.model_copy(update={"path": f"{MEDIA_FOLDER}/{media.path}"})
        self._seen[media] = taken
        return taken


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and (one.samefile(other) or filecmp.cmp(one, other, shallow=False))


def _copied(source: Path, place: Path) -> None:
    """Copy a file whole or not at all; what is there is the same, see `_Media`."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.part")
    shutil.copyfile(source, part)
    part.replace(place)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return f"{', '.join(paths[:5])}{more}"
