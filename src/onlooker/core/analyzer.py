"""The analyzer protocol: how a stage turns pictures, sound and other observations into observations.

An analyzer has two parts:

- the **heavy part** (``measure``, ``hear``, ``scan``) looks at one frame, audio block or packet and returns a
  small `Measurement` or None. It has no memory beyond the declared ``look_back``, so it can run on segments of
  a file in parallel and behind a slow model without holding up the rest. Its measurements are stored.
- the **light part** (``analyze``, ``flush``) gets, strictly in order of time, its own measurements and the
  observations that it asked for, and makes observations. It may have memory. It must give the same result
  however the stream is cut into windows, so it can be run again from what is stored.

The calls, one instance per source: ``open``, then any number of (``measure`` | ``hear`` | ``scan``)* and
``analyze``, then ``flush`` once, then ``close``. In a segmented run the heavy part runs in other instances
(``open`` with ``context.heavy_only``) than the light part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from onlooker.core.measurement import Keep, Measurement
from onlooker.core.media import AudioBlock, Frame, FrameSelection, Packet, ReadItem, ReadRequest, SourceInfo
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Store
from onlooker.core.time import Timestamp

__all__ = ["Analyzer", "AnalyzerConfig", "Context", "Needs", "Quality", "Window"]

Quality = Literal["fast", "balanced", "best"]
C = TypeVar("C", bound="AnalyzerConfig")


class AnalyzerConfig(BaseModel):
    """Base of all analyzer configurations. ``for_quality`` gives the defaults of a quality level; a profile's
    own settings override them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """The settings that differ from the defaults at ``quality``; none unless overridden."""
        return {}


@dataclass(frozen=True, slots=True)
class Needs:
    """What an analyzer wants to be given. The pipeline plans one decode that serves all.

    Args:
        frames: which frames ``measure`` must at least be offered. ``none``: it is never called.
        rate: frames a second that ``measure`` is called with (the first frame at or after each tick of
            1/rate), or None for every frame.
        image: sizes and formats that ``measure`` will ask ``Frame.image`` for, to show in the plan:
            (width or 0, height or 0, format). ``luma`` as format means the planes.
        packets: whether ``scan`` is called for every video packet.
        audio_rate: sample rate of the blocks for ``hear``, or None. Blocks are mono unless ``audio_channels``
            is 2.
        audio_block: length of the blocks in seconds.
        audio_channels: 1 or 2.
        measurements: names of analyzers whose measurement of the same frame ``measure`` gets in ``given``.
        observations: kinds of observation that ``analyze`` gets in its windows.
        wishes: kinds that ``analyze`` gets too where other analyzers of the run or its profile make them; without
            them it works with what there is.
        look_back: seconds of frames before a segment's start that ``warm`` must see so that ``measure``
            returns the same as in an undivided run.
        heavy: whether ``measure`` is slow (a neural network): it then runs in a thread of its own beside
            decoding.
        keep: whether the measurements stay in the library after the run (``always``), only until it is
            finished (``run``), or stay without their blobs (``values``: pictures of faces don't outlive the run).
        models: names of the catalogue models that it loads, for the plan and for ``models pull``.
        beside: ends of names of files beside a recording, each in place of the recording's own suffix; where none of
            them is there, the analyzer has nothing to look at.
    """

    frames: FrameSelection = "none"
    rate: Fraction | None = None
    image: tuple[tuple[int, int, str], ...] = ()
    packets: bool = False
    audio_rate: int | None = None
    audio_block: Fraction = Fraction(1)
    audio_channels: int = 1
    measurements: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    look_back: Fraction = Fraction(0)
    heavy: bool = False
    keep: Keep = "always"
    models: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of observation that ``analyze`` is given where they are made."""
        return (*self.observations, *self.wishes)


@dataclass(frozen=True, slots=True)
class Context:
    """What an analyzer is opened with.

    Args:
        source: the source under analysis.
        read: opens another reader on the same source for a few frames (refining a boundary), or None where
            that is impossible (live).
        heavy_only: the instance will get no ``analyze``.
        threads: how many threads a model may use.
        kinds: those of the kinds asked for that others make in this run; what a wish was granted.
        store: live, the library, to read what it remembers (`Store.records`); None in a run over a recording.
    """

    source: SourceInfo
    read: Callable[[ReadRequest], Iterator[ReadItem]] | None = None
    heavy_only: bool = False
    threads: int = 1
    kinds: frozenset[str] = frozenset()
    store: Store | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What arrived for the light part: everything since the last window.

    Args:
        measurements: this analyzer's own, in order of time; all whose time is before ``end``.
        observations: of the kinds asked for, in the order in which their analyzers made them. Those that need
            later context (a shot, a track) arrive after the moments they speak of; the order by which they
            arrive relative to measurements is not fixed, so don't let the result depend on it.
        end: the watermark: no measurement before this moment will come any more.
    """

    measurements: Sequence[Measurement]
    observations: Sequence[Observation]
    end: Timestamp


