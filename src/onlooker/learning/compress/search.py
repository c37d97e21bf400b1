"""The search for bundles that keep a contract: what was tried, what it costs and what it is worth."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from onlooker.bundles import load_bundle
from onlooker.bundles.manifest import Step
from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.compress.beginning import (
    check_judged,
    check_taught,
    check_tested,
    kept_baseline,
    parts_of,
    same_as_before,
)
from onlooker.learning.compress.contract import Costs, Worth, broken, distance, drop_of
from onlooker.learning.compress.devices import check_device
from onlooker.learning.compress.measure import costs_beside, with_load, worth_of
from onlooker.learning.compress.plan import Steps, key_of, pruned_by, said, sequences, step_config, with_ratio
from onlooker.learning.compress.request import Request
from onlooker.learning.compress.step import Subject, Work
from onlooker.learning.compress.students import Student, shallower_student
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.opening import open_subject
from onlooker.learning.run_folder import RunFolder

__all__ = ["Candidate", "Request", "Search"]

Told: TypeAlias = Callable[[str, int, int], None]
_BASE = "baseline"
_SMALLER, _SMALLER_ENDS = "weight_only", 3
_NARROW = frozenset(("int8", "qat", "half", _SMALLER))
"""Steps whose weights take less than full precision."""


@dataclass(slots=True)
class Candidate:
    """A bundle that was tried.

    Args:
        steps: that made it; none for the baseline.
        bundle: its folder, or None where a step failed.
        worth: by task on the validation part.
        costs: on this machine.
        speed_up: over the baseline, measured in turns with it.
        broken: what of the contract it does not keep, by the validation part.
        error: why there is none.
        seconds: that it took.
        cut_short: whether the budget ended the learning of one of the steps.
    """

    steps: Steps
    bundle: Path | None = None
    worth: dict[str, Worth] | None = None
    costs: Costs | None = None
    speed_up: float = 1.0
    broken: list[str] | None = None
    error: str | None = None
    seconds: float = 0.0
    cut_short: bool = False

    @property
    def kept(self) -> bool:
        """Whether it keeps the contract, by the validation part."""
        return self.broken == []

    @property
    def accuracy(self) -> float | None:
        """Mean of the main metrics of all tasks, errors taken as negative, so that more is better."""
        values = [w.value if w.higher else -w.value for w in (self.worth or {}).values()]
        return sum(values) / len(values) if values else None

    def drop(self, base: dict[str, Worth]) -> float:
        """Largest drop of a task, in points; a task that is lost counts a hundred."""
        return max((drop_of(one, self.worth[n]) if n in (self.worth or {}) else 100.0) for n, one in base.items())  # type: ignore[index]


def _learned(steps: Steps) -> Steps:
    """Those of the steps that train."""
    return tuple(s for s in steps if step_config(s)[0].trains)


class Search:
    """Makes, measures and keeps candidates; what is in ``request.out`` from before is not made again.

    Args:
        request: what is asked for.
        told: how it goes.

    Attributes:
        candidates: tried so far, the baseline first.
        training, validation, test: the parts that are learned from, chosen by, and kept to the end.
        wanted: what is tried first.
        warnings: what the search cannot tell, for people.

    Raises:
        UsageError: there is no such bundle, or it does not fit the dataset.
        ModelError: it is damaged.
    """

    def __init__(self, request: Request, told: Told | None = None) -> None:
        self.request, self._told = request, told or (lambda what, done, of: None)
        check_device(request.device, request.engine)
        self.dataset = Dataset.load(request.dataset)
        self.deadline = None if request.budget is None else time.monotonic() + request.budget
        with ExitStack() as stack:
            opened = open_subject(request.bundle, stack)
            check_judged(opened)
            self.original = Subject(opened.bundle.folder, opened.run)
            check_taught(request, self.original)
            self.wanted = self._wanted()
            parts = parts_of(self.dataset, opened)
            self.training, self.validation, self.test = parts.training, parts.validation, parts.test
            self.warnings = list(parts.warnings)
            check_tested(self.dataset, opened, parts)
            self.original = Subject(kept_baseline(opened.bundle, request.out / _BASE), opened.run)
        same_as_before(request, self.dataset)
        self.base = load_bundle(self.original.bundle)
        self.candidates: list[Candidate] = []
        self._baseline()

    def students(self) -> tuple[tuple[Student, ...], int]:
        """The smaller networks that learn from the original, and for how many passes."""
        run, asked = self.original.run, self.request
        if run is None or asked.student_epochs == 0:
            return (), 0
        own = None if asked.students is not None else shallower_student(run)
        found = asked.students if asked.students is not None else (own,) if own is not None else ()
        return found, asked.student_epochs or RunFolder(run).recipe().training.epochs

    def _wanted(self) -> list[Steps]:
        asked, contract = self.request, self.request.contract
        int8: dict[str, Any] = {"max_drop": round(min(1.0, contract.max_drop / 100), 4)}
        if contract.max_size_mb is not None:
            int8["least_gain"] = 0.0
        students, student_epochs = self.students()
        return sequences(
            trains=self.original.run is not None, epochs=asked.passes, int8=int8,
            early_exit={"max_drop": min(100.0, contract.max_drop)}, only=asked.steps, ratios=asked.ratios,
            students=students, student_epochs=student_epochs,
        )  # fmt: skip

    @property
    def base_worth(self) -> dict[str, Worth]:
        """Of the baseline, on the validation part."""
        return self.candidates[0].worth or {}

    @property
    def late(self) -> bool:
        """Whether the budget is used up."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def _baseline(self) -> None:
        self._told("measuring the baseline", 0, 1)
        one = Candidate((), self.original.bundle)
        self._measured(one, self.request.out / _BASE)
        if not one.worth:
            raise UsageError(
                f"{self.request.dataset} has no task that {self.base.manifest.name} answers",
                hint="its tasks must be called as the bundle's outputs: onlooker bundles show, onlooker dataset stats",
            )
        self.warnings += [
            f"{output.name} could not be measured on the part {self.validation}: no candidate is judged by it"
            for output in self.base.manifest.outputs if output.name not in one.worth
        ]  # fmt: skip
        one.broken = broken(self.request.contract, one.worth, one.worth, one.costs, 1.0)  # type: ignore[arg-type]
        self.candidates.append(one)

    def tried(self, steps: Steps) -> Candidate:
        """Make a candidate and measure it, or take it as it was made before."""
        one = self._tried(steps)
        self.candidates.append(one)
        return one

    def along(self, steps: Steps) -> list[Candidate]:
        """The baseline and what each of some steps made of it; what was not tried by itself is measured now."""
        made = [self.candidates[0]]
        for count in range(1, len(steps) + 1):
            known = next((c for c in self.candidates if c.steps == steps[:count]), None)
            made.append(known or self._tried(steps[:count]))
        return made

    def _tried(self, steps: Steps) -> Candidate:
        began = time.monotonic()
        one = Candidate(steps)
        try:
            subject = self.made(steps)
            one.bundle, one.cut_short = subject.bundle, subject.cut_short
            self._measured(one, subject.bundle.parent)
        except OnlookerError as error:
            one.error = str(error)
        except ValidationError as error:
            one.error = f"{said(steps)}: {error.errors()[0]['msg']}"
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError, OSError) as error:
            # what a library throws at a network that it does not know must not end the search
            one.error = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['?'])[0]}"
        one.seconds = round(time.monotonic() - began, 1)
        if one.worth is not None and one.costs is not None:
            one.broken = broken(self.request.contract, self.base_worth, one.worth, one.costs, one.speed_up)
        return one

    def made(self, steps: Steps) -> Subject:
        """The model after some steps, each made where it is not there from before.

        What the budget cut short is made again where there is time, and what was made of it.

        Raises:
            UsageError, ModelError: a step cannot be done.
        """
        subject, again = self.original, False
        for count in range(1, len(steps) + 1):
            folder = self.request.out / "steps" / key_of(steps[:count])
            note = folder / "subject.json"
            before = _read(note) if note.is_file() and not again else None
            if before is not None and (self.late or not before.cut_short):
                subject = before
                continue
            again = again or before is not None
            part, config = step_config(steps[count - 1])
            if reason := part.refusal(subject, config):
                raise UsageError(f"{config.step}: {reason}")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            work = Work(
                folder, self.dataset, self.training, self.validation, self.original, self.request.teachers,
                self.deadline, self.request.seed, self.request.threads or len(os.sched_getaffinity(0)), self._told,
            )  # fmt: skip
            made = part.apply(subject, config, work)
            subject = replace(made, cut_short=made.cut_short or subject.cut_short)
            _write(note, subject)
        return subject

    def _measured(self, one: Candidate, folder: Path) -> None:
        """Costs and worth; the worth of a bundle does not change and is kept."""
        assert one.bundle is not None
        bundle = load_bundle(one.bundle)
        both = {_BASE: self.base, "it": bundle} if self.candidates else {"it": bundle}
        costs = costs_beside(both, engine=self.request.engine, device=self.request.device)
        one.costs = costs["it"]
        one.speed_up = round(costs[_BASE].latency_ms / costs["it"].latency_ms, 3) if self.candidates else 1.0
        note = folder / f"judged-{one.costs.engine}-{self.request.samples}.json"
        if note.is_file():
            one.worth = {n: _worth(w) for n, w in json.loads(note.read_text(encoding="utf-8")).items()}
            return
        found, _ = worth_of(
            one.bundle, self.request.dataset, self.validation, engine=one.costs.engine, samples=self.request.samples,
            like=self.original.run,
        )  # fmt: skip
        one.worth = found
        write_whole(note, json.dumps({n: asdict(w) for n, w in found.items()}))

    def narrower(self) -> Steps | None:
        """Pruning between the most that kept the drop and the least that did not, or None where that is known."""
        kept: dict[float, Candidate] = {}
        lost: list[float] = []
        for one in self.candidates:
            ratio = pruned_by(one.steps)
            if ratio is None or one.worth is None:
                continue
            if one.drop(self.base_worth) <= self.request.contract.max_drop:
                kept[ratio] = one
            else:
                lost.append(ratio)
        low = max(kept, default=None)
        high = min((r for r in lost if low is None or r > low), default=None)
        if high is None or high - (low or 0.0) < 0.06:
            return None
        steps = with_ratio(kept[low].steps if low is not None else self._with(high), ((low or 0.0) + high) / 2)
        return None if any(c.steps == steps for c in self.candidates) else steps

    def other_ends(self) -> list[Steps]:
        """Of the most pruning that kept the drop, the sequences that only end otherwise and were not tried.

        Pruning between two ratios is looked for by one sequence; what was learned there goes to int8 in a moment.
        """
        pruned = [c for c in self.candidates if pruned_by(c.steps) is not None]
        good = [c for c in pruned if c.worth and c.drop(self.base_worth) <= self.request.contract.max_drop]
        if not good:
            return []
        most = max(good, key=lambda c: pruned_by(c.steps) or 0.0)
        ratio, known = pruned_by(most.steps) or 0.0, {key_of(c.steps) for c in self.candidates}
        likewise = [with_ratio(c.steps, ratio) for c in pruned]
        made = {key_of(steps): steps for steps in likewise if _learned(steps) == _learned(most.steps)}
        return [steps for key, steps in made.items() if key not in known]

    def smaller_ends(self) -> list[Steps]:
        """Of the fastest that kept the drop, those with weights in full precision, ended by weights of 8 bits.

        That is no slower, and a quarter of the size where int8 gains no time and is left out.
        """
        if self.request.steps and _SMALLER not in self.request.steps:
            return []
        limit = self.request.contract.max_drop
        good = [c for c in self.candidates[1:] if c.worth and c.drop(self.base_worth) <= limit + 1e-9]
        whole = [c for c in good if not any(s["step"] in _NARROW for s in c.steps)]
        fastest = sorted(whole, key=lambda c: -c.speed_up)[:_SMALLER_ENDS]
        known = {key_of(c.steps) for c in self.candidates}
        share = round(min(1.0, limit / 100), 4)  # less than a point is the step's own limit, and judged by the contract
        last: dict[str, Any] = {"step": _SMALLER, **({"max_drop": share} if limit > 1 else {})}
        made: list[Steps] = [(*c.steps, last) for c in fastest]
        return [steps for steps in made if key_of(steps) not in known]

    def _with(self, ratio: float) -> Steps:
        return next(c.steps for c in self.candidates if pruned_by(c.steps) == ratio)

    def loaded(self, one: Candidate) -> Costs:
        """The costs of a candidate with throughput and memory."""
        assert one.bundle is not None
        assert one.costs is not None
        return with_load(load_bundle(one.bundle), one.costs, device=self.request.device)

    def how_far(self, one: Candidate) -> float:
        """From the contract; see `distance`."""
        assert one.costs is not None
        return distance(self.request.contract, one.drop(self.base_worth), one.costs, one.speed_up)


def _write(path: Path, subject: Subject) -> None:
    values = {
        "bundle": str(subject.bundle.relative_to(path.parent)),
        "run": None if subject.run is None else str(subject.run.relative_to(path.parent)),
        "steps": [s.model_dump(mode="json") for s in subject.steps],
        "cut_short": subject.cut_short,
    }
    write_whole(path, json.dumps(values))


def _read(path: Path) -> Subject:
    values = json.loads(path.read_text(encoding="utf-8"))
    run = None if values["run"] is None else path.parent / values["run"]
    steps = tuple(Step.model_validate(s) for s in values["steps"])
    return Subject(path.parent / values["bundle"], run, steps, values.get("cut_short", False))


def _worth(values: dict[str, Any]) -> Worth:
    between = values.pop("ci95")
    return Worth(**values, ci95=None if between is None else (between[0], between[1]))
