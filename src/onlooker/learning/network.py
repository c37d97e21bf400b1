"""What a network is: it turns one input (pictures, sound, text, a series) into features of steps in time.

A network is one module in ``onlooker.learning.networks`` with its ``Config`` and ``PART``, the class. All are tried by
one contract suite, ``tests/learning/test_networks.py``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from onlooker.core.errors import UsageError

__all__ = ["Features", "Network", "NetworkConfig", "State", "Takes"]

Takes: TypeAlias = Literal["pictures", "log_mel", "waveform", "text", "series"]
State: TypeAlias = dict[str, Tensor]
"""What a streaming network remembers, by name; float32, the batch first."""


class NetworkConfig(BaseModel):
    """Base of a network's settings; ``network`` is a literal with the module's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    network: str

    def shallower(self) -> dict[str, Any] | None:
        """What has to be set otherwise for a network of the same kind with fewer layers; None: there is none.

        It takes the same input and gives steps of the same count. Small networks cost what calling their layers costs:
        with fewer of them they become faster than with narrower ones.
        """
        return None

    def words(self) -> int | None:
        """How many numbers of words a network that takes a text looks at; None: it takes a vector of the text."""
        return None


class Features(NamedTuple):
    """What a network gives.

    Args:
        steps: (B, T, D): T steps evenly over the input's time (1 for single pictures).
        maps: (B, C, H, W): of the last frame, for heads that look for places; None where there are none.
    """

    steps: Tensor
    maps: Tensor | None = None


class Network(nn.Module):
    """Turns one input into features of steps.

    Class attributes:
        Config: its settings.
        takes: what its input is: ``pictures`` (B, T, C, H, W); ``log_mel`` (B, 1, F, M) with F windows of M bands;
            ``waveform`` (B, S); ``text`` (B, L, E) vectors of L words or sentences, or (B, 1, L) numbers of words;
            ``series`` (B, T, N).
        streams: whether it has the streaming form, `initial_state` and `stream`; of some it depends on their settings.

    Attributes:
        size: D, numbers of a step.
        steps: T, how many steps it makes of the whole input.
        map_size: C of ``maps``, or None.
        map_stride: pixels of the input for one cell of ``maps``.
        chunk: of a streaming network: frames that one step is made of; windows are multiples of it.
        memory: of a streaming network: steps after which its state does not depend on what was before; None: it may
            reach back for ever.
    """

    Config: ClassVar[type[NetworkConfig]]
    takes: ClassVar[Takes]
    streams: bool = False
    size: int
    steps: int
    map_size: int | None = None
    map_stride: int = 1
    chunk: int = 1
    memory: int | None = None

    @abstractmethod
    def __init__(self, config: NetworkConfig, shape: tuple[int, ...]) -> None:
        """Make it with random weights.

        Args:
            config: its settings.
            shape: of one sample of the input, without the batch.

        Raises:
            UsageError: the settings do not fit the shape.
        """
        super().__init__()

    @abstractmethod
    def forward(self, x: Tensor) -> Features:
        """Features of a whole input."""

    def follow_widths(self) -> None:
        """Set ``size``, ``map_size`` and what else hangs on widths by the weights.

        They may be narrower than the settings say (see `onlooker.learning.compress.narrow`). Parts of networks that
        keep widths of their own have such a method too; those of the parts are called first.
        """

    def prepare(self, x: Tensor) -> None:
        """Set what depends on the data from the first batch, before training; most networks have nothing such."""

    @property
    def cuts(self) -> int:
        """Between how many pairs of its stages it can be cut in two, so that an answer may be given early; 0: none."""
        return 0

    def trunk(self, x: Tensor, cut: int) -> Tensor:
        """Maps (B, C, ...) of a whole input after the first ``cut`` stages, 1 to ``cuts``."""
        raise UsageError(f"{type(self).__name__} cannot be cut between stages")

    def rest(self, maps: Tensor, cut: int) -> Features:
        """Features from what ``trunk`` gave at that cut: together they are ``forward``."""
        raise UsageError(f"{type(self).__name__} cannot be cut between stages")

    def initial_state(self, batch: int = 1) -> State:
        """The state at the beginning; ``stream`` from it gives what ``forward`` gives."""
        raise UsageError(f"{type(self).__name__} has no streaming form")

    def stream(self, x: Tensor, state: State) -> tuple[Features, State]:
        """Features of the next window (a multiple of ``chunk`` frames) and the state after it.

        The steps of all windows in order are those of the whole input, to 1e-4.
        """
        raise UsageError(f"{type(self).__name__} has no streaming form")
