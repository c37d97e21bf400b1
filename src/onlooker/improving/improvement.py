"""An improvement: what is asked for, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onlooker.bundles.folder import Bundle
from onlooker.improving.stored import Footage
from onlooker.improving.verdicts import Fix, Verdicts
from onlooker.pipeline.run_source import Progress
from onlooker.shadow.stored import Shadow

__all__ = ["ImproveRequest", "Improvement", "Round", "Told"]


@dataclass(frozen=True, slots=True)
class ImproveRequest:
    """What is to be improved.

    Args:
        name: of the added bundle; its version in use is the beginning.
        library: whose feedback and stored video.
        folder: where everything is kept; the same request goes on there.
        run: folder of the run that made the bundle; None: it is looked for.
        data: folder of the dataset that it learned from; None: as the run says, where that is there.
        budget: seconds for all rounds together.
        replay: at most so many old samples in an epoch.
        hidden: see `open_footage`.
        seed: of all chances.
        threads: of training; None: as the recipe says.
        workers: processes of the shadow.
    """

    name: str
    library: Path
    folder: Path
    run: Path | None = None
    data: Path | None = None
    budget: float = 600.0
    replay: int = 400
    hidden: bool = False
    seed: int = 0
    threads: int | None = None
    workers: int | None = None


@dataclass(slots=True)
class Round:
    """One strength that was tried.

    Args:
        number: from 1.
        strength: settings of the fine-tuning.
        trained: passes that were made; fewer than its ``epochs`` where the budget ended it.
        bundle: what came of it.
        verdicts: over the stored video.
        shadow: of it.
        seconds: that it took in this process.
    """

    number: int
    strength: dict[str, Any]
    trained: int
    bundle: Bundle
    verdicts: Verdicts
    shadow: Shadow
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        told = self.verdicts.as_dict()
        counts = {k: told[k] for k in ("fixed", "asked", "already", "kept", "broken", "lost", "new")}
        return {"round": self.number, **self.strength, "trained": self.trained, "candidate": self.bundle.digest,
                **counts, "agreement": self.shadow.whole.agreement, "seconds": round(self.seconds, 2)}  # fmt: skip


@dataclass(slots=True)
class Improvement:
    """What came of it.

    Args:
        request: what was asked for.
        used: the version in use at the beginning.
        run, data: what it was made by and from; data None: it was not at hand.
        footage: the stored video and what was said of it.
        taught: how many samples teach each piece of feedback, by its key.
        waiting: keys of feedback that awaits a label by a person.
        rounds: all that was tried.
        best: the round that is proposed, or None where there is nothing to learn from.
        held_out: measures on data that nothing was learned from, before and after.
        reasons: why it is not put to use by itself; empty: nothing speaks against it.
        decision: ``ready``, ``promoted``, ``left``, ``nothing to learn``, or ``nothing to do`` where the version in use
            does already all that was asked for.
        heeded: in the last case, the feedback.
        seconds: that it took in this process.
    """

    request: ImproveRequest
    used: Bundle
    run: Path
    data: Path | None
    footage: Footage
    taught: dict[str, int] = field(default_factory=dict[str, int])
    waiting: tuple[str, ...] = ()
    rounds: list[Round] = field(default_factory=list[Round])
    best: Round | None = None
    held_out: dict[str, Any] = field(default_factory=dict[str, Any])
    reasons: list[str] = field(default_factory=list[str])
    decision: str = "nothing to learn"
    heeded: list[Fix] = field(default_factory=list[Fix])
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        best = self.best
        return {
            "name": self.request.name,
            "library": str(self.request.library),
            "folder": str(self.request.folder),
            "used": self.used.digest,
            "candidate": None if best is None else best.bundle.digest,
            "decision": self.decision,
            "reasons": self.reasons,
            "run": str(self.run),
            "data": None if self.data is None else str(self.data),
            "samples": self.taught,
            "waiting": list(self.waiting),
            "unusable": dict(self.footage.unusable),
            "rounds": [r.as_dict() for r in self.rounds],
            "verdicts": None if best is None else best.verdicts.as_dict(),
            "heeded": [f.as_dict() for f in self.heeded],
            "held_out": self.held_out,
            "seconds": round(self.seconds, 2),
            "labels": str(self.request.folder / "labels"),
            "report": str(self.request.folder / "report.html"),
        }


@dataclass(slots=True)
class Told:
    """Who is told how it goes: a line of text, a video's progress, and the training's (see `Quiet`)."""

    say: Callable[[str], None] = lambda _: None
    video: Callable[[Progress], None] | None = None
    training: Any = None
    stop: threading.Event | None = None
