"""The Python API on a real clip."""

from __future__ import annotations

import pytest

from onlooker import Library, OnlookerError, analyze


@pytest.fixture(scope="module")
def library(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "lib"
    report = analyze(data("shots/bikes.mp4"), folder, only=["shots", "motion", "keyframes"])
    assert report.exit_code == 0
    with Library.open(folder, create=False) as opened:
        yield opened


def test_observations_are_typed_and_filtered(library):
    shots = list(library.observations(kind="shot"))
    assert [s.span.start.value * 25 for s in shots] == [0, 30, 76, 137, 187, 242]
    assert {o.kind for o in library.observations(kind=["shot", "motion"])} == {"shot", "motion"}
    assert [s.id for s in library.observations(kind="shot", start=4, end=6)] == [s.id for s in shots[2:4]]
    assert len(list(library.observations(source="bikes.mp4", kind="shot", limit=2))) == 2
    assert not list(library.observations(kind="shot", min_score=2))
    assert shots[1].producer is not None
    assert shots[1].producer.analyzer == "shots"


def test_tables_hold_every_row(library):
    table = library.to_arrow(kind="shot")
    assert table.num_rows == len(library.to_pandas(kind="shot")) == len(library.to_polars(kind="shot")) == 6
    assert {"kind", "label", "score", "analyzer"} <= set(table.column_names)


def test_a_plan_tells_what_is_done(library, data):
    (plan,) = library.plan(data("shots/bikes.mp4"), only=["shots", "quality"])
    assert {t.stage.name: t.action for t in plan.tasks} == {"shots": "done", "quality": "run"}


def test_sources_and_failures(library, tmp_path):
    (source,) = library.sources()
    assert source.info.path.endswith("bikes.mp4")
    assert library.failures() == []
    (tmp_path / "bad.mp4").write_bytes(b"x")
    report = library.analyze(tmp_path / "bad.mp4", only=["shots"])
    assert report.exit_code == 3
    with pytest.raises(OnlookerError, match="no"):
        library.failures("nothing")


def test_a_library_that_is_not_there_is_not_made_for_reading(tmp_path):
    with pytest.raises(OnlookerError):
        Library.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
