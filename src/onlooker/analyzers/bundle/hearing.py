"""The heavy part for sound: windows of it, and the network that hears them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._sound_stream import BLOCK, RecentSound
from onlooker.bundles.inputs import SoundInput
from onlooker.bundles.manifest import Network
from onlooker.bundles.preprocess import sound_tensor
from onlooker.bundles.running import NetworkRun
from onlooker.core.media import AudioBlock, ReadItem, ReadRequest
from onlooker.core.time import Timestamp

__all__ = ["Ear", "SideSound"]

Reader = Callable[[ReadRequest], Iterator[ReadItem]]
Heard = tuple[int, dict[str, NDArray[Any]], NDArray[np.float32]]


class Ear:
    """A network of sound with its memory, fed block by block.

    Args:
        network: what it is.
        run: it, loaded.
        read: opens another reader on the source, or None.
    """

    def __init__(self, network: Network, run: NetworkRun, read: Reader | None) -> None:
        assert not isinstance(network.input, type(None))
        self._network, self._run = network, run
        self._facts: SoundInput = network.input  # pyright: ignore[reportAttributeAccessIssue]
        self._sound = RecentSound(read, self._facts.sample_rate)
        self._heard = False
        self._next = 0
        self._state = run.initial()

    def hear(self, block: AudioBlock, *, last: bool = False) -> list[Heard]:
        """The answers to the windows that the block completes, with their number counted from the block's start, and
        the samples of each. ``last``: the sound ends with it; one that is shorter than a window is heard amid silence.
        """
        facts = self._facts
        begin = round(block.time.value * facts.sample_rate)
        if not (self._heard and self._sound.follows(block)):
            first = max(0, (begin - facts.length) // facts.hop + 1)
            self._next = self._begin(first)
            self._state = self._run.initial()
            self._sound.restart(self._next * facts.hop, begin)
            while self._next < first:
                self._answer()
        self._heard = True
        self._sound.add(block.samples[:, 0])
        made: list[Heard] = []
        while self._next * facts.hop + facts.length <= self._sound.end:
            place = self._next - begin // facts.hop
            made.append((place, *self._answer()))
        if last and self._next == 0:
            made.append((-(begin // facts.hop), *self._answer()))
        self._sound.drop(self._next * facts.hop)
        return made

    def _begin(self, first: int) -> int:
        """The window at which to begin so that the state is that of an undivided run at window ``first``."""
        state = self._network.state
        if state is None:
            return first
        back = first - (state.steps or 0)
        if every := self._every():
            back = first // every * every
        return max(0, back)

    def _every(self) -> int:
        state = self._network.state
        if state is None or state.reset_seconds is None:
            return 0
        return max(1, round(state.reset_seconds * self._facts.sample_rate / self._facts.hop))

    def _answer(self) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32]]:
        facts = self._facts
        if (every := self._every()) and self._next % every == 0:
            self._state = self._run.initial()
        start = self._next * facts.hop
        samples = self._sound.samples(start, min(start + facts.length, self._sound.end))
        if missing := facts.length - len(samples):
            samples = np.pad(samples, (missing // 2, missing - missing // 2))
        outputs, self._state = self._run.step(sound_tensor(samples, facts), self._state)
        self._next += 1
        return outputs, samples

    def close(self) -> None:
        """Release the network."""
        self._run.close()


class SideSound:
    """The sound beside a picture, read by a reader of its own, for networks that see and hear.

    Args:
        network: what hears.
        run: it, loaded.
        read: opens a reader on the source.
    """

    def __init__(self, network: Network, run: NetworkRun, read: Reader) -> None:
        self._run, self._read = run, read
        self._facts: SoundInput = network.input  # pyright: ignore[reportAttributeAccessIssue]
        self._blocks: Iterator[ReadItem] | None = None
        self._recent = RecentSound(None, self._facts.sample_rate)
        self._first = 0

    def at(self, middle: Fraction) -> dict[str, NDArray[Any]] | None:
        """The network's answer to the window around a moment, or None where there is no sound."""
        facts = self._facts
        start = round(middle * facts.sample_rate) - facts.length // 2
        end = start + facts.length
        if self._blocks is None or start < self._first or start > self._recent.end + 10 * facts.sample_rate:
            self._open(max(0, start))
        while self._blocks is not None and self._recent.end < end:
            block = next(self._blocks, None)
            if block is None:
                break
            if isinstance(block, AudioBlock):
                self._take(block)
        heard = min(end, self._recent.end) - max(start, self._first)
        if heard <= 0:
            return None
        samples = self._recent.samples(start, min(end, self._recent.end))
        missing = facts.length - len(samples)
        whole = np.concatenate([samples, np.zeros(missing, np.float32)]) if missing else samples
        return self._run.step(sound_tensor(whole, facts), {})[0]

    def _open(self, start: int) -> None:
        rate = self._facts.sample_rate
        self._first = start // rate * rate
        begin = Timestamp(self._first, Fraction(1, rate))
        request = ReadRequest(frames="none", audio_rate=rate, audio_block=BLOCK, start=begin)
        self._recent = RecentSound(None, rate)
        self._recent.restart(self._first, self._first)
        self._blocks = iter(self._read(request))

    def _take(self, block: AudioBlock) -> None:
        missing = round(block.time.value * self._facts.sample_rate) - self._recent.end
        if missing > 0:
            self._recent.add(np.zeros(missing, np.float32))
        self._recent.add(block.samples[:, 0])

    def close(self) -> None:
        """Release the network."""
        self._blocks = None
        self._run.close()
