"""How a bundle's metrics change when its samples are corrupted or a sense is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import ClipInput
from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.answers import CLEAN, Answers, Variant
from onlooker.learning.evaluate.corruptions import (
    PICTURES,
    SEVERITIES,
    SOUNDS,
    babble,
    corrupt_pictures,
    corrupt_sound,
)
from onlooker.learning.evaluate.material import Diet, Material, material_of
from onlooker.learning.evaluate.measure import metrics_of
from onlooker.learning.evaluate.tasks import Judge

__all__ = ["Row", "rows_of", "variants_of"]

_IN_TIME = frozenset(("frames lost", "frozen"))
_VOICES = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the robustness table.

    Args:
        name: of the corruption.
        sense: that it concerns.
        severity: 1, 2, 3; None where there are no degrees.
        values: by task, the main metric.
        changes: by task, what it lost (below 0) or gained against the clean samples, in the metric's own measure.
    """

    name: str
    sense: str
    severity: int | None
    values: dict[str, float]
    changes: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "corruption": self.name,
            "sense": self.sense,
            "severity": self.severity,
            "values": self.values,
            "changes": self.changes,
        }


def variants_of(diet: Diet, samples: Sequence[Sample], root: Path) -> dict[str, Variant]:
    """The clean variant and all corruptions that concern what the bundle takes.

    Args:
        diet: of the bundle.
        samples: that are evaluated; some of them are the voices of the babble.
        root: of their media.
    """
    made: dict[str, Variant] = {CLEAN: Variant()}
    if diet.pictures is not None:
        clips = isinstance(diet.pictures, ClipInput) and (diet.pictures.frames > 1 or diet.streams)
        for name in PICTURES:
            if clips or name not in _IN_TIME:
                made |= {f"pictures/{name}/{s}": Variant(_pictured(name, s)) for s in SEVERITIES}
    if diet.sound is not None:
        rate = diet.sound.sample_rate
        for name in SOUNDS:
            made |= {f"sound/{name}/{s}": Variant(_sounded(name, rate, s)) for s in SEVERITIES}
        voices = _voices(diet, samples, root)
        if voices:
            made |= {f"sound/babble/{s}": Variant(_babbled(voices, s)) for s in SEVERITIES}
    takes = {"pictures": diet.pictures, "sound": diet.sound, "series": diet.series, "text": diet.text or None}
    senses = [sense for sense, facts in takes.items() if facts is not None]
    for sense in senses if len(senses) > 1 else ():
        made[f"{sense}/missing/"] = Variant(without=frozenset((sense,)))
    return made


Change = Callable[[Material, int], Material]


def _pictured(name: str, severity: int) -> Change:
    def change(material: Material, seed: int) -> Material:
        if material.pictures is None:
            return material
        return replace(material, pictures=corrupt_pictures(name, material.pictures, severity, seed))

    return change


def _sounded(name: str, rate: int, severity: int) -> Change:
    def change(material: Material, seed: int) -> Material:
        if material.sound is None:
            return material
        return replace(material, sound=corrupt_sound(name, material.sound, rate, severity, seed))

    return change


def _babbled(voices: Sequence[tuple[str, NDArray[np.float32]]], severity: int) -> Change:
    def change(material: Material, seed: int) -> Material:
        if material.sound is None:
            return material
        others = [v for _, v in voices if v.shape != material.sound.shape or not np.array_equal(v, material.sound)]
        return replace(material, sound=babble(material.sound, others, severity, seed))

    return change


def _voices(diet: Diet, samples: Sequence[Sample], root: Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Sounds of some samples, spread evenly; none where a single one can be read."""
    made: list[tuple[str, NDArray[np.float32]]] = []
    count = min(_VOICES, len(samples))
    for sample in (samples[n * len(samples) // count] for n in range(count)):
        try:
            material = material_of(sample, root, replace(diet, pictures=None, series=None, text=False))
        except (OnlookerError, OSError):
            continue
        if material.sound is not None:
            made.append((sample.id, material.sound))
    return made if len(made) > 1 else []


def rows_of(answers: Answers, judges: Sequence[Judge]) -> list[Row]:
    """The table, the clean samples first; a missing sense is judged on the samples that have another one."""
    rows = [Row("clean", "", None, _mains(answers, judges, CLEAN), {})]
    for variant in answers.tasks:
        if variant == CLEAN:
            continue
        sense, name, severity = variant.split("/")
        values = _mains(answers, judges, variant)
        changes: dict[str, float] = {}
        for judge in judges:
            base = _base(answers, judge, variant)
            if judge.name in values and base is not None:
                changes[judge.name] = values[judge.name] - base
        rows.append(Row(name, sense, int(severity) if severity else None, values, changes))
    return rows


def _mains(answers: Answers, judges: Sequence[Judge], variant: str) -> dict[str, float]:
    found = {j.name: metrics_of(j, answers.tasks[variant][j.name]).get(j.head.main.name) for j in judges}
    return {name: value for name, value in found.items() if value is not None}


def _base(answers: Answers, judge: Judge, variant: str) -> float | None:
    """The main metric of the clean samples that were answered in a variant too."""
    clean, changed = answers.tasks[CLEAN][judge.name], answers.tasks[variant][judge.name]
    chosen = np.flatnonzero(np.isin(clean.owner, changed.owner))
    return metrics_of(judge, clean, chosen).get(judge.head.main.name)
