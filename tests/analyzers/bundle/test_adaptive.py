"""Looking less or better: what is skipped, asked of another bundle, or looked at in part, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from analyzers.bundle import making
from analyzers.conftest import read_pictures, write_clip
from onlooker.analyzers.bundle.cascade import enough
from onlooker.analyzers.bundle.config import HEAVY_FIELDS, BundleConfig
from onlooker.bundles import added, import_model
from onlooker.core.errors import ConfigError
from onlooker.sources import open_source
from onlooker.testing.drive import drive


def seen(cls, path, **settings):
    """All of the observations, and what was counted."""
    one = cls(cls.Config(**settings))
    source = open_source(str(path))
    try:
        made = drive([one], source)
    finally:
        source.close()
    spans = [(o.span.start.seconds, o.span.end.seconds) for o in made]
    return [{**o.as_dict(), "data": dict(o.data), "span": s} for o, s in zip(made, spans, strict=True)], one.counted


@pytest.fixture(scope="module")
def room(data, tmp_path_factory):
    """A real picture of a room that stands still for eight seconds."""
    (shown,) = read_pictures(data("clips/home_indoor_one_by_one_person.mp4"), 0.04)
    return write_clip([shown] * 80, tmp_path_factory.mktemp("room") / "room.mp4", rate=10)


@pytest.fixture(scope="module")
def palette(tmp_path_factory):
    """Red for four seconds, green for two, blue for two."""
    shown = []
    for colour, seconds in (((200, 40, 40), 4), ((40, 200, 40), 2), ((40, 40, 200), 2)):
        shown += [np.full((64, 96, 3), colour, np.uint8)] * (seconds * 10)
    return write_clip(shown, tmp_path_factory.mktemp("palette") / "palette.mp4", rate=10, crf=4)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Stripes that stand still for four seconds, move for two, and stand still for two."""
    picture = np.where((np.arange(96) // 12 % 2)[None, :, None] > 0, 220, 30).repeat(64, 0).repeat(3, 2)
    shown, at = [], 0
    for number in range(80):
        at += 5 if 40 <= number < 60 else 0
        shown.append(np.roll(picture, at, 1).astype(np.uint8))
    return write_clip(shown, tmp_path_factory.mktemp("stripes") / "stripes.mp4", rate=10, crf=4)


@pytest.fixture
def colours(add, tmp_path):
    return add(making.colour_model(tmp_path / "c.onnx"), making.colour_facts(output={"threshold": 0.35}))


def test_a_picture_that_stands_still_is_looked_at_once_in_each_stretch(colours, room):
    plain, _ = seen(colours, room)
    assert plain
    same, counted = seen(colours, room, still=0.001, stretch_seconds=2.0)
    assert same == plain
    assert counted == {"looks": 40, "made": 4, "first": 0, "parts": 0, "repeated": 36}


def test_what_changes_is_looked_at(colours, palette):
    plain, _ = seen(colours, palette)
    same, counted = seen(colours, palette, still=0.001, stretch_seconds=3.0)
    assert [o["label"] for o in same] == ["red", "green", "blue"]
    assert same == plain
    # at 0, 3, and 6 s, where blue begins as well, and at 4 s
    assert counted["made"] == 4


def test_a_clip_is_repeated_while_nothing_moved_in_it_and_since(add, stripes, tmp_path):
    cls = add(making.motion_model(tmp_path / "m.onnx"), making.motion_facts())
    plain, _ = seen(cls, stripes)
    (moving,) = plain
    same, counted = seen(cls, stripes, still=0.001, stretch_seconds=4.0)
    assert same[0]["span"] == moving["span"]
    assert same[0]["data"]["peak"] == moving["data"]["peak"]
    # of four pictures each, two clips a stretch hold its first picture and one before
    assert counted["repeated"] >= 15
    assert counted["made"] >= 10


def test_answers_that_were_sure_are_looked_for_less_often(colours, palette):
    found, counted = seen(colours, palette, sure=0.9, sure_after=3, sure_every=5, stretch_seconds=10.0)
    assert [o["label"] for o in found] == ["red", "green", "blue"]
    assert [o["span"][0] for o in found] == pytest.approx([0, 4, 6], abs=1.01)
    assert counted["made"] < counted["looks"] / 2
    _, unsure = seen(colours, palette, sure=1.0, sure_after=3, stretch_seconds=10.0)
    assert unsure["repeated"] == 0


@pytest.fixture
def small(cache, tmp_path):
    """``small(**facts)``: adds a bundle of smaller pictures with the same labels in another order."""
    names = []

    def make(**more):
        folder = tmp_path / f"small-{len(names)}"
        made = import_model(
            making.colour_model(folder / "s.onnx", size=4), making.small_colour_facts(**more), folder / "b"
        )
        names.append(added.add(made.folder).name)
        return made

    yield make
    for name in dict.fromkeys(names):
        added.remove(name)


def test_the_large_bundle_looks_where_the_small_one_is_not_sure(colours, small, palette, room):
    plain, _ = seen(colours, palette)
    bundle = small()
    quick, counted = seen(colours, palette, first="small_colours", first_sure=0.9)
    assert [o["label"] for o in quick] == [o["label"] for o in plain]
    assert (counted["first"], counted["made"]) == (40, 0)
    # a grey room is no strong colour: the answers are those of the large bundle alone
    asked, counted = seen(colours, room, first="small_colours", first_sure=0.99)
    assert asked == seen(colours, room)[0]
    assert (counted["first"], counted["made"]) == (40, 40)
    assert colours(colours.Config(first="small_colours")).config.first == f"small_colours@{bundle.digest[:16]}"


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({"validation": 0.86, "test": 0.95}, 0.86),
        ({"test": 0.95, "test (without sound)": 0.93}, 0.9),
        ({"held": 0.5}, 0.8),
        ({}, 0.9),
    ],
)
def test_how_sure_the_small_bundle_must_be_does_not_rest_on_the_test_part(measured, expected, tmp_path):
    rows = [{"output": "colour", "name": "accuracy", "value": value, "split": s} for s, value in measured.items()]
    made = import_model(making.colour_model(tmp_path / "c.onnx"), making.colour_facts(metrics=rows), tmp_path / "b")
    assert enough(made.manifest) == expected


