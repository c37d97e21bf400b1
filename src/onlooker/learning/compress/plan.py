"""What is tried: sequences of steps in a sensible order, and what comes between two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from onlooker.core.errors import UsageError
from onlooker.learning.compress.step import Compression, StepConfig
from onlooker.learning.compress.students import Student, student_said
from onlooker.learning.parts import load_part, part_names

__all__ = [
    "RATIOS",
    "Steps",
    "check_steps",
    "key_of",
    "missed",
    "pruned_by",
    "said",
    "sequences",
    "settings_of",
    "step_config",
    "with_ratio",
]

Steps = tuple[dict[str, Any], ...]
"""Settings of steps, in order."""

RATIOS = (0.3, 0.5, 0.65, 0.8)
"""Shares of the channels that pruning tries first."""

_AS_LIBRARIES: tuple[dict[str, Any], ...] = (
    {"method": "onnxruntime", "operators": "flow"},
    {"method": "nncf"},
)
"""The quantisers as each goes about it by default, so that no search ends behind one of them."""


def sequences(
    *,
    trains: bool,
    epochs: int,
    int8: Mapping[str, Any],
    early_exit: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
    ratios: Sequence[float] = RATIOS,
    students: Sequence[Student] = (),
    student_epochs: int = 0,
) -> list[Steps]:
    """What is tried first, the cheap before the dear.

    What changes weights comes before what only changes their form: channels are pruned, what is left learns from the
    original, then its graph is simplified, or it goes to int8. The middle ratio is also tried with plain fine-tuning:
    small models have little to teach. Smaller networks that learn from the original come last, since they begin at
    random; each is tried as it is, and with the middle ratio pruned.

    Args:
        trains: whether there is a run whose weights can be changed.
        epochs: of distillation after pruning.
        int8: further settings of the step of that name.
        early_exit: likewise.
        only: names of the steps that may be used; none: all that there are.
        ratios: shares of the channels that pruning tries.
        students: settings of smaller networks that learn from the original.
        student_epochs: that they learn; 0: none is tried.

    Raises:
        UsageError: there is no step of such a name, or nothing can be tried with it.
    """
    check_steps(only)
    allowed = set(only or part_names("compress.steps"))
    distil: dict[str, Any] = {"step": "distil", "epochs": epochs}
    whole: dict[str, Any] = {"step": "int8", **int8}
    simpler: Steps = ({"step": "graph"},) if "graph" in allowed else ()
    made: list[Steps] = [({"step": "graph"},), (whole,), ({"step": "half"},), ({"step": "weight_only"},)]
    made += [({**whole, **own},) for own in _AS_LIBRARIES]
    if trains:
        for ratio in ratios:
            cut: dict[str, Any] = {"step": "prune", "ratio": ratio}
            cut |= {"epochs": 0} if "distil" in allowed else {"epochs": epochs}
            shorter = (cut, distil) if "distil" in allowed else (cut,)
            made += [(*shorter, *simpler), (*shorter, whole)]
        middle = sorted(ratios)[(len(ratios) - 1) // 2] if ratios else None
        if middle is not None and "distil" in allowed:
            alone = {"step": "prune", "ratio": middle, "epochs": epochs}
            made += [(alone, *simpler), (alone, whole)]
        end = (whole,) if "int8" in allowed else simpler
        made += [({"step": "low_rank", "epochs": epochs}, *end), ({"step": "qat"},)]
        leaving: dict[str, Any] = {"step": "early_exit", "epochs": epochs, **(early_exit or {})}
        made += [(leaving,), (leaving, whole)]
        for student in students if student_epochs else ():
            other: dict[str, Any] = {"step": "distil", "epochs": student_epochs, "student": student}
            made += [(other, *simpler), (other, whole)]
            if middle is not None:
                cut = {"step": "prune", "ratio": middle, "epochs": 0}
                made += [(other, cut, distil, *simpler), (other, cut, distil, whole)]
    return _all_used(only, [steps for steps in made if all(s["step"] in allowed for s in steps)], trains)


def _all_used(only: Sequence[str], found: list[Steps], trains: bool) -> list[Steps]:
    """What is tried; each step that was asked for must be in it."""
    used = {step["step"] for steps in found for step in steps}
    unused = [name for name in only if name not in used]
    if not unused:
        return found
    said = f"--steps {', '.join(unused)}"
    if not trains and any(load_part("compress.steps", name).trains for name in unused):
        raise UsageError(
            f"{said}: only the bundle is known, not the run that it was made of, and this trains",
            hint="give the folder of the run, or steps that need none: "
            + ", ".join(n for n in part_names("compress.steps") if not load_part("compress.steps", n).trains),
        )
    if "distil" in unused:
        raise UsageError(
            f"{said}: nothing is there to learn from the original",
            hint="add prune, or let a smaller network learn: --student, --student-epochs",
        )
    raise UsageError(f"{said}: nothing can be tried with it here", hint="add other steps, or leave --steps out")


def check_steps(names: Sequence[str]) -> None:
    """Try that there are steps of these names.

    Raises:
        UsageError: there is none of such a name.
    """
    known = part_names("compress.steps")
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--steps: there is no step {unknown[0]!r}", hint=f"there are {', '.join(known)}")


def step_config(settings: dict[str, Any]) -> tuple[type[Compression], StepConfig]:
    """The step that is meant and its settings, checked.

    Raises:
        UsageError: there is none of that name.
        pydantic.ValidationError: a setting cannot be.
    """
    part: type[Compression] = load_part("compress.steps", settings["step"])
    return part, part.Config.model_validate(settings)


def key_of(steps: Steps) -> str:
    """A short name of a sequence that is the same on every run."""
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:12]


def said(steps: Steps) -> str:
    """A sequence for people.

    >>> said(({"step": "prune", "ratio": 0.5}, {"step": "int8"}))
    'prune 0.5, int8'
    """
    return ", ".join(_step_said(step) for step in steps)


def _step_said(step: Mapping[str, Any]) -> str:
    words = [str(step[k]) for k in ("step", "method", "ratio") if k in step]
    return " ".join([*words, *(["into", student_said(step["student"])] if step.get("student") else [])])


def missed(row: Mapping[str, Any], confirmed: Sequence[Mapping[str, Any]]) -> str:
    """What a candidate misses of the contract, for people.

    Args:
        row: of the candidate, as `onlooker.learning.compress.run.compress` tells it.
        confirmed: what the test part said.

    >>> missed({"steps": [], "broken": []}, [{"steps": [], "broken": ["3 MB, allowed are 1"]}])
    'kept on the validation part; on the test part 3 MB, allowed are 1'
    """
    if row["broken"]:
        return "; ".join(row["broken"])
    own = next((c["broken"] for c in confirmed if c["steps"] == row["steps"]), None)
    if own is None:
        return "kept on the validation part; not held to the test part, as others came first and failed there"
    return f"kept on the validation part; on the test part {'; '.join(own)}"


def settings_of(steps: Steps) -> list[dict[str, Any]]:
    """The public JSON form."""
    return [dict(step) for step in steps]


def pruned_by(steps: Steps) -> float | None:
    """The share of the original's channels that a sequence prunes, or None."""
    return None if _other(steps) else next((s["ratio"] for s in steps if s["step"] == "prune"), None)


def _other(steps: Steps) -> bool:
    """Whether another network takes the original's place."""
    return any(s.get("student") for s in steps)


def with_ratio(steps: Steps, ratio: float) -> Steps:
    """The same sequence with another share of pruning."""
    return tuple({**s, "ratio": round(ratio, 3)} if s["step"] == "prune" else s for s in steps)
