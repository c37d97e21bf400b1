# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false, reportOptionalOperand=false
"""Drift of inputs and scores against a bundle's own reference: told of real footage made dark or blurred alone."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from PIL import Image, ImageFilter

from analyzers.conftest import write_clip
from learning.improve._material import colours, onlooker
from onlooker.bundles import added, load_bundle, save_bundle
from onlooker.bundles.drift import Reference, chance, distribution_of, moved, picture_statistics, psi, sound_statistics
from onlooker.core.errors import ModelError
from onlooker.core.store import Query
from onlooker.timeline import open_store


def reference_of(pictures, count=40):
    """Of stretches of footage, as it is made at export: one value for each."""
    rows = [
        np.median([picture_statistics(p) for p in pictures[n :: len(pictures) // count][:5]], 0) for n in range(count)
    ]
    columns = dict(zip(("brightness", "contrast", "sharpness"), np.array(rows).T.tolist(), strict=True))
    return Reference(split="val", count=count, statistics={n: distribution_of(v) for n, v in columns.items()})


def small(picture):
    return np.asarray(Image.fromarray(picture).resize((8, 8), Image.Resampling.BOX))


@pytest.fixture
def watching(shown, tmp_path):
    """The bundle of colours with a reference of the footage, added."""
    plain = colours(tmp_path, "plain")
    fields = {**plain.manifest.model_dump(mode="json", by_alias=True)}
    fields["reference"] = reference_of([small(p) for p in shown]).model_dump(mode="json")
    files = {name: plain.path(name) for name in plain.manifest.files}
    return added.add(save_bundle(tmp_path / "watching", fields, files).folder, "colours").bundle


def drifted(shown, change, tmp_path, name):
    clip = write_clip([change(p) for p in shown[::4]], tmp_path / f"{name}.mp4", rate=6, crf=8)
    onlooker("analyze", clip, "--library", tmp_path / name, "--only", "colours", "--workers", "1")
    with closing(open_store(tmp_path / name)) as store:
        found = list(store.query(Query(kinds=("drift",))))
    return {o.label: o for o in found}


def test_footage_of_the_reference_has_not_drifted(watching, shown, tmp_path):
    assert drifted(shown, lambda p: p, tmp_path, "same") == {}


def test_dark_footage_is_told_with_what_moved_and_by_how_much(watching, shown, tmp_path):
    found = drifted(shown, lambda p: (p * 0.2).astype(np.uint8), tmp_path, "dark")
    assert {"brightness", "contrast"} <= set(found)
    dark = found["brightness"]
    low, middle, high = np.array(dark.data["reference"]).tolist()
    assert dark.data["median"] < low <= middle <= high
    assert dark.data["direction"] == "lower"
    assert dark.data["psi"] > 0.25
    assert dark.score > 0.5
    assert dark.data["looks"] >= 30
    assert dark.producer.bundle == watching.digest


def test_blurred_footage_is_told_by_its_sharpness(watching, shown, tmp_path):
    def blurred(picture):
        return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(16)))

    found = drifted(shown, blurred, tmp_path, "blurred")
    assert found["sharpness"].data["direction"] == "lower"
    assert "brightness" not in found


def test_it_is_off_without_a_reference_or_by_a_setting(watching, shown, tmp_path):
    from onlooker.pipeline.stages import select_stages

    assert select_stages({"colours": {}}, "balanced")[0].emits == ("colour", "drift")
    clip = write_clip([(p * 0.2).astype(np.uint8) for p in shown[::4]], tmp_path / "off.mp4", rate=6)
    setting = ("--set", "colours.drift_seconds=0")
    onlooker("analyze", clip, "--library", tmp_path / "off", "--only", "colours", *setting)
    with closing(open_store(tmp_path / "off")) as store:
        assert not list(store.query(Query(kinds=("drift",))))
    # a bundle of before, without a reference, loads and is a version of the same name
    assert load_bundle(tmp_path / "plain").manifest.reference is None
    added.add(tmp_path / "plain", "colours")
    assert select_stages({"colours": {}}, "balanced")[0].emits == ("colour",)


def test_the_index_is_the_one_of_the_books():
    known = distribution_of(np.linspace(0, 1, 1000).tolist())
    assert known.shares == pytest.approx((0.1,) * 10, abs=0.002)
    # half of the looks in the lowest bin, the rest as before
    values = np.concatenate([np.full(5000, 0.05), np.linspace(0, 1, 5000)])
    shares = np.array([0.55, *(0.05,) * 9])
    expected = float(np.sum((shares - 0.1) * np.log(shares / 0.1)))
    assert psi(known, 1000, values) == pytest.approx(expected, rel=0.02)
    # chi-square with 9 degrees of freedom: 27.88 at 99.9 %
    assert chance(10, 100, 100) == pytest.approx(27.88 * 0.02, rel=0.01)


def test_draws_of_the_reference_hardly_ever_drift():
    random = np.random.default_rng(0)
    reference = Reference(count=200, statistics={"brightness": distribution_of(random.normal(0.4, 0.1, 200).tolist())})
    told = [moved(reference, {"brightness": random.normal(0.4, 0.1, 60).tolist()}) for _ in range(500)]
    assert not any(told)
    # a steady scene within the range is no drift, one outside is
    steady = [moved(reference, {"brightness": [level] * 60}) for level in (0.3, 0.5)]
    assert steady == [[], []]
    assert moved(reference, {"brightness": [0.02] * 60})[0].outside == 1.0
    assert moved(reference, {"brightness": [0.02] * 10}) == []


def test_statistics_say_what_they_are_called(shown):
    picture = shown[0]
    bright, contrast, sharpness = picture_statistics(picture)
    darker = picture_statistics((picture * 0.5).astype(np.uint8))
    assert darker[0] == pytest.approx(bright / 2, abs=0.01)
    assert darker[1] == pytest.approx(contrast / 2, abs=0.01)
    assert darker[2] == pytest.approx(sharpness, rel=0.1)
    tone = np.asarray(np.sin(np.arange(8000) / 10), np.float32)
    assert sound_statistics(tone)[0] - sound_statistics(np.asarray(tone / 10, np.float32))[0] == pytest.approx(
        20, abs=0.1
    )


def test_a_reference_that_is_none_is_refused(tmp_path):
    plain = colours(tmp_path, "plain")
    fields = {**plain.manifest.model_dump(mode="json", by_alias=True)}
    fields["reference"] = {"count": 3, "statistics": {"brightness": {"edges": [2, 1], "shares": [0.2, 0.3, 0.5],
                                                                     "low": 0, "median": 1, "high": 2}}}  # fmt: skip
    with pytest.raises(ModelError, match="growing"):
        save_bundle(tmp_path / "bad", fields, {name: plain.path(name) for name in plain.manifest.files})
