"""The real detector on real clips with and without faces."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from onlooker import Library
from onlooker.analyzers._faces import ARCFACE_POINTS, QUALITY, align, similarity, warp
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.best_shot import ShotPicker
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.core.analyzer import Analyzer, Context
from onlooker.core.errors import ModelMissing
from onlooker.core.media import Source
from onlooker.core.observation import Observation
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive, measure

Data = Callable[[str], Path]


@pytest.fixture(scope="module", autouse=True)
def model() -> Path:
    try:
        return model_path("centerface")
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def observed(path: Path, **settings: Any) -> list[Observation]:
    source = open_source(str(path))
    try:
        return drive([Faces(FacesConfig(**settings))], source)
    finally:
        source.close()


def field(observation: Observation, name: str) -> Any:
    """One of the kind's own fields."""
    return observation.data[name]


class TestContract(AnalyzerContract):
    clip: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _data(self, data: Data) -> None:
        TestContract.clip = data("clips/tv_whitehouse_performance.mp4")

    def make(self) -> Sequence[Analyzer[Any]]:
        return [Faces(FacesConfig(rate=2.5))]

    def open_source(self) -> Source:
        return open_source(str(self.clip))


def test_one_talking_face_is_one_track_with_its_points_inside_the_box(data: Data) -> None:
    made = observed(data("clips/talking_face_signer_blue.mp4"))
    tracks = [o for o in made if o.kind == "face_track"]
    assert len(tracks) == 1
    assert tracks[0].span.duration > 6
    assert field(tracks[0], "quality") > 0.7
    faces = [o for o in made if o.kind == "face"]
    assert {o.track for o in faces} == {tracks[0].track}
    for face in faces:
        assert face.box is not None
        points = field(face, "points")
        for x, y in points:
            assert face.box.left < x < face.box.right
            assert face.box.top < y < face.box.bottom
        left_eye, right_eye, nose, left_mouth, right_mouth = points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_eye[1] < nose[1] < left_mouth[1]
        assert right_eye[1] < nose[1] < right_mouth[1]


def test_cars_have_no_faces(data: Data) -> None:
    assert not observed(data("clips/traffic_car_overhead.mp4"), rate=1.0)


def test_the_best_shot_is_a_face_of_the_highest_quality_and_its_picture_shows_it(data: Data) -> None:
    clip = data("clips/carphone.mp4")
    made = observed(clip)
    (track,) = [o for o in made if o.kind == "face_track"]
    faces = [o for o in made if o.kind == "face" and o.track == track.track]
    best = max(faces, key=lambda o: field(o, "quality"))
    assert field(track, "quality") > field(best, "quality") - 0.02
    (own,) = [o for o in faces if abs(o.span.start.seconds - field(track, "best_seconds")) < 1e-3]
    assert field(own, "quality") == field(track, "quality")
    assert field(track, "detections") == len(faces)
    (file,) = track.attachments
    assert file.name == f"faces/{track.track}.jpg"
    with Image.open(io.BytesIO(file.data)) as picture:
        assert 64 <= picture.width == picture.height <= 192
        shown = np.asarray(picture.resize((192, 192)).convert("RGB"))
    from onlooker.analyzers.faces.detector import FaceDetector

    detector = FaceDetector(size=192, threads=1, least=0.5, overlap=0.3)
    (row,) = detector.detect_picture(shown)
    detector.close()
    assert abs((row[0] + row[2]) / 2 - 0.5) < 0.1
    assert abs((row[1] + row[3]) / 2 - 0.5) < 0.1


def test_without_best_shots_no_picture_is_made_anywhere(data: Data) -> None:
    source = open_source(str(data("clips/carphone.mp4")))
    faces = Faces(FacesConfig(best_shot=False))
    faces.open(Context(source.info, read=source.read))
    made = measure([faces], source)["faces"]
    faces.close()
    source.close()
    assert made
    assert all(m.blob is None for m in made)
    assert not any(o.attachments for o in observed(data("clips/carphone.mp4"), best_shot=False))


def test_pictures_are_of_the_faces_that_beat_those_before_them() -> None:
    picker = ShotPicker(Fraction(2))
    assert picker.look_back == 4

    def rows(*faces: tuple[float, float]) -> np.ndarray[Any, np.dtype[np.float32]]:
        made = np.zeros((len(faces), 19), np.float32)
        for row, (left, quality) in zip(made, faces, strict=True):
            row[:4] = left, 0.2, left + 0.2, 0.5
            row[QUALITY] = quality
        return made

    assert picker.pick(Fraction(0), rows((0.1, 0.5), (0.6, 0.9))) == [0, 1]
    assert picker.pick(Fraction(1), rows((0.12, 0.505), (0.6, 0.8))) == []  # no better, or by chance
    assert picker.pick(Fraction(2), rows((0.15, 0.7), (0.62, 0.89))) == [0]
    assert picker.pick(Fraction(3), rows((0.62, 0.95))) == [0]  # the other went away
    assert picker.pick(Fraction(4), rows((0.62, 0.4))) == [0]  # another stretch


def test_in_a_library_the_picture_outlives_the_run_and_its_candidates_do_not(data: Data, tmp_path: Path) -> None:
    clip = data("clips/carphone.mp4")
    pictures: list[bytes] = []
    with Library.open(tmp_path / "lib") as library:
        for lost in (1.5, 1.0):  # the second time it is decided again, and the picture read from the source
            report = library.analyze(clip, only=["faces"], settings={"faces": {"lost_seconds": lost}})
            assert report.exit_code == 0
            (track,) = library.observations(kind="face_track")
            assert [Path(name).name for name in track.media] == ["face-1.jpg"]
            pictures.append((library.folder / track.media[0]).read_bytes())
            assert track.producer is not None
            stored = list(library.store.measurements(track.source, track.producer))
            assert stored
            assert all(m.blob is None for m in stored)
    assert pictures[0] == pictures[1]


def test_every_face_of_a_track_is_told_and_small_ones_can_be_left_out(data: Data) -> None:
    made = observed(data("clips/tv_whitehouse_performance.mp4"))
    counts = Counter(o.track for o in made if o.kind == "face")
    for track in (o for o in made if o.kind == "face_track"):
        assert counts[track.track] == track.data["detections"]
        assert len(track.attachments) == 1
    large = observed(data("clips/tv_whitehouse_performance.mp4"), least_size=0.1)
    assert 0 < len([o for o in large if o.kind == "face"]) < len([o for o in made if o.kind == "face"])


def test_alignment_undoes_a_turn_and_a_scale() -> None:
    rng = np.random.default_rng(0)
    base = np.asarray(Image.fromarray(rng.integers(0, 255, (14, 14, 3), np.uint8)).resize((112, 112)))
    turn = np.deg2rad(25)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 60.0], [np.sin(turn), np.cos(turn), 20.0]]) * 1.7
    placed = warp(base, matrix, 400)
    points = (ARCFACE_POINTS @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    assert np.allclose(similarity(ARCFACE_POINTS, points), matrix, atol=1e-3)
    again = align(placed, points, ARCFACE_POINTS, 112)
    inner = (slice(20, 92), slice(20, 92))
    assert np.abs(again[inner].astype(int) - base[inner]).mean() < 6


def test_a_large_reduction_keeps_the_mean_of_fine_detail() -> None:
    board = np.indices((800, 800)).sum(0) % 2 * 255
    picture = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    small = warp(picture, np.array([[0.05, 0, 0], [0, 0.05, 0]]), 40)
    assert np.abs(small.astype(int) - 128).max() < 12
