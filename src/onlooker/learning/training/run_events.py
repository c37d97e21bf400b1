"""A run's log as TensorBoard's event files, for those who watch several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onlooker.core.errors import UsageError

__all__ = ["write_tensorboard"]


def write_tensorboard(folder: Path, line: Mapping[str, Any]) -> None:
    """Add an epoch's line of the log: losses, learning rate, metrics.

    Args:
        folder: of the event files.
        line: as in ``log.jsonl``.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("training.tensorboard needs TensorBoard", hint="pip install 'onlooker[tensorboard]'") from None
    with SummaryWriter(str(folder)) as writer:
        step = int(line["epoch"])
        writer.add_scalar("rate", line["rate"], step)
        for task, loss in line["loss"].items():
            writer.add_scalar(f"loss/{task}", loss, step)
        for task, metrics in line.get("validation", {}).items():
            for name, value in metrics.items():
                writer.add_scalar(f"{task}/{name}", value, step)
