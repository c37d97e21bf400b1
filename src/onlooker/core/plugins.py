"""Finding analyzers, sources, stores, sinks, exports and runtimes by name.

Built-ins and third-party plug-ins are looked up the same way and imported only when used:

- a built-in is a module or package in ``onlooker.<group>`` that defines ``PLUGIN = "package.module:Class"``
  (a new one is a new folder or file and no edit elsewhere);
- a third-party package declares an entry point ``name = "package.module:Class"`` in the group
  ``onlooker.<group>`` (``onlooker.analyzers``, ``onlooker.exports``, ...);
- a *family* gives plug-ins that the user adds as data, such as the analyzers of added bundles: the group's package
  names it by the module that holds it, ``FAMILIES = {"module": "package.module:Class"}``. ``NAME@VARIANT`` is a variant
  of one of them, such as another version of a bundle; variants are not listed.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any, Literal, Protocol

from onlooker.core.errors import PluginError

__all__ = ["GROUPS", "Family", "Group", "load_plugin", "plugin_names"]

Group = Literal["analyzers", "sources", "stores", "sinks", "exports", "runtimes"]

GROUPS: dict[Group, str] = {
    "analyzers": "onlooker.analyzers",
    "sources": "onlooker.sources.openers",
    "stores": "onlooker.timeline.stores",
    "sinks": "onlooker.events.sinks",
    "exports": "onlooker.reports.exports",
    "runtimes": "onlooker.models.runtimes",
}
"""Where the built-ins of each group live."""


class Family(Protocol):
    """Plug-ins that the user adds and removes as data."""

    def names(self) -> Sequence[str]:
        """Those that are there now."""
        ...

    def load(self, name: str) -> Any:
        """The class that carries one of `names`, or ``NAME@VARIANT`` of one.

        Raises:
            PluginError: it is damaged.
        """
        ...


@cache
def _builtin(group: Group) -> tuple[str, ...]:
    try:
        spec = importlib.util.find_spec(GROUPS[group])
    except ModuleNotFoundError:
        return ()
    if spec is None or spec.submodule_search_locations is None:
        return ()
    found = {m.name for m in pkgutil.iter_modules(spec.submodule_search_locations) if not m.name.startswith("_")}
    return tuple(sorted(found - set(_families(group))))


@cache
def _families(group: Group) -> Mapping[str, Family]:
    try:
        targets: Mapping[str, str] = getattr(importlib.import_module(GROUPS[group]), "FAMILIES", {})
    except ModuleNotFoundError:
        return {}
    return {name: _target(target)() for name, target in targets.items()}


def _target(target: str) -> Any:
    path, _, attribute = target.partition(":")
    return getattr(importlib.import_module(path), attribute)


def _third_party(group: Group) -> dict[str, metadata.EntryPoint]:
    return _points(group, tuple(sys.path))


@cache
def _points(group: Group, _path: tuple[str, ...]) -> dict[str, metadata.EntryPoint]:
    """Entry points are read from disk, so only when the places of packages are others."""
    return {point.name: point for point in metadata.entry_points(group=f"onlooker.{group}")}


def plugin_names(group: Group) -> list[str]:
    """Names that `load_plugin` knows in ``group``, sorted.

    >>> "jsonl" in plugin_names("exports")
    True
    """
    added = [name for family in _families(group).values() for name in family.names()]
    return sorted({*_builtin(group), *_third_party(group), *added})


def load_plugin(group: Group, name: str) -> Any:
    """The class (or function) that carries ``name`` in ``group``.

    Raises:
        PluginError: no such name, or it cannot be imported.
    """
    if name in _builtin(group):
        module = importlib.import_module(f"{GROUPS[group]}.{name}")
        target = getattr(module, "PLUGIN", None)
        if not isinstance(target, str):
            raise PluginError(f"{GROUPS[group]}.{name} has no PLUGIN text", hint='write PLUGIN = "module:Class"')
        return _target(target)
    point = _third_party(group).get(name)
    if point is None:
        for family in _families(group).values():
            if name.partition("@")[0] in family.names():
                return family.load(name)
        known = ", ".join(plugin_names(group)) or "none"
        raise PluginError(f"no {group.rstrip('s')} is called {name!r}", hint=f"known: {known}")
    try:
        return point.load()
    except Exception as error:
        raise PluginError(
            f"the {group.rstrip('s')} {name!r} of {point.value} cannot be imported: {error}",
            hint="reinstall or remove the package that brings it",
        ) from error
