"""The insight JSON of Azure AI Video Indexer, so that programs built on it can read a library of onlooker.

The form follows the published description of the indexer's output: ``videos[].insights`` with ``shots`` and their
``keyFrames``, ``scenes``, ``labels``, ``detectedObjects``, ``transcript``, ``ocr`` and ``blocks``, each with
``instances`` of ``start``, ``end``, ``adjustedStart`` and ``adjustedEnd`` as ``H:MM:SS.fffffff``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, BinaryIO, ClassVar

from onlooker.core.media import VideoInfo
from onlooker.core.observation import Observation
from onlooker.core.store import SourceStatus
from onlooker.core.time import Span, Timestamp
from onlooker.reports.export import ExportRequest, ExportSummary, box_of, score_of, write_text

__all__ = ["PLUGIN", "Insights", "moment"]

PLUGIN = "onlooker.reports.exports.insights:Insights"
_HANDLED = ("shot", "keyframe", "scene", "chapter", "track", "speech", "text", "label", "sound", "cue")


def moment(time: Timestamp) -> str:
    """``H:MM:SS.fffffff``, trailing zeros of the fraction dropped.

    >>> moment(Timestamp.of_seconds(Fraction(3661) + Fraction(1, 4)))
    '1:01:01.25'
    """
    ticks = max(0, round(time.value * 10_000_000))
    seconds, part = divmod(ticks, 10_000_000)
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}.{part:07d}".rstrip("0") if part else clock


def _instance(span: Span, **more: Any) -> dict[str, Any]:
    start, end = moment(span.start), moment(span.end)
    return {**more, "adjustedStart": start, "adjustedEnd": end, "start": start, "end": end}


def _spans(observations: Iterable[Observation]) -> list[dict[str, Any]]:
    return [{"id": n, "instances": [_instance(o.span)]} for n, o in enumerate(observations, 1)]


def _named(observations: Iterable[Observation], field: str) -> list[dict[str, Any]]:
    """Observations of one label each together as one entry with several instances."""
    groups: dict[str, dict[str, Any]] = {}
    for observation in observations:
        name = observation.label or observation.kind
        group = groups.setdefault(name, {"id": len(groups) + 1, field: name, "instances": []})
        group["instances"].append(_instance(observation.span, confidence=_confidence(observation)))
    return list(groups.values())


def _confidence(observation: Observation) -> float:
    score = score_of(observation)
    return 1.0 if score is None else round(min(1.0, max(0.0, score)), 4)


def _lines(observations: Iterable[Observation], video: VideoInfo | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, o in enumerate(observations, 1):
        entry: dict[str, Any] = {"id": number, "text": o.text or "", "confidence": _confidence(o)}
        language = o.data.get("language")
        entry |= {"language": language if isinstance(language, str) else "", "instances": [_instance(o.span)]}
        box = box_of(o)
        if box is not None and video is not None:
            left, top = round(box.left * video.width), round(box.top * video.height)
            right, bottom = round(box.right * video.width), round(box.bottom * video.height)
            entry |= {"left": left, "top": top, "width": right - left, "height": bottom - top}
        found.append(entry)
    return found


class Insights:
    """One document with a video for each source."""

    name: ClassVar[str] = "insights"
    extension: ClassVar[str] = ".json"
    description: ClassVar[str] = "the insight JSON of Azure AI Video Indexer"
    kinds: ClassVar[tuple[str, ...]] = _HANDLED
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`."""
        summary = ExportSummary()
        videos = [self._video(request, source, summary) for source in request.sources]
        seconds = sum((s.info.duration or Fraction(0) for s in request.sources), Fraction(0))
        whole = {
            "name": request.sources[0].info.path.rsplit("/", 1)[-1] if len(request.sources) == 1 else "onlooker",
            "state": "Processed",
            "durationInSeconds": round(float(seconds)),
            "videos": videos,
            "videosRanges": [
                {
                    "videoId": s.info.id,
                    "range": {"start": "0:00:00", "end": moment(Timestamp.of_seconds(s.info.duration or Fraction(0)))},
                }
                for s in request.sources
            ],
        }
        write_text(out, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return summary

    def _video(self, request: ExportRequest, source: SourceStatus, summary: ExportSummary) -> dict[str, Any]:
        by_kind: dict[str, list[Observation]] = {}
        for observation in request.of(source, self.kinds):
            if observation.kind not in _HANDLED:
                summary.left_out[observation.kind] += 1
                continue
            by_kind.setdefault(observation.kind, []).append(observation)
            summary.written += 1
        info = source.info
        duration = moment(Timestamp.of_seconds(info.duration or Fraction(0)))
        tracks = by_kind.get("track", [])
        insights: dict[str, Any] = {
            "version": "1.0.0.0",
            "duration": duration,
            "sourceLanguage": "",
            "language": "",
            "transcript": _lines(by_kind.get("speech", []), info.video),
            "ocr": _lines(by_kind.get("text", []), info.video),
            "labels": _named([*tracks, *by_kind.get("label", [])], "name"),
            "detectedObjects": [
                {**entry, "type": entry["displayName"], "thumbnailId": ""} for entry in _named(tracks, "displayName")
            ],
            "audioEffects": _named(by_kind.get("sound", []), "type"),
            "scenes": _spans(by_kind.get("scene", [])),
            "chapters": _spans(by_kind.get("chapter", [])),
            "shots": _shots(by_kind.get("shot", []), by_kind.get("keyframe", [])),
            "clapperboards": [],
            "cues": _named(by_kind.get("cue", []), "type"),
            "blocks": [{"id": 0, "instances": [_instance(Span.of_seconds(0, info.duration or Fraction(0)))]}],
        }
        return {
            "accountId": "",
            "id": info.id,
            "state": "Processed",
            "processingProgress": "100%",
            "durationInSeconds": round(float(info.duration or 0)),
            "externalUrl": info.path,
            "insights": {key: value for key, value in insights.items() if value not in ([], "")},
        }


def _shots(shots: list[Observation], keyframes: list[Observation]) -> list[dict[str, Any]]:
    entries = _spans(shots)
    at = 0
    for entry, shot in zip(entries, shots, strict=True):
        frames: list[dict[str, Any]] = []
        last = shot is shots[-1]
        while at < len(keyframes) and (last or keyframes[at].span.start < shot.span.end):
            image = keyframes[at].media[0] if keyframes[at].media else ""
            frames.append({"id": at + 1, "instances": [_instance(keyframes[at].span, thumbnailId=image)]})
            at += 1
        entry["keyFrames"] = frames
    return entries
