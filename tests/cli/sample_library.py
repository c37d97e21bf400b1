"""A small library that the tests of search, show and library share, and a way to call the command line."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from onlooker.cli.main import main
from onlooker.core.observation import Attachment, Box, Observation, Producer
from onlooker.core.store import Batch, Failure, RunState
from onlooker.core.time import Span, Timestamp
from onlooker.testing.store_values import OTHER, SOURCE, producer, source_info
from onlooker.timeline.stores.embedded import EmbeddedStore

OBJECTS = producer("objects", bundle="b" * 64)
TEXT = producer("text")
SHOTS = producer("shots")
LOOKS = producer("keyframes")


def frames(first: int, last: int) -> Span:
    return Span(Timestamp(first, Fraction(1, 25)), Timestamp(last, Fraction(1, 25)))


def make_library(folder, *, look=None):
    """Two sources: one with shots, keyframes, a track, text and failures, one with a single text."""
    with EmbeddedStore(folder) as store:
        store.add_source(source_info())
        store.add_source(source_info(OTHER, "/videos/other [1].mp4"))
        made = [
            Observation(frames(0, 100), "shot", score=0.9, data={"transition": "cut"}).of(SOURCE, SHOTS, 0),
            Observation(frames(100, 250), "shot", score=0.8, data={"transition": "fade"}).of(SOURCE, SHOTS, 0),
            Observation(frames(10, 60), "text", text="两个男人在街上打架", score=0.7).of(SOURCE, TEXT, 0),
            Observation(frames(120, 130), "text", text="Exit [bold]left[/bold]").of(SOURCE, TEXT, 0),
            Observation(frames(0, 250), "track", label="person", track="person-1").of(SOURCE, OBJECTS, 0),
        ]
        for i, tick in enumerate((50, 175)):
            picture = Attachment(f"keyframes/{tick:06d}.jpg", b"\xff\xd8", "image/jpeg")
            vector = np.eye(4, dtype=np.float32)[i] if look is None else look[i]
            keyframe = Observation(
                frames(tick, tick + 1), "keyframe", vector=vector, vector_space="look-1", attachments=(picture,)
            )
            made.append(keyframe.of(SOURCE, LOOKS, 0))
        box = Observation(
            frames(0, 1), "object", score=0.5, label="person", box=Box(0.1, 0.2, 0.3, 0.4), track="person-1"
        )
        made += [replace(box, span=frames(t, t + 1), score=t / 100).of(SOURCE, OBJECTS, 0) for t in range(100)]
        failures = [Failure(SOURCE, "read", "3 frames are damaged", Span.of_seconds(1, 2), None, True)]
        states = [RunState(p, frames(0, 250).end, True, 250, 1.0) for p in (SHOTS, TEXT, OBJECTS)]
        states.append(RunState(LOOKS, frames(0, 176).end))
        store.commit(Batch(SOURCE, made, [], failures, states))
        other = Observation(frames(0, 5), "text", text="打架 other").of(OTHER, TEXT, 0)
        store.commit(Batch(OTHER, [other], states=[RunState(TEXT, complete=True)]))


def run(*arguments: object) -> int:
    """Call the command line; returns its exit code."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    return int(stopped.value.code or 0)


__all__ = ["LOOKS", "OBJECTS", "SHOTS", "TEXT", "Producer", "frames", "make_library", "run"]
