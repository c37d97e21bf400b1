"""The real network on real clips."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from onlooker.analyzers.face_vectors.analyzer import FaceVectors
from onlooker.analyzers.face_vectors.config import FaceVectorsConfig
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.core.errors import ModelMissing
from onlooker.core.observation import Observation
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive


@pytest.fixture(scope="module", autouse=True)
def models():
    try:
        return [model_path(name) for name in ("centerface", "face-identity")]
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
        return [Faces(FacesConfig(rate=2.5)), FaceVectors(FaceVectorsConfig())]

    def open_source(self):
        return open_source(str(self.clip))


def run(path, **settings) -> list[Observation]:
    source = open_source(str(path))
    try:
        return drive([Faces(FacesConfig()), FaceVectors(FaceVectorsConfig(**settings))], source)
    finally:
        source.close()


def test_each_good_track_has_one_vector_and_people_differ(data):
    made = run(data("clips/preview_head-pose-face-detection-female-and-male.mp4"))
    tracks = {o.track: o.span for o in made if o.kind == "face_track"}
    vectors = [o for o in made if o.kind == "embedding"]
    assert [o.track for o in vectors] == sorted({str(o.track) for o in vectors})
    assert len(vectors) == 2
    for o in vectors:
        assert o.span == tracks[o.track]
        assert o.vector.shape == (128,)
        assert float(np.linalg.norm(o.vector)) == pytest.approx(1, abs=1e-5)
        assert 1 <= int(str(o.data["faces"])) <= 12
    assert 1 - float(vectors[0].vector @ vectors[1].vector) > 0.08


def test_the_same_face_is_the_same_in_both_halves_of_a_clip_and_mirrored(data):
    clip = data("clips/talking_face_signer_blue.mp4")
    plain, mirrored = (next(o.vector for o in run(clip, mirror=m) if o.kind == "embedding") for m in (False, True))
    assert 1 - float(plain @ mirrored) < 0.02


def test_a_track_of_poor_faces_alone_gets_no_vector(data):
    made = run(data("clips/talking_face_signer_blue.mp4"), least_quality=1.0)
    assert [o for o in made if o.kind == "face_track"]
    assert not [o for o in made if o.kind == "embedding"]


class TestContractInPieces(TestContract):
    def make(self):
        return [Faces(FacesConfig(rate=2.5)), FaceVectors(FaceVectorsConfig(longest_seconds=1.0))]


def test_a_track_that_goes_on_tells_its_vector_so_far_and_the_same_at_its_end(data):
    clip = data("clips/preview_head-pose-face-detection-female-and-male.mp4")
    whole = [o for o in run(clip) if o.kind == "embedding"]
    made = [o for o in run(clip, longest_seconds=1.0) if o.kind == "embedding"]
    last = [o for o in made if "so_far" not in o.data]
    assert [(o.span, o.data, o.vector.tolist()) for o in last] == [(o.span, o.data, o.vector.tolist()) for o in whole]
    for end in last:
        early = [o for o in made if o.track == end.track and o.data.get("so_far")]
        # the first with three faces
        assert early[0].data["faces"] == 3
        assert len(early) >= 3
        ends = [o.span.end.seconds for o in early]
        # faces are looked for five times a second, or when something moves
        assert all(0.95 <= b - a <= 3.0 for a, b in pairwise(ends))
        assert ends[-1] <= end.span.end.seconds
        assert 1 - float(early[-1].vector @ end.vector) < 0.05
    # results stored before there was the setting stay valid
    assert set(FaceVectorsConfig().model_dump()) == {"least_quality", "mirror", "faces"}
