"""MOTChallenge text: frame, id, left, top, width, height, score, -1, -1, -1 (frames and ids from 1)."""

from __future__ import annotations

from typing import BinaryIO, ClassVar

from onlooker.reports.export import (
    ExportRequest,
    ExportSummary,
    box_of,
    frame_number,
    frame_rate,
    only_source,
    score_of,
    write_text,
)

__all__ = ["PLUGIN", "Mot"]

PLUGIN = "onlooker.reports.exports.mot:Mot"


class Mot:
    """Objects that belong to a track, in pixels of the displayed picture."""

    name: ClassVar[str] = "mot"
    extension: ClassVar[str] = ".txt"
    description: ClassVar[str] = "tracks as MOTChallenge text"
    kinds: ClassVar[tuple[str, ...]] = ("object",)
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        source = only_source(request, "MOT")
        rate, video = frame_rate(source), source.info.video
        assert video is not None
        summary = ExportSummary()
        numbers: dict[str, int] = {}
        for observation in request.of(source, self.kinds):
            box = box_of(observation)
            if box is None or observation.track is None:
                summary.left_out[observation.kind] += 1
                continue
            number = numbers.setdefault(observation.track, len(numbers) + 1)
            left, top, right, bottom = box
            values = (
                left * video.width,
                top * video.height,
                (right - left) * video.width,
                (bottom - top) * video.height,
            )
            score = score_of(observation)
            place = ",".join(f"{v:.2f}" for v in values)
            number_of_frame = frame_number(observation, rate) + 1
            write_text(out, f"{number_of_frame},{number},{place},{1.0 if score is None else score:.4f},-1,-1,-1\n")
            summary.written += 1
        return summary
