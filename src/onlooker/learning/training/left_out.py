"""What of a dataset a run did not use, and why: ``left_out.json`` of its folder, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from onlooker.learning.run_folder import RunFolder
from onlooker.learning.training.batches import Data

__all__ = ["FILE", "LeftOut", "keep_left_out", "left_out", "words_of"]

FILE = "left_out.json"

LeftOut: TypeAlias = dict[str, dict[str, Any]]
"""By part of the dataset: ``samples``, how many there were; ``whole``, whether all were looked at, which is not sure of
those that are streamed; ``failures``, by id why it could not be decoded; ``bare``,
ids of those without any of the ``inputs``; ``unheard``, ids of those whose sound ends too early to be heard;
``lacking``, by task ids of those without the one input that it has."""


def left_out(parts: Mapping[str, Data]) -> LeftOut:
    """What is known of it by now, for parts of which anything was left out; streamed ones find it as they go.

    Args:
        parts: by name.
    """
    made: LeftOut = {}
    for name, data in parts.items():
        lacking = {
            task: {"input": next(iter(data.heads[task].inputs or ())), "ids": sorted(ids)}
            for task, ids in data.lacking.items()
        }
        if data.failures or data.bare or data.unheard or lacking:
            made[name] = {
                "samples": data.asked,
                "whole": data.kept is not None,
                "inputs": list(data.facts.inputs),
                "failures": dict(sorted(data.failures.items())),
                "bare": sorted(data.bare),
                "unheard": sorted(data.unheard),
                "lacking": lacking,
            }
    return made


def keep_left_out(folder: RunFolder, parts: Mapping[str, Data]) -> bool:
    """Write it, with what an earlier beginning of the run found; whether there is more than was written before."""
    there: LeftOut = folder.read(FILE) if (folder.path / FILE).is_file() else {}
    made = {**there}
    for name, found in left_out(parts).items():
        before = there.get(name, {"failures": {}, "bare": [], "lacking": {}})
        lacking = {
            task: {**held, "ids": sorted({*held["ids"], *before["lacking"].get(task, {"ids": ()})["ids"]})}
            for task, held in found["lacking"].items()
        }
        made[name] = {
            **found,
            "failures": {**before["failures"], **found["failures"]},
            "bare": sorted({*before["bare"], *found["bare"]}),
            "unheard": sorted({*before.get("unheard", ()), *found["unheard"]}),
            "lacking": {**before["lacking"], **lacking},
        }
    if made == there:
        return False
    folder.write(FILE, made)
    return True


def words_of(found: LeftOut) -> list[str]:
    """It in sentences."""
    made: list[str] = []
    for part, held in found.items():
        of, least = f"of {held['samples']} samples of the part {part!r}", "" if held["whole"] else "at least "
        if held["failures"]:
            why = next(iter(held["failures"].values()))
            said = f"{least}{len(held['failures'])} {of} could not be decoded, such as {why}"
            made.append(f"{said}; onlooker dataset check tells all")
        if held["bare"]:
            inputs = ", ".join(held["inputs"])
            made.append(f"{least}{len(held['bare'])} {of} have none of the inputs ({inputs}) and are left out")
        if unheard := held.get("unheard"):
            said = f"{least}{len(unheard)} {of} have a sound that ends before it is heard, in the middle of the video"
            made.append(f"{said}: used without it, as bundles work; a longer prepare.sound.seconds hears more")
        for task, lost in held["lacking"].items():
            said = f"{least}{len(lost['ids'])} {of} have a label of {task} and no {lost['input']}"
            made.append(f"{said}, from which alone it is learned: left out of it")
    return made
