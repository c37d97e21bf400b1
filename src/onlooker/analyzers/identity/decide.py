"""Decides who the tracks of one source show: enrolled people by a calibrated threshold, then unknown ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.identity import svm
from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.records import Correction, Key, Person
from onlooker.analyzers.identity.samples import MODALITIES, Modality, Sample, distances, mean_sample
from onlooker.analyzers.identity.thresholds import threshold
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span

__all__ = ["Decision", "Gallery", "Track", "decide_known", "observations", "together"]


@dataclass(frozen=True, slots=True)
class Track:
    """A face track or a speaker of one source, with its vector."""

    key: Key
    span: Span
    modality: Modality
    sample: Sample

    @property
    def seconds(self) -> tuple[float, float]:
        """Its limits."""
        return self.span.start.seconds, self.span.end.seconds


@dataclass(frozen=True, slots=True)
class Decision:
    """Who a track is."""

    track: Track
    label: str
    distance: float | None
    threshold: float | None
    rate: float | None
    decided_by: str


@dataclass(frozen=True, slots=True)
class _Side:
    """What is known of one modality: people's names, their mean vectors, and a machine that tells them apart."""

    names: list[str] = field(default_factory=list[str])
    means: list[Sample] = field(default_factory=list[Sample])
    weights: NDArray[np.float64] | None = None


class Gallery:
    """The people enrolled, ready to compare with.

    Args:
        people: by name.
        config: which classifier, which rate.
        others: vectors of people who are not enrolled, for a machine to tell from.
    """

    def __init__(
        self, people: Mapping[str, Person], config: IdentityConfig, others: Mapping[Modality, Sequence[Sample]]
    ) -> None:
        self.config = config
        self.sides = {m: self._side(list(people.values()), m, others.get(m, ())) for m in MODALITIES}

    def _side(self, people: Sequence[Person], modality: Modality, others: Sequence[Sample]) -> _Side:
        members = [(p.name, [e.sample for e in p.enrolled(modality)]) for p in people if p.enrolled(modality)]
        names, means = [name for name, _ in members], [mean_sample(samples) for _, samples in members]
        if self.config.classifier != "svm" or len(names) + len(others) < 2:
            return _Side(names, means)
        vectors = [s.vector for _, samples in members for s in samples] + [s.vector for s in others]
        owners = [i for i, (_, samples) in enumerate(members) for _ in samples] + [-1] * len(others)
        return _Side(names, means, svm.train(np.stack(vectors), owners, len(names)))

    def candidates(self, tracks: Sequence[Track], modality: Modality) -> tuple[NDArray[np.float64], float, list[str]]:
        """(tracks, people) distances, infinite where the classifier rules a person out; threshold; the people."""
        side = self.sides[modality]
        found = distances([t.sample for t in tracks], side.means, modality)
        if side.weights is not None and found.size:
            chosen = svm.margins(side.weights, np.stack([t.sample.vector for t in tracks])).argmax(1)
            found[np.arange(len(side.names)) != chosen[:, None]] = np.inf
        return found, threshold(modality, self.config.rate(modality), len(side.names)), side.names


def together(one: Track, other: Track) -> bool:
    """Whether both are faces seen at the same time, for more than a moment: then they are two people."""
    if one.modality != "face" or other.modality != "face" or one.key[0] != other.key[0]:
        return False
    (a, b), (c, d) = one.seconds, other.seconds
    return min(b, d) - max(a, c) > min(0.5, 0.5 * min(b - a, d - c))


def decide_known(
    tracks: Sequence[Track], gallery: Gallery, corrections: Mapping[Key, Correction]
) -> dict[Key, Decision]:
    """Those of the tracks, all of one source, that show somebody enrolled, or of whom the user said so."""
    made: dict[Key, Decision] = {}
    holders: dict[str, list[Track]] = {}
    barred: dict[Key, set[str]] = {}
    for track in tracks:
        said = corrections.get(track.key)
        if said is None or not said.means(*track.seconds):
            continue
        barred[track.key] = set(said.others)
        if said.person is not None:
            made[track.key] = Decision(track, said.person, None, None, None, "correction")
            holders.setdefault(said.person, []).append(track)
    for modality in MODALITIES:
        own = [t for t in tracks if t.modality == modality and t.key not in made]
        found, limit, names = gallery.candidates(own, modality)
        close = np.argwhere(found <= limit)
        # the surest first, so that of two faces seen together the one that is more alike gets the name
        for i, j in sorted(close.tolist(), key=lambda ij: (found[ij[0], ij[1]], ij)):
            track, name = own[i], names[j]
            if track.key in made or name in barred.get(track.key, ()):
                continue
            if not gallery.config.together and any(together(track, other) for other in holders.get(name, ())):
                continue
            by = gallery.config.classifier if gallery.sides[modality].weights is not None else "nearest"
            rate = gallery.config.rate(modality)
            made[track.key] = Decision(track, name, float(found[i, j]), limit, rate, by)
            holders.setdefault(name, []).append(track)
    return made


def observations(decisions: Iterable[Decision]) -> list[Observation]:
    """``identity`` observations, in order of time."""
    made: list[Observation] = []
    for d in sorted(decisions, key=lambda d: (d.track.span.start, d.track.span.end, d.track.key)):
        data: dict[str, Json] = {
            "modality": d.track.modality,
            "distance": None if d.distance is None else round(d.distance, 4),
            "threshold": None if d.threshold is None else round(d.threshold, 4),
            "false_accept_rate": d.rate,
            "decided_by": d.decided_by,
        }
        # 1 for the same vector, 0.5 at the threshold
        sure = (
            1.0 if d.distance is None or not d.threshold else 1.0 - 0.5 * min(2.0, max(0.0, d.distance / d.threshold))
        )
        track = d.track.key[1]
        made.append(Observation(d.track.span, "identity", score=round(sure, 4), label=d.label, track=track, data=data))
    return made
