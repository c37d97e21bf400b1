"""People who are not enrolled: which tracks of all sources are one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.decide import Decision, Track, together
from onlooker.analyzers.identity.records import Correction, Key, Unknown
from onlooker.analyzers.identity.samples import Modality, Sample, distances, mean_sample
from onlooker.analyzers.identity.thresholds import threshold

__all__ = ["Strangers"]


class Strangers:
    """The unknown people of a library, to which tracks are added source by source.

    Args:
        known: by name.
        number: of the next one.
        config: the rate at which two may be taken for one, and whether faces seen together may.
        corrections: by track; who a track is not.
    """

    def __init__(
        self, known: Mapping[str, Unknown], number: int, config: IdentityConfig, corrections: Mapping[Key, Correction]
    ) -> None:
        self.known = dict(known)
        self._number = number
        self._config, self._corrections = config, corrections

    def assign(self, tracks: Sequence[Track], seen: Sequence[Track] = ()) -> list[Decision]:
        """Give each of ``tracks``, all of one source, to somebody known or new; ``seen``: those of the source that have
        somebody already.
        """
        made: list[Decision] = []
        holders: dict[str, list[Track]] = {}
        names = {key: u.name for u in self.known.values() for key in u.members}
        for track in seen:
            if track.key in names:
                holders.setdefault(names[track.key], []).append(track)
        modalities: set[Modality] = {t.modality for t in tracks}
        for modality in sorted(modalities):
            own = [t for t in tracks if t.modality == modality]
            left = self._to_known(own, modality, holders, made)
            self._to_new(left, modality, made)
        return made

    def _limit(self, modality: Modality) -> float:
        return threshold(modality, self._config.unknown_rate)

    def _apart(self, track: Track, others: Sequence[Track]) -> bool:
        return not self._config.together and any(together(track, other) for other in others)

    def _to_known(
        self, tracks: Sequence[Track], modality: Modality, holders: dict[str, list[Track]], made: list[Decision]
    ) -> list[Track]:
        """Returns those that are like nobody known."""
        people = [u for u in self.known.values() if u.modality == modality]
        limit = self._limit(modality)
        found = distances([t.sample for t in tracks], [u.mean for u in people], modality)
        given: set[Key] = set()
        for i, j in sorted(np.argwhere(found <= limit).tolist(), key=lambda ij: (found[ij[0], ij[1]], ij)):
            track, name = tracks[i], people[j].name
            said = self._corrections.get(track.key)
            barred = said is not None and said.means(*track.seconds) and name in said.others
            if track.key in given or barred or self._apart(track, holders.get(name, ())):
                continue
            given.add(track.key)
            holders.setdefault(name, []).append(track)
            self._add(self.known[name], track)
            made.append(self._decision(track, name, float(found[i, j])))
        return [t for t in tracks if t.key not in given]

    def _to_new(self, tracks: Sequence[Track], modality: Modality, made: list[Decision]) -> None:
        """Join those that are alike, by average linkage, and number the groups in order of time."""
        limit = self._limit(modality)
        groups = [[t] for t in tracks]
        means = [t.sample for t in tracks]
        near = distances(means, means, modality)
        for i, one in enumerate(tracks):
            near[i, i] = np.inf
            for j, other in enumerate(tracks[:i]):
                if self._apart(one, [other]):
                    near[i, j] = near[j, i] = np.inf
        while near.size and near.min() <= limit:
            i, j = sorted(divmod(int(near.argmin()), len(tracks)))
            # people apart stay apart in the group
            wall = np.isinf(near[i]) | np.isinf(near[j])
            groups[i] += groups[j]
            means[i] = mean_sample([t.sample for t in groups[i]])
            row = distances([means[i]], means, modality)[0]
            row[wall] = np.inf
            near[i], near[:, i] = row, row
            near[j], near[:, j] = np.inf, np.inf
            groups[j] = []
        alike = [sorted(g, key=lambda t: (t.span.start, t.key)) for g in groups if g]
        for group in sorted(alike, key=lambda g: (g[0].span.start, g[0].key)):
            name = f"unknown-{self._number}"
            self._number += 1
            mean = mean_sample([t.sample for t in group])
            self.known[name] = Unknown(name, modality, [t.key for t in group], mean)
            far = distances([t.sample for t in group], [mean], modality)[:, 0]
            made += [self._decision(t, name, float(d)) for t, d in zip(group, far, strict=True)]

    def _decision(self, track: Track, name: str, distance: float) -> Decision:
        limit = self._limit(track.modality)
        return Decision(track, name, distance, limit, self._config.unknown_rate, "cluster")

    def _add(self, one: Unknown, track: Track) -> None:
        """One more member: the mean goes on as of a list."""
        if track.key in one.members:
            return
        count = len(one.members)
        total = one.mean.vector.astype(np.float64) * one.mean.unity * count + track.sample.vector * track.sample.unity
        length = float(np.linalg.norm(total))
        mean = Sample((total / max(length, 1e-9)).astype(np.float32), length / (count + 1))
        self.known[one.name] = replace(one, members=[*one.members, track.key], mean=mean)
