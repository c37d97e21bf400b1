"""Objects and tracks from the boxes of a bundle's detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._following import Ended, Follower, Moment
from onlooker.analyzers._tracking import Tracker
from onlooker.analyzers.bundle.config import BundleConfig
from onlooker.bundles.outputs import Detection
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Tracks"]


class Tracks:
    """Follows boxes as the analyzer ``objects`` does.

    Args:
        output: of the bundle.
        config: the settings.
        ratio: width of the picture over its height.
    """

    def __init__(self, output: Detection, config: BundleConfig, ratio: float) -> None:
        self._output, self._config = output, config
        self._least = min(1.0, output.threshold / config.sensitivity)
        names = sorted({self._group(label) for label in output.labels})
        tracker = Tracker(
            score=self._least,
            confirm=config.confirm,
            lost_seconds=config.lost_seconds,
            match=config.match,
            margin=config.margin,
            groups=[names.index(self._group(label)) for label in output.labels],
        )
        self._follower = Follower(tracker, ratio)

    def _group(self, label: str) -> str:
        return self._output.groups.get(label, label)

    def take(self, since: Timestamp, until: Timestamp, rows: NDArray[np.float32], *, cut: bool) -> list[Observation]:
        """The boxes (n, 6) of a picture; ``cut``: no track goes on from before it."""
        if self._config.labels:
            wanted = [n for n, label in enumerate(self._output.labels) if label in self._config.labels]
            rows = rows[np.isin(rows[:, 5], wanted)]
        return self._told(self._follower.take(Span(since, until), rows, rows[:, 5].astype(np.intp), cut=cut))

    def finish(self) -> list[Observation]:
        """No more pictures."""
        return self._told(self._follower.finish())

    def held(self, kind: str) -> Timestamp | None:
        """Objects wait for their tracks to be decided, tracks for their end."""
        return self._follower.undecided if kind == "object" else self._follower.under_way

    def _told(self, parts: Any) -> list[Observation]:
        made: list[Observation] = []
        for part in parts:
            made += self._objects(part) if isinstance(part, Moment) else self._track(part)
        return made

    def _objects(self, moment: Moment) -> list[Observation]:
        made: list[Observation] = []
        for row, name in zip(moment.rows, moment.names, strict=True):
            score, label = float(row[4]), self._output.labels[int(row[5])]
            if name is None and score < self._threshold(label):
                continue
            box = Box(*(float(v) for v in row[:4]))
            data = {"group": self._group(label)}
            made.append(Observation(moment.span, "object", score=score, label=label, box=box, track=name, data=data))
        return made

    def _threshold(self, label: str) -> float:
        return min(1.0, self._config.thresholds.get(label, self._output.threshold) / self._config.sensitivity)

    def _track(self, ended: Ended) -> list[Observation]:
        path = ended.path
        if float(path.end - path.start) < self._config.least_seconds:
            return []
        total = sum(ended.votes.values())
        votes = sorted(ended.votes.items(), key=lambda v: (-v[1], v[0]))
        label = self._output.labels[votes[0][0]]
        data: dict[str, Any] = {
            "group": self._group(label),
            "votes": {self._output.labels[k]: round(v / total, 4) for k, v in votes[:4]},
            **path.data(),
        }
        score = round(path.score / path.count, 4)
        return [Observation(path.span, "track", score=score, label=label, box=path.hull, track=ended.name, data=data)]
