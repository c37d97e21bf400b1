"""What a library remembers of people: those enrolled, those unknown, and what the user corrected.

They are records of the store (`onlooker.core.store.Store.records`), so that a correction counts without decoding again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.samples import Modality, Sample, decode, encode
from onlooker.core.observation import Json
from onlooker.core.store import Store

__all__ = [
    "CORRECTIONS",
    "NOBODY",
    "PEOPLE",
    "STATE",
    "UNKNOWN",
    "Correction",
    "Enrolled",
    "Key",
    "Person",
    "Unknown",
    "is_unknown",
    "key_text",
    "last_config",
    "load_corrections",
    "load_people",
    "load_unknown",
    "next_number",
    "remember_config",
    "save_corrections",
    "save_people",
    "save_unknown",
]

PEOPLE, UNKNOWN, CORRECTIONS, STATE = "people", "people.unknown", "people.corrections", "people.state"

NOBODY = "unknown"
"""What those are called live who are nobody enrolled."""

Key: TypeAlias = tuple[str, str]
"""A track: source id and the track's name."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A vector that stands for a person: ``origin`` is the name of a picture or file, or a track."""

    sample: Sample
    origin: str
    key: Key | None = None


@dataclass(slots=True)
class Person:
    """Somebody with a name."""

    name: str
    faces: list[Enrolled] = field(default_factory=list[Enrolled])
    voices: list[Enrolled] = field(default_factory=list[Enrolled])

    def enrolled(self, modality: Modality) -> list[Enrolled]:
        """The vectors of one kind."""
        return self.faces if modality == "face" else self.voices


@dataclass(slots=True)
class Unknown:
    """Somebody without a name, seen or heard in ``members``; ``mean`` sums up their vectors."""

    name: str
    modality: Modality
    members: list[Key]
    mean: Sample

    @property
    def number(self) -> int:
        """The N of unknown-N."""
        return int(self.name.rpartition("-")[2])


@dataclass(slots=True)
class Correction:
    """What the user said of a track: who it is, and who it is not.

    ``start`` and ``end`` in seconds tell whether the track is still the one that was meant: names of tracks change when
    a source is tracked anew.
    """

    start: float
    end: float
    person: str | None = None
    others: list[str] = field(default_factory=list[str])

    def means(self, start: float, end: float) -> bool:
        """Whether a track of that span is the one that was meant."""
        shared = min(self.end, end) - max(self.start, start)
        return shared >= 0.5 * max(self.end - self.start, end - start)


def is_unknown(name: str) -> bool:
    """Whether a name is of the form that people without one get.

    >>> is_unknown("unknown-12"), is_unknown("unknown-x"), is_unknown("Ann")
    (True, False, False)
    """
    head, dash, tail = name.rpartition("-")
    return head == "unknown" and bool(dash) and tail.isdecimal()


def key_text(key: Key) -> str:
    """``source@track``, by which corrections are kept."""
    return f"{key[0]}@{key[1]}"


def _key(text: str) -> Key:
    source, _, track = text.partition("@")
    return source, track


# -- people --


def _enrolled(value: Any) -> Enrolled:
    key = value.get("key")
    sample = Sample(decode(value["vector"]), float(value["unity"]))
    return Enrolled(sample, str(value["origin"]), None if key is None else _key(key))


def _enrolled_json(enrolled: Enrolled) -> Json:
    sample = enrolled.sample
    made: dict[str, Json] = {"vector": encode(sample.vector), "unity": sample.unity, "origin": enrolled.origin}
    return made if enrolled.key is None else {**made, "key": key_text(enrolled.key)}


def load_people(store: Store) -> dict[str, Person]:
    """By name, in order of names."""
    found: dict[str, Person] = {}
    for name, value in store.records(PEOPLE).items():
        kept = cast("dict[str, list[Any]]", value)
        found[name] = Person(name, *([_enrolled(v) for v in kept[kind]] for kind in ("faces", "voices")))
    return found


def save_people(store: Store, people: Iterable[Person], gone: Iterable[str] = ()) -> None:
    """Write them, and delete ``gone``."""
    values: dict[str, Json] = dict.fromkeys(gone)
    for person in people:
        faces, voices = ([_enrolled_json(e) for e in v] for v in (person.faces, person.voices))
        values[person.name] = {"faces": faces, "voices": voices}
    store.put_records(PEOPLE, values)


# -- unknown people --


def load_unknown(store: Store) -> dict[str, Unknown]:
    """By name, in order of their numbers."""
    found: list[Unknown] = []
    for name, value in store.records(UNKNOWN).items():
        kept = cast("dict[str, Any]", value)
        members = [_key(text) for text in kept["members"]]
        found.append(Unknown(name, kept["modality"], members, Sample(decode(kept["vector"]), float(kept["unity"]))))
    return {u.name: u for u in sorted(found, key=lambda u: u.number)}


def save_unknown(store: Store, unknown: Mapping[str, Unknown]) -> None:
    """Make the store hold these and no others; their numbers are not given again."""
    known = store.records(UNKNOWN)
    values: dict[str, Json] = {name: None for name in known if name not in unknown}
    for name, one in unknown.items():
        members: list[Json] = [key_text(key) for key in one.members]
        vector = encode(one.mean.vector)
        value: Json = {"modality": one.modality, "members": members, "vector": vector, "unity": one.mean.unity}
        if known.get(name) != value:
            values[name] = value
    highest = max((u.number for u in unknown.values()), default=0)
    if highest >= next_number(store):
        store.put_records(STATE, {"next_unknown": highest + 1})
    if values:
        store.put_records(UNKNOWN, values)


def next_number(store: Store) -> int:
    """The number of the next unknown person."""
    return cast("int", store.records(STATE).get("next_unknown", 1))


# -- corrections, settings --


def load_corrections(store: Store) -> dict[Key, Correction]:
    """By track."""
    found: dict[Key, Correction] = {}
    for text, value in store.records(CORRECTIONS).items():
        kept = cast("dict[str, Any]", value)
        found[_key(text)] = Correction(kept["start"], kept["end"], kept["person"], list(kept["others"]))
    return found


def save_corrections(store: Store, corrections: Mapping[Key, Correction]) -> None:
    """Make the store hold these and no others; empty ones are left out."""
    values: dict[str, Json] = dict.fromkeys(store.records(CORRECTIONS))
    for key, c in corrections.items():
        if c.person is not None or c.others:
            others: list[Json] = list(c.others)
            values[key_text(key)] = {"start": c.start, "end": c.end, "person": c.person, "others": others}
    store.put_records(CORRECTIONS, values)


def last_config(store: Store) -> IdentityConfig:
    """The settings of the last run, by which corrections are decided; the defaults where there was none."""
    return IdentityConfig.model_validate(store.records(STATE).get("settings") or {})


def remember_config(store: Store, config: IdentityConfig) -> None:
    """See `last_config`."""
    value = cast("Json", config.model_dump(mode="json"))
    if store.records(STATE).get("settings") != value:
        store.put_records(STATE, {"settings": value})
