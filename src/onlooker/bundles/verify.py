"""Proof that a bundle is whole and does here what it did where it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onlooker.bundles.folder import Bundle, load_bundle
from onlooker.bundles.golden import differences, noise, play, read_golden
from onlooker.bundles.manifest import Network
from onlooker.bundles.outputs import Detection, wanted_sizes
from onlooker.bundles.running import Arrays, Engine, NetworkRun, engines
from onlooker.core.errors import ModelError

__all__ = ["Check", "Verification", "verify_bundle"]

State = Literal["good", "bad", "skipped"]
_MOST_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried; ``detail`` says what came of it."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of all checks of a bundle."""

    digest: str
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is bad."""
        return all(c.state != "bad" for c in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        checks = [{"name": c.name, "state": c.state, "detail": c.detail} for c in self.checks]
        return {"digest": self.digest, "good": self.good, "checks": checks}


def verify_bundle(bundle: Bundle | str | Path) -> Verification:
    """Check the files, then replay the golden run in each engine here that reads the models.

    Raises:
        ModelError: the files are not those of a bundle (see `onlooker.bundles.load_bundle`).
    """
    whole = load_bundle(bundle.folder if isinstance(bundle, Bundle) else bundle)
    checks = [Check("files", "good", f"{len(whole.manifest.files) + 1} files, {whole.size} bytes")]
    names = engines(whole)
    if not names:
        checks.append(Check("engines", "bad", "no engine here reads the models; pip install openvino onnxruntime"))
    golden = whole.manifest.golden
    recorded: Arrays | None = None
    if golden is None:
        checks.append(Check("golden", "skipped", "the bundle has no golden run; only that it runs is checked"))
    else:
        try:
            recorded = read_golden(whole.path(golden.file))
        except ModelError as error:
            return Verification(whole.digest, (*checks, Check("golden", "bad", str(error))))
    checks += [_replayed(whole, name, recorded) for name in names]
    if names and all(c.state != "bad" for c in checks):
        checks += [_memory(whole, n, names[0]) for n in whole.manifest.networks if n.state and n.state.steps]
    return Verification(whole.digest, tuple(checks))


def _replayed(bundle: Bundle, engine: str, recorded: Arrays | None) -> Check:
    golden = bundle.manifest.golden
    inputs = {k: v for k, v in (recorded or noise(bundle.manifest, steps=1)).items() if k.startswith("in.")}
    try:
        found = play(bundle, inputs, engine=engine)
        _sizes(bundle, found)
    except ModelError as error:
        return Check(engine, "bad", str(error))
    if recorded is None or golden is None:
        return Check(engine, "good", "it runs, and its outputs have the stated sizes")
    expected = {k: v for k, v in recorded.items() if not k.startswith("in.")}
    if set(expected) != set(found):
        return Check(engine, "bad", f"the golden run has {sorted(expected)}, expected {sorted(found)}")
    largest, wrong = differences(expected, found, golden)
    if wrong:
        return Check(engine, "bad", "; ".join(wrong))
    steps = len(next(iter(inputs.values())))
    return Check(engine, "good", f"{steps} steps replayed, largest difference {largest:.2g}")


def _sizes(bundle: Bundle, found: Arrays) -> None:
    """Outputs must have as many numbers as their labels and steps ask for."""
    for output in bundle.manifest.outputs:
        for name, wanted in wanted_sizes(output).items():
            numbers = int(np.prod(found[f"out.{name}"].shape[1:]))
            if numbers != wanted:
                raise ModelError(f"output {output.name}: {name} has {numbers} numbers, bundle.json asks for {wanted}")
        if isinstance(output, Detection) and output.boxes.form == "grid":
            for name in output.boxes.scores:
                if (classes := found[f"out.{name}"].shape[-1]) != len(output.labels):
                    raise ModelError(f"output {output.name}: {name} scores {classes} classes, not {len(output.labels)}")


def _memory(bundle: Bundle, network: Network, engine: str) -> Check:
    """A state that reaches back ``steps`` steps is the same after them, whatever was before."""
    assert network.state is not None
    assert network.state.steps is not None
    name, steps = f"memory of {network.name}", network.state.steps
    if steps > _MOST_STEPS:
        return Check(name, "skipped", f"{steps} steps are too many to be tried")
    random, dtype = np.random.default_rng(1), getattr(network.input, "dtype", "float32")
    run = NetworkRun(Engine(bundle, name=engine), network)
    try:
        one, other = run.initial(), {k: v + 1 for k, v in run.initial().items()}
        for _ in range(steps):
            tensor = random.normal(0, 1, network.input.shape).astype(dtype)
            one, other = run.step(tensor, one)[1], run.step(tensor, other)[1]
    finally:
        run.close()
    apart = max(float(np.abs(one[k].astype(np.float64) - other[k]).max(initial=0)) for k in one)
    if apart > 0:
        return Check(name, "bad", f"its state reaches back further than {steps} steps: it still differs by {apart:.2g}")
    return Check(name, "good", f"the state forgets what was more than {steps} steps before")
