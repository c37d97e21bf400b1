"""The routes, one module for each part; each module has a ``router``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from fastapi import APIRouter

__all__ = ["routers"]


@cache
def routers() -> tuple[APIRouter, ...]:
    """The routers of the modules in this folder."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").router for name in names)
