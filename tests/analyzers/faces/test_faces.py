"""The real detector on real clips with and without faces."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from onlooker.analyzers._faces import ARCFACE_POINTS, align, similarity, warp
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.core.errors import ModelMissing
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive


@pytest.fixture(scope="module", autouse=True)
def model():
    try:
        return model_path("centerface")
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def observed(path, **settings):
    source = open_source(str(path))
    try:
        return drive([Faces(FacesConfig(**settings))], source)
    finally:
        source.close()


class TestContract(AnalyzerContract):
    @pytest.fixture(autouse=True)
    def _data(self, data):
        type(self).clip = data("clips/tv_whitehouse_performance.mp4")

    def make(self):
        return [Faces(FacesConfig(rate=2.5))]

    def open_source(self):
        return open_source(str(self.clip))


def test_one_talking_face_is_one_track_with_its_points_inside_the_box(data):
    made = observed(data("clips/talking_face_signer_blue.mp4"))
    tracks = [o for o in made if o.kind == "face_track"]
    assert len(tracks) == 1
    assert tracks[0].span.duration > 6
    assert tracks[0].data["quality"] > 0.7
    faces = [o for o in made if o.kind == "face"]
    assert {o.track for o in faces} == {tracks[0].track}
    for face in faces:
        for x, y in face.data["points"]:
            assert face.box.left < x < face.box.right
            assert face.box.top < y < face.box.bottom
        left_eye, right_eye, nose, left_mouth, right_mouth = face.data["points"]
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_eye[1] < nose[1] < left_mouth[1]
        assert right_eye[1] < nose[1] < right_mouth[1]


def test_cars_have_no_faces(data):
    assert not observed(data("clips/traffic_car_overhead.mp4"), rate=1.0)


def test_the_best_shot_is_the_face_of_the_highest_quality(data):
    made = observed(data("clips/carphone.mp4"))
    (track,) = [o for o in made if o.kind == "face_track"]
    faces = [o for o in made if o.kind == "face" and o.track == track.track]
    best = max(faces, key=lambda o: o.data["quality"])
    assert track.data["quality"] == best.data["quality"]
    assert track.data["best_seconds"] == pytest.approx(best.span.start.seconds, abs=1e-3)
    assert track.data["detections"] == len(faces)


def test_every_face_of_a_track_is_told_and_small_ones_can_be_left_out(data):
    made = observed(data("clips/tv_whitehouse_performance.mp4"))
    counts = Counter(o.track for o in made if o.kind == "face")
    for track in (o for o in made if o.kind == "face_track"):
        assert counts[track.track] == track.data["detections"]
    large = observed(data("clips/tv_whitehouse_performance.mp4"), least_size=0.1)
    assert 0 < len([o for o in large if o.kind == "face"]) < len([o for o in made if o.kind == "face"])


def test_alignment_undoes_a_turn_and_a_scale():
    rng = np.random.default_rng(0)
    base = np.asarray(Image.fromarray(rng.integers(0, 255, (14, 14, 3), np.uint8)).resize((112, 112)))
    turn = np.deg2rad(25)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 60.0], [np.sin(turn), np.cos(turn), 20.0]]) * 1.7
    placed = warp(base, matrix, 400)
    points = ARCFACE_POINTS @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(similarity(ARCFACE_POINTS, points.astype(np.float32)), matrix, atol=1e-3)
    again = align(placed, points.astype(np.float32), ARCFACE_POINTS, 112)
    inner = (slice(20, 92), slice(20, 92))
    assert np.abs(again[inner].astype(int) - base[inner]).mean() < 6


def test_a_large_reduction_keeps_the_mean_of_fine_detail():
    board = np.indices((800, 800)).sum(0) % 2 * 255
    picture = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    small = warp(picture, np.array([[0.05, 0, 0], [0, 0.05, 0]]), 40)
    assert np.abs(small.astype(int) - 128).max() < 12
