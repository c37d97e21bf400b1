"""ActivityNet JSON (version 1.3): labelled segments in seconds."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, chosen, score_of, write_text

__all__ = ["PLUGIN", "ActivityNet"]

PLUGIN = "onlooker.reports.exports.activitynet:ActivityNet"


class ActivityNet:
    """Everything that lasts, as segments; dense boxes have no place in it."""

    name: ClassVar[str] = "activitynet"
    extension: ClassVar[str] = ".json"
    description: ClassVar[str] = "segments as ActivityNet JSON"
    kinds: ClassVar[tuple[str, ...]] = (
        *("shot", "scene", "chapter", "cue", "motion", "track", "speech", "text", "sound", "speaker", "face_track"),
        *("identity", "expression", "age", "attention_state", "posture", "gesture", "label", "topic", "keyword"),
        *("sentiment", "safety", "fact", "summary"),
    )
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        database: dict[str, Any] = {}
        for source in request.sources:
            notes: list[dict[str, Any]] = []
            for observation in request.of(source, self.kinds):
                if observation.span.duration <= 0:
                    summary.left_out[observation.kind] += 1
                    continue
                segment = [round(t.seconds, 6) for t in (observation.span.start, observation.span.end)]
                label = observation.kind if observation.label is None else f"{observation.kind}/{observation.label}"
                note: dict[str, Any] = {"segment": segment, "label": label, "id": observation.id}
                score = score_of(observation)
                if score is not None:
                    note["score"] = round(score, 6)
                if observation.text:
                    note["text"] = chosen(observation)
                notes.append(note)
                summary.written += 1
            video, info = source.info.video, source.info
            database[info.id] = {
                "duration": float(info.duration) if info.duration is not None else None,
                "resolution": f"{video.width}x{video.height}" if video else None,
                "subset": "testing",
                "url": info.path,
                "annotations": notes,
            }
        whole = {"version": "VERSION 1.3", "taxonomy": [], "database": database}
        write_text(out, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return summary
