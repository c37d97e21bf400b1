"""What bundles cost in the whole pipeline, measured on real clips."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from learning.compress._moving import PICTURES, trained_run
from learning.compress.test_search import run
from onlooker.bundles.added import added_names, bundles_folder
from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.in_pipeline import first_clip
from onlooker.learning.compress.run import compress
from onlooker.learning.compress.search import Request
from onlooker.learning.datasets.dataset import Dataset
from onlooker.shadow.at_work import at_work

FIELDS = {
    "cpu_per_second", "wall_per_second", "decode_cpu_per_second", "decode_wall_per_second", "ms_per_look",
    "opening_ms", "looks",
}  # fmt: skip


@pytest.fixture(scope="module")
def gru(moving: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of clips with its bundle."""
    return trained_run(tmp_path_factory.mktemp("gru"), moving, {"video": PICTURES["gru"]}, bundle=True)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_bundles_that_were_not_added_are_measured_and_nothing_is_left(gru, data, held, tmp_path, capsys) -> None:
    clip = data("clips/tv_whitehouse_performance.mp4")
    before = added_names()
    assert run("bench", gru, gru / "bundle", "--rounds", 10, "--video", clip, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["bundles"]
    for row in rows:
        told = row["pipeline"]
        assert set(told) == FIELDS
        assert 0 < told["decode_cpu_per_second"] < told["cpu_per_second"]
        assert told["looks"] == rows[0]["pipeline"]["looks"] > 10
        assert told["ms_per_look"] > 0
        assert told["wall_per_second"] > 0
    assert added_names() == before
    assert list(held.iterdir()) == []
    assert not bundles_folder().exists() or not list(bundles_folder().glob(".adding-*"))


def test_the_search_measures_what_it_began_with_and_what_it_chose(gru, moving, tmp_path, capsys) -> None:
    arguments = ["--data", moving.folder, "--out", tmp_path / "out", "--steps", "graph", "--no-slices", "--json"]
    run("compress", gru, *arguments, "--max-drop", 100)
    found = json.loads(capsys.readouterr().out)
    clip = found["pipeline"]["clip"]
    assert found["pipeline"]["note"] is None
    assert Path(clip).name in {m.path for s in moving.of_split("test") for m in s.media if m.kind == "video"}
    assert set(found["baseline"]["pipeline"]) == FIELDS
    assert set(found["chosen"]["pipeline"]) == FIELDS
    assert "In the whole pipeline" in (tmp_path / "out" / "report.html").read_text()


def test_data_without_clips_are_told(tiny_subject, tmp_path: Path) -> None:
    subject, dataset = tiny_subject
    request = Request(
        str(subject.run), dataset.folder, Contract(100.0), tmp_path / "out", steps=("graph",), slices=False
    )
    found = compress(request, at_work=at_work)
    assert found["baseline"]["pipeline"] is None
    assert found["pipeline"]["clip"] is None
    assert "no clips" in found["pipeline"]["note"]
    assert "no clips" in (tmp_path / "out" / "report.html").read_text()


def test_a_clip_that_lacks_what_is_looked_at_is_refused_before_the_search(gru, moving, tmp_path, capsys) -> None:
    sound = moving.folder / "0.wav"
    with pytest.raises(UsageError, match="has no pictures, which moving looks at"):
        at_work({"it": (gru / "bundle", None)}, sound)
    code = run("compress", gru, "--data", moving.folder, "--out", tmp_path / "out", "--video", sound)
    assert code == 1
    assert "has no pictures" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_damaged_bundle_is_told(gru, moving, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(gru / "bundle", tmp_path / "bundle")
    model = next((tmp_path / "bundle").glob("*.onnx"))
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ModelError, match="was altered"):
        at_work({"it": (tmp_path / "bundle", None)}, moving.folder / "0.mp4")


def test_the_first_clip_is_one_of_the_part_that_fits(gru, moving) -> None:
    from onlooker.bundles import load_bundle

    manifest = load_bundle(gru / "bundle").manifest
    first = first_clip(moving, "test", manifest)
    assert first == moving.path(moving.of_split("test")[0].media[0])
