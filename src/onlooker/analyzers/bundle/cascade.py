"""A small bundle that looks first, so that the large one looks only where the small one is not sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.bundle.boxes import boxes_of
from onlooker.analyzers.bundle.certainty import certainty, check_certain, joined, scored_rows
from onlooker.analyzers.bundle.looks import Key
from onlooker.analyzers.bundle.seeing import Eye, Offer
from onlooker.bundles import Bundle
from onlooker.bundles.added import added_bundle
from onlooker.bundles.inputs import ClipInput, FrameInput
from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Detection, Ordinal, Output, Scored
from onlooker.bundles.preprocess import Pictured
from onlooker.bundles.running import Engine, NetworkRun, engines
from onlooker.core.errors import ConfigError, ModelError, UsageError
from onlooker.core.time import Timestamp

__all__ = ["First", "enough", "first_bundle"]

Floats = NDArray[np.float32]
_SHORT = 16
_LEAST, _MOST, _UNKNOWN, _BOXES = 0.8, 0.99, 0.9, 0.6
_TEST = "test"
_CLIP = ("rate", "frames", "stride", "hold_seconds")


def first_bundle(name: str, first: str, own: Bundle) -> tuple[str, Bundle]:
    """The small bundle and its name with its version.

    Args:
        name: of the analyzer.
        first: the setting: ``NAME`` for the version in use, or ``NAME@VERSION``.
        own: the large bundle.

    Raises:
        ConfigError: there is none of that name, or it does not answer what the large one does.
    """
    called, _, version = first.partition("@")
    try:
        bundle = added_bundle(called, version or None)
    except (ModelError, UsageError) as error:
        raise ConfigError(f"{name}: first: {error.message}", hint=error.hint) from None
    if bundle.digest == own.digest:
        raise ConfigError(f"{name}: first: {called} is that very bundle", hint="name a smaller one")
    for manifest in (own.manifest, bundle.manifest):
        check_certain(name, "first", manifest, boxes=True)
    _check_inputs(name, called, own.manifest, bundle.manifest)
    _pairs(name, called, own.manifest, bundle.manifest)
    return f"{called}@{bundle.digest[:_SHORT]}", bundle


def _check_inputs(name: str, called: str, own: Manifest, small: Manifest) -> None:
    here, there = own.networks[0], small.networks[0]
    if any(n.state is not None for n in (here, there)):
        raise ConfigError(f"{name}: first: a network with a state must see every look", hint="export it without one")
    kinds = {type(here.input), type(there.input)}
    if kinds not in ({FrameInput}, {ClipInput}):
        raise ConfigError(
            f"{name}: first: {called} is fed with {there.input.kind}, this bundle with {here.input.kind}",
            hint="both must look at single pictures, or both at clips",
        )
    if not isinstance(here.input, ClipInput):
        return
    for fact in _CLIP:
        if getattr(here.input, fact) != getattr(there.input, fact):
            was, wanted = getattr(there.input, fact), getattr(here.input, fact)
            raise ConfigError(f"{name}: first: clips of {called} have {fact} {was}, of this bundle {wanted}")
    if here.speaks != there.speaks:
        raise ConfigError(
            f"{name}: first: {called} speaks of a clip's {there.speaks}, this bundle of its {here.speaks}"
        )


def _pairs(name: str, called: str, own: Manifest, small: Manifest) -> list[tuple[Output, Output, list[int]]]:
    """Of each output of the large bundle, the small one's, and where each label stands there."""
    by_name = {o.name: o for o in small.outputs}
    alone = len(own.outputs) == len(small.outputs) == 1
    made: list[tuple[Output, Output, list[int]]] = []
    for output in own.outputs:
        other = small.outputs[0] if alone else by_name.get(output.name)
        if other is None or other.task != output.task:
            what = "no output of that name" if other is None else other.task
            raise ConfigError(f"{name}: first: {called} has {what} for {output.name} ({output.task})")
        labels, others = getattr(output, "labels", ()), getattr(other, "labels", ())
        if set(labels) != set(others):
            odd = sorted(set(labels) ^ set(others))[0]
            raise ConfigError(
                f"{name}: first: {called} and this bundle do not tell the same labels ({odd!r} is in one alone)",
                hint="both must have the same labels; their order is free",
            )
        if getattr(output, "steps", 1) != getattr(other, "steps", 1):
            raise ConfigError(f"{name}: first: {output.name}: {called} tells another number of steps")
        if isinstance(output, Ordinal) and labels != others:
            raise ConfigError(f"{name}: first: {output.name}: the levels of {called} stand in another order")
        made.append((output, other, [others.index(label) for label in labels]))
    return made


