"""Turns published weights into forms that the inference engines read, without the frameworks that wrote them.

Each conversion is a module of this package with a function ``convert(members: Mapping[str, bytes]) -> bytes``, which
makes the model's file of the files taken out of the archives, by their names in them. A catalogue entry calls it by the
module's name, with ``-`` for ``_``. The same members must give the same bytes on every machine.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

from onlooker.core.errors import ConfigError

__all__ = ["conversions", "convert"]

Conversion = Callable[[Mapping[str, bytes]], bytes]


@cache
def _conversions() -> dict[str, Conversion]:
    found: dict[str, Conversion] = {}
    for module in pkgutil.iter_modules(__path__):
        function = getattr(importlib.import_module(f"{__name__}.{module.name}"), "convert", None)
        if callable(function):
            found[module.name.replace("_", "-")] = cast(Conversion, function)
    return found


def conversions() -> list[str]:
    """The names that ``convert`` of an entry may have, besides ``none``."""
    return sorted(_conversions())


def convert(name: str, members: Mapping[str, bytes]) -> bytes:
    """One file of the members of an entry's archives.

    Args:
        name: of the conversion; ``none`` gives the only member as it is.
        members: their contents by their names in the archives.

    Raises:
        ConfigError: there is no such conversion.
        ModelError: the members are not what it converts.
    """
    if name == "none":
        (data,) = members.values()
        return data
    function = _conversions().get(name)
    if function is None:
        raise ConfigError(f"there is no conversion {name!r}", hint=f"there are {', '.join(conversions())}")
    return function(members)
