"""The insight JSON of Azure AI Video Indexer, so that programs built on it can read a library of onlooker.

The form follows the published description of the indexer's output: ``videos[].insights`` with ``transcript``, ``ocr``,
``keywords``, ``topics``, ``faces``, ``labels``, ``brands``, ``shots`` and their ``keyFrames``, ``scenes``,
``audioEffects``, ``sentiments``, ``emotions``, ``speakers``, ``visualContentModeration``, ``statistics`` and
``blocks``, each with ``instances`` of ``start``, ``end``, ``adjustedStart`` and ``adjustedEnd`` as ``H:MM:SS.fffffff``.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any, BinaryIO, ClassVar

from onlooker.core.observation import Observation
from onlooker.core.store import SourceStatus
from onlooker.core.time import Span, Timestamp
from onlooker.reports.export import ExportRequest, ExportSummary, chosen, one_line, write_text
from onlooker.reports.exports import _insights as part
from onlooker.reports.exports._insights import moment
from onlooker.reports.people import SpeakerAt, gather_people, names_of

__all__ = ["PLUGIN", "Insights", "moment"]

PLUGIN = "onlooker.reports.exports.insights:Insights"
_HANDLED = (
    *("shot", "keyframe", "scene", "chapter", "track", "speech", "text", "label", "sound", "cue", "speaker"),
    *("face_track", "identity", "keyword", "topic", "sentiment", "expression", "summary", "safety"),
)


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
        single = len(request.sources) == 1
        whole = {
            "accountId": "",
            "id": request.sources[0].info.id if single else "",
            "name": request.sources[0].info.path.rsplit("/", 1)[-1] if single else "onlooker",
            "description": videos[0].pop("description") if single else "",
            "state": "Processed",
            "durationInSeconds": round(float(seconds)),
            "summarizedInsights": None,
            "videos": [{k: v for k, v in video.items() if k != "description"} for video in videos],
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
        found: dict[str, list[Observation]] = {kind: [] for kind in _HANDLED}
        for observation in request.of(source, self.kinds):
            kind = observation.kind
            if kind not in found or (kind == "expression" and observation.label not in part.EMOTIONS):
                summary.left_out[kind] += 1
                continue
            found[kind].append(observation)
            summary.written += 1
        info = source.info
        # facts have no place of their own, but say which speaker is which person
        facts = () if request.query.kinds else [o for o in request.of(source, ("fact",)) if o.kind == "fact"]
        insights = _insights(source, found, names_of(found["identity"], facts))
        return {
            "accountId": "",
            "id": info.id,
            "name": info.path.rsplit("/", 1)[-1],
            "description": " ".join(one_line(o.text) for o in found["summary"] if o.label != "chapter").strip(),
            "state": "Processed",
            "processingProgress": "100%",
            "durationInSeconds": round(float(info.duration or 0)),
            "externalUrl": info.path,
            "sourceLanguage": insights["sourceLanguage"],
            "language": insights["language"],
            "insights": insights,
        }


def _insights(source: SourceStatus, found: dict[str, list[Observation]], names: dict[str, str]) -> dict[str, Any]:
    info, whole = source.info, source.info.duration or Fraction(0)
    talking, numbers = part.speakers(found["speaker"], names)
    speaker = SpeakerAt(found["speaker"], names)
    language = part.language_of(found["speech"]) or part.language_of(found["text"])
    labels = [*found["track"], *found["label"]]
    sounds = part.named(found["sound"], "type", lambda label: label.replace("_", " ").capitalize())
    people = gather_people(found["identity"], found["face_track"])
    insights: dict[str, Any] = {
        "version": "1.0.0.0",
        "duration": moment(Timestamp.of_seconds(whole)),
        "sourceLanguage": language,
        "language": language,
        "transcript": part.lines(found["speech"], None, lambda o: numbers.get(speaker.of(o) or "")),
        "ocr": part.lines(found["text"], info.video, None),
        "keywords": part.keywords(found["keyword"]),
        "topics": part.topics(found["topic"]),
        "faces": part.faces(people),
        "labels": [{**entry, "language": "en"} for entry in part.named(labels, "name")],
        "detectedObjects": [
            {**entry, "type": entry["displayName"], "thumbnailId": ""}
            for entry in part.named(found["track"], "displayName")
        ],
        "scenes": part.spans(found["scene"]),
        "shots": part.shots(found["shot"], found["keyframe"]),
        "brands": [],
        "audioEffects": [{**entry, "name": entry["type"]} for entry in sounds],
        "sentiments": part.sentiments(found["sentiment"]),
        "emotions": part.emotions(found["expression"]),
        "visualContentModeration": part.moderation(found["safety"]),
        "textualContentModeration": {"id": 0, "bannedWordsCount": 0, "bannedWordsRatio": 0.0, "instances": []},
        "speakers": talking,
        "statistics": part.statistics(found["speaker"], found["speech"], numbers, speaker, whole),
        "blocks": [{"id": 0, "instances": [part.instance(Span.of_seconds(0, whole))]}],
    }
    titles = [chosen(o) for o in found["chapter"]]
    ours: dict[str, Any] = {
        "chapters": [e | {"name": t} for e, t in zip(part.spans(found["chapter"]), titles, strict=True)],
        "cues": part.named(found["cue"], "type"),
    }
    return {**insights, **{key: value for key, value in ours.items() if value}}
