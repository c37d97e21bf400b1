"""From the numbers of a network to observations, for each task, and texts by the real encoder of sentences."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest
from pydantic import TypeAdapter

from analyzers.bundle import making
from onlooker.analyzers.bundle.boxes import boxes_of
from onlooker.analyzers.bundle.config import BundleConfig
from onlooker.analyzers.bundle.deciding import decider_for
from onlooker.bundles.inputs import FrameInput
from onlooker.bundles.outputs import Detection, Output
from onlooker.bundles.preprocess import Placed, Still, one_picture
from onlooker.bundles.scores import probabilities
from onlooker.core.time import Timestamp

TENTH = Fraction(1, 10)


def output(task, **more) -> Output:
    import json

    labels = {} if task in ("anomaly", "embedding") else {"labels": ["a", "b", "c"]}
    fields = {"task": task, "name": "it", "tensor": "y", **labels, **more}
    return TypeAdapter(Output).validate_json(json.dumps(fields))


def whole(own, rows, **settings):
    """What is observed of rows a tenth of a second apart."""
    decider = decider_for(own, BundleConfig(**settings), TENTH)
    made = []
    for number, row in enumerate(rows):
        made += decider.take(Timestamp(number, TENTH), Timestamp(number + 1, TENTH), np.asarray(row, np.float32))
    return [*made, *decider.flush()]


def spans(observations):
    return [(o.label, o.span.start.seconds, o.span.end.seconds) for o in observations]


def test_what_is_unusual_is_told_with_where_and_why_of_its_highest_score():
    own = output("anomaly", threshold=1.0, region="where", reasons={"tensor": "why", "labels": ["speed", "size"]})
    box = [0.1, 0.2, 0.3, 0.4]
    rows = [[0.1, 0, 0, 0, 0, 0, 0], [1.5, *box, 0.25, 0.75], [1.2, 0, 0, 1, 1, 1, 0], [0.1, 0, 0, 0, 0, 0, 0]]
    (found,) = whole(own, rows)
    assert (found.label, found.data["peak"]) == ("size", 1.5)
    assert found.box == pytest.approx(box)
    assert found.data["reasons"] == {"speed": 0.25, "size": 0.75}
    (plain,) = whole(output("anomaly", threshold=1.0), [row[:1] for row in rows])
    assert (plain.label, plain.box, "reasons" in plain.data) == (None, None, False)


def test_where_and_why_have_tensors_of_their_own():
    with pytest.raises(ValueError, match="a tensor of its own"):
        output("anomaly", threshold=1.0, region="y")


def test_labels_side_by_side_have_spans_of_their_own():
    rows = [[0.9, 0.1, 0.0]] * 10 + [[0.9, 0.8, 0.0]] * 10 + [[0.1, 0.8, 0.0]] * 10
    found = whole(output("multi_label", activation="none"), rows)
    assert spans(found) == [("a", 0.0, 2.0), ("b", 1.0, 3.0)]
    assert found[0].score == pytest.approx(0.9)
    assert found[0].data["looks"] == 20


def test_a_span_goes_on_until_the_score_is_well_below_its_threshold():
    rows = [[s, 0, 0] for s in (0.2, 0.6, 0.45, 0.41, 0.6, 0.3, 0.6, 0.2)]
    own = output("multi_label", activation="none", spans={"hold": 0.8, "gap_seconds": 0.0})
    assert spans(whole(own, rows)) == [("a", 0.1, 0.5), ("a", 0.6, 0.7)]
    bridged = whole(own, rows, gap_seconds=0.1)
    assert spans(bridged) == [("a", 0.1, 0.7)]
    assert spans(whole(own, rows, minimum_seconds=0.3)) == [("a", 0.1, 0.5)]
    assert spans(whole(own, [[0.9, 0, 0]] * 25, longest_seconds=1.0)) == [("a", 0, 1), ("a", 1, 2), ("a", 2, 2.5)]


def test_smoothing_takes_the_past_alone():
    rows = [[0.0, 0, 0]] * 5 + [[1.0, 0, 0]] * 10
    own = output("multi_label", activation="none", spans={"smooth_seconds": 0.4})
    assert spans(whole(own, rows)) == [("a", 0.6, 1.5)]


def test_calibration_divides_logits():
    hot = output("classification", temperature=2.0)
    logits = np.array([2.0, 0.0, -2.0], np.float32)
    expected = np.exp([1.0, 0.0, -1.0]) / np.exp([1.0, 0.0, -1.0]).sum()
    np.testing.assert_allclose(probabilities(hot, logits), expected, rtol=1e-6)  # pyright: ignore[reportArgumentType]


def test_levels_are_the_middle_of_their_distribution():
    own = output("ordinal", threshold=0.0)

    def logit(p):
        return float(np.log(p / (1 - p)))

    rows = [[logit(0.1), logit(0.05)]] * 3 + [[logit(0.9), logit(0.4)]] * 3 + [[logit(0.95), logit(0.8)]] * 3
    found = whole(own, rows)
    assert [o.label for o in found] == ["a", "b", "c"]
    assert [o.score for o in found] == pytest.approx([0.9, 0.5, 0.8], abs=1e-3)
    # the middle of 0.4, 0.2, 0.4 is the second level, though it is the least probable
    assert whole(own, [[logit(0.6), logit(0.4)]])[0].label == "b"


def test_moments_are_peaks_that_are_apart():
    scores = [0.1, 0.6, 0.9, 0.7, 0.1, 0.1, 0.8, 0.1] + [0.0] * 10 + [0.7]
    own = output("events", activation="none", apart_seconds=1.0, length_seconds=0.2)
    found = whole(own, [[s, 0, 0] for s in scores])
    assert [(o.label, o.data["peak_seconds"], o.score) for o in found] == [("a", 0.25, 0.9), ("a", 1.85, 0.7)]
    assert found[0].span.start.seconds == pytest.approx(0.15)


def test_numbers_are_limited_and_summed_up():
    found = whole(output("regression", high=10.0, every_seconds=0.5), [[n, -n, 20] for n in range(10)])
    assert [o.label for o in found] == ["a", "b", "c"] * 2
    assert [found[0].data[k] for k in ("value", "least", "most", "looks")] == [2.0, 0.0, 4.0, 5]
    assert found[5].data["value"] == 10.0
    assert [o.span.end.seconds for o in found[::3]] == [0.5, 1.0]


def test_vectors_are_means_of_length_one():
    own = output("embedding", size=2, space="mine/1", every_seconds=1.0)
    (found,) = whole(own, [[3.0, 0.0], [0.0, 4.0]] * 2)
    np.testing.assert_allclose(found.vector, [0.6, 0.8], rtol=1e-6)
    assert (found.kind, found.vector_space) == ("embedding", "mine/1")


FACTS = {"kind": "frame", "rate": 1.0, "width": 64, "height": 64, "fit": "pad"}
ROWS = {"form": "rows", "tensor": "y"}


@pytest.mark.parametrize(
    ("form", "table"),
    [
        ({}, [[16, 24, 32, 40, 0.9, 1]]),
        ({"box": "centre", "unit": "share"}, [[24 / 64, 32 / 64, 16 / 64, 16 / 64, 0.9, 1]]),
        ({"box": "centre", "score": 4, "label": None}, [[24, 32, 16, 16, 1.0, 0.2, 0.9]]),
        ({"first": 1, "score": 6, "label": 0}, [[1, 16, 24, 32, 40, 7, 0.9]]),
    ],
)
def test_rows_of_boxes_in_their_several_forms(form, table):
    """The picture is twice as wide as high, so it lies in the middle half of the input."""
    own = Detection(task="detection", name="it", labels=("cat", "dog"), boxes={**ROWS, **form})  # pyright: ignore[reportArgumentType]
    facts = FrameInput(**FACTS)
    weak = np.array([*table, *table], np.float32)
    weak[1, :] = 0
    found = boxes_of({"y": weak[None]}, own, facts, Placed(0, 16, 64, 32))
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.5, 0.75, 0.9, 1]], rtol=1e-5)


FITS = {"pad": (0, 16, 64, 32), "pad_corner": (0, 0, 64, 32), "stretch": (0, 0, 64, 64), "crop": (-32, 0, 128, 64)}


@pytest.mark.parametrize(("fit", "box"), FITS.items())
def test_pictures_are_fitted(fit, box):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 100:] = (255, 0, 0)
    tensor, placed = one_picture(Still(picture), FrameInput(**{**FACTS, "fit": fit, "fill": -1.0, "scale": 1 / 255}))
    assert tuple(placed) == box
    middle = placed.left + placed.width / 2
    row = tensor[0, 32 if fit != "pad_corner" else 16]
    assert (row[: int(middle)] == 0).all()
    assert row[int(middle) :] == pytest.approx(1.0)
    outside = tensor[:, : int(placed.top)] if fit == "pad" else tensor[:, 32:] if fit == "pad_corner" else tensor[:, :0]
    assert (outside == -1).all()


def test_texts_are_judged_by_their_meaning(cache, monkeypatch, tmp_path):
    """The head's weights are vectors of two sentences: what is said goes to the nearer one."""
    monkeypatch.delenv("ONLOOKER_CACHE")
    from onlooker.core.errors import ModelMissing
    from onlooker.models.sentences import shared_encoder

    try:
        encoder = shared_encoder()
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    monkeypatch.setenv("ONLOOKER_CACHE", str(cache))
    from onlooker.bundles import added, save_bundle
    from onlooker.core.analyzer import Context, Window
    from onlooker.core.media import SourceInfo
    from onlooker.core.observation import Observation
    from onlooker.core.plugins import load_plugin
    from onlooker.core.time import Span

    meant = np.stack([encoder.one("The goods are late and broken."), encoder.one("Thank you, that was lovely.")], 1)
    size = len(meant)
    nodes = [("MatMul", ["x", "w"], ["dot"], {}), ("Mul", ["dot", "ten"], ["y"], {})]
    constants = [making.constant("w", meant), making.constant("ten", 10.0)]
    model = making.write(tmp_path / "head.onnx", nodes, {"x": (1, size)}, {"y": (1, 2)}, constants)
    head = {"file": "head.onnx", "text": {"kind": "text", "size": size, "kinds": ["speech"]}, "text_tensor": "x"}
    labels = {"labels": ["complaint", "praise"], "threshold": 0.6}
    outputs = [{"task": "classification", "name": "mood", "kind": "mood", "tensor": "y", **labels}]
    fields = {"schema": 1, "name": "mood", "licence": "CC0-1.0", "head": {**head, "outputs": ["y"]}, "outputs": outputs}
    added.add(save_bundle(tmp_path / "mood", fields, {"head.onnx": model}).folder)
    try:
        cls = load_plugin("analyzers", "mood")
        one = cls(cls.Config())
        assert one.needs().wishes == ("speech",)
        one.open(Context(SourceInfo("0" * 32, "x", "none", None, None, None), kinds=frozenset({"speech"})))
        words = ["My parcel came a week late and it is damaged", "Thanks a lot, it was wonderful"]
        said = [Observation(Span.of_seconds(n, n + 1), "speech", text=w) for n, w in enumerate(words)]
        made = list(one.analyze(Window((), said, Timestamp.of_seconds(3))))
        assert [(o.label, o.span) for o in made] == [("complaint", said[0].span), ("praise", said[1].span)]
        one.close()
    finally:
        added.remove("mood")
