"""Looks less, or looks better: which pictures are looked at, which part of them, and by which network."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._gate import ChangeGate
from onlooker.analyzers.bundle.boxes import boxes_of
from onlooker.analyzers.bundle.cascade import First
from onlooker.analyzers.bundle.certainty import certainty, check_certain, joined
from onlooker.analyzers.bundle.config import BundleConfig
from onlooker.analyzers.bundle.looks import HOW, STATISTICS, How, Key, flat
from onlooker.analyzers.bundle.region import WHOLE, Area, MotionPart, Part, to_whole
from onlooker.analyzers.bundle.seeing import Eye, Offer
from onlooker.bundles.drift import picture_statistics
from onlooker.bundles.inputs import ClipInput, FrameInput
from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Anomaly, Detection, Scored
from onlooker.bundles.preprocess import Pictured, picture_size
from onlooker.core.errors import ConfigError
from onlooker.core.media import Frame

__all__ = ["Looker", "check_adaptive", "stretch_seconds"]

Arrays = dict[Key, NDArray[np.float32] | None]


def check_adaptive(name: str, manifest: Manifest, config: BundleConfig) -> None:
    """Refuse what would be wrong of this bundle.

    Args:
        name: of the analyzer.
        manifest: of the bundle.
        config: its settings.

    Raises:
        ConfigError: says which setting, and why.
    """
    if not config.adaptive:
        return
    named = next(n for n in ("still", "sure", "first", "region") if getattr(config, n) is not None)
    if manifest.pictures is None:
        raise ConfigError(f"{name}: {named}: the bundle looks at no pictures")
    state = any(n.state is not None for n in manifest.networks)
    if state and (config.still is not None or config.sure is not None):
        raise ConfigError(
            f"{name}: {named}: its network has a state, which must see every look",
            hint="use the bundle without a streaming form (export: {streaming: false} in the recipe)",
        )
    if config.sure is not None:
        check_certain(name, "sure", manifest, boxes=False)
    if config.region == "motion":
        detects = any(isinstance(o, Detection) for o in manifest.outputs)
        if not detects or len(manifest.outputs) > 1 or not isinstance(manifest.pictures, FrameInput):
            raise ConfigError(
                f"{name}: region: motion: only boxes of single pictures can be joined to those of the rest",
                hint="give a fixed region: [left, top, right, bottom]",
            )


def stretch_seconds(config: BundleConfig) -> Fraction:
    """Seconds after which everything is looked at anew; 0 where looks do not depend on earlier ones."""
    return Fraction(round(config.stretch_seconds * 1000), 1000) if config.remembers else Fraction(0)


class _Sure:
    """Whether answers have been the same, and certain, for long enough."""

    def __init__(self, manifest: Manifest, config: BundleConfig) -> None:
        self._network = manifest.networks[0].name
        self._outputs = [o for o in manifest.outputs if isinstance(o, Scored)]
        self._least, self._after, self._every = config.sure or 0.0, config.sure_after, config.sure_every
        self.restart()

    def restart(self) -> None:
        self._agree, self._at = 0, 0
        self._answer: Hashable = None

    def skips(self, step: int) -> bool:
        return self._agree >= self._after and step - self._at < self._every

    def looked(self, step: int, arrays: Mapping[Key, NDArray[np.float32] | None]) -> None:
        given = {k[1]: a for k, a in arrays.items() if k[0] == self._network and a is not None}
        found = [certainty(o, joined(given, o)) for o in self._outputs]
        answer, least = tuple(a for a, _ in found), min(sure for _, sure in found)
        same = self._agree > 0 and answer == self._answer
        self._agree = 0 if least < self._least else self._agree + 1 if same else 1
        self._answer, self._at = answer, step


class Looker:
    """The heavy part for pictures, as the settings ask for it.

    What it remembers it forgets at each multiple of ``stretch_seconds``, where it looks in any case, so that its
    answers depend on the pictures of the stretch alone, beside those that a clip is made of.

    Args:
        manifest: of the bundle.
        config: its settings; see `check_adaptive`.
        eye: its network of pictures.
        first: the small bundle of a cascade.
        tick: seconds from one picture to the next.
    """

    def __init__(self, manifest: Manifest, config: BundleConfig, eye: Eye, first: First | None, tick: Fraction) -> None:
        network = next(n for n in manifest.networks if isinstance(n.input, FrameInput | ClipInput))
        assert isinstance(network.input, FrameInput | ClipInput)
        self._manifest, self._config, self._network, self._facts = manifest, config, network, network.input
        self._eye, self._first, self._rate = eye, first, 1 / tick
        self._detection = next((o for o in manifest.outputs if isinstance(o, Detection)), None)
        self._area = Area(*config.region) if isinstance(config.region, tuple) else WHOLE
        self._seconds = stretch_seconds(config)
        self._gate = ChangeGate(float(self._seconds), config.still) if config.still is not None else None
        self._sure = _Sure(manifest, config) if config.sure is not None else None
        self._motion: MotionPart | None = None
        if config.region == "motion" and self._detection is not None:
            self._motion = MotionPart(self._facts, config.region_least, self._detection.overlap)
        self._stretch: int | None = None
        self._restart()

    def _restart(self) -> None:
        self._last: Arrays | None = None
        self._looked, self._changed = 0, 0
        for part in (self._sure, self._motion):
            if part is not None:
                part.restart()

    def warm(self, frame: Frame) -> None:
        """Only remember."""
        if self._config.remembers:
            self.see(frame)
            return
        picture = self._picture(frame, self._area)
        for offer in self._eye.offers(picture, frame.time, warm=True):
            offer.look()
        if self._first is not None:
            self._first.offers(picture, frame.time, warm=True)

    def see(self, frame: Frame, *, last: bool = False) -> list[tuple[int, Arrays]]:
        """Of each look that the picture completes, the tick at which it ends from the picture's own, and its arrays.

        Args:
            frame: the picture.
            last: whether it is the file's last one.
        """
        if self._config.remembers and (stretch := int(frame.time.value / self._seconds)) != self._stretch:
            self._stretch = stretch
            self._restart()
        now = frame.time.tick(self._rate)
        fixed = self._picture(frame, self._area)
        if self._gate is not None and self._gate.changed(fixed):
            self._changed = now
        area = self._motion.area(frame) if self._motion is not None else self._area
        picture = fixed if self._motion is None else self._picture(frame, area)
        first = self._first.offers(picture, frame.time, last=last) if self._first is not None else []
        small = {o.place: o for o in first}
        made: list[tuple[int, Arrays]] = []
        for offer in self._eye.offers(picture, frame.time, last=last):
            if self._skips(now + offer.place):
                assert self._last is not None
                made.append((offer.place, {**self._last, HOW: How.REPEATED.array}))
                continue
            arrays = self._look(frame, picture, area, offer, small.get(offer.place))
            self._remember(now + offer.place, arrays)
            made.append((offer.place, dict(arrays)))
        return made

    @staticmethod
    def _picture(frame: Frame, area: Area) -> Frame | Part:
        return frame if area == WHOLE else Part(frame, area)

    def _step(self, end: int) -> int:
        return end // self._facts.stride if isinstance(self._facts, ClipInput) else end

    def _skips(self, end: int) -> bool:
        if self._last is None:
            return False
        if self._gate is not None and self._changed <= self._looked:
            return True
        return self._sure is not None and self._sure.skips(self._step(end))

    def _remember(self, end: int, arrays: Arrays) -> None:
        if not self._config.remembers:
            return
        # of a clip, its first picture: what moved within it is no standstill
        self._last, self._looked = arrays, end - getattr(self._facts, "frames", 1) + 1
        if self._sure is not None:
            self._sure.looked(self._step(end), arrays)

    def _look(self, frame: Frame, picture: Pictured, area: Area, offer: Offer, small: Offer | None) -> Arrays:
        how = How.PART if area != WHOLE else How.REPEATED
        arrays: Arrays = {}
        sure = -1.0
        if small is not None and self._first is not None:
            arrays, sure = self._first.answer(small)
            how |= How.FIRST
        if self._first is None or sure < self._first.sure:
            outputs, placed = offer.look()
            how |= How.OWN | (How.EARLY if self._eye.early else How.REPEATED)
            arrays = flat(self._network.name, outputs)
            if self._detection is not None:
                arrays["", self._detection.name] = boxes_of(outputs, self._detection, self._facts, placed)
        self._place(frame, arrays, area)
        if self._manifest.reference is not None:
            wide, high = picture_size(picture.width, picture.height, self._facts)
            shown = picture.image(wide, high, "gray" if self._facts.colour == "gray" else "rgb24")
            arrays[STATISTICS] = picture_statistics(shown)
        return {**arrays, HOW: how.array}

    def _place(self, frame: Frame, arrays: Arrays, area: Area) -> None:
        """Boxes in fractions of the part become those of the whole picture."""
        if self._detection is not None:
            rows: Any = arrays["", self._detection.name]
            rows = to_whole(rows, area) if area != WHOLE else rows
            arrays["", self._detection.name] = rows if self._motion is None else self._motion.merged(frame, rows, area)
        for output in self._manifest.outputs if area != WHOLE else ():
            if isinstance(output, Anomaly) and output.region is not None:
                box = arrays.get((self._network.name, output.region))
                if box is not None:
                    arrays[self._network.name, output.region] = to_whole(np.clip(box, 0, 1)[None], area)[0]

    def close(self) -> None:
        """Release the networks."""
        self._eye.close()
        if self._first is not None:
            self._first.close()
