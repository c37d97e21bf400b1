"""Enrolling, naming, correcting: what the user says of people, and what the library knows of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.identity import records
from onlooker.analyzers.identity.decide import Track
from onlooker.analyzers.identity.records import Correction, Enrolled, Key, Person, Unknown
from onlooker.analyzers.identity.resolve import Redecided, redecide, stored_tracks
from onlooker.analyzers.identity.samples import Modality, mean_sample
from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Hit, Query, Store
from onlooker.people import forgetting
from onlooker.people.comparing import least_alike, odd_ones, twins_of, unlike
from onlooker.people.forgetting import Forgotten

__all__ = ["Appearance", "Enrolment", "Forgotten", "People", "PersonInfo", "Redecided"]

Paths = Sequence[str | os.PathLike[str]]
_MOST_ENROLLED = 24
"""Vectors that a named cluster gives its person at most."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment came to: ``qualities`` by picture, and pictures that look like somebody else."""

    name: str
    faces: int
    voices: int
    qualities: dict[str, float]
    warnings: tuple[str, ...]
    redecided: Redecided


@dataclass(frozen=True, slots=True)
class Appearance:
    """A track in which somebody is seen or heard."""

    observation: Observation
    path: str
    picture: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {**self.observation.as_dict(), "path": self.path, "picture": self.picture}


