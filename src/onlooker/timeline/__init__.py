"""The timeline: where sources, observations and derived media are kept, and how they are found again."""

from __future__ import annotations

from pathlib import Path

from onlooker.core.plugins import load_plugin
from onlooker.core.store import Store
from onlooker.timeline.fusion import fuse
from onlooker.timeline.media import store_attachment

__all__ = ["fuse", "open_store", "store_attachment"]


def open_store(folder: str | Path, *, create: bool = True, read_only: bool = False, kind: str = "embedded") -> Store:
    """Open the library in ``folder``.

    Args:
        folder: the library folder.
        create: make a library where there is none; otherwise that is an error.
        read_only: write nothing, not even a migration.
        kind: name of the store plug-in.

    Raises:
        StoreError: no library there, damaged, not readable.
        StoreTooNew: written by a newer onlooker; nothing was touched.
        PluginError: no store of that kind.
    """
    return load_plugin("stores", kind)(Path(folder), create=create, read_only=read_only)
