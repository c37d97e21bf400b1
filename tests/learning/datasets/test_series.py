"""Datasets with series of measurements, from import to arrays, page and export."""

# what may be None in general is there in these tests
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportArgumentType=false

from __future__ import annotations

import json

import numpy as np
import pytest

from learning.datasets._series import series_folder, write_series
from learning.datasets.conftest import imported
from onlooker.bundles.series import read_series
from onlooker.core.errors import SourceError, UsageError
from onlooker.learning.datasets.checking import check_dataset
from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.formats.folders import FolderOptions
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.page import PageRequest, build_page
from onlooker.learning.datasets.preparation import Preparation, Series
from onlooker.learning.datasets.preparing import prepare_dataset
from onlooker.learning.datasets.statistics import statistics_of


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    return series_folder(tmp_path_factory.mktemp("clips"), data("shots/bikes.mp4"), train=2, other=1)


@pytest.fixture
def dataset(folder, tmp_path):
    return imported(tmp_path / "set", "folders", folder, {"task": "pace"})


def only_series(**more):
    return Preparation(pictures=None, series=Series(**more))


def test_a_series_beside_a_clip_belongs_to_its_sample(dataset, folder):
    assert len(dataset.samples) == 8
    kinds = {s.id: [m.kind for m in s.media] for s in dataset.samples}
    assert kinds["train/quick/1.mp4"] == ["video"]
    assert kinds["train/quick/2.mp4"] == ["video", "series"]
    media = next(s for s in dataset.samples if s.id == "train/quick/2.mp4").media[1]
    assert (media.path, media.columns, media.seconds) == ("train/quick/2.series.csv", ("swing", "pulse"), 1.96)
    facts = statistics_of(dataset)["media"]["series"]
    assert facts["files"] == 6
    assert facts["columns"] == {"swing, pulse": 6}


def test_series_alone_are_samples_and_come_through_tables_too(tmp_path):
    for label, rate in (("quick", 4.0), ("slow", 1.0)):
        (tmp_path / "raw" / label).mkdir(parents=True)
        write_series(tmp_path / "raw" / label / "one.csv", rate)
        write_series(tmp_path / "raw" / label / "two.series.csv", rate, seed=2)
    dataset = imported(tmp_path / "set", "folders", tmp_path / "raw", {"task": "pace"})
    assert [s.id for s in dataset.samples] == [
        "quick/one.csv", "quick/two.series.csv", "slow/one.csv", "slow/two.series.csv"
    ]  # fmt: skip
    assert check_dataset(dataset).good
    for format, name in (("csv", "table.csv"), ("folders", "copy")):
        options = format_of(format).Options()
        if format == "csv":
            options = options.model_copy(update={"media": "{file}"})
        written = format_of(format).write(dataset, dataset.samples, tmp_path / name, options)
        assert (written.samples, dict(written.left_out)) == (4, {})
        media = {"media": dataset.root} if format == "csv" else {}
        again = imported(tmp_path / f"set-{format}", format, tmp_path / name, **media)
        assert [[m.digest for m in s.media] for s in again.samples] == [
            [m.digest for m in s.media] for s in dataset.samples
        ]


def test_a_sample_of_two_files_comes_back_from_folders(dataset, tmp_path):
    format = format_of("folders")
    written = format.write(dataset, dataset.samples, tmp_path / "copy", FolderOptions(task="pace"))
    assert written.samples == 8
    again = imported(tmp_path / "again", "folders", tmp_path / "copy", {"task": "pace"})
    assert sorted(m.digest for s in again.samples for m in s.media) == sorted(
        m.digest for s in dataset.samples for m in s.media
    )


