"""What a search for a bundle that keeps a contract is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.devices import Device
from onlooker.learning.compress.plan import RATIOS
from onlooker.learning.compress.students import Student

__all__ = ["Request"]

_EPOCHS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Args:
        bundle: a folder, zip, name of an added bundle, or the folder of a run.
        dataset: its folder.
        contract: what has to be kept.
        out: the folder of the search.
        budget: seconds of trying, or None; confirming comes on top.
        steps: names of the steps that may be used; none: all.
        teachers: folders of further runs that teach beside the original.
        engine: the only engine that counts; None: for each bundle the fastest here.
        epochs: of learning after a network was changed: pruned, factored, given an exit; None: 3.
        samples: of the validation part that candidates are tried on, at most.
        slices: whether the chosen one is tried on corrupted samples too.
        seed: of all chances.
        threads: for training; None: as many as processors. What is timed has one.
        ratios: shares of the channels that pruning tries first.
        video: a clip on which the whole pipeline is measured; None: the first of the test part.
        device: where looks are timed; see `onlooker.learning.compress.devices`.
        students: settings of smaller networks that learn from the original; None: one of its kind with fewer layers.
        student_epochs: that they learn; None: as many as the original's recipe says, 0: none is tried.
    """

    bundle: str
    dataset: Path
    contract: Contract
    out: Path
    budget: float | None = None
    steps: tuple[str, ...] = ()
    teachers: tuple[Path, ...] = ()
    engine: str | None = None
    epochs: int | None = None
    samples: int | None = 2000
    slices: bool = True
    seed: int = 0
    threads: int | None = None
    ratios: tuple[float, ...] = RATIOS
    video: Path | None = None
    device: Device = "auto"
    students: tuple[Student, ...] | None = None
    student_epochs: int | None = None

    @property
    def passes(self) -> int:
        """The epochs that are meant."""
        return _EPOCHS if self.epochs is None else self.epochs
