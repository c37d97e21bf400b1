"""The heavy part for pictures: which pictures make a clip, and the network that looks at them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import ClipInput, FrameInput
from onlooker.bundles.manifest import Network
from onlooker.bundles.preprocess import Pictured, Placed, clip_tensor, one_picture, picture_tensor
from onlooker.bundles.running import NetworkRun
from onlooker.core.time import Timestamp

__all__ = ["Clips", "Eye", "Offer", "look_back", "reset_ticks"]

Seen = tuple[dict[str, NDArray[Any]], Placed]


class Offer(NamedTuple):
    """A look that can be made: ``place`` is the tick at which it ends, from the picture's own; ``look`` makes it and
    gives the network's outputs and where the picture lies in the input. Of a network with a state, each must be made.
    """

    place: int
    look: Callable[[], Seen]


def _ticks_a_second(facts: ClipInput) -> Fraction:
    return Fraction(round(facts.rate * 1000), 1000)


def reset_ticks(network: Network, stride: int, second: Fraction) -> int:
    """After how many ticks a state begins anew; 0: it does not."""
    if network.state is None or network.state.reset_seconds is None:
        return 0
    return max(1, round(float(network.state.reset_seconds * second) / stride)) * stride


def look_back(network: Network) -> Fraction:
    """Seconds of pictures before a moment on which an answer may rest."""
    facts = network.input
    if not isinstance(facts, ClipInput):
        return Fraction(0)
    ticks = facts.frames + facts.stride + 1
    if network.state is not None:
        ticks += (network.state.steps or 0) * facts.stride + reset_ticks(network, facts.stride, _ticks_a_second(facts))
    return ticks / _ticks_a_second(facts) + Fraction(round(facts.hold_seconds * 1000), 1000)


class Clips:
    """Gives at each ``stride``-th tick, from the first whole clip on, the pictures shown at the last ``frames`` ticks.

    What it gives depends on the pictures within `look_back` alone. A file's last picture completes a clip too; of a
    file that is shorter than a clip its pictures are spread over one, as `onlooker evaluate` does.

    Args:
        facts: of the clips.
        every: whether a picture after several ticks completes a clip for each of them, or for the last one alone.
    """

    def __init__(self, facts: ClipInput, *, every: bool) -> None:
        self._facts, self._every = facts, every
        self._second = _ticks_a_second(facts)
        self._hold = Fraction(round(facts.hold_seconds * 1000), 1000)
        self._kept: deque[tuple[int, Any]] = deque()
        self._last: Timestamp | None = None

    def push(self, time: Timestamp, picture: Any, *, last: bool = False) -> tuple[bool, list[tuple[int, list[Any]]]]:
        """Take the next picture.

        Args:
            time: when it is shown.
            picture: anything.
            last: whether it is the file's last one.

        Returns:
            Whether there was a gap before it, and the clips that it completes with the tick that each ends at.
        """
        facts, now = self._facts, time.tick(self._second)
        gap = self._last is not None and time - self._last > self._hold
        if gap:
            self._kept.clear()
        before = self._kept[-1][0] if self._kept else now - 1
        self._last = time
        if self._kept and now <= before:
            return gap, []
        self._kept.append((now, picture))
        first = before + 1 + (facts.frames - 2 - before) % facts.stride
        ends = list(range(first, now + 1, facts.stride))
        if last and now not in ends:
            ends.append(now)
        ends = ends if self._every else ends[-1:]
        clips = [(end, clip) for end in ends if (clip := self._clip(end) or self._spread(end, last=last))]
        while len(self._kept) > 1 and self._kept[1][0] <= now - facts.frames - facts.stride:
            self._kept.popleft()
        return gap, clips

    def _clip(self, end: int) -> list[Any]:
        first = end - self._facts.frames + 1
        if self._kept[0][0] > first:
            return []
        made: list[Any] = []
        shown = iter(self._kept)
        _, current = next(shown)
        following = next(shown, None)
        for tick in range(first, end + 1):
            while following is not None and following[0] <= tick:
                current, following = following[1], next(shown, None)
            made.append(current)
        return made

    def _spread(self, end: int, *, last: bool) -> list[Any]:
        """A clip of all pictures of a file that is shorter than one."""
        ticks, pictures = zip(*self._kept, strict=True)
        if not last or end != ticks[-1] or ticks[0] > 0 or end >= self._facts.frames:
            return []
        shown = (np.arange(self._facts.frames) + 0.5) / self._facts.frames * (end + 1)
        return [pictures[n] for n in np.searchsorted(ticks, shown, side="right") - 1]


class Eye:
    """A network of pictures with its memory.

    Args:
        network: what it is.
        run: it, loaded.
    """

    def __init__(self, network: Network, run: NetworkRun) -> None:
        self._network, self._run = network, run
        facts = network.input
        self._clips = Clips(facts, every=network.state is not None) if isinstance(facts, ClipInput) else None
        stride = facts.stride if isinstance(facts, ClipInput) else 1
        second = _ticks_a_second(facts) if isinstance(facts, ClipInput) else Fraction(1)
        self._reset, self._second = reset_ticks(network, stride, second), second
        self._state = run.initial()
        self._step: int | None = None

    @property
    def early(self) -> bool:
        """Whether the last look left the network by its early exit."""
        return self._run.early

    def offers(self, picture: Pictured, time: Timestamp, *, warm: bool = False, last: bool = False) -> list[Offer]:
        """The looks that the picture completes, in order of time, none of them made; with ``warm`` only those that its
        memory needs. ``last``: it is the file's last picture.
        """
        facts = self._network.input
        if isinstance(facts, FrameInput):
            return [] if warm else [Offer(0, partial(self._once, picture, facts))]
        assert isinstance(facts, ClipInput)
        assert self._clips is not None
        shown, placed = one_picture(picture, facts)
        gap, clips = self._clips.push(time, shown, last=last and self._network.state is None)
        if gap:
            self._state = self._run.initial()
        if self._network.state is None and warm:
            return []
        now = time.tick(self._second)
        return [Offer(end - now, partial(self._at, end, clip, facts, placed)) for end, clip in clips]

    def _once(self, picture: Pictured, facts: FrameInput) -> Seen:
        shown, placed = one_picture(picture, facts)
        return self._run.step(picture_tensor(shown, facts), self._state)[0], placed

    def _at(self, end: int, clip: list[Any], facts: ClipInput, placed: Placed) -> Seen:
        return self._answer(end, clip_tensor(clip, facts)), placed

    def _answer(self, end: int, tensor: NDArray[Any]) -> dict[str, NDArray[Any]]:
        if self._reset and self._step is not None and self._step // self._reset != end // self._reset:
            self._state = self._run.initial()
        self._step = end
        outputs, self._state = self._run.step(tensor, self._state)
        return outputs

    def close(self) -> None:
        """Release the network."""
        self._run.close()
