"""What the baseline and the chosen bundle cost in the whole pipeline, with decoding, on a real clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from onlooker.bundles.inputs import ClipInput, FrameInput
from onlooker.bundles.manifest import Manifest
from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.dataset import Dataset

__all__ = ["AtWork", "first_clip", "in_pipeline"]

AtWork: TypeAlias = Callable[[Mapping[str, tuple[Path, str | None]], Path], Mapping[str, Any]]
"""Measures bundles, by name their folder and engine, on a clip; `onlooker.shadow.at_work.at_work`."""

_LONGEST = 120.0


def first_clip(dataset: Dataset, split: str | None, manifest: Manifest) -> Path | None:
    """The first clip of a part, of two minutes at most, that has what a bundle looks at or listens to.

    Args:
        dataset: with its media.
        split: the part.
        manifest: of the bundle.
    """
    seen = [n for n in manifest.networks if isinstance(n.input, FrameInput | ClipInput)]
    kinds = ("video",) if seen else ("audio", "video")
    for sample in dataset.of_split(split):
        for medium in sample.media:
            heard = seen or medium.kind == "audio" or medium.sound
            short = medium.seconds is not None and 0 < medium.seconds <= _LONGEST
            if medium.kind in kinds and heard and short and (path := dataset.path(medium)).is_file():
                return path
    return None


def in_pipeline(
    bundles: Mapping[str, tuple[Path, str | None]],
    manifest: Manifest,
    clip: Path | None,
    dataset: tuple[Dataset, str | None],
    at_work: AtWork | None,
) -> dict[str, Any]:
    """What bundles cost in the pipeline, or why that was not measured.

    Args:
        bundles: by name, the folder and the engine.
        manifest: of the first.
        clip: to analyse; None: the first of the dataset's part.
        dataset: and its part.
        at_work: measures; None: nothing is.

    Returns:
        ``clip``, ``note`` with the reason where there is none, and ``bundles`` with what each costs.
    """
    if at_work is None:
        return {"clip": None, "note": "not asked for", "bundles": {}}
    chosen = clip or first_clip(*dataset, manifest)
    if chosen is None:
        note = "the dataset has no clips of up to two minutes that the pipeline could analyse: give one by --video"
        return {"clip": None, "note": note, "bundles": {}}
    try:
        found = at_work(bundles, chosen)
    except OnlookerError as error:
        # a search of hours is not lost because a clip cannot be analysed
        return {"clip": str(chosen), "note": str(error), "bundles": {}}
    return {"clip": str(chosen), "note": None, "bundles": {name: asdict(one) for name, one in found.items()}}
