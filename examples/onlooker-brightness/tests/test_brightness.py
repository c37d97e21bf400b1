"""The example holds the contract that built-in analyzers hold; ``$CLIP`` names a clip to try it on."""

from __future__ import annotations

import os

from onlooker_brightness import Brightness, BrightnessConfig

from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract


class TestBrightness(AnalyzerContract):
    """Runs every check of the suite."""

    def make(self):
        """The analyzer on trial."""
        return [Brightness(BrightnessConfig())]

    def open_source(self):
        """The clip on which it is tried."""
        return open_source(os.environ["CLIP"])
