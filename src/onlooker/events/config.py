"""The ``sinks`` section of a watch configuration: names, each with exactly one kind of sink.

>>> sinks = Sinks.model_validate({"log": {"file": {"path": "events.jsonl"}, "severity": "high"}})
>>> sinks.root["log"].kind
'file'
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model, model_validator

from onlooker.core.errors import PluginError
from onlooker.core.event import Event, State
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.core.schedule import Seconds
from onlooker.events.rule import SinkRule
from onlooker.events.sink import Sink

__all__ = ["Retry", "SinkSection", "Sinks", "sink_kinds"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@cache
def sink_kinds() -> Mapping[str, type[Sink]]:
    """The sorts of sinks that there are, by name; a plug-in that cannot be imported is left out."""
    found: dict[str, type[Sink]] = {}
    for name in plugin_names("sinks"):
        try:
            found[name] = load_plugin("sinks", name)
        except PluginError:
            continue
    return found


class Retry(BaseModel):
    """How often a sink that fails is tried again.

    Attributes:
        first: seconds after the first failure; doubled with each, less up to half of it by chance.
        most: at most so many seconds.
        attempts: how often a message that the sink does not take is tried before it is a dead letter.
        age: for how long at most; a sink that cannot be reached at all is tried this long.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    first: Annotated[Seconds, Field(gt=0)] = 1.0
    most: Annotated[Seconds, Field(gt=0)] = 300.0
    attempts: Annotated[int, Field(ge=1)] = 20
    age: Annotated[Seconds, Field(gt=0)] = 3 * 86_400.0


class SinkSection(SinkRule):
    """One sink: which events, how, and under the name of its kind the settings of that kind.

    Attributes:
        digest: gather for this long, then tell of all events in one message.
        retry: what to do when it fails.
    """

    digest: Annotated[Seconds, Field(gt=0)] | None = None
    retry: Retry = Retry()

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        names = [n for n in cast(dict[str, Any], value) if n in sink_kinds()] if isinstance(value, dict) else []
        if len(names) != 1:
            raise ValueError(f"expected exactly one of {', '.join(sink_kinds())}")
        return cast(dict[str, Any], value)

    @model_validator(mode="after")
    def _can_digest(self) -> SinkSection:
        if self.digest is not None and not sink_kinds()[self.kind].digests:
            raise ValueError(f"a sink of kind {self.kind} cannot be told a digest")
        return self

    @property
    def kind(self) -> str:
        """The kind of sink."""
        return next(n for n in sink_kinds() if getattr(self, n) is not None)

    @property
    def details(self) -> BaseModel:
        """The settings of that kind."""
        return getattr(self, self.kind)

    @property
    def told(self) -> tuple[State, ...]:
        """The states that are told."""
        return self.states if self.states is not None else sink_kinds()[self.kind].states


_FIELDS: dict[str, Any] = {name: (kind.settings | None, None) for name, kind in sink_kinds().items()}
_SECTION = create_model("SinkSection", __base__=SinkSection, **_FIELDS)


class Sinks(RootModel[dict[Name, _SECTION]]):  # pyright: ignore[reportInvalidTypeForm]
    """The ``sinks`` section: sinks by name."""

    model_config = ConfigDict(frozen=True)
    root: dict[Name, _SECTION] = Field(default_factory=dict)  # pyright: ignore[reportInvalidTypeForm]

    @property
    def sections(self) -> Mapping[str, SinkSection]:
        """The sinks by name; what `Journal.take` is given."""
        return self.root

    def names_for(self, event: Event) -> tuple[str, ...]:
        """Names of the sinks that are told of this state."""
        return tuple(
            name
            for name, section in self.sections.items()
            if (not event.channels or name in event.channels) and section.wants(event)
        )
