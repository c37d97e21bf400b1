"""The rule language: YAML files checked by typed models, with errors that name file and line."""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from onlooker.core.errors import ConfigError
from onlooker.core.located import first_complaint, line_of, parsed
from onlooker.core.media import SourceInfo
from onlooker.rules import conditions as condition_modules
from onlooker.rules.condition import Condition, Per
from onlooker.rules.places import Ground, Line, Places
from onlooker.rules.schedule import Schedule
from onlooker.rules.units import Point, Seconds

__all__ = [
    "Camera",
    "Rule",
    "RuleFile",
    "Severity",
    "When",
    "condition_names",
    "load_rules",
    "parse_rules",
    "rules_schema",
]

Severity = Literal["info", "low", "medium", "high", "critical"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


@cache
def _conditions() -> dict[str, type[Condition]]:
    found: dict[str, type[Condition]] = {}
    for module in pkgutil.iter_modules(condition_modules.__path__):
        if not module.name.startswith("_"):
            loaded = importlib.import_module(f"{condition_modules.__name__}.{module.name}")
            found[module.name.rstrip("_")] = loaded.CONDITION
    return found


def condition_names() -> list[str]:
    """The words that ``when`` may begin with, sorted."""
    return sorted(_conditions())


class When(BaseModel):
    """Base of the model that holds exactly one condition under its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def condition(self) -> Condition:
        """The one that is there."""
        return cast(Condition, getattr(self, self.name))

    @property
    def name(self) -> str:
        """How it is called in the file."""
        (field,) = self.model_fields_set
        return field

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        names = [*cast(dict[str, Any], value)] if isinstance(value, dict) else []
        if len(names) != 1:
            raise ValueError(f"expected exactly one of {', '.join(condition_names())}")
        if names[0] not in condition_names():
            raise ValueError(f"no condition is called {names[0]!r}; there are {', '.join(condition_names())}")
        return cast(dict[str, Any], value)


class Camera(BaseModel):
    """A camera or sort of source, and the places in its picture.

    Attributes:
        sources: patterns (``*``, ``?``) of paths, file names or ids.
        zones, lines, ground: places of this camera; zones and lines of the whole file can be used besides.
        time_zone: where it stands, if not where the file says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    sources: tuple[str, ...] = Field(min_length=1)
    zones: dict[str, tuple[Point, ...]] = Field(default_factory=dict)
    lines: dict[str, Line] = Field(default_factory=dict)
    ground: Ground | None = None
    time_zone: str | None = None

    def shows(self, info: SourceInfo) -> bool:
        """Whether the source is of this camera."""
        names = (info.path, Path(info.path).name, info.id)
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.sources for name in names)


class _RuleBase(BaseModel):
    """One rule.

    Attributes:
        id: how events name it.
        description: for people.
        enabled: whether it is looked at.
        cameras: names of cameras; none: all.
        severity: of its events.
        schedule: when it is in force; without one, always.
        lasts: how long ``when`` must hold before an event begins.
        per: whether each track makes events of its own, or the camera as a whole.
        gap: an event goes on over interruptions up to this long.
        cooldown: after an event's end no new one begins for this long (for each ``per``).
        update: how often an event that goes on is told again, at most.
        before, after: seconds of evidence kept around the event.
        channels: names of the sinks that are told; none: all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(pattern=_NAME)
    description: str = ""
    enabled: bool = True
    cameras: tuple[str, ...] = ()
    severity: Severity = "medium"
    schedule: Schedule | None = None
    lasts: Seconds = 0.0
    per: Per | None = None
    gap: Seconds = 2.0
    cooldown: Seconds = 0.0
    update: Seconds = 10.0
    before: Seconds = 5.0
    after: Seconds = 5.0
    channels: tuple[str, ...] = ()


@cache
def _models() -> tuple[type[When], type[BaseModel]]:
    """The models of a condition and a rule over all conditions that there are."""
    fields: dict[str, Any] = {
        name: (model | None, Field(default=None, description=(model.__doc__ or "").split("\n")[0]))
        for name, model in _conditions().items()
    }
    when = create_model("Condition", __base__=When, **fields)
    for model in _conditions().values():
        model.model_rebuild(
            force=True, _types_namespace={"When": when, **vars(importlib.import_module(model.__module__))}
        )
    when.model_rebuild(force=True)
    return when, create_model("Rule", __base__=_RuleBase, when=(when, ...))


class Rule(_RuleBase):
    """A rule as `load_rules` gives it."""

    when: When


class RuleFile(BaseModel):
    """A file of rules.

    Attributes:
        version: of the language.
        time_zone: IANA name of the zone in which schedules are read.
        zones, lines: places in the picture of every camera.
        lost: a track that was not seen for longer is gone.
        cameras: by name.
        rules: in the order in which their events are told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    time_zone: str = "UTC"
    zones: dict[str, tuple[Point, ...]] = Field(default_factory=dict)
    lines: dict[str, Line] = Field(default_factory=dict)
    lost: Seconds = 1.5
    cameras: dict[str, Camera] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"no time zone is called {value!r}; write an IANA name such as Europe/Berlin") from None
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        # the models are made when they are first needed, so pickling goes by what the file says
        return _file_again, (self.model_dump(mode="json", by_alias=True, exclude_unset=True),)

    def camera_of(self, info: SourceInfo) -> tuple[str, Camera | None]:
        """Name and camera of a source: the first that shows it; the file's name and None where none does."""
        for name, camera in self.cameras.items():
            if camera.shows(info):
                return name, camera
        return Path(info.path).stem, None

    def places(self, info: SourceInfo) -> Places:
        """The places in the source's picture."""
        camera = self.camera_of(info)[1]
        aspect = info.video.width / info.video.height if info.video else 16 / 9
        if camera is None:
            return Places(self.zones, self.lines, None, aspect)
        return Places({**self.zones, **camera.zones}, {**self.lines, **camera.lines}, camera.ground, aspect)

    def rules_for(self, info: SourceInfo) -> list[Rule]:
        """The enabled rules that look at the source."""
        name, camera = self.camera_of(info)
        if self.cameras and camera is None:
            return []
        return [r for r in self.rules if r.enabled and (not r.cameras or name in r.cameras)]


