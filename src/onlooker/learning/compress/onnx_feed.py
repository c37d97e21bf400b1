"""Samples of a dataset as the models of a bundle get them: through the bundle's own preprocessing, with its states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle
from onlooker.core.errors import SourceError, UsageError
from onlooker.core.runtime import LoadedModel
from onlooker.learning.compress.step import Work
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.answers import task_answers
from onlooker.learning.evaluate.material import Diet, Material, diet_of, material_of
from onlooker.learning.evaluate.measure import metrics_of
from onlooker.learning.evaluate.opening import open_like, open_subject
from onlooker.learning.evaluate.player import Player
from onlooker.learning.evaluate.tasks import Judge, judges_of

__all__ = ["Feeds", "Judged", "Verdict", "feeds_of", "judged_of"]

Arrays = dict[str, NDArray[Any]]
Feeds = dict[str, list[Arrays]]
"""By file of a bundle, what its model was given look by look."""

_LOOKS = 4
_MOST_BYTES, _MOST_FEEDS = 256 << 20, 256


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a bundle is.

    Args:
        metrics: by output the name of its main metric, its value, and whether higher is better.
        count: samples that were answered.
    """

    metrics: dict[str, tuple[str, float, bool]]
    count: int

    def drop(self, other: Verdict) -> float:
        """How much worse another is at the output that lost most: points as a share (0.01 is one point) of metrics of
        which higher is better, else the share by which an error grew.
        """
        lost = [0.0] if not self.metrics else []
        for name, (_, value, higher) in self.metrics.items():
            found = other.metrics[name][1] if name in other.metrics else float("nan")
            change = value - found if higher else (found - value) / max(abs(value), 1e-9)
            lost.append(change if np.isfinite(change) else float("inf"))
        return max(lost)


class Judged:
    """The validation part, decoded once, by which bundles of one model are judged.

    Args:
        judges: of the bundle's outputs.
        diet: what the bundle takes.
        samples, materials: of the part.
    """

    def __init__(
        self, judges: Sequence[Judge], diet: Diet, samples: Sequence[Sample], materials: Sequence[Material]
    ) -> None:
        self._judges, self._diet, self._samples, self._materials = judges, diet, samples, materials

    def verdict(self, bundle: Bundle) -> Verdict:
        """Of a bundle, in the engine that it prefers.

        Raises:
            ModelError: the engine failed.
        """
        player = Player(bundle, self._diet)
        try:
            answers = [player.answer(material) for material in self._materials]
        finally:
            player.close()
        found: dict[str, tuple[str, float, bool]] = {}
        for judge in self._judges:
            main = judge.head.main
            made = metrics_of(judge, task_answers(judge, self._samples, answers))
            if main.name in made:
                found[judge.name] = (main.name, made[main.name], main.higher)
        return Verdict(found, len(self._samples))


class _Tap:
    """A model that keeps what it is given; when that is too much, every other of it.

    Args:
        model: that runs.
        kept: filled.
    """

    def __init__(self, model: LoadedModel, kept: list[Arrays]) -> None:
        self._model, self._kept = model, kept
        self.inputs, self.outputs, self.report = model.inputs, model.outputs, model.report
        self._every, self._seen, self._bytes = 1, 0, 0

    def run(self, inputs: Any) -> list[NDArray[Any]]:
        """See `LoadedModel.run`."""
        if self._seen % self._every == 0:
            own = {name: np.array(array) for name, array in dict(inputs).items()}
            self._kept.append(own)
            self._bytes += sum(array.nbytes for array in own.values())
        self._seen += 1
        if self._bytes > _MOST_BYTES or len(self._kept) > _MOST_FEEDS:
            del self._kept[1::2]
            self._every, self._bytes = self._every * 2, self._bytes // 2
        return self._model.run(inputs)

    def close(self) -> None:
        """Release the model."""
        self._model.close()


def feeds_of(bundle: Bundle, work: Work, *, samples: int) -> Feeds:
    """What each model of a bundle is given when the bundle answers samples of the training part; states are carried
    along, and the head gets what the networks really give.

    Args:
        bundle: in full precision.
        work: with the dataset.
        samples: at most so many, spread evenly.

    Returns:
        By file; one that no sample reaches is left out.

    Raises:
        SourceError: none can be decoded.
    """
    diet = _diet(bundle, work)
    materials = [material for _, material in _materials(work, work.training, diet, samples)]
    player = Player(bundle, diet)
    feeds: Feeds = {}
    try:
        for file, run in player.runs.items():
            run.watch(lambda model, file=file: _Tap(model, feeds.setdefault(file, [])))
        for material in materials:
            player.answer(material)
    finally:
        player.close()
    return feeds


def judged_of(bundle: Bundle, work: Work, *, samples: int) -> Judged | None:
    """What judges bundles of this model by the validation part; None where the dataset has none of its tasks.

    Args:
        bundle: any of them.
        work: with the dataset.
        samples: at most so many, spread evenly.

    Raises:
        SourceError: none can be decoded.
    """
    diet = _diet(bundle, work)
    with ExitStack() as stack:
        origin = work.original.run or work.original.bundle
        opened = open_subject(str(origin), stack)
        heads: Mapping[str, Any] = opened.recipe.get("tasks") or {}
        try:
            judges = judges_of(bundle.manifest, work.dataset, {}, opened.calibration, heads)
        except UsageError:
            return None
    found = list(_materials(work, work.validation, diet, samples))
    return Judged(judges, diet, [s for s, _ in found], [m for _, m in found])


def _diet(bundle: Bundle, work: Work) -> Diet:
    """What the bundle takes, with pictures cut as for training."""
    with ExitStack() as stack:
        opened = open_like(str(bundle.folder), work.original.run, stack)
    return diet_of(bundle.manifest, looks=_LOOKS, cut=opened.cut(work.dataset))


def _materials(work: Work, split: str | None, diet: Diet, most: int) -> Iterator[tuple[Sample, Material]]:
    """Labelled samples of a part that can be decoded.

    Raises:
        SourceError: there is none.
    """
    known = [s for s in work.dataset.of_split(split) if s.status == "labelled"] or work.dataset.of_split(split)
    count = min(most, len(known))
    reason, some = "the part is empty", False
    for number in range(count):
        sample = known[number * len(known) // count]
        try:
            material = material_of(sample, work.dataset.root, diet)
        except (SourceError, OSError) as error:
            reason = str(error)
            continue
        some = True
        yield sample, material
    if not some:
        where = split or "the dataset"
        raise SourceError(f"{where}: no sample can be used: {reason}", hint="see onlooker dataset check")
