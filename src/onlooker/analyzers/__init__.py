"""Analyzers: one folder per capability. Found by name through ``onlooker.core.plugins``."""

FAMILIES = {"bundle": "onlooker.analyzers.bundle.family:AddedBundles"}
"""Analyzers that are made of data; see `onlooker.core.plugins`."""
