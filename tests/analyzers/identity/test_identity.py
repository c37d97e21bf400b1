"""Identity within runs: contract, voices, and what the library remembers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from onlooker import Library
from onlooker.analyzers.face_vectors.analyzer import FaceVectors
from onlooker.analyzers.face_vectors.config import FaceVectorsConfig
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.analyzers.identity.analyzer import Identity
from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.records import last_config
from onlooker.core.errors import ModelMissing, UsageError
from onlooker.core.store import Query
from onlooker.models import model_path
from onlooker.people.voices import only_voice
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract


@pytest.fixture(scope="module", autouse=True)
def models():
    try:
        return [model_path(name) for name in ("centerface", "face-identity", "speaker", "silero-vad")]
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
        return [Faces(FacesConfig(rate=1.0)), FaceVectors(FaceVectorsConfig()), Identity(IdentityConfig())]

    def open_source(self):
        return open_source(str(self.clip))


def test_a_run_identifies_and_another_setting_decides_again_without_vectors_of_frames(data, tmp_path):
    clip = data("clips/preview_head-pose-face-detection-female-and-male.mp4")
    with Library.open(tmp_path / "library") as library:
        assert library.analyze([clip], only=["identity"]).exit_code == 0
        (source,) = library.sources()
        made = list(library.observations(kind="identity"))
        assert [o.label for o in made] == ["unknown-1", "unknown-2"]
        tracks = {o.track: o.span for o in library.observations(kind="face_track")}
        assert all(o.span == tracks[str(o.track)] and 0 <= (o.score or 0) <= 1 for o in made)
        vectors = next(s.producer for s in source.states if s.producer.analyzer == "face_vectors")
        assert list(library.store.measurements(source.info.id, vectors)) == []
        library.people.name("unknown-2", "Ann")
        settings = {"identity": {"false_accept_rate": 0.01}}
        assert library.analyze([clip], only=["identity"], settings=settings).exit_code == 0
        assert [o.label for o in library.observations(kind="identity")] == ["unknown-1", "Ann"]
        assert last_config(library.store).false_accept_rate == 0.01
        # forgetting an unknown one works as well
        library.people.forget("unknown-1")
        assert [o.label for o in library.observations(kind="identity")] == ["Ann"]


def test_enrolled_voices_are_told_apart(data, tmp_path):
    folder = data("ravdess_speech/audio")
    # neutral and calm
    recordings = {n: sorted(folder.glob(f"03-01-0[12]-*-{n:02d}.ogg")) for n in (1, 2)}
    with Library.open(tmp_path / "library") as library:
        talk = recordings[2][1]
        report = library.analyze([talk], only=["identity", "speakers"])
        assert report.exit_code == 0
        assert list(library.observations(kind="identity")) == []  # voices are not numbered
        library.people.enroll("Ann", voices=recordings[2][::2])
        library.people.enroll("Bob", voices=recordings[1][::2])
        told = list(library.observations(kind="identity"))
        assert [(o.label, o.track, o.data["modality"]) for o in told] == [("Ann", "speaker-1", "voice")]
        done = library.people.forget("Ann")
        assert done.tracks == 1
        assert done.measurements > 0
        assert list(library.store.query(Query(kinds=("embedding", "identity")))) == []
        assert list(library.store.query(Query(kinds=("speaker",))))
    with pytest.raises(UsageError, match="no sound"):
        only_voice(data("clips/carphone.mp4"))
    assert np.isfinite(only_voice(talk).vector).all()