def enough(manifest: Manifest) -> float:
    """The confidence from which the small bundle's answer stands, where none is set.

    The large bundle's own accuracy on its validation part, within 0.8 and 0.99: a calibrated answer that is that
    probable is as good as what the large one would say on the average. 0.9 where none is known, 0.6 of boxes. What was
    measured on a test part is left out, so that what is set by it can be judged there.
    """
    if any(isinstance(o, Detection) for o in manifest.outputs):
        return _BOXES
    known = [m.value for m in manifest.metrics if m.name == "accuracy" and not m.split.startswith(_TEST)]
    if not known:
        return _UNKNOWN
    return min(_MOST, max(_LEAST, *known))


class First:
    """The small bundle, loaded; its answers are given as the large one would.

    Args:
        name: of the analyzer.
        pinned: what `first_bundle` gave.
        own: facts of the large bundle.
        runtime: the engine, where it reads the small bundle; None: as that says.
        threads: how many the network may use.
        sure: confidence from which its answer stands; None: see `enough`.
    """

    def __init__(
        self, name: str, pinned: str, own: Manifest, *, runtime: str | None, threads: int, sure: float | None
    ) -> None:
        called, _, version = pinned.partition("@")
        bundle = added_bundle(called, version, check=True)
        self._network = bundle.manifest.networks[0]
        self._own = own.networks[0].name
        self._pairs = _pairs(name, called, own, bundle.manifest)
        self.sure = enough(own) if sure is None else sure
        engine = Engine(bundle, name=runtime if runtime in engines(bundle) else None, threads=threads)
        self._eye = Eye(self._network, NetworkRun(engine, self._network))

    def offers(self, picture: Pictured, time: Timestamp, *, warm: bool = False, last: bool = False) -> list[Offer]:
        """See `Eye.offers`."""
        return self._eye.offers(picture, time, warm=warm, last=last)

    def answer(self, offer: Offer) -> tuple[dict[Key, Floats | None], float]:
        """Its look in the large bundle's arrays, and the least confidence of all outputs."""
        facts = self._network.input
        assert isinstance(facts, FrameInput | ClipInput)
        outputs, placed = offer.look()
        made: dict[Key, Floats | None] = {}
        least = 1.0
        for own, other, places in self._pairs:
            if isinstance(own, Detection) and isinstance(other, Detection):
                rows = boxes_of(outputs, other, facts, placed)
                rows[:, 5] = np.array([places.index(int(n)) for n in rows[:, 5]], np.float32)
                rows = rows[rows[:, 4] >= own.keep_score]
                made["", own.name] = rows
                least = min(least, certainty(own, rows)[1])
            elif isinstance(own, Scored) and isinstance(other, Scored):
                values = _translated(outputs, other, own, places)
                made[self._own, own.tensor] = values
                least = min(least, certainty(own, values)[1])
        return made, least

    def close(self) -> None:
        """Release the network."""
        self._eye.close()


def _translated(outputs: Mapping[str, NDArray[Any]], other: Scored, own: Scored, places: list[int]) -> Floats:
    """The numbers by which ``own`` has the probabilities that ``other`` tells."""
    rows = scored_rows(other, joined(outputs, other).astype(np.float32))
    return np.concatenate([_numbers(own, row[places]) for row in rows]).astype(np.float32)


def _numbers(output: Scored, chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """What gives those probabilities; see `onlooker.bundles.scores.probabilities`."""
    if output.activation == "none":
        return chances
    if output.activation == "softmax":
        return np.log(np.clip(chances, 1e-12, 1)) * output.temperature
    if output.activation == "cumulative":
        chances = 1 - np.cumsum(chances)[:-1]
    chances = np.clip(chances, 1e-9, 1 - 1e-9)
    return np.log(chances / (1 - chances)) * output.temperature