def test_check_finds_what_is_broken_and_columns_that_differ(dataset, folder, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for sample in dataset.samples:
        for media in sample.media:
            place = bad / media.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((folder / media.path).read_bytes())
    (bad / "val/quick/5.series.csv").write_text("time,swing,other\n0,1,2\n1,2,3\n")
    made = imported(tmp_path / "other", "folders", bad, {"task": "pace"})
    (bad / "test/slow/8.series.csv").write_text("time,swing,pulse\n0,1,2\n0,2,3\n")
    found = {f.code: f for f in check_dataset(made, near_duplicates=False).findings if f.level == "error"}
    assert found["series-columns"].samples == ("val/quick/5.mp4",)
    assert "most have pulse, swing" in found["series-columns"].message
    assert "time goes from 0 to 0" in found["broken-file"].message
    wanted = only_series(columns=("pulse",))
    made.info = made.info.model_copy(update={"prepare": wanted})
    (finding,) = [f for f in check_dataset(made, near_duplicates=False).findings if f.code == "series-columns"]
    assert "no column pulse, which prepare.series.columns names" in finding.message
    made.info = made.info.model_copy(update={"prepare": only_series(columns=("swing",))})
    assert not [f for f in check_dataset(made, near_duplicates=False).findings if f.code == "series-columns"]


def test_a_broken_series_is_left_out_at_import_with_its_line(tmp_path):
    (tmp_path / "raw" / "slow").mkdir(parents=True)
    write_series(tmp_path / "raw" / "slow" / "good.csv", 1.0)
    (tmp_path / "raw" / "slow" / "bad.csv").write_text("time,swing\n0,one\n")
    from onlooker.learning.datasets.importing import ImportRequest, import_samples

    report = import_samples(Dataset.create(tmp_path / "set", name="set"), ImportRequest("folders", tmp_path / "raw"))
    assert report.new == 1
    assert "bad.csv:2: swing: expected a number, got 'one'" in report.failures["slow/bad.csv"]


def test_arrays_are_steps_of_the_span_cached_and_the_same_from_workers(dataset, folder, tmp_path):
    sample = next(s for s in dataset.samples if s.id == "test/slow/8.mp4")
    parts = [sample.model_copy(update={"id": f"{n}", "span": (n / 2, n / 2 + 1.0)}) for n in range(2)]
    bare = next(s for s in dataset.samples if len(s.media) == 1)
    whole = bare.model_copy(update={"id": "without"})
    at = sample.model_copy(update={"id": "at", "at": 1.0})
    how = only_series(rate=10, seconds=1.0, columns=("pulse", "swing"))
    with Loader(dataset, how, samples=[*parts, whole, at, sample], shuffle=False) as loader:
        clips = {c.sample.id: c for c in loader.epoch()}
    assert clips["without"].series is None
    raw = read_series(folder / "test/slow/8.series.csv")
    for number, part in enumerate(("0", "1")):
        rows = clips[part].series
        assert rows.shape == (10, 2)
        for step in range(10):
            begin = number / 2 + step / 10
            inside = (raw.times >= begin - 1e-9) & (raw.times < begin + 0.1 - 1e-9)
            assert rows[step, 1] == pytest.approx(raw.values[inside, 0].mean(), abs=1e-5)
        assert rows[0, 0] == pytest.approx(raw.values[0, 1])
    np.testing.assert_array_equal(clips["at"].series, clips["1"].series)
    np.testing.assert_array_equal(clips[sample.id].series, clips["1"].series)
    with (
        ClipCache(tmp_path / "cache", 1 << 20) as cache,
        Loader(dataset, how, samples=[*parts, whole], workers=1, cache=cache, shuffle=False) as loader,
    ):
        for epoch in range(2):
            again = {c.sample.id: c.series for c in loader.epoch(epoch)}
            assert again["without"] is None
            for part in ("0", "1"):
                np.testing.assert_array_equal(again[part], clips[part].series)
        assert loader.cached == 3


def test_preparing_measures_what_is_known(dataset, tmp_path):
    made, report = prepare_dataset(dataset, tmp_path / "prepared", only_series(rate=25, seconds=2.0))
    assert report.failures == {}
    raw = [read_series(dataset.root / m.path) for s in dataset.samples if s.split == "train" for m in s.media[1:]]
    swing = np.concatenate([r.values[:, 0] for r in raw])
    assert made.info.prepare.normalise.series_mean[0] == pytest.approx(swing.mean(), abs=1e-3)
    assert made.info.prepare.normalise.series_deviation[0] == pytest.approx(swing.std(), abs=1e-3)
    assert Dataset.load(tmp_path / "prepared").info.prepare.series == Series(rate=25, seconds=2.0)


def test_a_column_that_a_sample_lacks_names_the_sample(dataset):
    sample = next(s for s in dataset.samples if len(s.media) == 2)
    with (
        Loader(dataset, only_series(columns=("az",)), samples=[sample]) as loader,
        pytest.raises(SourceError, match=rf"sample {sample.id}: .*no column 'az'"),
    ):
        next(loader.epoch())


def test_preparations_without_a_series_keep_their_digest():
    assert "series" not in Preparation().model_dump()
    assert Preparation().digest() == Preparation(series=None).digest() != only_series().digest()
    assert Preparation.model_validate({"series": {"columns": "ax, ay"}}).series.columns == ("ax", "ay")


def test_different_columns_must_be_chosen_from(tmp_path):
    from onlooker.learning.datasets.preparing import column_moments

    with pytest.raises(UsageError, match="different columns"):
        column_moments([np.zeros((2, 1)), np.zeros((2, 2))])


@pytest.mark.browser
def test_the_page_draws_a_line_for_each_column(dataset, chromium, tmp_path):
    path = tmp_path / "gap.csv"
    rows = [f"{n / 10:g},{n % 7}," for n in range(40) if not 10 < n < 30]
    path.write_text("time,a&b,<i>x</i>\n" + "\n".join(rows))
    made = Dataset.create(tmp_path / "gaps", name="gaps", tasks={"pace": Task(kind="class", classes=("slow",))})
    made.info = made.info.model_copy(update={"root": str(tmp_path)})
    made.put([Sample(id="gap", media=(Media(path="gap.csv", kind="series"),), labels={"pace": "slow"})])
    pages = {"clips": build_page(dataset, PageRequest())[0], "gap": build_page(made, PageRequest())[0]}
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    complaints = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    page.goto((tmp_path / "clips.html").as_uri())
    assert page.locator("article svg.chart").count() == 6
    chart = page.locator("article svg.chart").first
    assert chart.locator("path").count() == 2
    line = chart.locator("path").first.bounding_box()
    whole = chart.bounding_box()
    assert line["width"] > 0.9 * whole["width"]
    assert line["height"] > 0.8 * whole["height"]
    assert page.locator("article .names").first.inner_text().startswith("swing -1")
    page.goto((tmp_path / "gap.html").as_uri())
    assert page.locator("article .names").first.inner_text() == "a&b 0 to 6\n<i>x</i> no value"
    shape = page.locator("article svg.chart path").first.get_attribute("d")
    assert shape.count("M") == 2
    assert json.dumps(shape).count("NaN") == 0
    assert complaints == []
    page.close()