class Analyzer(ABC, Generic[C]):
    """Base class of analyzers. Class attributes are the declaration; see the module's docstring for the life cycle.

    Attributes:
        name: how profiles and ``--only`` call it.
        version: raise it when the output changes: stored results become stale.
        emits: the kinds of observation it makes.
        Config: its configuration model.
        measurement_fields: names of the configuration fields that the heavy part depends on; None means all.
            When only others change, stored measurements are used again and nothing is decoded.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    emits: ClassVar[tuple[str, ...]]
    Config: ClassVar[type[AnalyzerConfig]]
    measurement_fields: ClassVar[frozenset[str] | None] = None

    def __init__(self, config: C) -> None:
        self.config: C = config

    @abstractmethod
    def needs(self) -> Needs:
        """What it wants to be given, from its configuration alone; called before ``open`` and without models."""

    def bundle_digest(self) -> str | None:
        """Digest of the model weights in use (from the catalogue, without loading), or None."""
        return None

    def open(self, context: Context) -> None:
        """Prepare for one source; load models here."""

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """Look at one frame. ``given`` holds the other analyzers' measurements of it, by name, where there are."""
        raise NotImplementedError(f"{self.name} asked for frames but has no measure()")

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """See a frame from before the segment (see ``Needs.look_back``); by default measures and forgets."""
        self.measure(frame, given)

    def hear(self, block: AudioBlock) -> Measurement | None:
        """Listen to one block."""
        raise NotImplementedError(f"{self.name} asked for audio but has no hear()")

    def scan(self, packet: Packet) -> Measurement | None:
        """Look at one packet."""
        raise NotImplementedError(f"{self.name} asked for packets but has no scan()")

    @abstractmethod
    def analyze(self, window: Window) -> Iterable[Observation]:
        """Make observations of what arrived; hold back what needs later context."""

    def flush(self) -> Iterable[Observation]:
        """The source has ended: make the observations held back."""
        return ()

    @property
    def counted(self) -> Mapping[str, int]:
        """What the light part counted since ``open``, by name, for the report of the run; nothing unless overridden."""
        return {}

    def held(self, kind: str) -> Timestamp | None:
        """Where the earliest observation of ``kind`` may begin that it still holds back; None: it holds back none.

        Asked for after each window of a live source, so that rules wait for what is to come. What begins earlier than
        was said comes late: rules see it when it comes.
        """
        return None

    def close(self) -> None:
        """Release models and buffers."""

    @property
    def relates(self) -> bool:
        """Whether it defines `relate`."""
        return type(self).relate is not cast(Any, Analyzer).relate

    @property
    def live(self) -> bool:
        """Whether it can work on what is seen once, as it comes; not what relates whole sources, unless it says so."""
        return not self.relates

    def relate(self, store: Store, source: SourceInfo, producer: Producer) -> Iterable[Observation]:
        """Observations about ``source`` that rest on what the store holds of other sources.

        Called once after the source was analysed to its end and all of it is stored, on an instance that may not
        have been opened.
        """
        return ()
