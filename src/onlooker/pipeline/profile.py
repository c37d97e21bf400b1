"""Profiles: YAML files that say which analyzers run, at which quality and with which settings."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from onlooker.core.analyzer import Quality
from onlooker.core.errors import ConfigError, UsageError
from onlooker.core.located import line_of
from onlooker.core.time import parse_age

__all__ = ["Privacy", "Profile", "load_profile", "profile_folders", "profile_names"]

Settings = dict[str, Any]
Hideable: TypeAlias = Literal["faces", "persons", "plates", "screens", "text"]


class Privacy(BaseModel):
    """What a library does not keep of the people in its videos. It is remembered in the library, for all its sources.

    Attributes:
        hide: what is made unrecognisable in every derived picture and clip.
        style: how.
        keep_embeddings: whether vectors of faces and voices stay after a source was analysed to its end.
        keep_best_shots: whether the best picture of each face is kept; never where faces or persons are hidden.
        retention: how long a source stays in the library, such as ``30d``; None: until it is removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hide: tuple[Hideable, ...] = ()
    style: Literal["blur", "pixelate", "fill"] = "blur"
    keep_embeddings: bool = True
    keep_best_shots: bool = True
    retention: str | None = None

    @field_validator("retention")
    @classmethod
    def _is_age(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_age(value)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return value

    @property
    def retention_seconds(self) -> Fraction | None:
        """The age in seconds at which a source is removed, or None."""
        return None if self.retention is None else parse_age(self.retention)

    @property
    def best_shots(self) -> bool:
        """Whether pictures of single faces may be kept."""
        return self.keep_best_shots and not {"faces", "persons"} & set(self.hide)

    def joined(self, other: Privacy) -> Privacy:
        """What keeps least of both; the style is this one's."""
        hide: list[Hideable] = list(dict.fromkeys((*self.hide, *other.hide)))
        ages = [p for p in (self, other) if p.retention is not None]
        shortest = min(ages, key=lambda p: p.retention_seconds or 0, default=self)
        return Privacy(
            hide=tuple(hide),
            style=self.style if self.hide else other.style,
            keep_embeddings=self.keep_embeddings and other.keep_embeddings,
            keep_best_shots=self.keep_best_shots and other.keep_best_shots,
            retention=shortest.retention,
        )


class Profile(BaseModel):
    """What to run on a source.

    Attributes:
        name: how ``--profile`` calls it.
        description: one line for people.
        quality: default quality level of all analyzers; ``--quality`` overrides it.
        analyzers: settings by analyzer name; an empty mapping means its defaults.
        privacy: what the library does not keep of people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    quality: Quality = "balanced"
    analyzers: dict[str, Settings | None] = Field(min_length=1)
    privacy: Privacy | None = None


def profile_folders() -> list[Path]:
    """Where named profiles are looked for: those shipped with the package, else those of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    return [p for p in (package / "profiles", package.parents[1] / "profiles") if p.is_dir()]


def profile_names() -> list[str]:
    """Names that `load_profile` knows, sorted."""
    return sorted({p.stem for folder in profile_folders() for p in folder.glob("*.yaml")})


def load_profile(name_or_path: str | Path) -> Profile:
    """The profile of that name, or in that file.

    Raises:
        ConfigError: no such profile, or the file is wrong; names file and line.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        found = [f / f"{name_or_path}.yaml" for f in profile_folders() if (f / f"{name_or_path}.yaml").is_file()]
        if not found:
            known = ", ".join(profile_names()) or "none"
            raise ConfigError(
                f"no profile is called {str(name_or_path)!r}", hint=f"known: {known}; or give a .yaml file"
            )
        path = found[0]
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the profile {path}: {error}", hint="check the path") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping with name and analyzers, got {type(values).__name__}")
    values.setdefault("name", path.stem)  # pyright: ignore[reportUnknownMemberType]
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        line = line_of(document, first["loc"])
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}:{line}: {where}: {first['msg']}", hint="see onlooker profiles schema") from None
