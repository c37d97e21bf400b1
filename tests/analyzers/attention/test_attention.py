"""The real networks on real faces: turned, blinking, talking, wide-mouthed and asleep."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, cast

import av
import numpy as np
import pytest
from PIL import Image

from onlooker.analyzers.attention.analyzer import Attention
from onlooker.analyzers.attention.config import AttentionConfig
from onlooker.analyzers.attention.network import FaceNetworks, Seen
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.analyzers.faces.detector import FaceDetector, quality_columns
from onlooker.core.errors import ModelMissing
from onlooker.core.observation import Observation
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

LFW = ("Heidi_Klum_0004.jpg", "Larry_Coker_0004.jpg", "Ana_Palacio_0002.jpg", "Celine_Dion_0001.jpg")


@pytest.fixture(scope="module", autouse=True)
def models():
    try:
        return [model_path(name) for name in ("centerface", "face-landmark", "iris-landmark")]
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


class TestContract(AnalyzerContract):
    clip: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _data(self, data):
        TestContract.clip = data("clips/tv_whitehouse_performance.mp4")

    def make(self):
        return [Faces(FacesConfig(rate=2.5)), Attention(AttentionConfig())]

    def open_source(self):
        return open_source(str(self.clip))


def run(path, rate=5.0, **settings) -> list[Observation]:
    source = open_source(str(path))
    try:
        faces = Faces(FacesConfig(rate=rate, gate=False))
        return drive([faces, Attention(AttentionConfig(**settings))], source)
    finally:
        source.close()


def states(made, label) -> list[Observation]:
    return [o for o in made if o.kind == "attention_state" and o.label == label]


def mean(made, name) -> float:
    values = [o.data[name] for o in made if o.kind == "attention"]
    return float(np.mean([cast(float, v) for v in values if v is not None]))


@pytest.fixture(scope="module")
def look():
    """``look(picture)``: what is seen of its first face."""
    detector = FaceDetector(size=256, threads=1, least=0.5, overlap=0.3)
    networks = FaceNetworks(crop=1.45, threads=1)

    def seen(picture) -> Seen:
        picture = np.ascontiguousarray(picture)
        rows = quality_columns(picture, detector.detect_picture(picture))
        made = networks.look(picture, rows[0])
        assert made is not None
        return made

    yield seen
    detector.close()
    networks.close()


@pytest.fixture(scope="module")
def portraits(data):
    folder = data("lfw_multitask/images")
    return [np.array(Image.open(folder / name).convert("RGB").resize((256, 256))) for name in LFW]


def test_a_mirrored_face_is_turned_the_other_way(look, portraits):
    for picture in portraits:
        one, other = look(picture), look(picture[:, ::-1])
        assert one.yaw == pytest.approx(-other.yaw, abs=5)
        assert one.roll == pytest.approx(-other.roll, abs=3)
        assert one.pitch == pytest.approx(other.pitch, abs=4)
        assert one.gaze_yaw == pytest.approx(-other.gaze_yaw, abs=8)


def test_a_picture_turned_clockwise_turns_the_roll_with_it(look, portraits):
    for picture in portraits:
        upright = look(picture)
        for turned in (-25, 25):
            # Pillow turns anticlockwise
            copy = np.array(Image.fromarray(picture).rotate(-turned, Image.Resampling.BICUBIC))
            assert look(copy).roll - upright.roll == pytest.approx(turned, abs=4)


def test_eyes_may_look_elsewhere_than_the_head_points(look, data):
    def seen(name):
        return look(np.array(Image.open(data("lfw_multitask/images") / name).convert("RGB").resize((256, 256))))

    # by looking at them: heads turned aside, eyes on the camera
    for name, yaw in (("Luis_Figo_0004.jpg", 30), ("Lucy_Liu_0002.jpg", -22)):
        made = seen(name)
        assert made.yaw == pytest.approx(yaw, abs=10)
        assert abs(made.gaze_yaw) < 12
    # eyes in their corners
    assert seen("Winona_Ryder_0024.jpg").gaze_yaw > 18
    assert seen("Laura_Bush_0007.jpg").gaze_yaw < -18


def test_heads_seem_turned_to_where_they_are(data):
    made = run(data("clips/walk.mkv"))
    assert mean(made, "yaw") < -8  # she looks to the picture's left, above the camera
    assert mean(made, "pitch") > 8
    made = run(data("clips/carphone.mp4"))
    assert mean(made, "roll") < -8  # he leans anticlockwise


def test_blinks_are_counted_at_a_high_rate_and_a_low_rate_says_that_it_cannot(data):
    for clip, blinks in (("grid_av/bbaf2n.mpg", 2), ("grid_av/pwij3p.mpg", 2), ("grid_av/lwbsza.mpg", 0)):
        made = run(data(clip), rate=25.0)
        assert len(states(made, "blink")) == blinks, clip
        assert all(o.span.duration < 0.7 for o in states(made, "blink"))
        assert all(o.data["counted"] is True and o.data["blinks"] == blinks for o in states(made, "blink_rate"))
    (minute,) = states(run(data("clips/carphone.mp4"), rate=2.5), "blink_rate")
    assert minute.data["counted"] is False


def test_mouths_that_talk_and_mouths_that_do_not(data):
    for clip in ("grid_av/bbaf2n.mpg", "grid_av/lwbsza.mpg", "grid_av/pwij3p.mpg"):
        talking = states(run(data(clip)), "talking_mouth")
        assert sum(float(o.span.duration) for o in talking) > 1, clip
    for clip in ("clips/book.mkv", "clips/walk.mkv"):
        assert not states(run(data(clip)), "talking_mouth"), clip


def pictures(path) -> list[Any]:
    with av.open(str(path)) as clip:
        return [f.to_ndarray(format="rgb24") for f in clip.decode(video=0)]


def test_a_mouth_held_wide_open_yawns_and_shouting_does_not(data, write, tmp_path):
    shown = pictures(data("clips/carphone.mp4"))
    wide = shown[57:63]
    held = shown[:58] + (wide + wide[::-1]) * 5 + shown[63:]
    yawns = states(run(write(held, tmp_path / "yawn.mp4", crf=16), rate=10.0), "yawning")
    assert len(yawns) == 1
    assert yawns[0].span.start.seconds == pytest.approx(58 / 25, abs=0.5)
    assert 1.8 < yawns[0].span.duration < 4
    assert not states(run(data("clips/carphone.mp4"), rate=10.0), "yawning")


def test_eyes_closed_for_long_are_no_blink_and_make_drowsy(data, write, tmp_path):
    shown = [p[::2, ::2] for p in pictures(data("clips/talking_face_signer_blue.mp4"))]
    asleep = shown[:28] + [shown[37]] * 75 + shown[40:60]
    made = run(write(asleep, tmp_path / "asleep.mp4"), rate=10.0)
    (closed,) = states(made, "eyes_closed")
    assert closed.span.duration == pytest.approx(3.2, abs=0.5)
    (drowsy,) = states(made, "drowsy")
    assert drowsy.score is not None
    assert drowsy.score >= 0.5
    assert drowsy.data["reasons"] == ["long_closure"]
    assert cast(float, drowsy.data["longest_closure"]) > 2
    assert not states(run(data("grid_av/bbaf2n.mpg")), "drowsy")


def test_what_is_looked_at_depends_on_the_target(data):
    clip = data("grid_av/bbaf2n.mpg")
    at_camera, aside = run(clip), run(clip, target={"yaw": 60.0}, group_seconds=2.0)
    labels = Counter(o.label for o in at_camera if o.kind == "attention")
    assert labels["looking"] > 0.8 * labels.total()
    assert labels["away"] == 0
    labels = Counter(o.label for o in aside if o.kind == "attention")
    assert labels["looking"] == 0
    (group,) = [o for o in at_camera if o.kind == "attention_group"]
    assert group.score == pytest.approx(group.data["looking"], abs=1e-3)
    assert cast(float, group.data["looking"]) > 0.8
    assert (group.data["faces"], group.data["tracks"]) == (1.0, 1)
    groups = [o for o in aside if o.kind == "attention_group"]
    assert [o.score for o in groups] == [0.0, 0.0]


def test_states_of_looking_do_not_overlap_within_a_track(data):
    made = run(data("clips/tv_whitehouse_performance.mp4"), target={"yaw": 20.0, "tolerance": 15.0})
    labels = ("looking", "away", "eyes_closed")
    for track in {o.track for o in made if o.kind == "attention"}:
        own = [o for o in made if o.kind == "attention_state" and o.track == track and o.label in labels]
        own.sort(key=lambda o: o.span.start)
        for before, after in itertools.pairwise(own):
            assert before.span.end <= after.span.start
