"""CMX 3600 edit decision list: the shots as cuts of one reel (SMPTE 258M; drop-frame timecode of SMPTE 12M)."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO, ClassVar

from onlooker.reports.export import (
    ExportRequest,
    ExportSummary,
    chosen,
    frame_rate,
    one_line,
    only_source,
    write_text,
)

__all__ = ["PLUGIN", "Edl", "timecode"]

PLUGIN = "onlooker.reports.exports.edl:Edl"
_MOST_EVENTS = 999


def timecode(frame: int, rate: Fraction) -> str:
    """``HH:MM:SS:FF``, or drop-frame ``HH:MM:SS;FF`` at 30000/1001 and 60000/1001 frames a second.

    >>> timecode(1800, Fraction(30000, 1001))
    '00:01:00;02'
    """
    nominal = max(1, round(rate))
    # containers give 29.97 as 30000/1001, as 2997/100, or as the average of their frames
    near = abs(rate - Fraction(nominal * 1000, 1001)) < Fraction(nominal, 5000)
    drop = 2 * nominal // 30 if nominal in (30, 60) and near else 0
    if drop:
        ten_minutes = nominal * 600 - drop * 9
        minute = nominal * 60 - drop
        tens, rest = divmod(frame, ten_minutes)
        frame += drop * 9 * tens + (drop * ((rest - drop) // minute) if rest > drop else 0)
    seconds, part = divmod(frame, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if drop else ':'}{part:02d}"


class Edl:
    """Shots, or the kinds that are asked for, one event each; source and record times are the same."""

    name: ClassVar[str] = "edl"
    extension: ClassVar[str] = ".edl"
    description: ClassVar[str] = "shots as a CMX 3600 edit list"
    kinds: ClassVar[tuple[str, ...]] = ("shot",)
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`; the format counts to 999 events, what comes after is left out and told."""
        source = only_source(request, "EDL")
        rate = frame_rate(source)
        summary = ExportSummary()
        drop = timecode(0, rate)[8] == ";"
        title = one_line(source.info.path.rsplit("/", 1)[-1])
        write_text(out, f"TITLE: {title}\nFCM: {'DROP FRAME' if drop else 'NON-DROP FRAME'}\n")
        for observation in request.of(source, self.kinds):
            start, end = (max(0, round(t.value * rate)) for t in (observation.span.start, observation.span.end))
            if end <= start or summary.written >= _MOST_EVENTS:
                summary.left_out[observation.kind] += 1
                continue
            summary.written += 1
            times = f"{timecode(start, rate)} {timecode(end, rate)}"
            write_text(out, f"\n{summary.written:03d}  AX       V     C        {times} {times}\n")
            write_text(out, f"* FROM CLIP NAME: {title}\n* COMMENT: {chosen(observation)}\n")
        return summary
