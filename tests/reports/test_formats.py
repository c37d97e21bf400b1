"""Each format is read back by its own reader, or by its published rules."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from fractions import Fraction

import av
import opentimelineio as otio
import pysubs2
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span
from onlooker.reports.export import one_line
from onlooker.reports.exports.edl import timecode
from onlooker.testing.export import HOSTILE, status, varied
from onlooker.testing.store_values import OTHER, SOURCE, producer, source_info
from reports.written import made, write

NTSC = Fraction(30000, 1001)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
brief = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=("Cs",)), max_size=30), st.integers(0, 10**7), st.integers(2, 7000)
    ),
    max_size=6,
)
"""What fits one subtitle each."""
quick = settings(max_examples=60, deadline=None)


def spoken(said):
    return [made("speech", Fraction(a, 1000), Fraction(a + length, 1000), text=t) for t, a, length in said]


def plain(text):
    """Text that no subtitle reader takes for markup."""
    return re.sub(r"[<>{}\\&]", "", text)


@quick
@given(brief)
def test_srt_reads_back(said):
    said = [(plain(t).replace("--", ""), a, n) for t, a, n in said]
    text, _ = write("srt", spoken(said))
    read = pysubs2.SSAFile.from_string(text, format_="srt") if said else []
    # the reader takes "{" and its kind for style, which `plain` left out; lines are broken, never letters lost
    assert ["".join(e.plaintext.split()) for e in read] == [
        "".join((one_line(t) or "speech").split()) for t, *_ in said
    ]
    for event, (_, a, n) in zip(read, said, strict=True):
        assert event.start == a
        assert event.end >= a + n


@quick
@given(brief)
def test_webvtt_reads_back(said):
    text, _ = write("webvtt", spoken(said))
    read = webvtt.from_string(text)
    shown = [re.sub("&lt;", "<", c.raw_text.replace("&gt;", ">")).replace("&amp;", "&") for c in read.captions]
    assert ["".join(t.split()) for t in shown] == ["".join((one_line(t) or "speech").split()) for t, _, _ in said]
    for caption, (_, a, n) in zip(read.captions, said, strict=True):
        assert caption.start_in_seconds == a // 1000
        assert caption.end_in_seconds >= (a + n) // 1000


def test_webvtt_cues_carry_the_id_of_the_observation():
    given_ = spoken([("a", 0, 1000), ("b", 2000, 500)])
    text, _ = write("webvtt", given_)
    assert [c.identifier for c in webvtt.from_string(text).captions] == [o.id for o in given_]


@pytest.mark.parametrize("name", ["srt", "webvtt"])
def test_a_caption_too_short_to_show_is_left_out(name):
    given_ = [made("speech", Fraction(6, 10_000), Fraction(13, 10_000), text="flash"), *spoken([("stays", 10, 20)])]
    text, summary = write(name, given_)
    assert "flash" not in text
    assert (summary.written, dict(summary.left_out)) == (1, {"speech": 1})


def test_otio_reads_back_with_every_shot_where_it_is():
    shots = [made("shot", 1, 2), made("shot", 2, 4), made("shot", Fraction(7), Fraction(9), score=float("nan"))]
    twice = made("shot", 8, 10)
    cue = made("cue", 3, 5, label="black")
    text, summary = write("otio", [*shots[:2], cue, shots[2], twice])
    assert (summary.written, dict(summary.left_out)) == (4, {"shot": 1})
    timeline = otio.adapters.read_from_string(text, "otio_json")
    (track,) = timeline.video_tracks()
    clips = list(track.find_clips())
    assert [c.name for c in clips] == ["shot 1", "shot 2", "shot 3"]
    for clip, shot in zip(clips, shots, strict=True):
        for span in (clip.range_in_parent(), clip.source_range):
            assert span.start_time.to_seconds() == pytest.approx(shot.span.start.seconds)
            assert span.duration.to_seconds() == pytest.approx(float(shot.span.duration))
        assert clip.metadata["onlooker"]["id"] == shot.id
        assert clip.media_reference.target_url == "/videos/街景 café.mp4"
    (marker,) = track.markers
    assert marker.name == "cue: black"
    assert marker.marked_range.start_time.to_seconds() == pytest.approx(3)
    # what the reader writes is what it read
    assert otio.adapters.read_from_string(otio.adapters.write_to_string(timeline, "otio_json"), "otio_json")


@quick
@given(texts)
def test_otio_holds_any_text(text):
    written, _ = write("otio", [made("shot", 0, 1), made("text", 0, 1, text=text)])
    read = otio.adapters.read_from_string(written, "otio_json")
    assert read.video_tracks()[0].markers[0].name == f"text: {one_line(text) or 'text'}"


@quick
@given(texts, texts)
def test_csv_reads_back_and_holds_no_formula(text, label):
    observation = made("text", Fraction(1, 3), 2, text=text, label=label, box=Box(0, 0.25, 0.5, 1), data={"path": text})
    written, _ = write("csv", [observation])
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    for cell, meant in ((row["text"], text), (row["label"], label)):
        assert cell.removeprefix("'") == meant.removeprefix("'")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row["path"] == "/videos/街景 café.mp4"
    assert json.loads(row["data"]) == {"path": text}
    assert [float(row[k]) for k in ("left", "top", "right", "bottom", "start_seconds")] == [0, 0.25, 0.5, 1, 0.333333]
    assert row["id"] == observation.id
    assert row["score"] == ""


def test_jsonl_is_the_public_form():
    given_ = varied()
    text, _ = write("jsonl", given_)
    # half a surrogate is the one thing that UTF-8 cannot hold
    expected = [json.loads(json.dumps(o.as_dict()).replace("\\ud800", "?")) for o in given_]
    assert [json.loads(line) for line in text.split("\n")[:-1]] == expected


def test_coco_is_whole():
    other = status(source_info(OTHER, "/videos/other.mp4"))
    boxes = [
        made("object", Fraction(n * 1001, 30000), Fraction((n + 1) * 1001, 30000), label=label, box=Box(0.5, 0.5, 1, 1))
        for n, label in ((0, "person"), (0, "car"), (7, "person"))
    ]
    boxes[1] = replace(boxes[1], ordinal=1)
    text, summary = write("coco", [*boxes, replace(boxes[0], source=OTHER)], [status(source_info()), other])
    whole = json.loads(text)
    images = {i["id"]: i for i in whole["images"]}
    classes = {c["id"]: c["name"] for c in whole["categories"]}
    assert len(images) == 3
    assert [images[a["image_id"]]["frame"] for a in whole["annotations"]] == [0, 0, 7, 0]
    assert [classes[a["category_id"]] for a in whole["annotations"]] == ["person", "car", "person", "person"]
    assert len({a["id"] for a in whole["annotations"]}) == summary.written == 4
    for note in whole["annotations"]:
        left, top, width, height = note["bbox"]
        image = images[note["image_id"]]
        assert (left + width, top + height) == (image["width"], image["height"])
        assert note["area"] == width * height
        assert note["iscrowd"] == 0
    assert images[4 - 1]["file_name"].startswith(OTHER)


def test_coco_holds_bodies_and_faces():
    """Key points as the COCO form has them: x, y in pixels and v; unsure ones are 0, 0, 0."""
    points = [[0.5, 0.25, 0.9]] * 16 + [[0.1, 0.1, 0.05]]
    body = made("pose", 0, 1, label="body", box=Box(0, 0, 1, 1), track="t1", data={"keypoints": points})
    face = made("face", 0, 1, box=Box(0, 0, 0.5, 0.5), track="face-1", data={"points": [[0.25, 0.5]] * 5})
    odd = made("face", 1, 2, box=Box(0, 0, 0.5, 0.5), data={"points": [["x", 1], [float("nan"), 0.5]]})
    thing = made("object", 0, 1, label="person", box=Box(0, 0, 1, 1))
    whole = json.loads(write("coco", [body, face, odd, thing])[0])
    classes = {c["id"]: c for c in whole["categories"]}
    by_name = {classes[n["category_id"]]["name"]: n for n in whole["annotations"][::-1]}
    assert by_name["body"]["keypoints"] == [960.0, 270.0, 2] * 16 + [0, 0, 0]
    assert by_name["body"]["num_keypoints"] == 16
    assert by_name["face"]["keypoints"] == [480.0, 540.0, 2] * 5
    assert [n["num_keypoints"] for n in whole["annotations"] if "keypoints" in n] == [16, 5, 0]
    assert "keypoints" not in by_name["person"]
    for category in classes.values():
        names = category.get("keypoints", [])
        assert len(names) == {"body": 17, "face": 5, "person": 0}[category["name"]]
        assert all(1 <= n <= len(names) for pair in category.get("skeleton", []) for n in pair)
    # the left knee joins the left hip and ankle
    knee = classes[by_name["body"]["category_id"]]["keypoints"].index("left_knee") + 1
    joined = {tuple(p) for p in classes[by_name["body"]["category_id"]]["skeleton"] if knee in p}
    assert joined == {(16, 14), (14, 12)}


def test_chapters_have_their_titles_or_numbers():
    chapters = [made("chapter", 0, 4, text="Welcome", label="Chapter 1"), made("chapter", 4, 10, label="Chapter 2")]
    assert re.findall("title=(.*)", write("ffmetadata", chapters)[0]) == ["Welcome", "Chapter 2"]


def test_activitynet_is_whole():
    text, _ = write("activitynet", varied())
    whole = json.loads(text)
    assert whole["version"] == "VERSION 1.3"
    (video,) = whole["database"].values()
    assert video["duration"] == 10.01
    assert video["resolution"] == "1920x1080"
    for note in video["annotations"]:
        start, end = note["segment"]
        assert start < end
        assert isinstance(note["label"], str)
        assert note["label"]


def test_mot_counts_frames_and_tracks_from_one():
    spans = [Span.of_seconds(Fraction(n * 1001, 30000), Fraction((n + 1) * 1001, 30000)) for n in (0, 1, 299)]
    box = Box(0.25, 0.5, 0.5, 1.0)
    names = ("person-9", "car-2", "person-9")
    rows = [
        Observation(s, "object", score=0.5, box=box, track=t).of(SOURCE, producer(), 0)
        for s, t in zip(spans, names, strict=True)
    ]
    text, summary = write("mot", [*rows, made("object", 9, 10, box=box), made("object", 9, 10, track="x")])
    read = [[float(v) for v in line.split(",")] for line in text.splitlines()]
    assert [(r[0], r[1]) for r in read] == [(1, 1), (2, 2), (300, 1)]
    assert read[0][2:] == [480, 540, 480, 540, 0.5, -1, -1, -1]
    assert dict(summary.left_out) == {"object": 2}


def test_chapters_reach_a_player(tmp_path, data):
    titles = [one_line(t) for t in HOSTILE if one_line(t) and "\ud800" not in t]
    chapters = [made("chapter", n, n + 1, text=t) for n, t in enumerate(titles)]
    (tmp_path / "c.ffmetadata").write_text(write("ffmetadata", chapters)[0], encoding="utf-8")
    with av.open(str(tmp_path / "c.ffmetadata"), format="ffmetadata") as read:
        _same_chapters(read.chapters(), titles)
        found = read.chapters()
    # and through a container, as ffmpeg -map_metadata would carry them
    with av.open(str(data("clips/carphone.mp4"))) as source, av.open(str(tmp_path / "out.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        target.set_chapters(found)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(tmp_path / "out.mkv")) as read:
        _same_chapters(read.chapters(), titles)


def _same_chapters(found, titles):
    assert [c["metadata"]["title"] for c in found] == titles
    assert [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in found] == [
        (n, n + 1) for n in range(len(titles))
    ]


# SMPTE 12M: two (at 59.94: four) numbers are dropped each minute except every tenth
@pytest.mark.parametrize(
    ("frame", "rate", "expected"),
    [
        (0, NTSC, "00:00:00;00"),
        (1799, NTSC, "00:00:59;29"),
        (1800, NTSC, "00:01:00;02"),
        (3597, NTSC, "00:01:59;29"),
        (3598, NTSC, "00:02:00;02"),
        (17981, NTSC, "00:09:59;29"),
        (17982, NTSC, "00:10:00;00"),
        (107892, NTSC, "01:00:00;00"),
        (1800, Fraction(2997, 100), "00:01:00;02"),
        (3600, Fraction(60000, 1001), "00:01:00;04"),
        (1800, Fraction(30), "00:01:00:00"),
        (1440, Fraction(24000, 1001), "00:01:00:00"),
        (1500, Fraction(25), "00:01:00:00"),
        (7, Fraction(1, 5), "00:00:07:00"),
    ],
)
def test_timecode(frame, rate, expected):
    assert timecode(frame, rate) == expected


def frame_of(code, nominal, drop):
    hours, minutes, seconds, part = (int(v) for v in re.split("[:;]", code))
    count = ((hours * 60 + minutes) * 60 + seconds) * nominal + part
    passed = hours * 60 + minutes
    return count - drop * (passed - passed // 10)


@given(st.integers(0, 10**7), st.sampled_from([(NTSC, 30, 2), (Fraction(60000, 1001), 60, 4), (Fraction(25), 25, 0)]))
def test_timecodes_count_up_and_parse_back(frame, kind):
    rate, nominal, drop = kind
    first, second = timecode(frame, rate), timecode(frame + 1, rate)
    assert frame_of(first, nominal, drop) == frame
    if frame < 99 * 3600 * nominal:
        assert first < second


def test_edl_events():
    shots = [made("shot", 0, Fraction(1001, 100)), made("shot", Fraction(1001, 100), 100), made("shot", 200, 200)]
    text, summary = write("edl", shots)
    assert "FCM: DROP FRAME" in text
    events = re.findall(r"^(\d{3})  AX       V     C        (\S+) (\S+) (\S+) (\S+)$", text, re.M)
    assert [e[0] for e in events] == ["001", "002"]
    assert all(e[1:3] == e[3:5] for e in events)
    assert events[0][2] == events[1][1] == "00:00:10;00"
    assert events[1][2] == timecode(2997, NTSC)
    assert dict(summary.left_out) == {"shot": 1}


def test_edl_tells_what_does_not_fit():
    shots = [made("shot", n, n + 1) for n in range(1005)]
    text, summary = write("edl", shots)
    assert summary.written == 999
    assert summary.left_out["shot"] == 6
    assert "\n999  AX" in text
