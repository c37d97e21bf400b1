"""The real model on real clips, and the rules of postures on drawn bodies."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import ClassVar, cast

import numpy as np
import pytest

from analyzers.shortened import first_seconds
from onlooker.analyzers._join import Joined
from onlooker.analyzers.objects.analyzer import Objects
from onlooker.analyzers.objects.config import ObjectsConfig
from onlooker.analyzers.pose.analyzer import Pose
from onlooker.analyzers.pose.config import PoseConfig
from onlooker.analyzers.pose.gesture import gesture
from onlooker.analyzers.pose.hands import HAND_MODELS
from onlooker.analyzers.pose.posture import look_at
from onlooker.analyzers.pose.smoothing import Smoother
from onlooker.core.analyzer import Window
from onlooker.core.errors import ModelMissing
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

HANDS_CLIP = "clips/book.mkv"
CLIP = "clips/action_exercise_kth_like.avi"
STANDING = {
    0: (0, 0), 5: (-0.4, 0.5), 6: (0.4, 0.5), 7: (-0.5, 1.0), 8: (0.5, 1.0), 9: (-0.5, 1.4), 10: (0.5, 1.4),
    11: (-0.3, 1.5), 12: (0.3, 1.5), 13: (-0.3, 2.4), 14: (0.3, 2.4), 15: (-0.3, 3.2), 16: (0.3, 3.2),
}  # fmt: skip


@pytest.fixture(scope="session")
def models():
    try:
        return [model_path(n) for n in ("movenet-lightning", "nanodet-416", *HAND_MODELS)]
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def body(turned=False, **moved: tuple[float, float]):
    """A drawn body in a square picture, on its side if ``turned``."""
    points = np.zeros((17, 3))
    for i, place in {**STANDING, **{int(k[1:]): v for k, v in moved.items()}}.items():
        x, y = place
        points[i] = (*((y, 3 - x) if turned else (x + 2, y)), 0.9)
    points[:, :2] /= 4
    return points


def told(points):
    look = look_at(points, 1, 0.3)
    assert look is not None
    return look.body, look.arms


def test_rules_tell_postures_apart():
    sitting = {"p13": (-0.3, 1.6), "p14": (0.3, 1.6), "p15": (-0.3, 2.5), "p16": (0.3, 2.5)}
    squat = {"p13": (-0.7, 1.4), "p14": (0.7, 1.4), "p15": (-0.4, 1.9), "p16": (0.4, 1.9)}
    bent = {"p5": (1.0, 1.0), "p6": (1.2, 1.0)}
    assert told(body()) == ("standing", "")
    assert told(body(False, **sitting)) == ("sitting", "")
    assert told(body(False, **squat)) == ("crouching", "")
    assert told(body(False, **bent)) == ("bending", "")
    assert told(body(turned=True))[0] == "lying"
    assert told(body(p9=(-0.5, -0.5))) == ("standing", "hand_raised")
    assert told(body(p9=(-0.5, -0.5), p10=(0.5, -0.5))) == ("standing", "arms_raised")


def test_a_body_half_hidden_is_not_judged():
    points = body()
    points[11:, 2] = 0.1
    assert look_at(points, 1, 0.3) is None
    points = body()
    points[13:, 2] = 0.1
    assert told(points)[0] == ""


def follow(frames):
    """Postures over frames of 0.2 s of one person."""
    pose, step = Pose(PoseConfig()), Fraction(1, 5)
    pose._aspect = 1.0
    own, seen = [], []
    for i, points in enumerate(frames):
        row = np.array([0.1, 0.1, 0.9, 0.9, 0.8, *points.reshape(-1)], np.float32)
        own.append(Measurement(Timestamp.of_seconds(i * step), step, row[None]))
        box = Box(*(float(v) for v in row[:4]))
        seen.append(Observation(own[-1].span, "object", label="person", box=box, track="t1"))
    made = [*pose.analyze(Window(own, seen, Timestamp.of_seconds(len(own) * step))), *pose.flush()]
    return [(o.label, o.span.start.seconds, o.span.end.seconds) for o in made if o.kind == "posture"]


def test_a_fall_is_told_from_lying_down_long_after():
    up, down = body(), body(turned=True)
    assert follow([up] * 10 + [down] * 10) == [("standing", 0, 2), ("lying", 2, 4), ("fallen", 2, 4)]
    hidden = body()
    hidden[11:13, 2] = 0.1
    assert [p[0] for p in follow([up] * 10 + [hidden] * 12 + [down] * 10)] == ["standing", "lying"]


def test_a_single_odd_frame_changes_no_posture():
    up, down = body(), body(turned=True)
    assert follow([up] * 5 + [down] + [up] * 5) == [("standing", 0, pytest.approx(2.2))]


@pytest.fixture(scope="module")
def gymnasts(data, models):
    source = open_source(str(data(CLIP)))
    yield drive([Objects(ObjectsConfig(rate=2.0)), Pose(PoseConfig())], source)
    source.close()


def test_trunks_lie_in_the_persons_box(gymnasts):
    poses = [o for o in gymnasts if o.kind == "pose"]
    assert len(poses) >= 5
    names = {o.track for o in gymnasts if o.kind == "track"}
    for o in poses:
        assert o.track in names
        assert o.box is not None
        width, height = o.box.right - o.box.left, o.box.bottom - o.box.top
        points = cast("list[list[float]]", o.data["keypoints"])
        assert len(points) == 17
        for x, y, score in (points[i] for i in (5, 6, 11, 12)):  # arms may reach out of a box
            if score > 0.5:
                assert o.box.left - 0.2 * width <= x <= o.box.right + 0.2 * width
                assert o.box.top - 0.2 * height <= y <= o.box.bottom + 0.2 * height


def test_gymnasts_stand(gymnasts):
    standing = sum(float(o.span.duration) for o in gymnasts if o.kind == "posture" and o.label == "standing")
    other = sum(
        float(o.span.duration)
        for o in gymnasts
        if o.kind == "posture" and o.label in ("sitting", "crouching", "bending", "lying", "fallen")
    )
    assert standing > 60
    assert other < 0.05 * standing


def test_a_neighbours_limbs_are_not_taken(data, models):
    """Of two who stand close together, each has the points that lie on it."""
    from PIL import Image

    from onlooker.analyzers.pose.body import BodyPoints

    picture = np.asarray(Image.open(data("coco128/images/000000000544.jpg")).convert("RGB"))
    find = BodyPoints(threads=1, crop=PoseConfig().crop)
    for line in data("coco128/object_detection_labels/000000000544.txt").read_text().splitlines():
        kind, x, y, w, h = (float(v) for v in line.split())
        if kind == 0 and h > 0.3:
            points = find.find(picture, np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]))
            sure = points[points[:, 2] > 0.3]
            assert len(sure) >= 8
            assert (np.abs(sure[:, 0] - x) < 0.6 * w + 0.02).all()
    find.close()


def test_one_who_lies_is_looked_at_from_the_side(data, models):
    """A photograph of one who stands, laid on either side."""
    from PIL import Image

    from onlooker.analyzers.pose.body import BodyPoints

    upright = (0.522, 0.4201, 0.6255, 0.9291)
    picture = np.asarray(Image.open(data("coco128/images/000000000260.jpg")).convert("RGB"))
    find = BodyPoints(threads=1, crop=PoseConfig().crop)
    left, top, right, bottom = upright
    for turns, box in ((0, upright), (1, (top, 1 - right, bottom, 1 - left)), (3, (1 - bottom, left, 1 - top, right))):
        turned = np.ascontiguousarray(np.rot90(picture, turns))
        look = look_at(find.find(turned, np.array(box)), turned.shape[1] / turned.shape[0], 0.25)
        assert look is not None
        assert look.body == ("lying" if turns else "standing")
    find.close()


def joined(number, points):
    box = Box(0.2, 0.2, 0.6, 0.8)
    span = Span(Timestamp(number, Fraction(1, 5)), Timestamp(number + 1, Fraction(1, 5)))
    return Joined("t1", span, np.array([*box, 0.9], np.float32), Observation(span, "object", box=box, track="t1"))


def smoothed(frames, seconds=0.5):
    smoother = Smoother(1.0, seconds)
    made = [pair for i, points in enumerate(frames) for pair in smoother.take(joined(i, points), points)]
    made += smoother.finish()
    assert [int(j.span.start.pts) for j, _ in made] == list(range(len(frames)))
    return np.array([points for _, points in made])


def test_trembling_goes_and_movement_stays():
    random = np.random.default_rng(1)
    still = body()[None] + np.concatenate([random.normal(0, 0.004, (60, 17, 2)), np.zeros((60, 17, 1))], 2)
    assert np.diff(smoothed(still), axis=0).std() < 0.7 * np.diff(still, axis=0).std()
    assert np.allclose(smoothed(still, 0.0), still, rtol=0, atol=1e-12)
    moved = np.repeat(body()[None], 10, 0)
    moved[5:, 9, 0] += 0.3
    assert np.abs(smoothed(moved) - moved).max() < 1e-6


def drawn_hand(straight, thumb=(-1.0, 0.0), turn=0):
    """21 points of a hand of unit palm, fingers up; ``straight``: which of the four are; turned by quarters."""
    points = np.zeros((21, 3))
    root = np.array([-0.35, -0.3, 0])
    for i, share in zip((1, 2), (0.5, 1.0), strict=True):
        points[i] = root * share
    for i, length in zip((3, 4), (0.5, 1.0), strict=True):
        points[i] = root + np.array([*thumb, 0]) * length
    for finger, (x, up) in enumerate(zip((-0.3, -0.1, 0.1, 0.3), straight, strict=True)):
        lean = 1.6 * x
        grown = ((0, 0), (lean / 3, -0.4), (2 * lean / 3, -0.7), (lean, -0.9))
        for i, (dx, dy) in enumerate(grown if up else ((0, 0), (0, -0.4), (0, 0.0), (0, 0.3))):
            points[5 + 4 * finger + i] = (x + dx, -1 + dy, 0)
    for _ in range(turn):
        points[:, :2] = points[:, 1::-1] * [-1, 1]
    return points


@pytest.mark.parametrize(
    ("straight", "thumb", "turn", "name"),
    [
        ("1111", (-0.9, -0.3), 0, "open_palm"),
        ("1111", (-0.9, -0.3), 2, ""),
        ("0000", (0.3, -0.3), 0, "fist"),
        ("1000", (0.3, -0.3), 0, "pointing"),
        ("1000", (0.3, -0.3), 1, "pointing"),
        ("1100", (0.3, -0.3), 0, "victory"),
        ("0000", (-1.2, 0.0), 1, "thumb_up"),
        ("0000", (-1.2, 0.0), 3, "thumb_down"),
        ("0000", (-1.2, 0.0), 0, ""),
        ("1001", (0.3, -0.3), 0, ""),
    ],
)
def test_gestures_of_drawn_hands(straight, thumb, turn, name):
    assert gesture(drawn_hand([c == "1" for c in straight], thumb, turn)) == name


def hands_of(path):
    source = open_source(str(path))
    made = drive([Objects(ObjectsConfig(rate=5.0, gate=False)), Pose(PoseConfig(hands=True))], source)
    source.close()
    return made


def test_palms_laid_together_are_seen_and_a_hand_at_the_mouth_is_no_gesture(data, models):
    made = hands_of(data(HANDS_CLIP))
    assert {o.label for o in made if o.kind == "gesture"} == {"open_palm"}
    for o in made:
        if o.kind == "pose":
            assert o.box is not None
            for hand in cast("list[dict]", o.data["hands"]):
                places = np.array(hand["points"])
                assert places.shape == (21, 2)
                assert hand["side"] in ("left", "right")
                assert o.box.left - 0.1 < places[:, 0].mean() < o.box.right + 0.1
    assert not [o for o in hands_of(data("clips/eat.mkv")) if o.kind == "gesture"]


@pytest.fixture(scope="module")
def beginning(data, tmp_path_factory):
    return first_seconds(data(CLIP), 12.0, tmp_path_factory.mktemp("pose"))


@pytest.mark.usefixtures("models")
class TestContract(AnalyzerContract):
    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, beginning):
        TestContract.path = str(beginning)

    def make(self):
        return [Objects(ObjectsConfig(rate=2.0)), Pose(PoseConfig())]

    def open_source(self):
        return open_source(self.path)


@pytest.mark.usefixtures("models")
class TestContractWithHands(AnalyzerContract):
    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, data):
        TestContractWithHands.path = str(data(HANDS_CLIP))

    def make(self):
        return [Objects(ObjectsConfig(rate=2.0, gate=False)), Pose(PoseConfig(hands=True))]

    def open_source(self):
        return open_source(self.path)
