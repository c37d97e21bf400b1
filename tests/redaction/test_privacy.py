"""A library whose profile hides shows nobody, in any file that is made of it."""

from __future__ import annotations

import base64
import io
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cli.sample_library import run
from onlooker import Library
from onlooker.core.errors import ConfigError
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Attachment, Observation
from onlooker.core.store import Batch, Query, RunState
from onlooker.core.time import Span, Timestamp
from onlooker.pipeline.profile import Privacy, load_profile
from onlooker.redaction.pictures import PictureCover, is_picture
from onlooker.redaction.policy import adopt, library_policy, open_keeper
from onlooker.redaction.second import SecondDetector
from onlooker.testing.store_values import SOURCE, producer, source_info
from onlooker.timeline import open_store
from redaction.conftest import Judge, Pictures, write

PROFILE = """\
name: private
quality: fast
analyzers: {shots: {}, keyframes: {rate: 4}, faces: {rate: 5}}
"""
HIDING = PROFILE + "privacy: {hide: [faces], keep_embeddings: false, retention: 30d}\n"
BY = producer("made")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, faces: Pictures) -> Path:
    """Two libraries of the same video: ``open``, and ``private`` by a profile that hides faces."""
    folder = tmp_path_factory.mktemp("privacy")
    write(folder / "car.mp4", faces)
    for name, profile in (("open", PROFILE), ("private", HIDING)):
        (folder / f"{name}.yaml").write_text(profile)
        arguments = ("--library", folder / name, "--profile", folder / f"{name}.yaml", "--json")
        assert run("analyze", folder / "car.mp4", *arguments) == 0
    return folder


def pictures_in(library: Path) -> list[NDArray[np.uint8]]:
    return [np.asarray(Image.open(p).convert("RGB")) for p in sorted((library / "media").rglob("*.jpg"))]


def shown(pictures: list[NDArray[np.uint8]]) -> int:
    detector = SecondDetector()
    return sum(len(detector.detect(p)) > 0 for p in pictures)


def test_every_stored_picture_hides_the_face(places: Path) -> None:
    assert shown(pictures_in(places / "open")) >= 2
    private = pictures_in(places / "private")
    assert len(private) >= 3
    assert shown(private) == 0


def test_no_picture_of_a_single_face_is_kept(places: Path) -> None:
    for name, kept in (("open", True), ("private", False)):
        with Library.open(places / name, read_only=True) as library:
            tracks = list(library.observations(kind="face_track"))
        assert tracks
        assert any(t.media for t in tracks) is kept