@dataclass(frozen=True, slots=True)
class PersonInfo:
    """Somebody of the library: ``faces`` and ``voices`` count enrolled vectors."""

    name: str
    unknown: bool
    faces: int
    voices: int
    tracks: int
    sources: int
    seconds: float
    picture: str | None = None
    appearances: tuple[Appearance, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form, without appearances."""
        return {
            "name": self.name,
            "unknown": self.unknown,
            "enrolled_faces": self.faces,
            "enrolled_voices": self.voices,
            "tracks": self.tracks,
            "sources": self.sources,
            "seconds": round(self.seconds, 3),
            "picture": self.picture,
        }


class People:
    """The people of a library. What changes who somebody is decides all stored tracks anew, without decoding.

    Args:
        store: the library's store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- what is known --

    def list(self) -> list[PersonInfo]:
        """Those with a name, by name, then the unknown ones by number."""
        people, unknown = records.load_people(self._store), records.load_unknown(self._store)
        seen = self._appearances()
        names = [*sorted({*people, *(n for n in seen if n != records.NOBODY and not records.is_unknown(n))}), *unknown]
        return [self._info(name, people.get(name), seen.get(name, [])) for name in names]

    def show(self, name: str) -> PersonInfo:
        """One of them with all appearances.

        Raises:
            UsageError: nobody is called so.
        """
        self.check_known(name)
        return self._info(name, records.load_people(self._store).get(name), self._appearances(name).get(name, []))

    def _info(self, name: str, person: Person | None, seen: Sequence[Appearance]) -> PersonInfo:
        return PersonInfo(
            name,
            name == records.NOBODY or records.is_unknown(name),
            len(person.faces) if person else 0,
            len(person.voices) if person else 0,
            len({(a.observation.source, a.observation.track) for a in seen}),
            len({a.observation.source for a in seen}),
            sum(float(a.observation.span.duration) for a in seen),
            next((a.picture for a in seen if a.picture), None),
            tuple(seen),
        )

    def _appearances(self, name: str | None = None) -> dict[str, list[Appearance]]:
        query = Query(kinds=("identity",), labels=() if name is None else (name,))
        found = [o for o in self._store.query(query) if o.label is not None]
        paths = {s.info.id: s.info.path for s in self._store.sources()}
        pictures: dict[Key, str] = {}
        for track in self._store.query(Query(sources=tuple({o.source for o in found}), kinds=("face_track",))):
            if track.media and track.track is not None:
                pictures[track.source, track.track] = track.media[0]
        by_name: dict[str, list[Appearance]] = {}
        for o in found:
            picture = pictures.get((o.source, o.track or ""))
            by_name.setdefault(o.label or "", []).append(Appearance(o, paths[o.source], picture))
        return by_name

    def find(self, picture: NDArray[np.uint8] | str | os.PathLike[str], limit: int | None = 20) -> list[Hit]:
        """Face tracks like the one face of a picture, best first, as far as the threshold of identity allows.

        Args:
            picture: path of a file, or RGB (h, w, 3).
            limit: at most that many.

        Raises:
            UsageError: no face, or several.
        """
        from onlooker.people.likeness import face_vector, nearest_faces

        return nearest_faces(self._store, face_vector(picture), Query(limit=limit))

    # -- enrolling --

    def enroll(self, name: str, pictures: Paths = (), voices: Paths = ()) -> Enrolment:
        """Give a name a face by pictures of it, and a voice by recordings; again to add more.

        Raises:
            UsageError: no face or several in a picture, no voice or several in a recording: nothing is enrolled then.
        """
        name = _checked(name)
        if not pictures and not voices:
            raise UsageError("nothing to enrol by", hint="give pictures of the face, or recordings of the voice")
        people = records.load_people(self._store)
        person = people.setdefault(name, Person(name))
        qualities = self._enroll_faces(person, pictures)
        warnings = odd_ones(person.faces, "face") + twins_of(people, name)
        if voices:
            from onlooker.people.voices import only_voice

            heard = [Enrolled(only_voice(Path(v)), os.path.basename(os.fspath(v))) for v in voices]
            person.voices += unlike(person.voices, heard)
        records.save_people(self._store, [person])
        done = redecide(self._store)
        return Enrolment(name, len(person.faces), len(person.voices), qualities, tuple(warnings), done)

    def _enroll_faces(self, person: Person, pictures: Paths) -> dict[str, float]:
        if not pictures:
            return {}
        from onlooker.people.pictures import FaceReader

        reader = FaceReader()
        try:
            found = {os.fspath(p): reader.only_face(Path(p)) for p in pictures}
        finally:
            reader.close()
        seen = [Enrolled(face.sample, os.path.basename(path)) for path, face in found.items()]
        person.faces += unlike(person.faces, seen)
        return {path: round(face.quality, 3) for path, face in found.items()}

    # -- correcting --

    def name(self, what: str, name: str) -> Redecided:
        """Say who an unknown person (``unknown-3``) or a track (``SOURCE@face-2``, or an observation's id) is."""
        name = _checked(name)
        return self._say_who(self._tracks(what), name)

    def _say_who(self, tracks: Sequence[Track], name: str) -> Redecided:
        people, corrections = records.load_people(self._store), records.load_corrections(self._store)
        person = people.setdefault(name, Person(name))
        for other in people.values():
            # a track stands for one person only
            if other.name != name:
                _drop(other, {t.key for t in tracks})
        for track in tracks:
            said = _said(corrections, track)
            said.person, said.others = name, [n for n in said.others if n != name]
        paths = {s.info.id: s.info.path for s in self._store.sources()}
        for track in tracks[:: max(1, -(-len(tracks) // _MOST_ENROLLED))]:
            origin = f"{os.path.basename(paths.get(track.key[0], ''))}@{track.key[1]}"
            kept = person.enrolled(track.modality)
            if all(e.key != track.key for e in kept):
                kept.append(Enrolled(track.sample, origin, track.key))
        records.save_people(self._store, people.values())
        records.save_corrections(self._store, corrections)
        return redecide(self._store)

    def merge(self, name: str, other: str) -> Redecided:
        """Say that both are one person, who keeps the first name, or the second where the first is ``unknown-N``."""
        self.check_known(name)
        self.check_known(other)
        if name == other:
            raise UsageError(f"{name} is given twice", hint="give two people")
        if records.is_unknown(name) and not records.is_unknown(other):
            name, other = other, name
        if not records.is_unknown(name) and records.is_unknown(other):
            return self._say_who(self._tracks(other), name)
        unknown = records.load_unknown(self._store)
        if records.is_unknown(name):
            self._join_unknown(unknown, name, other)
            return redecide(self._store)
        people, corrections = records.load_people(self._store), records.load_corrections(self._store)
        kept, gone = people.setdefault(name, Person(name)), people.get(other, Person(other))
        kept.faces += unlike(kept.faces, gone.faces)
        kept.voices += unlike(kept.voices, gone.voices)
        for said in corrections.values():
            said.person = name if said.person == other else said.person
            said.others = [name if n == other else n for n in said.others if said.person != name or n != other]
        records.save_people(self._store, [kept], [other])
        records.save_corrections(self._store, corrections)
        return redecide(self._store)

    def _join_unknown(self, unknown: dict[str, Unknown], name: str, other: str) -> None:
        one, two = unknown[name], unknown.pop(other)
        if one.modality != two.modality:
            raise UsageError(f"{name} is a {one.modality}, {other} a {two.modality}", hint="give both the same name")
        one.members += [k for k in two.members if k not in one.members]
        corrections = records.load_corrections(self._store)
        for key in one.members:
            if key in corrections:
                corrections[key].others = [n for n in corrections[key].others if n not in (name, other)]
        records.save_corrections(self._store, corrections)
        records.save_unknown(self._store, unknown)

    def split(self, name: str, tracks: Sequence[str] = ()) -> tuple[str, Redecided]:
        """Say that tracks taken for one person are another: they become an unknown person.

        Args:
            name: the person, or ``unknown-N``.
            tracks: which; without them the tracks are divided into the two groups that are the least alike.

        Returns:
            The name of the new one.
        """
        self.check_known(name)
        own = self._tracks(name)
        if tracks:
            chosen = [t for ref in tracks for t in self._tracks(ref)]
            strange = [t for t in chosen if t.key not in {o.key for o in own}]
            if strange:
                raise UsageError(f"{strange[0].key[1]} is not {name}", hint=f"see: onlooker people show {name}")
        else:
            chosen = least_alike(own)
        modalities: set[Modality] = {t.modality for t in chosen}
        if not chosen or len(chosen) == len(own) or len(modalities) > 1:
            raise UsageError(f"nothing to split off {name}", hint="name some of the tracks that are somebody else")
        self._reject(name, chosen)
        unknown = records.load_unknown(self._store)
        for one in unknown.values():
            one.members = [k for k in one.members if k not in {t.key for t in chosen}]
        fresh = f"unknown-{records.next_number(self._store)}"
        mean = mean_sample([t.sample for t in chosen])
        unknown[fresh] = Unknown(fresh, modalities.pop(), [t.key for t in chosen], mean)
        records.save_unknown(self._store, {n: u for n, u in unknown.items() if u.members})
        return fresh, redecide(self._store)

    def reject(self, name: str, track: str) -> Redecided:
        """Say that a track is not this person; it is remembered."""
        self.check_known(name)
        if records.is_unknown(track):
            name, track = track, name
        self._reject(name, self._tracks(track))
        return redecide(self._store)

    def _reject(self, name: str, tracks: Sequence[Track]) -> None:
        people, corrections = records.load_people(self._store), records.load_corrections(self._store)
        for track in tracks:
            said = _said(corrections, track)
            said.person = None if said.person == name else said.person
            said.others = [*said.others, *([] if name in said.others else [name])]
        if name in people:
            _drop(people[name], {t.key for t in tracks})
            records.save_people(self._store, [people[name]])
        records.save_corrections(self._store, corrections)

    def forget(self, name: str) -> Forgotten:
        """Remove somebody from everything that the library holds, for good; see `onlooker.people.forgetting`."""
        self.check_known(name)
        return forgetting.forget(self._store, name)

    def redecide(self) -> Redecided:
        """Decide all stored tracks anew, as after a correction."""
        return redecide(self._store)

    # -- looking up --

    def check_known(self, name: str) -> None:
        """Refuse a name that nobody has.

        Raises:
            UsageError: nobody is called so.
        """
        known = {*records.load_people(self._store), *records.load_unknown(self._store)}
        if name not in known and not any(True for _ in self._store.query(Query(kinds=("identity",), labels=(name,)))):
            raise UsageError(f"nobody is called {name!r}", hint="see: onlooker people list")

    def _tracks(self, what: str) -> list[Track]:
        """The tracks of a person or unknown one, or the one track that is meant."""
        keys: list[Key]
        source, at, track = what.rpartition("@")
        if at:
            keys = [(self._store.source(source).info.id, track)]
        elif what in records.load_people(self._store) or records.is_unknown(what):
            self.check_known(what)
            seen = self._store.query(Query(kinds=("identity",), labels=(what,)))
            unknown = records.load_unknown(self._store).get(what)
            keys = [*((o.source, o.track or "") for o in seen), *(unknown.members if unknown else ())]
        else:
            found = self._store.get(what)
            keys = [(found.source, found.track or "")]
        every = {t.key: t for own in stored_tracks(self._store, list({k[0] for k in keys})).values() for t in own}
        tracks = [every[k] for k in dict.fromkeys(keys) if k in every]
        if not tracks:
            raise UsageError(f"no face track or speaker with a vector: {what!r}", hint="see: onlooker people list")
        return tracks


def _checked(name: str) -> str:
    kept = " ".join(name.split())
    if not kept or len(kept) > 100 or any(ord(c) < 32 for c in kept) or "@" in kept:
        raise UsageError(f"not a name: {name!r}", hint="up to 100 characters, without @")
    if kept == records.NOBODY or records.is_unknown(kept):
        raise UsageError(f"{kept} is what people without a name are called", hint="choose another name")
    return kept


def _drop(person: Person, keys: set[Key]) -> None:
    person.faces = [e for e in person.faces if e.key not in keys]
    person.voices = [e for e in person.voices if e.key not in keys]


def _said(corrections: dict[Key, Correction], track: Track) -> Correction:
    start, end = track.seconds
    known = corrections.get(track.key)
    if known is None or not known.means(start, end):
        known = corrections[track.key] = Correction(start, end)
    return known