def test_answers_of_the_small_bundle_are_as_probable_as_it_says(colours, small, palette):
    """Its temperature and its order of labels are its own."""
    small(output={"temperature": 4.0})
    found, counted = seen(colours, palette, first="small_colours", first_sure=0.4)
    assert counted["made"] == 0
    strong, weak = 10 * 200 / 255 / 4, 10 * 40 / 255 / 4
    expected = np.exp(strong) / (np.exp(strong) + 2 * np.exp(weak))
    assert [o["label"] for o in found] == ["red", "green", "blue"]
    assert [o["score"] for o in found] == pytest.approx([expected] * 3, abs=0.02)


def test_boxes_of_a_fixed_region_are_in_fractions_of_the_whole_picture(add, tmp_path):
    """A spot of 12 x 12 pixels in 256 x 128, too little for the whole picture and as large as a cell of its part."""
    shown = np.full((128, 256, 3), 10, np.uint8)
    shown[88:100, 204:216] = 250
    clip = write_clip([shown] * 20, tmp_path / "spot.mp4", rate=10, crf=4)
    cls = add(making.spot_model(tmp_path / "d.onnx"), making.spot_facts())
    assert seen(cls, clip)[0] == []
    found, counted = seen(cls, clip, region=(0.75, 0.5, 0.9375, 0.875))
    boxes = {tuple(np.round(o["box"], 2)) for o in found if o["kind"] == "object"}
    assert counted["parts"] == counted["looks"] == 10
    (box,) = boxes
    assert box == pytest.approx((204 / 256, 88 / 128, 216 / 256, 100 / 128), abs=0.006)


