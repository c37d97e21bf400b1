"""Bundles: trained models as they are deployed, as plain data that can be checked.

A bundle is a folder: ``bundle.json`` (what it is fed with, what its outputs mean, labels, thresholds, metrics, licence,
lineage), one or more model files, and a golden run that `verify_bundle` replays. Nothing in it is run as a program or
unpickled.

>>> sorted(set(__all__) & {"load_bundle", "save_bundle", "verify_bundle"})
['load_bundle', 'save_bundle', 'verify_bundle']
"""

from __future__ import annotations

from onlooker.bundles.folder import Bundle, load_bundle, save_bundle, unpacked
from onlooker.bundles.golden import Player, noise, pack_golden, play
from onlooker.bundles.importing import export_bundle, import_model
from onlooker.bundles.manifest import Manifest, parse_manifest
from onlooker.bundles.verify import Check, Verification, verify_bundle

__all__ = [
    "Bundle",
    "Check",
    "Manifest",
    "Player",
    "Verification",
    "export_bundle",
    "import_model",
    "load_bundle",
    "noise",
    "pack_golden",
    "parse_manifest",
    "play",
    "save_bundle",
    "unpacked",
    "verify_bundle",
]
