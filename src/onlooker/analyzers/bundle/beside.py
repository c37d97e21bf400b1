"""What is heard and measured around the middle of a look at pictures or sound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from onlooker.analyzers.bundle.hearing import SideSound
from onlooker.analyzers.bundle.looks import Floats, Key, Pace, flat
from onlooker.analyzers.bundle.measuring import Gauge
from onlooker.bundles.manifest import Manifest
from onlooker.core.measurement import Measurement
from onlooker.core.time import Timestamp

__all__ = ["Beside"]


class Beside:
    """The senses that do not set the pace.

    Args:
        manifest: of the bundle.
        pace: the times of its looks.
        sound: the sound beside pictures, or None.
        gauge: the series of the source, or None.
    """

    def __init__(self, manifest: Manifest, pace: Pace, sound: SideSound | None, gauge: Gauge | None) -> None:
        self._manifest, self._pace, self._sound, self._gauge = manifest, pace, sound, gauge

    def around(self, time: Timestamp, duration: Fraction, place: int) -> dict[Key, Floats | None]:
        """Arrays of a look; what has nothing there is left out.

        Args:
            time: of the frame or block that completes it.
            duration: of that.
            place: of the look.
        """
        made: dict[Key, Floats | None] = {}
        if self._sound is None and self._gauge is None:
            return made
        moment = self._pace.moment(Measurement(time, duration, np.zeros(0)), place)
        middle = (moment.start.value + moment.end.value) / 2
        if self._sound is not None and (heard := self._sound.at(middle)) is not None:
            made |= flat(self._manifest.sounds[0].name, heard)
        series = self._manifest.series
        if self._gauge is not None and series is not None and (found := self._gauge.at(middle)) is not None:
            made |= flat(series.name, found)
        return made

    def close(self) -> None:
        """Release the networks."""
        for part in (self._sound, self._gauge):
            if part is not None:
                part.close()