def test_small_things_that_move_are_found_where_the_whole_picture_is_too_coarse(add, data, tmp_path):
    """On a real picture, darkened, a small light moves; a bright block beside it stands still and stays found."""
    (room,) = read_pictures(data("clips/home_indoor_one_by_one_person.mp4"), 0.04, width=256, height=256)
    shown = []
    for number in range(40):
        picture = room // 4
        picture[:64, :64] = 250
        if number >= 4:
            picture[180:228, 120 + number : 168 + number] = 250
        shown.append(picture)
    clip = write_clip(shown, tmp_path / "light.mp4", rate=10, crf=4)
    cls = add(making.spot_model(tmp_path / "d.onnx"), making.spot_facts(threshold=0.8, keep_score=0.75))
    settings = {"confirm": 1, "stretch_seconds": 10.0, "region": "motion"}
    places = [o["box"] for o in seen(cls, clip, confirm=1)[0] if o["kind"] == "object"]
    assert places
    assert max(p[1] for p in places) < 0.5, "the whole picture shows the block alone"
    found, counted = seen(cls, clip, **settings)
    objects = [o["box"] for o in found if o["kind"] == "object"]
    block, light = [b for b in objects if b[1] < 0.5], [b for b in objects if b[1] >= 0.5]
    assert len(block) == 20
    assert len(light) >= 12
    for left, top, right, bottom in light:
        assert 120 / 256 <= (left + right) / 2 <= 208 / 256
        assert 180 / 256 <= (top + bottom) / 2 <= 228 / 256
    assert counted["parts"] >= 15


def test_settings_that_would_be_wrong_are_refused(add, colours, small, tmp_path):
    def refuses(cls, match, **settings):
        with pytest.raises(ConfigError, match=match):
            cls(cls.Config(**settings))

    state = add(making.window_model(tmp_path / "w.onnx"), making.window_facts())
    refuses(state, "still: its network has a state", still=0.1)
    refuses(state, "sure: its network has a state", sure=0.9)
    loud = add(making.loudness_model(tmp_path / "l.onnx"), making.loudness_facts())
    refuses(loud, "region: the bundle looks at no pictures", region=(0, 0, 0.5, 1))
    spots = add(making.spot_model(tmp_path / "d.onnx"), making.spot_facts())
    refuses(spots, "sure: detection .spots. has no confidence", sure=0.9)
    refuses(colours, "region: motion: only boxes", region="motion")
    refuses(colours, "no added bundle is called 'nobody'", first="nobody")
    refuses(colours, "that very bundle", first="colours")
    refuses(colours, "has detection for colour", first="spots")
    small(output={"labels": ["blue", "green", "pink"]})
    refuses(colours, r"same labels .'pink'", first="small_colours")
    moving = add(making.motion_model(tmp_path / "m.onnx"), making.motion_facts())
    refuses(moving, "anomaly .motion_energy. has no confidence", first="small_colours")
    with pytest.raises(ValueError, match="left < right"):
        colours.Config(region=(0.5, 0, 0.4, 1))


def test_the_large_bundle_looks_at_clips_as_well(add, stripes, tmp_path):
    """Both see the same clips, the small one at half of the size; it is sure where nothing moves."""
    output = {"task": "multi_label", "name": "moving", "labels": ["moving"], "activation": "none", "threshold": 0.5}

    def facts(name, size):
        made = making.motion_facts(size=size, name=name)
        return {**made, "outputs": [output]}

    add(making.motion_model(tmp_path / "s.onnx", size=8), facts("small_moving", 8))
    cls = add(making.motion_model(tmp_path / "m.onnx"), facts("moving", 16))
    plain, _ = seen(cls, stripes)
    found, counted = seen(cls, stripes, first="small_moving", first_sure=0.9)
    assert [(o["label"], o["span"]) for o in found] == [(o["label"], o["span"]) for o in plain] != []
    assert counted["first"] == counted["looks"]
    other = {**facts("other_moving", 8), "input": {**facts("x", 8)["input"], "stride": 4}}
    add(making.motion_model(tmp_path / "o.onnx", size=8), other)
    with pytest.raises(ConfigError, match="have stride 4, of this bundle 2"):
        cls(cls.Config(first="other_moving"))


def test_the_settings_in_the_guide_are_settings():
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "adaptive.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(# looking.yaml.*?)^```", guide, re.DOTALL | re.MULTILINE)
    shown = [BundleConfig(**settings) for settings in yaml.safe_load(block)["analyzers"].values()]
    assert len(shown) == 4
    assert all(one.adaptive for one in shown)
    named = set(re.findall(r"`([a-z_]+)`", guide))
    assert HEAVY_FIELDS - named <= {"version", "rate", "runtime", "exit", "series", "series_digest"}
