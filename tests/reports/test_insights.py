"""The format ``insights`` by the published description of Azure AI Video Indexer's output."""

from __future__ import annotations

import json
import re

from onlooker.core.observation import Box, Json
from onlooker.testing.export import HOSTILE, varied
from reports.written import made, write

CLOCK = re.compile(r"\d+:\d\d:\d\d(\.\d{1,7})?")


def test_insights_have_the_documented_form():
    """The keys are those of the published description of Azure AI Video Indexer's output."""
    text, _ = write("insights", [*varied(), made("keyframe", 30, 30, media=("late.jpg",))])
    whole = json.loads(text)
    assert {"name", "state", "durationInSeconds", "videos", "videosRanges"} <= set(whole)
    (video,) = whole["videos"]
    assert {"accountId", "id", "state", "processingProgress", "insights"} <= set(video)
    insights = video["insights"]
    documented = "version sourceLanguage language transcript ocr keywords faces labels shots brands audioEffects "
    documented += "sentiments visualContentModeration textualContentModeration emotions topics speakers"
    assert {*documented.split(), "duration", "scenes", "blocks", "statistics"} <= set(insights)
    for name in ("transcript", "ocr", "labels", "scenes", "shots", "detectedObjects", "audioEffects", "blocks"):
        for entry in insights[name]:
            assert isinstance(entry["id"], int)
            for instance in entry["instances"]:
                for key in ("start", "end", "adjustedStart", "adjustedEnd"):
                    assert CLOCK.fullmatch(instance[key])
    for entry in (*insights["transcript"], *insights["ocr"]):
        assert 0 <= entry["confidence"] <= 1
        assert {"text", "language"} <= set(entry)
    placed = [e for e in insights["ocr"] if "left" in e]
    assert placed[0] | {"left": 192, "top": 216, "width": 384, "height": 216} == placed[0]
    frames = [f for s in insights["shots"] for f in s["keyFrames"]]
    assert len(frames) == len(HOSTILE) + 1
    assert frames[-1]["instances"][0]["thumbnailId"] == "late.jpg"
    assert {o["displayName"] for o in insights["detectedObjects"]} >= {"person"}


def test_insights_of_people_words_and_meaning():
    turns = [made("speaker", n, n + 2, label=f"speaker-{k}", track=f"speaker-{k}") for n, k in ((0, 1), (2, 2), (4, 1))]
    said = ((0, "one two"), (2, "three"), (4, "x"))
    link: dict[str, Json] = {"speaker": "speaker-1", "person": "Ada"}
    given_ = [
        *turns,
        *(made("speech", n, n + 2, text=t, data={"language": "en"}) for n, t in said),
        made("speech", 8, 9, text="nobody's turn"),
        made("identity", 0, 2, label="Ada", track="face-1", score=0.8),
        made("face_track", 0, 2, track="face-1", media=("a.jpg",), data={"quality": 0.5}),
        made("face_track", 3, 5, track="face-2"),
        made("fact", 0, 2, label="speaker_is_face", score=0.9, track="face-1", data=link),
        made("keyword", 0, 8, label="bank", text="bank", score=0.7, data={"moments": [[1, 2], [6.5, 7]]}),
        made("topic", 0, 9, label="economy", text="Economy", score=0.4, data={"period": "source"}),
        made("topic", 0, 4, label="economy", text="Economy", score=0.6, data={"period": "chapter"}),
        made("sentiment", 0, 2, label="positive", score=0.8),
        made("sentiment", 2, 4, label="positive", score=0.6),
        made("sentiment", 0, 9, label="negative", score=0.1, data={"period": "source"}),
        made("safety", 2, 4, label="explicit", score=0.9),
        made("safety", 2, 4, label="suggestive", score=0.7),
        made("expression", 0, 1, label="happy", track="face-1", score=0.9),
        made("expression", 1, 2, label="neutral", track="face-1", score=0.9),
        made("sound", 0, 1, label="baby_cry", score=0.9),
        made("text", 0, 1, text="up", box=Box(0, 0, 0.5, 0.5), data={"angle": 90.0}),
        made("summary", 0, 9, label="source", text="All in short."),
        made("summary", 0, 4, label="chapter", text="A part in short."),
        made("chapter", 0, 9, text="Only one"),
    ]  # fmt: skip
    text, summary = write("insights", given_)
    whole = json.loads(text)
    assert whole["description"] == "All in short."
    assert dict(summary.left_out) == {"expression": 1}
    insights = whole["videos"][0]["insights"]
    assert [s["name"] for s in insights["speakers"]] == ["Ada", "Speaker #2"]
    assert [t["speakerId"] for t in insights["transcript"]] == [1, 2, 1, None]
    assert (insights["sourceLanguage"], insights["language"]) == ("en", "en")
    assert [f["name"] for f in insights["faces"]] == ["Ada", "Unknown #2"]
    assert insights["faces"][0]["thumbnailId"] == "a.jpg"
    assert insights["faces"][0]["instances"][0]["thumbnailsIds"] == ["a.jpg"]
    (word,) = insights["keywords"]
    assert [(i["start"], i["end"]) for i in word["instances"]] == [("0:00:01", "0:00:02"), ("0:00:06.5", "0:00:07")]
    (topic,) = insights["topics"]
    assert (topic["name"], topic["confidence"], topic["instances"][0]["end"]) == ("economy", 0.6, "0:00:04")
    (mood,) = insights["sentiments"]
    assert (mood["sentimentType"], mood["averageScore"], len(mood["instances"])) == ("Positive", 0.7, 2)
    assert [e["type"] for e in insights["emotions"]] == ["Joy"]
    assert insights["audioEffects"][0]["type"] == "Baby cry"
    assert insights["ocr"][0]["angle"] == 90
    assert insights["brands"] == []
    scores = [(m["adultScore"], m["racyScore"]) for m in insights["visualContentModeration"]]
    assert scores == [(0.9, 0.0), (0.0, 0.7)]
    assert insights["chapters"][0]["name"] == "Only one"
    statistics = insights["statistics"]
    assert statistics["correspondenceCount"] == 2
    assert statistics["speakerNumberOfFragments"] == {"1": 2, "2": 1}
    assert statistics["speakerWordCount"] == {"1": 3, "2": 1}
    assert statistics["speakerLongestMonolog"] == {"1": 2, "2": 2}
