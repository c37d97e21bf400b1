"""Analyzers: one folder per capability. Found by name through ``onlooker.core.plugins``."""
