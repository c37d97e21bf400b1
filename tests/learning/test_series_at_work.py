# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOptionalMemberAccess=false
"""Models that take measurements and texts beside what is seen and heard, from training to what bundles say of clips."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from analyzers.conftest import read_pictures, write_clip
from learning._runs import CLIP, SERIES, TCONV, facts_of, make_run, recipe_of
from learning.datasets._series import series_folder
from learning.improve._material import onlooker, told
from onlooker.bundles import added, load_bundle
from onlooker.bundles.series import read_series, sidecar_of
from onlooker.core.analyzer import Context
from onlooker.core.errors import ConfigError
from onlooker.core.media import SourceInfo
from onlooker.core.plugins import load_plugin
from onlooker.core.store import Query
from onlooker.learning.export import export_run
from onlooker.learning.run_folder import load_model
from onlooker.sources import open_source
from onlooker.timeline import open_store

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "training.md"
SENSOR = {"sensor": {"network": "series", "width": 6, "levels": 2}}
SIZE = {"size": {"head": "regression"}}


def analyzed(clip, library, *more, code=0):
    return told("analyze", clip, "--library", library, *more, code=code)["sources"][0]


def observed(library):
    with closing(open_store(library, read_only=True)) as store:
        return sorted(store.query(Query()), key=lambda o: (o.span.start, o.label or ""))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def footage(data, tmp_path_factory):
    """40 s of real footage, small, at ten pictures a second."""
    shown = read_pictures(data("shots/bikes.mp4"), 16, width=40, height=32)
    return write_clip(shown, tmp_path_factory.mktemp("footage") / "yard.mp4", rate=10, crf=4)


@pytest.fixture
def clip(footage, tmp_path):
    return shutil.copyfile(footage, tmp_path / "yard.mp4")


def measure(path, seconds=38.0, seed=5):
    """What four sensors gave at odd times; one of them rarely, all of them with a hole of eight seconds."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.uniform(0.01, 0.05, round(seconds / 0.03)))
    lines = ["time,az,ay,ax,heart rate"]
    for number, time in enumerate(times):
        if not 12 < time < 20:
            ax, ay, az = np.sin(time * np.array([3, 5, 0.4])) * [4, 2, 3] + random.normal(0, 0.3, 3)
            pulse = f"{80 + 20 * np.sin(time / 5):.2f}" if number % 40 == 0 else ""
            lines.append(f"{time:.4f},{az - 9:.4f},{ay:.4f},{ax:.4f},{pulse}")
    path.write_text("\n".join(lines))
    return path


def window(series, start):
    """A window of `SERIES` by other code: row by row, a mean or what was last known, then normalised."""
    made = np.zeros((SERIES.steps, 4), np.float32)
    known = False
    for column, name in enumerate(SERIES.columns):
        values = series.values[:, series.columns.index(name)]
        rows = [(t, v) for t, v in zip(series.times, values, strict=True) if v == v]
        for step in range(SERIES.steps):
            begin = start + step / SERIES.rate
            inside = [v for t, v in rows if begin - 1e-9 <= t < begin + 1 / SERIES.rate - 1e-9]
            before = [v for t, v in rows if begin - SERIES.hold_seconds <= t < begin]
            if inside or before:
                value = np.mean(inside) if inside else before[-1]
                made[step, column] = (value - SERIES.mean[column]) / SERIES.std[column]
                known = True
    return torch.from_numpy(made)[None] if known else None


def added_run(tmp_path, recipe, facts):
    run = make_run(tmp_path, recipe, facts)
    export_run(run, tmp_path / "bundle")
    added.add(tmp_path / "bundle")
    return run


def compare(found, numbers, tolerance):
    """Means of several looks, told one after the other, against the looks' own numbers."""
    values = [o.data for o in found if o.label == "size 1"]
    at = 0
    for data in values:
        assert data["value"] == pytest.approx(np.mean(numbers[at : at + data["looks"]]), abs=tolerance)
        at += data["looks"]
    assert at == len(numbers)
    assert np.std([d["value"] for d in values]) > tolerance


# -- a series alone --


@pytest.fixture(scope="module")
def alone(cache, tmp_path_factory):
    run = added_run(
        tmp_path_factory.mktemp("alone"), recipe_of(SENSOR, SIZE), facts_of({"sensor": SERIES}, {"size": "regression"})
    )
    yield run
    added.remove("tiny")


