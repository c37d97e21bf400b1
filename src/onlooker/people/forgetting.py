"""Removes a person from a library: rows, vectors, words, measurements, pictures.

What is deleted is overwritten, and the store's files are written anew, so that no byte of it stays in the library's
folder. The videos are not part of the library and are not touched; analysing one of them anew finds its faces again,
without a name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._sound_stream import RATE
from onlooker.analyzers.identity import records
from onlooker.analyzers.identity.records import Key
from onlooker.analyzers.identity.resolve import redecide
from onlooker.analyzers.speakers.voices import DIMENSIONS, HOP, LENGTH
from onlooker.core.errors import PluginError
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Box
from onlooker.core.store import Query, Store
from onlooker.people.blurring import blur_pictures

__all__ = ["Forgotten", "Path", "forget"]

Path: TypeAlias = list[tuple[float, float, Box]]
"""Where a face was: start and end in seconds, and the box, in order of time."""

_SAME_FACE = 0.5


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed.

    Args:
        tracks: face tracks and speakers.
        observations: rows, dense ones counted singly.
        measurements: moments from whose measurements the person was taken.
        pictures: pictures in which a face was made unrecognisable.
        copies: older copies of the database beside it, which may still hold the person; delete them by hand.
        said: observations of speech or text on screen in which the name stands; they are left.
    """

    name: str
    tracks: int
    observations: int
    measurements: int
    pictures: int
    copies: tuple[str, ...]
    said: int


def forget(store: Store, name: str) -> Forgotten:
    """Remove somebody, with or without a name, for good."""
    keys = _keys(store, name)
    faces: dict[str, list[str]] = {}
    voices: dict[str, list[str]] = {}
    for source, track in keys:
        (voices if track.startswith("speaker-") else faces).setdefault(source, []).append(track)
    rows = measured = pictures = 0
    for source, tracks in faces.items():
        paths = {t: _path(store, source, t) for t in tracks}
        pictures += blur_pictures(store, source, [p for p in paths.values() if p])
        measured += _forget_faces(store, source, list(paths.values()))
        rows += _forget_facts(store, source, [name, *tracks])
        rows += store.erase(Query(sources=(source,), tracks=tuple(tracks)))
    for source, tracks in voices.items():
        measured += _forget_voices(store, source, tracks)
        rows += _forget_facts(store, source, [name])
        rows += store.erase(Query(sources=(source,), kinds=("embedding", "identity"), tracks=tuple(tracks)))
    rows += store.erase(Query(kinds=("identity", "fact"), labels=(name,)))
    _forget_records(store, name, keys)
    redecide(store)
    store.scrub()
    copies = tuple(sorted(p.name for p in store.folder.glob("*.backup-*")))
    said = sum(1 for _ in store.query(Query(kinds=("speech", "text"), text=name)))
    return Forgotten(name, len(keys), rows, measured, pictures, copies, said)


def _keys(store: Store, name: str) -> list[Key]:
    """All tracks that are known as this person's."""
    keys = [(o.source, o.track) for o in store.query(Query(kinds=("identity",), labels=(name,))) if o.track]
    unknown = records.load_unknown(store).get(name)
    keys += unknown.members if unknown else []
    person = records.load_people(store).get(name)
    keys += [e.key for e in [*person.faces, *person.voices] if e.key is not None] if person else []
    keys += [key for key, said in records.load_corrections(store).items() if said.person == name]
    known = {s.info.id for s in store.sources()}
    return [key for key in dict.fromkeys(keys) if key[0] in known]


def _path(store: Store, source: str, track: str) -> Path:
    found = store.query(Query(sources=(source,), kinds=("face",), tracks=(track,)))
    return [(o.span.start.seconds, o.span.end.seconds, o.box) for o in found if o.box is not None]


