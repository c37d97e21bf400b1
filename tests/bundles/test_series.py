"""Series of measurements: what a file must be, and its stretches as even steps, against the plainest way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from onlooker.bundles.inputs import SeriesInput
from onlooker.bundles.networks import Head
from onlooker.bundles.preprocess import series_tensor
from onlooker.bundles.series import Series, read_series, sidecar_of, steps_of
from onlooker.core.errors import SourceError


def test_a_table_is_read_with_what_is_missing(tmp_path):
    path = tmp_path / "yard.series.csv"
    path.write_bytes("\ufeffax,time,heart rate\r\n1.5,0.25,\r\n,1e0,80\r\n\r\n-2,3,81.5\r\n".encode())
    series = read_series(path)
    assert series.columns == ("ax", "heart rate")
    assert series.times.tolist() == [0.25, 1.0, 3.0]
    np.testing.assert_array_equal(series.values, [[1.5, np.nan], [np.nan, 80], [-2, 81.5]])
    assert series.end == 3.0
    assert sidecar_of(tmp_path / "yard.mp4") == path


BROKEN = {
    "": r"t.csv:1: there is no column 'time'",
    "seconds,ax\n0,1\n": r"t.csv:1: there is no column 'time'",
    "time\n0\n": "expected 1 to 256 columns beside time, got 0",
    "time,ax,ax\n0,1,2\n": "the column 'ax' is there twice",
    "time,,ax\n0,1,2\n": "column 2 has no name",
    "time,ax\n": "has no rows",
    "time,ax\n0,1\n0.5,2\n0.5,3\n": r"t.csv:4: time goes from 0.5 to 0.5 \(times must rise",
    "time,ax\n1,1\n0,2\n": "t.csv:3: time goes from 1 to 0",
    "time,ax\n,1\n": "t.csv:2: the row has no time",
    "time,ax\n0,1,2\n": "t.csv:2: expected 2 cells, got 3",
    "time,ax\n0,fast\n": "t.csv:2: ax: expected a number, got 'fast'",
    "time,ax\n0,inf\n": "t.csv:2: ax: expected a number, got 'inf'",
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_series_is_told_with_its_line(text, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=BROKEN[text]):
        read_series(tmp_path / "t.csv")


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        read_series(tmp_path / "gone.csv")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0\x00")
    with pytest.raises(SourceError, match="cannot read"):
        read_series(tmp_path / "picture.csv")


def plainly(series, column, rate, steps, start, hold):
    """Step by step, over all rows."""
    values = series.values[:, series.columns.index(column)]
    rows = [(float(t), float(v)) for t, v in zip(series.times, values, strict=True) if v == v]
    made = []
    for number in range(steps):
        begin, end = start + number / rate, start + (number + 1) / rate
        inside = [v for t, v in rows if begin - 1e-7 <= t < end - 1e-7]
        before = [(t, v) for t, v in rows if t < begin]
        held = before[-1][1] if before and begin - before[-1][0] <= hold else np.nan
        made.append(np.mean(inside) if inside else held)
    return np.array(made)


@settings(max_examples=150, deadline=None)
@given(
    times=st.lists(st.integers(-2000, 9000), min_size=1, max_size=40, unique=True),
    missing=st.sets(st.integers(0, 39)),
    rate=st.sampled_from([0.5, 2.0, 10.0, 31.0]),
    steps=st.integers(1, 30),
    start=st.integers(-3000, 8000),
    hold=st.sampled_from([0.0, 0.3, 5.0]),
)
def test_steps_are_means_or_what_was_last_known(times, missing, rate, steps, start, hold):
    at = np.array(sorted(times)) / 1000 + 0.0002
    values = np.stack([np.arange(len(at)) * 1.5 - 4, np.ones(len(at))], 1).astype(np.float64)
    values[[n for n in missing if n < len(at)], 0] = np.nan
    series = Series(at, values, ("a", "b"))
    made = steps_of(series, ["b", "a"], rate=rate, steps=steps, start=start / 1000, hold=hold)
    expected = np.stack([plainly(series, c, rate, steps, start / 1000, hold) for c in ("b", "a")], 1)
    if np.isnan(expected).all():
        assert made is None
    else:
        assert made is not None
        np.testing.assert_allclose(made, expected.astype(np.float32), rtol=1e-6)


def test_a_column_that_is_not_there_is_told():
    with pytest.raises(SourceError, match=r"no column 'az' \(it has ax\)"):
        steps_of(Series(np.zeros(1), np.zeros((1, 1)), ("ax",)), ["az"], rate=1, steps=1, start=0, hold=1)


FACTS = {
    "kind": "series", "rate": 4.0, "steps": 3, "stride": 1, "columns": ("a", "b"), "mean": (1.0, -2.0),
    "std": (2.0, 4.0),
}  # fmt: skip


@pytest.mark.parametrize("layout", ["NTC", "NCT"])
def test_what_is_not_known_counts_as_the_mean(layout):
    facts = SeriesInput(**FACTS, layout=layout)
    rows = np.array([[1, 2], [np.nan, -2], [5, np.nan]], np.float32)
    expected = np.array([[0, 1], [0, 0], [2, 0]], np.float32)
    tensor = series_tensor(rows, facts)
    assert tensor.shape == facts.shape
    np.testing.assert_allclose(tensor[0] if layout == "NTC" else tensor[0].T, expected)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"columns": ("a", "a")}, "there twice"),
        ({"mean": (1.0,)}, "mean: expected 2 numbers, got 1"),
        ({"std": (1.0, 0.0)}, "greater than 0"),
    ],
)
def test_facts_that_do_not_fit_are_refused(changed, said):
    with pytest.raises(ValidationError, match=said):
        SeriesInput(**FACTS | changed)


def test_a_text_beside_others_has_a_mask():
    text = {"text": {"kind": "text", "size": 8}, "text_tensor": "t"}
    joined = {"inputs": ({"tensor": "x", "network": "eye", "output": "f", "size": 4},)}
    common = {"file": "head.onnx", "outputs": ("y",)}
    assert Head.model_validate({**common, **text}).text_mask is None
    assert Head.model_validate({**common, **text, **joined, "text_mask": "m"}).text_mask == "m"
    for wrong in ({**text, **joined}, {**text, "text_mask": "m"}, {**joined, "text_mask": "m"}):
        with pytest.raises(ValidationError, match="text_mask: expected where a text is joined"):
            Head.model_validate({**common, **wrong})