def test_a_series_is_looked_at_as_the_model_was_trained(alone, clip, tmp_path):
    series = read_series(measure(sidecar_of(clip)))
    told = analyzed(clip, tmp_path / "lib", "--only", "tiny")
    assert told["failures"] == []
    model, _, _ = load_model(alone)
    numbers = []
    for number in range(int((series.end * SERIES.rate + 1 - SERIES.steps) // SERIES.stride) + 1):
        x = window(series, number * SERIES.stride / SERIES.rate)
        if x is not None:
            with torch.no_grad():
                numbers.append(float(model({"sensor": x}).raw["size"][0, 0]))
    assert len(numbers) > 100
    compare(observed(tmp_path / "lib"), numbers, 1e-3)
    # the hole: eight seconds, of which five are bridged
    gaps = [o for o in observed(tmp_path / "lib") if o.label == "size 1"]
    assert any(b.span.start > a.span.end for a, b in itertools.pairwise(gaps))
    assert analyzed(clip, tmp_path / "lib", "--only", "tiny")["ran"] == []


def test_without_a_series_it_says_what_is_missing(alone, clip, tmp_path):
    plan = onlooker("analyze", clip, "--library", tmp_path / "lib", "--only", "tiny", "--plan")
    assert "not possible" in plan
    assert "needs yard.series.csv" in plan
    told = analyzed(clip, tmp_path / "lib", "--only", "tiny")
    assert (told["ran"], told["failures"]) == ([], [])
    measure(sidecar_of(clip))
    assert analyzed(clip, tmp_path / "lib", "--only", "tiny")["ran"] == ["tiny"]
    assert observed(tmp_path / "lib")


def test_a_broken_series_is_told_and_tried_again(alone, clip, tmp_path):
    beside = sidecar_of(clip)
    for text, reason in (
        ("time,ax\n0,1\n0,2\n", "yard.series.csv:3: time goes from 0 to 0"),
        ("time,ax\n0,1\n", "has no column 'ay', which the bundle takes"),
    ):
        beside.write_text(text)
        (failure,) = analyzed(clip, tmp_path / "lib", "--only", "tiny", code=3)["failures"]
        assert reason in failure["message"]
    measure(beside)
    assert analyzed(clip, tmp_path / "lib", "--only", "tiny")["failures"] == []
    assert observed(tmp_path / "lib")


def test_a_series_elsewhere_is_named_and_another_content_is_another_result(alone, clip, tmp_path):
    words = ("--only", "tiny", "--set", f"tiny.series={measure(tmp_path / 'sensors.csv')}")
    assert analyzed(clip, tmp_path / "lib", *words)["ran"] == ["tiny"]
    first = [o.data["value"] for o in observed(tmp_path / "lib")]
    assert analyzed(clip, tmp_path / "lib", *words)["ran"] == []
    measure(tmp_path / "sensors.csv", seed=6)
    assert analyzed(clip, tmp_path / "lib", *words)["ran"] == ["tiny"]
    assert [o.data["value"] for o in observed(tmp_path / "lib")] != first
    cls = load_plugin("analyzers", "tiny")
    with pytest.raises(ConfigError, match="series: cannot read"):
        cls(cls.Config(series=str(tmp_path / "gone.csv")))


def test_on_a_camera_there_is_none(alone, clip):
    from onlooker.live.sitting import live_stages
    from onlooker.pipeline.stages import select_stages

    measure(sidecar_of(clip))
    info = open_source(str(clip)).info
    live = SourceInfo(info.id, info.path, "rtsp", None, None, info.video, live=True)
    cls = load_plugin("analyzers", "tiny")
    one = cls(cls.Config())
    one.open(Context(live))
    assert list(one.flush()) == []
    one.close()
    chosen = live_stages(select_stages({}, "balanced", ["tiny"]))
    assert chosen.stages == ()
    assert chosen.left_out == {"tiny": "looks at a file beside a recording (NAME.series.csv)"}


# -- beside pictures --


@pytest.fixture(scope="module")
def joined(cache, tmp_path_factory):
    recipe = recipe_of({"video": TCONV, **SENSOR}, SIZE, name="both", fusion={"kind": "early", "size": 8})
    yield added_run(
        tmp_path_factory.mktemp("both"), recipe, facts_of({"video": CLIP, "sensor": SERIES}, {"size": "regression"})
    )
    added.remove("both")


def seen_and_measured(run, path, series):
    """The model in PyTorch at every look, over pictures that are decoded and resized by other code."""
    import av
    from PIL import Image

    model, _, _ = load_model(run)
    with av.open(str(path)) as opened:
        shown = [(f.time, f.to_image()) for f in opened.decode(video=0)]
    mean, std = (torch.tensor(v).reshape(1, 1, 3, 1, 1) for v in (CLIP.mean, CLIP.std))

    def picture(tick):
        image = [p for t, p in shown if int(t * CLIP.rate + 1e-6) <= tick][-1]
        first = next((p for t, p in shown if int(t * CLIP.rate + 1e-6) >= tick), image)
        return np.asarray(first.resize((CLIP.width, CLIP.height), Image.Resampling.BOX), np.float32)

    numbers = []
    last = int(shown[-1][0] * CLIP.rate)
    for end in range(CLIP.frames - 1, last + 1):
        # each stride from the first clip on, and the last one
        if (end - CLIP.frames + 1) % CLIP.stride and end != last:
            continue
        small = np.stack([picture(t) for t in range(end - CLIP.frames + 1, end + 1)])
        x = (torch.from_numpy(small).permute(0, 3, 1, 2)[None] / 255 - mean) / std
        middle = Fraction(end - CLIP.frames + 1 + Fraction(CLIP.frames, 2)) / Fraction(CLIP.rate)
        own = window(series, float(middle) - SERIES.seconds / 2) if series is not None else None
        inputs = {"video": x, "sensor": torch.zeros(1, SERIES.steps, 4) if own is None else own}
        with torch.no_grad():
            there = {"video": torch.ones(1), "sensor": torch.full((1,), float(own is not None))}
            numbers.append(float(model(inputs, there).raw["size"][0, 0]))
    return numbers


def test_a_series_joins_pictures_around_their_middle_and_may_be_missing(joined, clip, tmp_path):
    bare = seen_and_measured(joined, clip, None)
    assert analyzed(clip, tmp_path / "bare", "--only", "both")["failures"] == []
    compare(observed(tmp_path / "bare"), bare, 0.02)
    series = read_series(measure(sidecar_of(clip)))
    numbers = seen_and_measured(joined, clip, series)
    assert np.abs(np.subtract(numbers, bare)).mean() > 0.1
    assert analyzed(clip, tmp_path / "one", "--only", "both")["failures"] == []
    compare(observed(tmp_path / "one"), numbers, 0.02)
    onlooker("analyze", clip, "--library", tmp_path / "two", "--workers", "2", "--only", "both")
    assert [o.as_dict() for o in observed(tmp_path / "two")] == [o.as_dict() for o in observed(tmp_path / "one")]
    # what is done stays so until it is asked for anew
    assert analyzed(clip, tmp_path / "bare", "--only", "both")["ran"] == []
    analyzed(clip, tmp_path / "bare", "--only", "both", "--redo")
    assert [o.data for o in observed(tmp_path / "bare")] == [o.data for o in observed(tmp_path / "one")]


# -- trained --


def test_the_guides_recipe_is_trained_evaluated_and_told_of_a_clip(cache, data, tmp_path):
    clips = series_folder(tmp_path / "clips", data("shots/bikes.mp4"))
    onlooker("dataset", "import", "folders", clips, "--into", tmp_path / "walks-set", "--set", "task=pace")
    (recipe,) = re.findall(
        r"^```yaml\n# paces.yaml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "recipe.yaml").write_text(recipe)
    onlooker("train", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    facts = load_model(tmp_path / "run")[2].inputs["sensor"]
    assert (facts.rate, facts.steps, facts.columns) == (20.0, 40, ("swing", "pulse"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["pace"]
    assert metrics["accuracy"] == 1.0
    bundle = tmp_path / "run" / "bundle"
    found = told("evaluate", bundle, tmp_path / "walks-set", "--slices")
    assert found["tasks"]["pace"]["value"] == 1.0
    assert found["tasks"]["pace"]["metrics"]["nll"] == pytest.approx(metrics["nll"], abs=0.01)
    rows = {(r["corruption"], r["sense"]): r["values"]["pace"] for r in found["robustness"]["rows"]}
    assert rows["missing", "pictures"] == 1.0
    assert rows["missing", "series"] < 1.0
    assert load_bundle(bundle).manifest.series.input == facts
    onlooker("models", "add", bundle)
    for label in ("quick", "slow"):
        clip = next((clips / "test" / label).glob("*.mp4"))
        assert analyzed(clip, tmp_path / label, "--only", "paces")["failures"] == []
        assert {o.label for o in observed(tmp_path / label)} == {label}
    added.remove("paces")