def _forget_records(store: Store, name: str, keys: Sequence[Key]) -> None:
    store.put_records(records.PEOPLE, {name: None})
    people = records.load_people(store)
    for person in people.values():
        person.faces = [e for e in person.faces if e.key not in keys]
        person.voices = [e for e in person.voices if e.key not in keys]
    records.save_people(store, people.values())
    unknown = records.load_unknown(store)
    gone = set(keys)
    kept = {n: replace(u, members=[k for k in u.members if k not in gone]) for n, u in unknown.items() if n != name}
    records.save_unknown(store, {n: u for n, u in kept.items() if u.members})
    corrections = records.load_corrections(store)
    for key, said in list(corrections.items()):
        said.others = [n for n in said.others if n != name]
        if said.person == name or key in gone:
            del corrections[key]
    records.save_corrections(store, corrections)


def _forget_facts(store: Store, source: str, words: Sequence[str]) -> int:
    """Facts that speak of the person or of the tracks."""
    count = 0
    quoted = [json.dumps(word) for word in words]
    for o in list(store.query(Query(sources=(source,), kinds=("fact",)))):
        told = json.dumps([o.label, o.text, o.track, dict(o.data)])
        if any(q in told for q in quoted) or (o.text and words[0] in o.text):
            labels = () if o.label is None else (o.label,)
            count += store.erase(Query(sources=(source,), kinds=("fact",), labels=labels, span=o.span))
    return count


# -- measurements --


def _forget_faces(store: Store, source: str, paths: Sequence[Path]) -> int:
    """Take the faces out of what analyzers measured of faces: rows that begin with the box."""
    seen: dict[int, list[Box]] = {}
    for path in paths:
        for start, _, box in path:
            seen.setdefault(round(start * 1000), []).append(box)

    def without(m: Measurement) -> Measurement:
        boxes = seen.get(round(m.time.seconds * 1000))
        if not boxes or m.values.ndim != 2 or m.values.shape[1] < 4 or not len(m.values):
            return m
        gone = (_overlaps(m.values[:, :4], np.array(boxes)) >= _SAME_FACE).any(1)
        return replace(m, values=m.values[~gone], blob=None) if gone.any() else m

    names = {s.producer.analyzer for s in store.states(source)}
    return sum(store.edit_measurements(source, name, without) for name in sorted(names & _of_faces()))


def _of_faces() -> set[str]:
    """Analyzers whose measurements are rows of faces."""
    from onlooker.analyzers._face_analyzer import FaceAnalyzer
    from onlooker.core.plugins import load_plugin, plugin_names

    found = {"faces"}
    for name in plugin_names("analyzers"):
        try:
            cls = load_plugin("analyzers", name)
        except PluginError:  # a damaged plug-in must not keep anybody from being forgotten
            continue
        if isinstance(cls, type) and issubclass(cls, FaceAnalyzer):
            found.add(name)
    return found


def _overlaps(rows: NDArray[np.float32], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, boxes) intersection over union."""
    a, b = rows[:, None].astype(np.float64), boxes[None]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(-1)
    areas = [(v[..., 2:] - v[..., :2]).prod(-1) for v in (a, b)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)


def _forget_voices(store: Store, source: str, tracks: Sequence[str]) -> int:
    """Take the voice's windows out of what ``speakers`` measured: the speech stays, without a voice."""
    turns = store.query(Query(sources=(source,), kinds=("speaker",), tracks=tuple(tracks)))
    spans = np.array([(o.span.start.seconds, o.span.end.seconds) for o in turns]).reshape(-1, 2)

    def without(m: Measurement) -> Measurement:
        if m.values.ndim != 2 or m.values.shape[1] != 1 + DIMENSIONS or not len(m.values):
            return m
        begin = round(m.time.value * RATE) // HOP
        middle = ((np.rint(m.values[:, 0].astype(np.float64)) + begin) * HOP + LENGTH / 2) / RATE
        gone = ((middle[:, None] >= spans[:, 0]) & (middle[:, None] < spans[:, 1])).any(1)
        return replace(m, values=m.values[~gone]) if gone.any() else m

    return store.edit_measurements(source, "speakers", without)
