"""Options that several commands of datasets take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from onlooker.learning.datasets.dataset import Dataset

__all__ = ["AsJson", "Folder", "Into", "Settings", "Split", "load"]

Folder = Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset's folder.")]
Into = Annotated[Path, typer.Option("--into", help="The dataset's folder; made where there is none.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="OPTION=VALUE of the format; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Split = Annotated[str | None, typer.Option("--split", help="Only this split.")]


def load(folder: Path) -> Dataset:
    """The dataset of a folder."""
    from onlooker.learning.datasets.dataset import Dataset

    return Dataset.load(folder)
