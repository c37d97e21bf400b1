# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false
"""A model of four senses as a bundle on a real clip: what was said or written joins the looks that it overlaps."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from analyzers.script import Script, said, shown
from learning._runs import CLIP, EAR, MEL, TASKS, TCONV, TEXT, facts_of, make_run, recipe_of
from learning.test_series_at_work import SENSOR, SERIES, measure
from onlooker.analyzers.bundle.looks import Pace
from onlooker.bundles import added
from onlooker.bundles.running import Engine, HeadRun
from onlooker.bundles.series import sidecar_of
from onlooker.core.analyzer import Context, Window
from onlooker.core.errors import ModelMissing
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin
from onlooker.core.time import Span, Timestamp
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.datasets.media import look_at
from onlooker.learning.datasets.preparation import Pictures, Preparation, Series, Sound
from onlooker.learning.evaluate.material import diet_of, material_of
from onlooker.learning.evaluate.player import Player
from onlooker.learning.export import export_run
from onlooker.learning.run_folder import load_model
from onlooker.learning.training.batches import Data, normalised
from onlooker.sources import open_source
from onlooker.testing.analyzer import CHECKS, AnalyzerCase
from onlooker.testing.drive import drive

SENSES = {"video": TCONV, "sound": EAR, "words": {"network": "text_encoder", "size": 6}, **SENSOR}
FACTS = {"video": CLIP, "sound": MEL, "words": TEXT, "sensor": SERIES}
RUNS: list[Path] = []
LINES = [
    said(0.4, 1.6, "Put the goods  down,\nplease"),
    shown(1.2, 3.0, "EXIT"),
    said(3.4, 3.8, "They came a week late"),
    said(5.2, 5.9, "Thank you, that was lovely"),
]


@pytest.fixture(scope="module")
def encoder():
    from onlooker.models.sentences import shared_encoder

    try:
        return shared_encoder()
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def clip(data, tmp_path_factory):
    """A real clip with sound, a keyframe every second, and a series beside it."""
    from contract.test_analyzer import encode

    performance = data("clips/tv_whitehouse_performance.mp4")
    parts = [(performance, 2.5), (data("clips/traffic_car_overhead.mp4"), 3.5)]
    made = encode(parts, tmp_path_factory.mktemp("clip") / "hall.mp4", performance)
    measure(sidecar_of(made), 7.0)
    return made


@pytest.fixture(scope="module")
def bundle(encoder, tmp_path_factory):
    """The class of the analyzer of a model with random weights."""
    folder = tmp_path_factory.mktemp("senses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_CACHE", str(folder / "cache"))
        tasks = {"size": {"head": "regression"}, "told": {"head": "regression", "of": "size", "inputs": ["words"]}}
        recipe = recipe_of(SENSES, tasks, name="senses", fusion={"kind": "gated", "size": 8})
        run = make_run(folder, recipe, facts_of(FACTS, {"size": "regression", "told": "regression"}))
        RUNS.append(run)
        export_run(run, folder / "bundle")
        added.add(folder / "bundle")
        yield load_plugin("analyzers", "senses")
        added.remove("senses")


@pytest.fixture(scope="module")
def case(bundle, clip):
    source = open_source(str(clip))
    yield AnalyzerCase(lambda: [Script(LINES), bundle(bundle.Config())], source)
    source.close()


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check, case):
    """Split equals whole, and neither windows nor when texts arrive matter."""
    CHECKS[check](case)


def numbers_of(observations, output):
    return [o for o in observations if o.label == f"{output} 1"]


def test_a_look_gets_what_was_said_or_written_while_it_lasted(bundle, case, encoder, clip):
    """The head by itself, on what the heavy part measured and the words of each look."""
    one = bundle(bundle.Config())
    manifest = one.bundle.manifest
    assert one.needs().wishes == ("speech", "text")
    assert one.needs().models
    pace, head = Pace(manifest, None), HeadRun(Engine(one.bundle), manifest.head)
    expected, alone, texts = [], [], []
    for m in case.measurements["senses"]:
        for look in one._layout.unpack(m.values):
            moment = pace.moment(m, look.place)
            start, end = moment.start.seconds, moment.end.seconds
            lasted = [o for o in sorted(LINES, key=lambda o: o.span.start) if overlaps(o.span, start, end)]
            text = " ".join(" ".join(o.text.split()) for o in lasted)
            vector = encoder.one(text) if text else None
            given = {k: v for k, v in look.arrays.items() if v is not None}
            assert {k[0] for k in given} == {"video", "sound", "sensor"}
            outputs, _ = head.step(given, {}, vector)
            expected.append(float(outputs["size"][0, 0]))
            alone += [float(outputs["told"][0, 0])] if text else []
            texts.append(text)
    head.close()
    assert "Put the goods down, please EXIT" in texts
    assert "" in texts
    found = list(case.observations.values())
    observations = sorted((o for o in found if o["label"] == "size 1"), key=lambda o: o["start_seconds"])
    at = 0
    for o in observations:
        assert o["value"] == pytest.approx(np.mean(expected[at : at + o["looks"]]), abs=1e-3)
        at += o["looks"]
    assert at == len(expected)
    # what rests on the text alone is told where there was one
    assert sum(o["looks"] for o in found if o["label"] == "told 1") == len(alone) < len(expected)


def overlaps(span, start, end):
    return span.start.seconds < end and span.end.seconds > start


def test_without_words_the_text_is_missing(bundle, clip):
    source = open_source(str(clip))
    try:
        one = bundle(bundle.Config())
        bare = drive([one], source)
        with_words = drive([Script(LINES), bundle(bundle.Config())], source)
    finally:
        source.close()
    assert numbers_of(bare, "size")
    assert not numbers_of(bare, "told")
    values = [[o.data["value"] for o in numbers_of(made, "size")] for made in (bare, with_words)]
    assert np.abs(np.subtract(*values)).max() > 1e-3


def test_on_a_camera_a_look_waits_for_what_is_said_in_it(bundle, case):
    """Answers come after ``text_seconds``, with what was said until then; rules are told what is held back."""
    source = case.source.info
    live = SourceInfo("0" * 32, "rtsp://yard", "rtsp", None, None, source.video, source.audio, live=True)
    measurements = case.measurements["senses"]
    late = Observation(Span.of_seconds(Fraction(1), Fraction(2)), "speech", text="Help")
    looks = {}
    for wait, arrives in itertools.product((1.0, 3.0), (2.5, 5.0)):
        one = bundle(bundle.Config(text_seconds=wait))
        one.open(Context(live, kinds=frozenset({"speech"})))
        assert one._gauge is None
        made, told = [], []
        for step in range(1, 15):
            end = Timestamp.of_seconds(Fraction(step, 2))
            own = [m for m in measurements if end.seconds - 0.5 <= m.time.seconds < end.seconds]
            made += one.analyze(Window(own, [late] if end.seconds == arrives else [], end))
            held = one.held("action")
            told.append(None if held is None else end.seconds - held.seconds)
        assert max(t for t in told if t is not None) <= wait + 2.0
        made += one.flush()
        looks[wait, arrives] = sum(o.data["looks"] for o in numbers_of(made, "told"))
        one.close()
    assert looks[1.0, 5.0] == 0 < looks[1.0, 2.5]
    assert looks[3.0, 5.0] > 0
    assert looks[3.0, 2.5] >= looks[1.0, 2.5]


def test_a_sample_is_answered_as_in_training_whatever_it_lacks(bundle, clip, encoder, tmp_path):
    """What `evaluate` gives the bundle, against batches of training and the model in PyTorch."""
    run = bundle(bundle.Config()).bundle
    model, recipe, facts = load_model(RUNS[0])
    dataset = Dataset.create(
        tmp_path / "set", name="set", tasks={"size": TASKS["regression"][0]}, root=str(clip.parent)
    )
    video = look_at(clip.parent, Media(path=clip.name, kind="video"))
    series = look_at(clip.parent, Media(path=sidecar_of(clip).name, kind="series"))
    sound = look_at(clip.parent, Media(path=clip.name, kind="audio"))
    parts = {
        "all": {"media": (video, series), "text": "Put the goods down"},
        "seen": {"media": (video,)},
        "measured": {"media": (series,)},
        "heard and said": {"media": (sound,), "text": "Thank you"},
        "said": {"text": "They came a week late", "span": None},
    }
    labels = {"labels": {"size": (1.0, 2.0)}, "span": (2.0, 3.0)}
    samples = [Sample(id=name, **{**labels, **part}) for name, part in parts.items()]
    dataset.put(samples)
    preparation = Preparation(
        pictures=Pictures(frames=8, rate=8, width=20, height=16, crop="none"),
        sound=Sound(rate=8000, seconds=MEL.length / 8000),
        series=Series(rate=SERIES.rate, seconds=SERIES.seconds, columns=SERIES.columns, hold=SERIES.hold_seconds),
    )
    data = Data(dataset, samples, preparation, facts, recipe.tasks, tasks=model.tasks, batch=8)
    (batch,) = data.batches()
    data.close()
    there = {n: p.bool().tolist() for n, p in batch.present.items()}
    assert there["sensor"] == [True, False, True, False, False]
    assert there["words"] == [True, False, False, True, True]
    inputs = {n: normalised(x, facts.inputs[n]) for n, x in batch.inputs.items()}
    with torch.no_grad():
        expected = model(inputs, batch.present).raw["size"].numpy()
    diet = diet_of(run.manifest, looks=8, cut=preparation.pictures)
    player = Player(run, diet)
    for number, sample in enumerate(samples):
        found = player.answer(material_of(sample, dataset.root, diet)).raw["size"][0]
        np.testing.assert_allclose(found, expected[number], atol=2e-3, err_msg=sample.id)
    material = material_of(samples[0], dataset.root, diet)
    assert material.senses == {"pictures", "sound", "series", "text"}
    without = player.answer(material, frozenset({"sound", "series", "text"})).raw["size"][0]
    present = {n: torch.full_like(p, float(n == "video")) for n, p in batch.present.items()}
    with torch.no_grad():
        np.testing.assert_allclose(without, model(inputs, present).raw["size"][0].numpy(), atol=2e-3)
    player.close()
