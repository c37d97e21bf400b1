"""Libraries of made-up people: vectors as far apart as those of real faces are, without pictures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.resolve import relate
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Batch, RunState, Store
from onlooker.core.time import Span
from onlooker.testing.store_values import source_info

_BASE = np.random.default_rng(99).normal(size=(1000, 128)) / 128**0.5
FACES = Producer("faces", "1", "f" * 32)
VECTORS = Producer("face_vectors", "1", "v" * 32)
IDENTITY = Producer("identity", "1", "i" * 32)


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def face_of(person: int, sighting: int) -> np.ndarray:
    """Two sightings of one person are about 0.03 apart by cosine, two people about 0.14."""
    noise = np.random.default_rng(1000 * person + sighting).normal(size=128) / 128**0.5
    return unit(_BASE[0] + 0.36 * _BASE[1 + person] + 0.17 * noise)


def source_id(number: int) -> str:
    return f"{number:032x}"


def add_source(store: Store, number: int, people, *, at=None, decide: bool = True) -> str:
    """A source with a face track of two seconds for each of ``people``, one after the other, or at moments ``at``."""
    source = source_id(number)
    store.add_source(source_info(source, f"/videos/{number}.mp4"))
    made: list[Observation] = []
    for i, person in enumerate(people):
        start = 3 * i if at is None else at[i]
        span, track = Span.of_seconds(start, start + 2), f"face-{i + 1}"
        box = Box(0.1, 0.1, 0.3, 0.4)
        frames = [
            Observation(Span.of_seconds(start + k * Fraction(1, 5), start + (k + 1) * Fraction(1, 5)), "face", box=box)
            for k in range(10)
        ]
        made += [replace(o, track=track).of(source, FACES, i) for o in frames]
        made.append(Observation(span, "face_track", label="face", track=track, box=box).of(source, FACES, i))
        vector = Observation(
            span,
            "embedding",
            label="face",
            track=track,
            data={"faces": 9, "quality": 0.8, "unity": 0.99},
            vector=face_of(person, 100 * number + i),
            vector_space="face-identity",
        )
        made.append(vector.of(source, VECTORS, i))
    store.commit(Batch(source, made, states=[RunState(FACES, complete=True), RunState(VECTORS, complete=True)]))
    if decide:
        decide_source(store, source)
    return source


def decide_source(store: Store, source: str, config: IdentityConfig | None = None) -> None:
    """As the pipeline does when a source has ended."""
    decided = relate(store, source, config or IdentityConfig())
    signed = [o.of(source, IDENTITY, i) for i, o in enumerate(decided)]
    store.commit(Batch(source, signed, states=[RunState(IDENTITY, complete=True)]))
