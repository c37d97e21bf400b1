"""Finding networks, task heads, ways of fusion and of balancing and steps of compression by the place of their file.

Each is one module in the folder of its group that defines ``PART``, the class; the module's name is what recipes call
it. A new one is a new file and no edit elsewhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any, Literal

from onlooker.core.errors import UsageError

__all__ = ["Group", "load_part", "part_names", "require_torch"]

Group = Literal["networks", "tasks", "fusion", "balancing", "compress.steps"]


def require_torch() -> None:
    """Say how to get it, where PyTorch is not installed.

    Raises:
        UsageError: it is not.
    """
    try:
        importlib.import_module("torch")
    except ImportError:
        raise UsageError("this needs PyTorch", hint="pip install 'onlooker[learn]'") from None


@cache
def part_names(group: Group) -> tuple[str, ...]:
    """The names of a group's parts, sorted.

    >>> "classification" in part_names("tasks")
    True
    """
    package = importlib.import_module(f"onlooker.learning.{group}")
    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")))


def load_part(group: Group, name: str) -> Any:
    """The class of a part.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in part_names(group):
        raise UsageError(f"{group}: there is no {name!r}", hint=f"there are {', '.join(part_names(group))}")
    return importlib.import_module(f"onlooker.learning.{group}.{name}").PART
