"""Cuts spans out of a source with everything hidden that a library's privacy setting names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import Frame, ReadRequest, Source
from onlooker.core.time import Span
from onlooker.pipeline.profile import Privacy
from onlooker.redaction.cover import cover
from onlooker.redaction.follow import Follow
from onlooker.redaction.guard import Guard
from onlooker.redaction.look import Look, things
from onlooker.redaction.survey import Hidden, survey
from onlooker.sources.cut import cut_exact

__all__ = ["cut_hidden"]

Boxes: TypeAlias = NDArray[np.float32]
_BEFORE, _AFTER = Fraction(3, 2), Fraction(1, 2)
"""Seconds around a span that are looked at too, so that what is seen there is held over its limits."""


def cut_hidden(
    source: Source, spans: Sequence[Span], out: Path, policy: Privacy, *, height: int | None = None, threads: int = 2
) -> None:
    """As `onlooker.sources.cut.cut_exact`, with every frame looked at, followed and covered as `redact` does.

    Raises:
        UsageError, SourceError: as `cut_exact`.
        ModelMissing: a detector is not there yet.
    """
    hidden = Hidden(_boxes(source, spans, policy, threads))
    guard = Guard(policy.style) if {"faces", "persons"} & set(policy.hide) else None

    def picture(frame: Frame, size: tuple[int, int]) -> Any:
        made = frame.image(*size).copy()
        cover([made], hidden.boxes(frame.time.value), policy.style)
        if guard is not None:
            guard.look([made])
        return made

    try:
        cut_exact(source, spans, out, height=height, picture=picture)
    finally:
        if guard is not None:
            guard.close()


def _boxes(source: Source, spans: Sequence[Span], policy: Privacy, threads: int) -> dict[Fraction, Boxes]:
    """By the time of each frame in and around the spans, what is hidden in it."""
    if source.info.video is None:
        return {}
    look, options = Look(things(policy.hide), threads=threads), Follow()
    found: dict[Fraction, Boxes] = {}
    try:
        for span in spans:
            start = span.start - _BEFORE if span.start.value > _BEFORE else None
            seen = survey(source, look, request=replace(ReadRequest(), start=start, end=span.end + _AFTER))
            for time, boxes in seen.hidden(seen.paths(options), options).by_time.items():
                found[time] = np.concatenate([found[time], boxes]) if time in found else boxes
    finally:
        look.close()
    return found
