"""Labelled samples: manifests, imports and exports, checks, splits, and a loader with a cache of decoded clips.

>>> from onlooker.learning.datasets.formats import format_names
>>> "label-studio" in format_names()
True
"""
