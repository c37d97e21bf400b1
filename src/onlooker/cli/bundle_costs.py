"""How commands tell what a bundle costs in the whole pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["at_work_line"]


def at_work_line(told: Mapping[str, Any]) -> str:
    """A line of what `onlooker.shadow.at_work.at_work` found of a bundle, as JSON."""
    return (
        f"{told['cpu_per_second']:.3g} s of CPU and {told['wall_per_second']:.3g} s for a second of the clip (decoding "
        f"alone {told['decode_cpu_per_second']:.3g} and {told['decode_wall_per_second']:.3g}), "
        f"{told['ms_per_look']:.3g} ms a look at {told['looks']} looks, {told['opening_ms']:.3g} ms to open"
    )
