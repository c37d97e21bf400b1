"""Colours, directions and counts: rules alone, and on real clips."""

from __future__ import annotations

import os
from typing import ClassVar, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.shortened import first_seconds
from onlooker.analyzers.objects.analyzer import Objects
from onlooker.analyzers.objects.config import ObjectsConfig
from onlooker.analyzers.traffic.analyzer import Traffic
from onlooker.analyzers.traffic.colours import COLOURS, Light, colour_votes, light_of
from onlooker.analyzers.traffic.config import TrafficConfig
from onlooker.analyzers.traffic.movement import flows, movement
from onlooker.core.errors import ModelMissing
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

CLIP = "clips/traffic_highway.avi"


@pytest.fixture(scope="session")
def model():
    try:
        return model_path("nanodet-416")
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((12, 12, 14), "black"),
        ((245, 245, 240), "white"),
        ((95, 97, 95), "grey"),
        ((150, 153, 156), "silver"),
        ((190, 20, 25), "red"),
        ((20, 50, 150), "blue"),
        ((30, 120, 50), "green"),
        ((240, 210, 30), "yellow"),
        ((240, 130, 20), "orange"),
        ((101, 67, 33), "brown"),
    ],
)
def test_plain_colours_have_their_names(rgb, name):
    votes = colour_votes(np.full((20, 30, 3), rgb, np.uint8))
    assert COLOURS[int(votes.argmax())] == name
    assert votes.sum() == pytest.approx(1)


def test_no_pixels_give_no_votes():
    assert colour_votes(np.zeros((0, 5, 3), np.uint8)).sum() == 0


@pytest.mark.parametrize(
    ("first", "last", "direction"),
    [
        ((0.1, 0.4, 0.2, 0.5), (0.7, 0.4, 0.8, 0.5), "right"),
        ((0.7, 0.4, 0.8, 0.5), (0.1, 0.4, 0.2, 0.5), "left"),
        ((0.4, 0.1, 0.5, 0.2), (0.4, 0.7, 0.5, 0.8), "down"),
        ((0.4, 0.7, 0.5, 0.8), (0.4, 0.1, 0.5, 0.2), "up"),
        ((0.45, 0.45, 0.5, 0.5), (0.4, 0.4, 0.6, 0.6), "towards"),
        ((0.4, 0.4, 0.6, 0.6), (0.45, 0.45, 0.5, 0.5), "away"),
        ((0.4, 0.4, 0.6, 0.6), (0.41, 0.4, 0.61, 0.6), "still"),
    ],
)
def test_directions(first, last, direction):
    way = movement({"first_box": first, "last_box": last}, 2.0, 1.0, 0.04, 1.8)
    assert way.direction == direction
    assert way.speed >= 0


def test_headings_and_depth():
    way = movement({"first_box": (0.6, 0.1, 0.65, 0.15), "last_box": (0.0, 0.5, 0.1, 0.63)}, 2.0, 1.0, 0.04, 1.8)
    assert way.depth == "towards"  # the edge that cuts the last box makes it smaller, not larger
    assert way.heading == pytest.approx(231, abs=2)
    cut = movement({"first_box": (0.3, 0.3, 0.6, 0.6), "last_box": (0.0, 0.3, 0.1, 0.6)}, 2.0, 1.0, 0.04, 1.8)
    assert cut.depth == ""


@given(st.lists(st.integers(-20, 20), min_size=1), st.lists(st.integers(160, 200), min_size=1))
def test_opposite_streams_are_two_flows(one, other):
    found = flows([*one, *other], 45)
    assert sorted(count for _, count in found) == sorted([len(one), len(other)])
    assert sum(count for _, count in flows(range(0, 360, 10), 45)) == 36


def test_the_scenes_light_is_taken_off():
    blue = np.full((20, 30, 3), (88, 94, 108), np.uint8)
    haze = Light(a=0.0, b=-5.0, white=70.0)
    assert COLOURS[int(colour_votes(blue).argmax())] == "blue"
    assert colour_votes(blue, haze)[COLOURS.index("blue")] == 0
    silver = np.full((20, 30, 3), 150, np.uint8)
    assert COLOURS[int(colour_votes(silver, haze).argmax())] == "white"
    lawn = light_of(np.full((64, 64, 3), (30, 160, 40), np.uint8))
    assert (lawn.a, lawn.b) == (-5, 5)


@pytest.fixture(scope="module")
def made(data, model):
    source = open_source(str(data(CLIP)))
    yield drive([Objects(ObjectsConfig(rate=5.0)), Traffic(TrafficConfig())], source)
    source.close()


def test_every_confirmed_track_is_described_and_counted_once(made):
    labels = TrafficConfig().labels
    tracks = [o for o in made if o.kind == "track" and o.label in labels]
    attributes = [o for o in made if o.kind == "attribute"]
    assert len(tracks) >= 5
    assert sorted(o.track for o in attributes) == sorted(o.track for o in tracks)
    facts = [o for o in made if o.kind == "fact"]
    whole = [o for o in facts if o.data["period"] == "source"]
    assert len(whole) == 1
    assert whole[0].data["total"] == len(tracks)
    assert sum(o.data["total"] for o in facts if o.data["period"] == "minute") == len(tracks)
    assert sum(cast("dict[str, int]", whole[0].data["directions"]).values()) == len(tracks)


def test_the_two_carriageways_are_two_flows(made):
    whole = next(o for o in made if o.kind == "fact" and o.data["period"] == "source")
    first, second = [f for f in whole.data["flows"] if f["group"] == "vehicle"][:2]
    assert min(first["count"], second["count"]) > 0.3 * whole.data["total"]
    assert 120 < abs(first["heading"] - second["heading"]) < 240


def test_the_vehicles_are_cars_with_colours(made):
    attributes = [o for o in made if o.kind == "attribute"]
    assert sum(o.label in ("car", "truck", "bus") for o in attributes) > 0.8 * len(attributes)
    assert all(o.data["colour"] in COLOURS and 0 < o.data["colour_score"] <= 1 for o in attributes)


@pytest.fixture(scope="module")
def beginning(data, tmp_path_factory):
    return first_seconds(data(CLIP), 13.0, tmp_path_factory.mktemp("traffic"))


@pytest.mark.usefixtures("model")
class TestContract(AnalyzerContract):
    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, beginning):
        TestContract.path = str(beginning)

    def make(self):
        return [Objects(ObjectsConfig(rate=5.0)), Traffic(TrafficConfig())]

    def open_source(self):
        return open_source(self.path)
