"""Decides stored tracks: those of one source when it was analysed, those of all when something was corrected."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.decide import Decision, Gallery, Track, decide_known, observations
from onlooker.analyzers.identity.records import (
    Correction,
    Key,
    Unknown,
    last_config,
    load_corrections,
    load_people,
    load_unknown,
    next_number,
    save_unknown,
)
from onlooker.analyzers.identity.samples import MODALITIES, SPACES, Modality, Sample, distances, mean_sample
from onlooker.analyzers.identity.strangers import Strangers
from onlooker.analyzers.identity.thresholds import threshold
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Batch, Query, Store

__all__ = ["ANALYZER", "Redecided", "gallery_of", "redecide", "relate", "sample_of", "stored_tracks"]

ANALYZER = "identity"


@dataclass(frozen=True, slots=True)
class Redecided:
    """What deciding anew came to.

    Args:
        tracks: face tracks and speakers that were decided.
        changed: those that are somebody else than before.
        undecided: sources that have vectors and were never analysed by ``identity``.
        seconds: how long it took.
    """

    tracks: int
    changed: int
    undecided: int
    seconds: float


def stored_tracks(store: Store, sources: Sequence[str] = ()) -> dict[str, list[Track]]:
    """By source, the tracks whose vectors the library holds, in order of time; of all sources without names."""
    found: dict[str, list[Track]] = {}
    for o in store.query(Query(sources=tuple(sources), kinds=("embedding",), labels=MODALITIES)):
        modality: Modality = "face" if o.label == "face" else "voice"
        if o.vector is None or o.track is None or o.vector_space != SPACES[modality]:
            continue
        if not o.data.get("so_far"):
            found.setdefault(o.source, []).append(Track((o.source, o.track), o.span, modality, sample_of(o)))
    return found


def sample_of(embedding: Observation) -> Sample:
    """The vector of an ``embedding``."""
    unity = embedding.data.get("unity", 1.0)
    return Sample(embedding.vector, float(unity) if isinstance(unity, int | float) else 1.0)


def gallery_of(store: Store, config: IdentityConfig, unknown: Iterable[Unknown]) -> Gallery:
    """The people whom the store knows; ``unknown`` ones are told from them."""
    others: dict[Modality, list[Sample]] = {m: [] for m in MODALITIES}
    for one in unknown:
        others[one.modality].append(one.mean)
    return Gallery(load_people(store), config, others)


def _wanted(tracks: Iterable[Track], config: IdentityConfig) -> list[Track]:
    return [t for t in tracks if config.voices or t.modality != "voice"]


def relate(store: Store, source: str, config: IdentityConfig) -> list[Observation]:
    """Who the tracks of one source are; the library remembers unknown people met there for the first time."""
    unknown, corrections = load_unknown(store), load_corrections(store)
    tracks = _wanted(stored_tracks(store, [source]).get(source, ()), config)
    made = decide_known(tracks, gallery_of(store, config, unknown.values()), corrections)
    if not config.unknown:
        return observations(made.values())
    left = [t for t in tracks if t.key not in made and t.modality == "face"]
    # somebody met in this source alone, in an earlier run, is met again: the mean still holds that run's vectors
    before = {u.name for u in unknown.values() if any(key[0] == source for key in u.members)}
    bare = {n: replace(u, members=[k for k in u.members if k[0] != source]) for n, u in unknown.items()}
    strangers = Strangers(bare, next_number(store), config, corrections)
    decisions = strangers.assign(left)
    save_unknown(store, _kept(store, strangers.known, before))
    return observations([*made.values(), *decisions])


def _kept(store: Store, known: Mapping[str, Unknown], stale: Iterable[str]) -> dict[str, Unknown]:
    """Those with members; the means of ``stale`` ones are made anew of what the library holds."""
    kept = {name: u for name, u in known.items() if u.members}
    again = [kept[name] for name in stale if name in kept]
    if again:
        sources = sorted({key[0] for u in again for key in u.members})
        samples = {t.key: t.sample for own in stored_tracks(store, sources).values() for t in own}
        for one in again:
            own = [samples[key] for key in one.members if key in samples]
            if own:
                kept[one.name] = replace(one, mean=mean_sample(own))
    return kept


def redecide(store: Store, config: IdentityConfig | None = None) -> Redecided:
    """Decide all stored tracks anew, without decoding, and write what changed."""
    begun = time.monotonic()
    config = config or last_config(store)
    corrections = load_corrections(store)
    every = {source: _wanted(own, config) for source, own in stored_tracks(store).items()}
    unknown = load_unknown(store)
    gallery = gallery_of(store, config, unknown.values())
    made = {source: decide_known(own, gallery, corrections) for source, own in every.items()}
    if config.unknown:
        _place_strangers(store, every, made, unknown, config, corrections)
    changed = undecided = 0
    for source, decisions in made.items():
        producer = _producer(store, source)
        if producer is None:
            undecided += 1
        else:
            changed += _write(store, source, producer, list(decisions.values()))
    return Redecided(sum(map(len, every.values())), changed, undecided, time.monotonic() - begun)


def _place_strangers(
    store: Store,
    every: Mapping[str, Sequence[Track]],
    made: Mapping[str, dict[Key, Decision]],
    unknown: Mapping[str, Unknown],
    config: IdentityConfig,
    corrections: Mapping[Key, Correction],
) -> None:
    """Those who are still unknown stay who they were; the others join somebody or are new."""
    faces = {source: [t for t in own if t.modality == "face"] for source, own in every.items()}
    left = {t.key: t for source, own in faces.items() for t in own if t.key not in made[source]}
    kept: dict[str, Unknown] = {}
    placed: set[Key] = set()
    for name, one in unknown.items():
        members = [k for k in one.members if k in left and name not in _others(corrections, left[k])]
        members = [k for k in members if left[k].modality == one.modality and k not in placed]
        if members:
            kept[name] = replace(one, members=members, mean=mean_sample([left[k].sample for k in members]))
            placed.update(members)
    strangers = Strangers(kept, next_number(store), config, corrections)
    for name, one in kept.items():
        own = [left[k] for k in one.members]
        limit = threshold(one.modality, config.unknown_rate)
        far = distances([t.sample for t in own], [one.mean], one.modality)[:, 0]
        for track, distance in zip(own, far.tolist(), strict=True):
            decision = Decision(track, name, distance, limit, config.unknown_rate, "cluster")
            made[track.key[0]][track.key] = decision
    for source, own in faces.items():
        new = [t for t in own if t.key in left and t.key not in placed]
        for decision in strangers.assign(new, [t for t in own if t.key in placed]):
            made[source][decision.track.key] = decision
    save_unknown(store, strangers.known)


def _others(corrections: Mapping[Key, Correction], track: Track) -> Sequence[str]:
    said = corrections.get(track.key)
    return said.others if said is not None and said.means(*track.seconds) else ()


def _producer(store: Store, source: str) -> Producer | None:
    states = [s for s in store.states(source) if s.producer.analyzer == ANALYZER and s.complete]
    return states[-1].producer if states else None


def _write(store: Store, source: str, producer: Producer, decisions: Sequence[Decision]) -> int:
    """Put the decisions in the place of the stored ones where they differ; returns how many tracks changed."""
    query = Query(sources=(source,), kinds=("identity",), analyzers=(ANALYZER,))
    before = list(store.query(query))
    ordinals: dict[tuple[object, object], int] = {}
    after: list[Observation] = []
    for o in observations(decisions):
        place = (o.span.start.value, o.span.end.value)
        ordinals[place] = ordinals.get(place, -1) + 1
        after.append(o.of(source, producer, ordinals[place]))
    if [_told(o) for o in before] == [_told(o) for o in after]:
        return 0
    store.commit(Batch(source, after, erases=query))
    labels = {o.track: o.label for o in before}
    return sum(labels.pop(o.track, None) != o.label for o in after) + len(labels)


def _told(observation: Observation) -> tuple[object, ...]:
    o = observation
    return (o.span, o.track, o.label, o.score, dict(o.data))