def test_clips_reels_and_reports_hide_too_and_can_be_had_unhidden(
    places: Path, seen: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--library", places / "private")
    assert run("clip", "car.mp4", *at, "--from", "0.2", "--to", "0.6", "-o", tmp_path / "clip.mp4") == 0
    assert "faces are hidden" in capsys.readouterr().err
    assert seen(tmp_path / "clip.mp4") == 0
    assert run("highlights", "car.mp4", *at, "--seconds", "1", "-o", tmp_path / "reel.mp4") == 0
    assert seen(tmp_path / "reel.mp4") == 0
    capsys.readouterr()
    assert run("clip", "car.mp4", *at, "--from", "0", "--to", "0.6", "-o", tmp_path / "all.mp4", "--unhidden") == 0
    assert "can be recognised" in capsys.readouterr().err
    assert seen(tmp_path / "all.mp4") > 0


def embedded(page: Path) -> list[NDArray[np.uint8]]:
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8"))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(f))).convert("RGB")) for f in found]


def test_a_report_links_no_video_in_which_somebody_can_be_seen(
    places: Path, seen: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--library", places / "private")
    assert run("report", *at, "-o", tmp_path / "page.html") == 0
    assert "car.mp4" not in re.findall(r'"video": ?"([^"]*)"', (tmp_path / "page.html").read_text())[0]
    pictures = embedded(tmp_path / "page.html")
    assert pictures
    assert shown(pictures) == 0
    assert run("report", *at, "-o", tmp_path / "copy.html", "--copy-video") == 0
    (video,) = tmp_path.glob("copy-*.mp4")
    assert seen(video) == 0
    assert run("report", *at, "-o", tmp_path / "all.html", "--unhidden") == 0
    assert "car.mp4" in re.findall(r'"video": ?"([^"]*)"', (tmp_path / "all.html").read_text())[0]
    capsys.readouterr()


def test_a_setting_that_comes_later_hides_what_is_there_already(
    places: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(places / "open", tmp_path / "lib")
    with closing(open_store(tmp_path / "lib")) as store:
        adopt(store, Privacy(hide=("faces",)))
    assert shown(pictures_in(tmp_path / "lib")) == 0
    # a run without a setting of its own keeps to the library's
    at = ("--library", tmp_path / "lib")
    assert run("analyze", places / "car.mp4", *at, "--profile", places / "open.yaml", "--redo") == 0
    assert shown(pictures_in(tmp_path / "lib")) == 0
    # until the library forgets it
    assert run("library", "privacy", *at, "--forget") == 0
    assert run("analyze", places / "car.mp4", *at, "--profile", places / "open.yaml", "--redo") == 0
    assert shown(pictures_in(tmp_path / "lib")) >= 2
    capsys.readouterr()


def test_settings_are_joined_to_what_keeps_least(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "lib")) as store:
        adopt(store, Privacy(hide=("faces",), retention="30d"))
        adopt(store, Privacy(hide=("screens",), retention="90d", keep_embeddings=False))
        assert library_policy(store) == Privacy(hide=("faces", "screens"), retention="30d", keep_embeddings=False)


def test_a_wrong_setting_is_named_with_its_line(tmp_path: Path) -> None:
    for line, text in (
        (5, "privacy:\n  hide: [cats]\n"),
        (5, "privacy:\n  retention: soon\n"),
        (5, "privacy:\n  keep_faces: 1\n"),
        (4, "privacy: blur\n"),
    ):
        (tmp_path / "p.yaml").write_text(PROFILE + text)
        with pytest.raises(ConfigError, match=rf"p\.yaml:{line}: privacy"):
            load_profile(tmp_path / "p.yaml")


def vectors(store: object) -> Iterator[tuple[str, bool]]:
    for o in store.query(Query()):  # pyright: ignore[reportAttributeAccessIssue]
        yield f"{o.kind} {o.label}", o.vector is not None


def test_vectors_of_faces_and_voices_go_and_others_stay(tmp_path: Path) -> None:
    one = np.eye(4, dtype=np.float32)[0]
    made = [
        Observation(Span.of_seconds(n, n + 1), kind, label=label, vector=one, vector_space="space").of(SOURCE, BY, 0)
        for n, (kind, label) in enumerate(
            [("embedding", "face"), ("embedding", "voice"), ("embedding", "text"), ("keyframe", None)]
        )
    ]
    with closing(open_store(tmp_path / "lib")) as store:
        store.add_source(source_info())
        store.commit(Batch(SOURCE, made, states=[RunState(BY, complete=True)]))
        store.put_records("people.unknown", {"unknown-1": {"vector": "x"}})
        adopt(store, Privacy(keep_embeddings=False))
        kept = {"embedding face": False, "embedding voice": False, "embedding text": True, "keyframe None": True}
        assert dict(vectors(store)) == kept
        assert not store.records("people.unknown")
        # and those of a later run
        later = [o.of(SOURCE, producer("later"), 0) for o in made[:1]]
        store.commit(Batch(SOURCE, later, states=[RunState(producer("later"), complete=True)]))
        keeper = open_keeper(store, 1)
        assert keeper is not None
        keeper.ended(store, SOURCE)
        assert not any(has for what, has in vectors(store) if what == "embedding face")


def test_measurements_that_vectors_could_be_made_of_go_with_them(tmp_path: Path) -> None:
    span = Span.of_seconds(0, 1)
    made = Observation(span, "embedding", label="voice", vector=np.ones(4, np.float32), vector_space="voice")
    with closing(open_store(tmp_path / "lib")) as store:
        store.add_source(source_info())
        measured = [Measurement(span.start, span.duration, np.ones((1, 4), np.float32))]
        states = [RunState(BY, complete=True)]
        store.commit(Batch(SOURCE, [made.of(SOURCE, BY, 0)], [(BY, measured, "always")], states=states))
        adopt(store, Privacy(keep_embeddings=False))
        assert not list(store.measurements(SOURCE, BY))
        assert not store.states(SOURCE)


def test_pictures_in_measurements_of_a_run_that_was_stopped_are_hidden(faces: Pictures, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(faces[0]).save(stream, "JPEG", quality=90)
    moment = Timestamp.of_seconds(0)
    span = Span(moment, moment + 1)
    with closing(open_store(tmp_path / "lib")) as store:
        store.add_source(source_info())
        waiting = [Measurement(moment, span.duration, np.zeros(3, np.float32), stream.getvalue())]
        store.commit(Batch(SOURCE, [], [(BY, waiting, "run")], states=[RunState(BY, span.end)]))
        adopt(store, Privacy(hide=("faces",)))
        (after,) = store.measurements(SOURCE, BY)
        assert after.blob is not None
        assert after.blob != stream.getvalue()
        assert shown([np.asarray(Image.open(io.BytesIO(after.blob)))]) == 0


def test_old_sources_go_at_the_end_of_a_run_and_when_asked(
    tmp_path: Path, faces: Pictures, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = [np.full((64, 64, 3), 9 * n, np.uint8) for n in range(5)]
    at = ("--library", tmp_path / "lib", "--only", "shots")
    (tmp_path / "p.yaml").write_text(PROFILE + "privacy: {retention: 1d}\n")
    long_ago = time.time_ns() - 10 * 86_400 * 10**9
    with monkeypatch.context() as then:
        then.setattr(time, "time_ns", lambda: long_ago)
        assert run("analyze", write(tmp_path / "old.mp4", grey), *at, "--profile", tmp_path / "p.yaml") == 0
    with Library.open(tmp_path / "lib") as library:
        assert len(library.sources()) == 1
    assert run("analyze", write(tmp_path / "new.mp4", grey[:4]), *at) == 0
    with Library.open(tmp_path / "lib") as library:
        assert [Path(s.info.path).name for s in library.sources()] == ["new.mp4"]
    capsys.readouterr()
    assert run("library", "retain", "--library", tmp_path / "lib") == 0
    assert "1 are left" in capsys.readouterr().out


def test_what_is_no_picture_and_what_cannot_be_read(faces: Pictures) -> None:
    cover = PictureCover(("faces",), "blur")
    broken = cover.covered(b"\xff\xd8\xff" + b"no jpeg")
    assert np.asarray(Image.open(io.BytesIO(broken))).std() < 1
    for form in ("PNG", "WEBP"):
        stream = io.BytesIO()
        Image.fromarray(faces[0]).save(stream, form)
        hidden = cover.covered(stream.getvalue())
        assert is_picture(hidden)
        assert Image.open(io.BytesIO(hidden)).format == form
        assert shown([np.asarray(Image.open(io.BytesIO(hidden)).convert("RGB"))]) == 0
    cover.close()


def test_a_sheet_of_small_pictures_is_looked_at_in_parts(faces: Pictures) -> None:
    tile = np.asarray(Image.fromarray(faces[0]).resize((240, 196)))
    sheet = np.tile(tile, (3, 5, 1)).copy()
    cover = PictureCover(("faces",), "fill")
    assert cover.cover(sheet)
    tiles = [sheet[y * 196 : (y + 1) * 196, x * 240 : (x + 1) * 240] for y in range(3) for x in range(5)]
    assert shown([np.ascontiguousarray(t) for t in tiles]) == 0
    cover.close()


def test_attachments_by_what_they_are(faces: Pictures, tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "lib")) as store:
        adopt(store, Privacy(hide=("faces",)))
        keeper = open_keeper(store, 1)
    assert keeper is not None
    cues = Attachment("thumbnails.vtt", b"WEBVTT", "text/vtt")
    made = Observation(Span.of_seconds(0, 1), "picture")
    assert keeper.attachment(made, cues) == cues
    assert keeper.attachment(made, replace(cues, name="clip.mp4", mime="video/mp4")) is None
    face = Observation(Span.of_seconds(0, 1), "face_track")
    assert keeper.attachment(face, replace(cues, name="face.jpg", mime="image/jpeg")) is None
    keeper.close()
