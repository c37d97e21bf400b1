"""OpenTimelineIO JSON (Timeline.1), written by its public schema without the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, BinaryIO, ClassVar

from onlooker.core.observation import Observation
from onlooker.reports.export import ExportRequest, ExportSummary, chosen, frame_rate, only_source, score_of, write_text

__all__ = ["PLUGIN", "Otio"]

PLUGIN = "onlooker.reports.exports.otio:Otio"
_COLOURS = {"chapter": "PURPLE", "speech": "BLUE", "speaker": "CYAN", "identity": "ORANGE", "safety": "RED"}


def _time(frames: float, rate: Fraction) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(frames)}


def _range(start: float, end: float, rate: Fraction) -> dict[str, Any]:
    span = {"start_time": _time(start, rate), "duration": _time(end - start, rate)}
    return {"OTIO_SCHEMA": "TimeRange.1", **span}


class Otio:
    """Shots as clips of one track that cover the source; everything else that lasts as markers."""

    name: ClassVar[str] = "otio"
    extension: ClassVar[str] = ".otio"
    description: ClassVar[str] = "an OpenTimelineIO timeline: shots as clips, the rest as markers"
    kinds: ClassVar[tuple[str, ...]] = (
        *("shot", "scene", "chapter", "cue", "track", "speech", "text"),
        *("speaker", "identity", "sound", "topic", "fact", "safety"),
    )
    single: ClassVar[bool] = True

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        source = only_source(request, "OTIO")
        rate = frame_rate(source)
        total = float((source.info.duration or Fraction(0)) * rate)
        summary = ExportSummary()
        clips: list[dict[str, Any]] = []
        edge, shots = 0.0, 0
        markers: list[dict[str, Any]] = []
        for observation in request.of(source, self.kinds):
            start, end = (float(t.value * rate) for t in (observation.span.start, observation.span.end))
            if observation.kind == "shot":
                if start < edge:  # one track holds one clip at a time
                    summary.left_out[observation.kind] += 1
                    continue
                if start > edge:
                    clips.append(_gap(start - edge, rate))
                shots += 1
                clips.append(_clip(source.info.path, f"shot {shots}", start, end, total, rate, observation))
                edge = end
            else:
                markers.append(_marker(start, end, rate, observation))
            summary.written += 1
        if not clips:
            clips = [_clip(source.info.path, "whole", 0.0, total, total, rate, None)]
        track = {
            "OTIO_SCHEMA": "Track.1",
            "name": "shots",
            "kind": "Video",
            "children": clips,
            "markers": markers,
            "effects": [],
            "metadata": {},
            "source_range": None,
            "enabled": True,
        }
        stack = {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "children": [track],
            "markers": [],
            "effects": [],
            "metadata": {},
            "source_range": None,
            "enabled": True,
        }
        timeline = {
            "OTIO_SCHEMA": "Timeline.1",
            "name": source.info.path.rsplit("/", 1)[-1],
            "global_start_time": None,
            "metadata": {"onlooker": {"source": source.info.id}},
            "tracks": stack,
        }
        write_text(out, json.dumps(timeline, ensure_ascii=False, indent=1) + "\n")
        return summary


def _facts(observation: Observation | None) -> Mapping[str, Any]:
    if observation is None:
        return {}
    return {"onlooker": {"id": observation.id, "kind": observation.kind, "score": score_of(observation)}}


def _gap(frames: float, rate: Fraction) -> dict[str, Any]:
    """Nothing for so long, so that what follows stands where it is in the source."""
    return {
        "OTIO_SCHEMA": "Gap.1",
        "name": "",
        "source_range": _range(0.0, frames, rate),
        "markers": [],
        "effects": [],
        "metadata": {},
        "enabled": True,
    }


def _clip(
    path: str, name: str, start: float, end: float, total: float, rate: Fraction, observation: Observation | None
) -> dict[str, Any]:
    media = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "target_url": path,
        "available_range": _range(0.0, max(total, end), rate),
        "metadata": {},
        "name": "",
    }
    return {
        "OTIO_SCHEMA": "Clip.1",
        "name": name,
        "source_range": _range(start, end, rate),
        "media_reference": media,
        "markers": [],
        "effects": [],
        "metadata": _facts(observation),
        "enabled": True,
    }


def _marker(start: float, end: float, rate: Fraction, observation: Observation) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Marker.2",
        "name": f"{observation.kind}: {chosen(observation)}",
        "color": _COLOURS.get(observation.kind, "GREEN"),
        "marked_range": _range(start, end, rate),
        "metadata": _facts(observation),
        "comment": "",
    }
