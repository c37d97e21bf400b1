"""Which of a bundle's models go to int8, by which operators and in which engine, and which layers must not."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from onlooker.bundles.folder import Bundle
from onlooker.bundles.golden import noise, play, read_golden
from onlooker.core.errors import ModelError
from onlooker.learning.compress.exiting_graph import INPUT as EXIT
from onlooker.learning.compress.onnx_bundle import Changed, Made, Part, difference, draft_of, parts_of
from onlooker.learning.compress.onnx_exit import ExitQuantiser
from onlooker.learning.compress.onnx_feed import Feeds, Judged, Verdict
from onlooker.learning.compress.onnx_int8 import Operators, Quantiser, by_nncf
from onlooker.learning.compress.onnx_timing import milliseconds_of, readers
from onlooker.learning.compress.step import Work

if TYPE_CHECKING:
    from onlooker.learning.compress.steps.int8 import Config

__all__ = ["Found", "Search"]

_FULL = "full"
_KINDS: tuple[Operators, ...] = ("convolutions", "heavy", "flow")
_FEEDS = 32


@dataclass(slots=True)
class Found:
    """What came of it.

    Args:
        changed: the bundle's new models.
        verdict: on the validation part, None without labels.
        drop: what was lost.
        kept: layers in full precision and the error that each makes alone.
        left: by file, why it stays as it is.
        operators: which are in int8, by file.
        layers: so many layers are in int8.
        speed_up: of all models together.
    """

    changed: Changed
    verdict: Verdict | None
    drop: float
    kept: dict[str, float]
    left: dict[str, str]
    operators: str
    layers: int
    speed_up: float


@dataclass(slots=True)
class _Choice:
    part: Part
    operators: Operators
    quantiser: Quantiser | None
    speeds: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])


class Search:
    """See the module.

    Args:
        bundle: in full precision.
        feeds: what its models are given.
        judged: the validation part, None without labels.
        config: of the step.
        work: of the step.
    """

    def __init__(self, bundle: Bundle, feeds: Feeds, judged: Judged | None, config: Config, work: Work) -> None:
        self._bundle, self._feeds, self._judged, self._config, self._work = bundle, feeds, judged, config, work
        self._left: dict[str, str] = {}
        self._chosen: list[_Choice] = []
        self._engine: str | None = None
        self._by_nncf: dict[tuple[str, tuple[str, ...]], Made] = {}
        self._folder = Path(tempfile.mkdtemp(prefix=".int8-", dir=work.folder))
        self._before = judged.verdict(bundle) if judged is not None else None

    def choose(self) -> None:
        """Choose operators and engine by measuring.

        Raises:
            ModelError: no model gains.
        """
        for part in parts_of(self._bundle.manifest):
            if not self._feeds.get(part.file):
                self._left[part.file] = "no sample reaches it"
                continue
            choice = self._tried(part)
            if choice is not None:
                self._chosen.append(choice)
        self._engine = self._faster_engine()
        self._chosen = [c for c in self._chosen if self._gains(c)]
        if not self._chosen:
            why = "; ".join(f"{file}: {said}" for file, said in self._left.items())
            raise ModelError(
                f"{self._bundle.manifest.name}: int8 gains nothing here: {why}",
                hint="least_gain 0 takes it for its size, or weight_only",
            )

    def _tried(self, part: Part) -> _Choice | None:
        """Its forms, timed."""
        feeds, path = self._feeds[part.file], self._bundle.path(part.file)
        if part.format != "onnx":
            choice = _Choice(part, "flow", None)
            self._time(choice, ("flow",))
            return choice
        folder = self._folder / part.file
        folder.mkdir()
        own = self._config
        kind = ExitQuantiser if EXIT in part.shapes else Quantiser
        quantiser = kind(
            path, part.shapes, feeds, folder, calibration=own.calibration, per_channel=own.per_channel,
            reduce_range=own.reduce_range, symmetric=own.symmetric,
        )  # fmt: skip
        if not quantiser.layers:
            self._left[part.file] = "it has no convolution and no product with weights (cells of GRU and LSTM stay)"
            return None
        choice = _Choice(part, "flow", quantiser)
        if own.method == "nncf":
            self._time(choice, ("flow",))
        else:
            self._time(choice, _KINDS if own.operators == "measured" else (own.operators,))  # pyright: ignore[reportArgumentType]
        return choice

    def _time(self, choice: _Choice, kinds: Collection[Operators]) -> None:
        part = choice.part
        models = {_FULL: self._bundle.path(part.file)}
        for kind in kinds:
            models[kind] = self._written(part, self._form(choice, kind, ()), kind)
        feeds = self._feeds[part.file][:_FEEDS]
        for share, some in choice.quantiser.turns(feeds) if choice.quantiser else [(1.0, feeds)]:
            for key, spent in milliseconds_of(models, some, part.shapes).items():
                choice.speeds[key] = choice.speeds.get(key, 0.0) + share * spent

    def _written(self, part: Part, made: Made, name: str) -> Path:
        stem = self._folder / f"{part.file.rsplit('.', 1)[0]}-{name}"
        if isinstance(made, bytes):
            path = stem.with_suffix(".onnx")
            path.write_bytes(made)
            return path
        path = stem.with_suffix(".xml")
        path.write_bytes(made[0])
        path.with_suffix(".bin").write_bytes(made[1])
        return path

    def _form(self, choice: _Choice, kind: Operators, keep: Collection[str]) -> Made:
        part = choice.part
        if choice.quantiser is None or self._config.method == "nncf":
            key = part.file, tuple(sorted(keep))
            if key not in self._by_nncf:
                path = self._bundle.path(part.file)
                self._by_nncf[key] = by_nncf(path, part.format, part.shapes, self._feeds[part.file], key[1])
            return self._by_nncf[key]
        return choice.quantiser.made(kind, keep)

    def _best(self, choice: _Choice, engine: str) -> tuple[Operators, float]:
        """The fastest form in an engine, and its milliseconds."""
        known = {kind: ms for (kind, name), ms in choice.speeds.items() if name == engine and kind != _FULL}
        kind = min(known, key=lambda k: known[k])
        return kind, known[kind]  # pyright: ignore[reportReturnType]

    def _faster_engine(self) -> str:
        """The engine in which all models together are fastest."""
        possible = set(readers(Path("model.onnx")))
        for choice in self._chosen:
            possible &= {engine for kind, engine in choice.speeds if kind != _FULL}
        if self._config.engine != "measured":
            if self._config.engine not in possible:
                raise ModelError(
                    f"{self._config.engine} does not read the models in int8",
                    hint="engine: measured",
                )
            return self._config.engine
        if not possible:
            raise ModelError("no engine here reads the models in int8", hint="pip install openvino onnxruntime")

        def total(engine: str) -> float:
            return sum(min(self._best(c, engine)[1], c.speeds.get((_FULL, engine), math.inf)) for c in self._chosen)

        return min(sorted(possible), key=total)

    def _usual(self) -> str:
        """The engine that the bundle prefers until now."""
        return self._bundle.manifest.runtime or "openvino"

    def _gains(self, choice: _Choice) -> bool:
        assert self._engine is not None
        choice.operators, ms = self._best(choice, self._engine)
        full = choice.speeds.get((_FULL, self._engine), choice.speeds.get((_FULL, self._usual()), ms))
        if full / ms >= self._config.least_gain:
            return True
        self._left[choice.part.file] = f"int8 is {full / ms:.2f} times as fast"
        return False

    def settle(self) -> Found:
        """Keep layers until little enough is lost.

        Raises:
            ModelError: too much is lost whatever is kept.
        """
        try:
            return self._settled()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _settled(self) -> Found:
        errors = self._errors()
        order = sorted(errors, key=lambda name: -errors[name])
        names = [name for name in order if errors[name] > self._config.max_error]
        if errors and len(names) == len(errors):
            least, limit = errors[order[-1]], self._config.max_error
            raise self._too_much(f"each layer alone changes answers by {least:.3g} or more", limit, "max_error")
        drop, verdict, changed = self._judge(names)
        if drop > self._config.max_drop:
            if not errors:
                why = f"layers of models that are not ONNX cannot be kept; {drop:.3g} is lost"
                raise self._too_much(why, self._config.max_drop, "max_drop")
            names, (drop, verdict, changed) = self._fewest(order)
        kept = {name: errors[name] for name in names}
        layers = sum(len(c.quantiser.layers) if c.quantiser else 0 for c in self._chosen) - len(kept)
        operators = ", ".join(f"{c.part.file} {c.operators}" for c in self._chosen)
        return Found(changed, verdict, drop, kept, self._left, operators, layers, self._speed_up())

    def _fewest(self, order: list[str]) -> tuple[list[str], tuple[float, Verdict | None, Changed]]:
        """The fewest layers, from the worst on, that must be kept; that more of them is better holds well enough."""
        limit, failing, number, least = self._config.max_drop, 0, 1, math.inf
        best: tuple[int, tuple[float, Verdict | None, Changed]] | None = None
        while best is None and failing < len(order) - 1:
            tried = self._judge(order[:number])
            least = min(least, tried[0])
            if tried[0] <= limit:
                best = number, tried
            else:
                failing, number = number, min(2 * number, len(order) - 1)
        if best is None:
            raise self._too_much(f"whatever is kept, {least:.3g} is lost", limit, "max_drop")
        while best[0] - failing > 1 and not self._over():
            number = (best[0] + failing) // 2
            tried = self._judge(order[:number])
            if tried[0] <= limit:
                best = number, tried
            else:
                failing = number
        return order[: best[0]], best[1]

    def _judge(self, keep: Collection[str]) -> tuple[float, Verdict | None, Changed]:
        """What is lost when layers, named with their file, are kept."""
        files: dict[str, Made] = {}
        for choice in self._chosen:
            mark = choice.part.file + ":"
            own = [name.removeprefix(mark) for name in keep if name.startswith(mark)]
            files[choice.part.file] = self._form(choice, choice.operators, own)
        changed = Changed(files, self._engine)
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "draft"
        draft = draft_of(self._bundle, changed, folder)
        try:
            if self._judged is None or self._before is None or not self._before.metrics:
                return self._apart(draft), None, changed
            verdict = self._judged.verdict(draft)
            return self._before.drop(verdict), verdict, changed
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)

    def _apart(self, draft: Bundle) -> float:
        golden = self._bundle.manifest.golden
        known = read_golden(self._bundle.path(golden.file)) if golden is not None else noise(draft.manifest)
        inputs = {k: v for k, v in known.items() if k.startswith("in.")}
        return difference(play(self._bundle, inputs), play(draft, inputs))

    def _too_much(self, why: str, limit: float, setting: str) -> ModelError:
        steps = self._bundle.manifest.provenance.steps
        learned = any(step.name == "qat" for step in steps)
        return ModelError(
            f"{self._bundle.manifest.name}: int8: {why}, allowed are {limit:g}",
            hint=f"a larger {setting}" if learned else f"quantisation-aware training (qat), or a larger {setting}",
        )

    def _errors(self) -> dict[str, float]:
        made: dict[str, float] = {}
        for choice in self._chosen:
            if choice.quantiser is not None:
                found = choice.quantiser.errors(choice.part.outputs, choice.quantiser.layers)
                made |= {f"{choice.part.file}:{name}": error for name, error in found.items()}
        return made

    def _over(self) -> bool:
        return self._work.deadline is not None and time.monotonic() > self._work.deadline

    def _speed_up(self) -> float:
        """Of the models that are changed, against the engine that was preferred."""
        assert self._engine is not None
        before = sum(c.speeds.get((_FULL, self._usual()), math.inf) for c in self._chosen)
        after = sum(c.speeds[c.operators, self._engine] for c in self._chosen)
        return before / after if math.isfinite(before) else 0.0