@cache
def _file_model() -> type[RuleFile]:
    _, rule = _models()
    return create_model("RuleFile", __base__=RuleFile, rules=(tuple[rule, ...], Field(min_length=1)))  # pyright: ignore[reportInvalidTypeForm]


def _file_again(values: dict[str, Any]) -> RuleFile:
    return _file_model().model_validate(values)


def rules_schema() -> dict[str, Any]:
    """JSON Schema of rule files, for editors."""
    return _file_model().model_json_schema()


def parse_rules(text: str, where: str = "rules") -> RuleFile:
    """A rule file from its text.

    Raises:
        ConfigError: the first thing that is wrong, with file and line.
    """
    values, document = parsed(text, where)
    try:
        made = _file_model().model_validate(values)
    except ValidationError as error:
        location, shown, message = first_complaint(error)
        line = line_of(document, location)
        raise ConfigError(f"{where}:{line}: {shown}: {message}", hint="see onlooker rules schema") from None
    _check_names(made, where, document)
    return made


def load_rules(path: Path) -> RuleFile:
    """A rule file.

    Raises:
        ConfigError: it cannot be read or is wrong.
    """
    try:
        return parse_rules(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None


def _walk(condition: Condition) -> list[Condition]:
    return [condition, *(c for part in condition.parts() for c in _walk(part))]


def _check_names(rules: RuleFile, where: str, document: yaml.Node | None) -> None:
    """Every place, camera and id that a rule names must be there, once."""

    def refuse(number: int, message: str, hint: str) -> None:
        line = line_of(document, ("rules", number))
        raise ConfigError(f"{where}:{line}: rules.{number}: {message}", hint=hint)

    seen: set[str] = set()
    for number, rule in enumerate(rules.rules):
        if rule.id in seen:
            refuse(number, f"two rules are called {rule.id!r}", "give each an id of its own")
        seen.add(rule.id)
        unknown = [c for c in rule.cameras if c not in rules.cameras]
        if unknown:
            refuse(number, f"no camera is called {unknown[0]!r}", f"known: {', '.join(rules.cameras) or 'none'}")
        used = rule.cameras or tuple(rules.cameras)
        cameras = [rules.cameras[c] for c in used] or [Camera(sources=("*",))]
        for condition in _walk(rule.when.condition):
            for camera in cameras:
                zones, lines = {**rules.zones, **camera.zones}, {**rules.lines, **camera.lines}
                for sort, names, known in (("zone", condition.zones(), zones), ("line", condition.lines(), lines)):
                    missing = [n for n in names if n not in known]
                    if missing:
                        refuse(number, f"no {sort} is called {missing[0]!r}", f"known: {', '.join(known) or 'none'}")
                if condition.needs_ground() and camera.ground is None:
                    refuse(number, "it needs a calibrated ground", "give the camera a ground, or use widths/s")
