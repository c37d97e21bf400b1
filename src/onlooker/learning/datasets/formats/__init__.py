"""Formats that datasets are imported from and exported to: one module each, found by its place.

A module ``NAME.py`` of this folder defines ``FORMAT``, an instance of a class of the form of `Format`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from pydantic import ValidationError

from onlooker.core.errors import UsageError
from onlooker.core.located import first_complaint
from onlooker.learning.datasets.formats.format import Format, FormatOptions, Found, Imported, Written

__all__ = ["Format", "FormatOptions", "Found", "Imported", "Written", "format_names", "format_of", "options_of"]


@cache
def format_names() -> tuple[str, ...]:
    """Names that `format_of` knows, sorted.

    >>> "coco" in format_names()
    True
    """
    names = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_") and m.name != "format"]
    return tuple(sorted(n.replace("_", "-") for n in names))


def format_of(name: str) -> Format:
    """The format of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in format_names():
        raise UsageError(f"no dataset format is called {name!r}", hint=f"there are {', '.join(format_names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT


def options_of(format: Format, values: dict[str, Any]) -> FormatOptions:
    """The format's options from what a user gave.

    Raises:
        UsageError: one is not known or wrong.
    """
    try:
        return format.Options.model_validate(values)
    except ValidationError as error:
        _, where, message = first_complaint(error, "there is no such option")
        known = ", ".join(format.Options.model_fields)
        raise UsageError(f"{format.name}: {where}: {message}", hint=f"it has {known}") from None
