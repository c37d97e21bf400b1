"""The insight elements: each from observations of one or two kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from onlooker.core.media import VideoInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.reports.export import box_of, chosen, one_line, score_of
from onlooker.reports.people import Person, SpeakerAt

__all__ = [
    "EMOTIONS",
    "confidence",
    "emotions",
    "faces",
    "instance",
    "keywords",
    "language_of",
    "lines",
    "moderation",
    "moment",
    "named",
    "sentiments",
    "shots",
    "spans",
    "speakers",
    "statistics",
    "topics",
]

Entry = dict[str, Any]
EMOTIONS = {"happy": "Joy", "sad": "Sad", "angry": "Anger", "fearful": "Fear"}
"""The published emotions by our expressions; the others have no place."""


def moment(time: Timestamp) -> str:
    """``H:MM:SS.fffffff``, trailing zeros of the fraction dropped.

    >>> moment(Timestamp.of_seconds(Fraction(3661) + Fraction(1, 4)))
    '1:01:01.25'
    """
    ticks = max(0, round(time.value * 10_000_000))
    seconds, part = divmod(ticks, 10_000_000)
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}.{part:07d}".rstrip("0") if part else clock


def instance(span: Span, **more: Any) -> Entry:
    """A stretch in which an element appeared."""
    start, end = moment(span.start), moment(span.end)
    return {**more, "adjustedStart": start, "adjustedEnd": end, "start": start, "end": end}


def confidence(observation: Observation) -> float:
    """The score within 0..1; 1 where there is none."""
    score = score_of(observation)
    return 1.0 if score is None else round(min(1.0, max(0.0, score)), 4)


def spans(observations: Iterable[Observation]) -> list[Entry]:
    """An entry with one instance for each."""
    return [
        {"id": n, "instances": [{**instance(o.span), "duration": moment(_length(o.span))}]}
        for n, o in enumerate(observations, 1)
    ]


def _length(span: Span) -> Timestamp:
    return Timestamp.of_seconds(max(Fraction(0), span.duration))


def _grouped(observations: Iterable[Observation], name: Callable[[Observation], str]) -> dict[str, list[Observation]]:
    groups: dict[str, list[Observation]] = {}
    for o in observations:
        groups.setdefault(name(o), []).append(o)
    return groups


def named(observations: Iterable[Observation], field: str, name: Callable[[str], str] = str) -> list[Entry]:
    """Observations of one label each together as one entry with several instances."""
    groups = _grouped(observations, lambda o: name(o.label or o.kind))
    return [
        {"id": n, field: label, "instances": [instance(o.span, confidence=confidence(o)) for o in members]}
        for n, (label, members) in enumerate(groups.items(), 1)
    ]


def lines(
    observations: Iterable[Observation], video: VideoInfo | None, speaker: Callable[[Observation], int | None] | None
) -> list[Entry]:
    """Sentences (with a speaker's number) or texts on screen (with their place in pixels)."""
    found: list[Entry] = []
    for number, o in enumerate(observations, 1):
        entry: Entry = {"id": number, "text": o.text or "", "confidence": confidence(o), "language": language_of([o])}
        if speaker is not None:
            entry["speakerId"] = speaker(o)
        entry["instances"] = [instance(o.span)]
        box = box_of(o)
        if box is not None and video is not None:
            left, top = round(box.left * video.width), round(box.top * video.height)
            right, bottom = round(box.right * video.width), round(box.bottom * video.height)
            angle = o.data.get("angle")
            entry |= {"left": left, "top": top, "width": right - left, "height": bottom - top}
            entry["angle"] = angle if isinstance(angle, int | float) and -180 <= angle <= 180 else 0
        found.append(entry)
    return found


def language_of(observations: Iterable[Observation]) -> str:
    """The language of most of them, or nothing."""
    told = Counter(v for o in observations if isinstance(v := o.data.get("language"), str))
    return told.most_common(1)[0][0] if told else ""


def shots(found: list[Observation], keyframes: list[Observation]) -> list[Entry]:
    """Shots with the keyframes in them."""
    entries = spans(found)
    at = 0
    for entry, shot in zip(entries, found, strict=True):
        frames: list[Entry] = []
        last = shot is found[-1]
        while at < len(keyframes) and (last or keyframes[at].span.start < shot.span.end):
            image = keyframes[at].media[0] if keyframes[at].media else ""
            frames.append({"id": at + 1, "instances": [instance(keyframes[at].span, thumbnailId=image)]})
            at += 1
        entry["keyFrames"] = frames
    return entries


def faces(people: Sequence[Person]) -> list[Entry]:
    """One entry for each person; who is not known is ``Unknown #N``, as in the published form."""
    found: list[Entry] = []
    for number, person in enumerate(people, 1):
        # JSON in place of what only their service knows
        nothing = dict.fromkeys(("description", "referenceId", "referenceType", "title", "imageUrl"))
        found.append(
            {
                "id": number,
                "name": person.name if person.known else f"Unknown #{number}",
                "confidence": round(min(1.0, max(0.0, person.score or 0.0)), 4),
                **nothing,
                "thumbnailId": person.picture or "",
                "knownPersonId": person.name if person.known else None,
                "instances": [instance(o.span, thumbnailsIds=list(o.media)) for o in person.spans],
            }
        )
    return found


def keywords(observations: Iterable[Observation]) -> list[Entry]:
    """Keywords with the moments at which each was said or shown."""
    found: list[Entry] = []
    for number, (word, members) in enumerate(_grouped(observations, chosen).items(), 1):
        instances = [instance(s) for o in members for s in _moments(o)]
        best = max(map(confidence, members))
        language = language_of(members)
        found.append({"id": number, "text": word, "confidence": best, "language": language, "instances": instances})
    return found


def _moments(o: Observation) -> list[Span]:
    """The stretches that the observation names, else its own."""
    told = o.data.get("moments")
    found: list[Span] = []
    for pair in told if isinstance(told, list) else ():
        match pair:
            case [int() | float() as start, int() | float() as end] if 0 <= start <= end < 1e9:
                found.append(Span.of_seconds(Fraction(start).limit_denominator(1000), Fraction(end)))
            case _:
                continue
    return found or [o.span]


def topics(observations: Iterable[Observation]) -> list[Entry]:
    """Topics; where chapters have their own, those are the instances, else the whole."""
    found: list[Entry] = []
    for number, (name, members) in enumerate(_grouped(observations, lambda o: o.label or chosen(o)).items(), 1):
        parts = [o for o in members if o.data.get("period") != "source"] or members
        found.append(
            {
                "id": number,
                "name": name,
                "referenceId": name,
                "referenceType": "onlooker",
                "confidence": max(map(confidence, members)),
                "language": language_of(members),
                "iptcName": None,
                "instances": [instance(o.span) for o in parts],
            }
        )
    return found


def sentiments(observations: Iterable[Observation]) -> list[Entry]:
    """Aggregated by type: ``Positive``, ``Neutral`` or ``Negative``."""
    parts = [o for o in observations if o.data.get("period") != "source"]
    groups = _grouped(parts, lambda o: (one_line(o.label) or "neutral").capitalize())
    return [
        {
            "id": n,
            "sentimentType": sort,
            "averageScore": round(sum(map(confidence, members)) / len(members), 4),
            "instances": [instance(o.span) for o in members],
        }
        for n, (sort, members) in enumerate(groups.items(), 1)
    ]


def emotions(observations: Iterable[Observation]) -> list[Entry]:
    """Expressions of faces; the published emotions come from speech."""
    groups = _grouped((o for o in observations if o.label in EMOTIONS), lambda o: EMOTIONS[o.label or ""])
    return [
        {"id": n, "type": sort, "instances": [instance(o.span, confidence=confidence(o)) for o in members]}
        for n, (sort, members) in enumerate(groups.items(), 1)
    ]


def moderation(observations: Iterable[Observation]) -> list[Entry]:
    """Stretches that are explicit (``adultScore``) or suggestive (``racyScore``)."""
    unsafe = [o for o in observations if o.label in ("explicit", "explicit_drawing", "suggestive")]
    return [
        {
            "id": n,
            "adultScore": confidence(o) if o.label != "suggestive" else 0.0,
            "racyScore": confidence(o) if o.label == "suggestive" else 0.0,
            "instances": [instance(o.span)],
        }
        for n, o in enumerate(unsafe, 1)
    ]


def speakers(turns: Iterable[Observation], names: Mapping[str, str]) -> tuple[list[Entry], dict[str, int]]:
    """Speakers with their turns, and the number of each by track and by name."""
    groups = _grouped(turns, lambda o: o.track or o.label or o.kind)
    numbers: dict[str, int] = {}
    found: list[Entry] = []
    for number, (track, members) in enumerate(groups.items(), 1):
        name = names.get(track)
        numbers |= {track: number, **({name: number} if name else {})}
        instances = [instance(o.span) for o in members]
        found.append({"id": number, "name": name or f"Speaker #{number}", "instances": instances})
    return found, numbers


def statistics(
    turns: Sequence[Observation],
    said: Iterable[Observation],
    numbers: Mapping[str, int],
    speaker: SpeakerAt,
    duration: Fraction,
) -> Entry:
    """How much each speaker says: words, fragments, longest monologue in seconds, share of the video."""
    talked: Counter[int] = Counter()
    fragments: Counter[int] = Counter()
    longest: Counter[int] = Counter()
    spoken: Counter[int] = Counter()
    for o in turns:
        number = numbers[o.track or o.label or o.kind]
        fragments[number] += 1
        longest[number] = max(longest[number], round(float(o.span.duration)))
        talked[number] += round(1000 * float(o.span.duration))
    for o in said:
        name = speaker.of(o)
        if name is not None and name in numbers:
            spoken[numbers[name]] += len((o.text or "").split())
    changes = sum(a.track != b.track for a, b in pairwise(turns))
    ratio = {str(n): round(ms / 1000 / float(duration), 3) for n, ms in talked.items()} if duration else {}
    return {
        "correspondenceCount": changes,
        "speakerTalkToListenRatio": ratio,
        "speakerLongestMonolog": {str(n): v for n, v in longest.items()},
        "speakerNumberOfFragments": {str(n): v for n, v in fragments.items()},
        "speakerWordCount": {str(n): spoken[n] for n in fragments},
    }
