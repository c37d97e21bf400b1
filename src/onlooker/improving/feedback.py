"""What people said of observations: wrong ones, right ones, and moments that were missed.

Two places hold it: the journal of events (an event said to be right or wrong speaks of the observations that it rests
on), and the library's records ``feedback``, which speak of stretches of sources and so outlive the observations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from onlooker.bundles.manifest import Manifest
from onlooker.core.errors import StoreError, UsageError
from onlooker.core.observation import Json, Observation
from onlooker.core.store import Query, Store
from onlooker.core.time import Span, Timestamp
from onlooker.events import EventQuery, Journal
from onlooker.events.journal import FILE

__all__ = [
    "COLLECTION",
    "Feedback",
    "Said",
    "check_label",
    "collect",
    "feedback_key",
    "put_feedback",
    "read_feedback",
    "remove_feedback",
]

COLLECTION = "feedback"
"""Of the library's records."""
_PAD = 0.05
"""Seconds."""


class Said(BaseModel):
    """One piece of feedback as the library keeps it.

    Attributes:
        verdict: ``wrong`` (a false alarm), ``right``, or ``missed`` (it should have been observed).
        source: id of the source.
        start, end: seconds.
        analyzer: name of the bundle.
        kind: of the observation; of a missed one, where it is known.
        label: that was, or should have been, observed.
        instead: of a wrong one: the label that holds in its place, where somebody said so.
        by: who said it.
        at: when (UTC, ISO 8601).
        note: for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Literal["wrong", "right", "missed"]
    source: Annotated[str, Field(min_length=1, max_length=200)]
    start: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    end: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    analyzer: Annotated[str, Field(min_length=1, max_length=200)]
    kind: str | None = None
    label: Annotated[str, Field(min_length=1, max_length=200)]
    instead: str | None = None
    by: str = ""
    at: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Said:
        if self.end <= self.start:
            raise ValueError(f"expected start < end, got {self.start:g} and {self.end:g} seconds")
        return self


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing that was said of a bundle.

    Args:
        key: tells it apart for good.
        said: what.
        event: id of the event that it was said of, or None.
    """

    key: str
    said: Said
    event: str | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Seconds."""
        return self.said.start, self.said.end

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {"key": self.key, **self.said.model_dump(mode="json"), "event": self.event}


def check_label(name: str, manifest: Manifest, label: str) -> None:
    """See that a bundle can tell a label.

    Args:
        name: of the bundle.
        manifest: of it.
        label: that it should have told.

    Raises:
        UsageError: it cannot.
    """
    if label in manifest.labels:
        return
    if manifest.labels:
        raise UsageError(f"{name} has no label {label!r}", hint=f"it has {', '.join(manifest.labels)}")
    tasks = [output.task for output in manifest.outputs]
    unusual = "how much of what is unusual is told, false_alarms_per_hour says: docs/guides/anomaly.md"
    raise UsageError(
        f"{name} has no labels (its task is {' and '.join(dict.fromkeys(tasks))}), so that it cannot miss {label!r}",
        hint=unusual if "anomaly" in tasks else "improve teaches labels of stretches and moments",
    )


def feedback_key(said: Said) -> str:
    """16 hex digits from what it speaks of, so that a later word on the same takes the place of an earlier one."""
    about = [said.source, round(said.start, 3), round(said.end, 3), said.analyzer, said.label]
    return hashlib.blake2b(json.dumps(about).encode(), digest_size=8).hexdigest()


def put_feedback(store: Store, said: Said) -> str:
    """Keep it in the library; returns its key."""
    dated = said if said.at else said.model_copy(update={"at": datetime.now(UTC).isoformat(timespec="seconds")})
    key = feedback_key(dated)
    store.put_records(COLLECTION, {key: cast(Json, dated.model_dump(mode="json"))})
    return key


def remove_feedback(store: Store, key: str) -> str:
    """Take back the feedback whose key begins so; returns the key.

    Raises:
        UsageError: none or several do.
    """
    found = [k for k, v in store.records(COLLECTION).items() if v is not None and k.startswith(key)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} pieces of feedback begin with {key!r}", hint="see onlooker feedback list")
    store.put_records(COLLECTION, {found[0]: None})
    return found[0]


def read_feedback(store: Store) -> list[Feedback]:
    """All that the library keeps, by source and time.

    Raises:
        StoreError: a record is damaged.
    """
    made: list[Feedback] = []
    for key, value in store.records(COLLECTION).items():
        try:
            made.append(Feedback(key, Said.model_validate(value)))
        except ValidationError as error:
            raise StoreError(f"feedback {key} is damaged: {error}", hint=f"onlooker feedback remove {key}") from None
    return sorted(made, key=lambda f: (f.said.source, f.said.start, f.key))


def collect(library: Path, name: str, store: Store) -> list[Feedback]:
    """All feedback on what a bundle observed: the library's records, and judged events that rest on its observations.

    Args:
        library: the folder.
        name: of the bundle.
        store: of the library.
    """
    made = {f.key: f for f in read_feedback(store) if f.said.analyzer == name}
    for one in _judged_events(library, name, store):
        made.setdefault(one.key, one)
    return sorted(made.values(), key=lambda f: (f.said.source, f.said.start, f.key))


def _judged_events(library: Path, name: str, store: Store) -> Iterable[Feedback]:
    if not (library / FILE).is_file():
        return
    with Journal.open(library, create=False, read_only=True) as journal:
        records = journal.query(EventQuery(limit=None, oldest_first=True))
    for record in records:
        if not record.feedback:
            continue
        event, last = record.event, record.feedback[-1]
        start, end = event.start / 1e9, (event.start if event.end is None else event.end) / 1e9
        seen = dict.fromkeys(_observations(store, name, event.observations, event.source, (start, end), event.label))
        for o in seen:
            said = Said(
                verdict=last.verdict, source=o.source, start=round(o.span.start.seconds, 6),
                end=round(max(o.span.end.seconds, o.span.start.seconds + _PAD), 6), analyzer=name, kind=o.kind,
                label=o.label or o.kind, by=last.by, at=last.at.isoformat(), note=last.note,
            )  # fmt: skip
            yield Feedback(feedback_key(said), said, event.id)


def _observations(
    store: Store, name: str, ids: Iterable[str], source: str, span: tuple[float, float], label: str | None
) -> list[_Seen]:
    """The bundle's observations that an event rests on; those of its time and label where they were made anew since."""
    named: list[Observation] = []
    gone = False
    for id in ids:
        try:
            named.append(store.get(id))
        except UsageError:
            gone = True
    found = [o for o in named if o.producer is not None and o.producer.analyzer == name]
    if not found and gone:
        stretch = Span(Timestamp.of_seconds(max(0.0, span[0])), Timestamp.of_seconds(span[1] + _PAD))
        labels = (label,) if label else ()
        found = list(store.query(Query(sources=(source,), analyzers=(name,), span=stretch, labels=labels)))
    return [_Seen(o.source, o.span, o.kind, o.label) for o in found]


@dataclass(frozen=True, slots=True)
class _Seen:
    source: str
    span: Span
    kind: str
    label: str | None
