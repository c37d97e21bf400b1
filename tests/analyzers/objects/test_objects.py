"""The real detector on real clips."""

from __future__ import annotations

import os
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from onlooker.analyzers.objects.analyzer import Objects, group_of
from onlooker.analyzers.objects.config import ObjectsConfig
from onlooker.core.analyzer import Context
from onlooker.core.errors import ModelMissing
from onlooker.core.time import Timestamp
from onlooker.models import entry, model_path
from onlooker.sources import open_source
from onlooker.testing.drive import decide, measure


@pytest.fixture(scope="module", autouse=True)
def model():
    try:
        return model_path("nanodet-416")
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def indoor(data):
    source = open_source(str(data("clips/home_indoor_one_by_one_person.mp4")))
    yield source
    source.close()


@pytest.fixture(scope="module")
def measured(indoor):
    analyzer = Objects(ObjectsConfig(rate=2.5))
    analyzer.open(Context(indoor.info, threads=2))
    taken = measure([analyzer], indoor)
    analyzer.close()
    return taken


@pytest.fixture(scope="module")
def made(measured):
    return decide([Objects(ObjectsConfig(rate=2.5))], measured)


def test_people_come_one_by_one(made):
    people = [o for o in made if o.kind == "track" and o.label == "person" and o.span.duration > 5]
    assert 5 <= len(people) <= 8
    people.sort(key=lambda o: o.span.start)
    together = sum(a.span.overlaps(b.span) for a, b in pairwise(people))
    assert together <= 1
    assert all(0.4 < o.score <= 1 and o.data["votes"]["person"] > 0.8 for o in people)


def test_objects_carry_their_track_from_the_first_box_on(made):
    tracks = {o.track: o for o in made if o.kind == "track"}
    boxes = Counter(o.track for o in made if o.kind == "object")
    for name, track in tracks.items():
        assert boxes[name] == track.data["detections"]
        own = [o for o in made if o.kind == "object" and o.track == name]
        assert own[0].span.start == track.span.start
        assert own[-1].span.end == track.span.end
        assert all(0 <= v <= 1 for o in own for v in o.box)


def test_the_gate_saves_most_of_the_work_and_loses_nobody(indoor, measured):
    part = Timestamp.of_seconds(30)
    whole = Objects(ObjectsConfig(rate=2.5, gate=False))
    whole.open(Context(indoor.info, threads=2))
    looked = len(measure([whole], indoor, end=part)["objects"])
    whole.close()
    assert len([m for m in measured["objects"] if m.time < part]) < 0.9 * looked


def test_another_tracker_needs_no_detection(measured):
    assert Objects.measurement_fields is not None
    assert not {"lost_seconds", "match", "confirm", "score"} & Objects.measurement_fields
    settings = (ObjectsConfig(rate=2.5), ObjectsConfig(rate=2.5, confirm=8))
    made = [decide([Objects(config)], measured) for config in settings]
    usual, stricter = (len([o for o in some if o.kind == "track"]) for some in made)
    assert 0 < stricter < usual


def test_what_is_on_the_photos_is_found(data):
    """Recall of large, unmistakable objects on the labelled photos."""
    from onlooker.analyzers.objects.detector import Detector

    class Photo:
        def __init__(self, path):
            self.picture = Image.open(path).convert("RGB")
            self.width, self.height = self.picture.size

        def image(self, width, height, format):
            return np.asarray(self.picture.resize((width, height), Image.Resampling.BOX))[..., ::-1]

    detector = Detector("nanodet-416", threads=2, least=0.45, overlap=0.5, tiles=1)
    folder = data("coco128")
    found = wanted = 0
    for path in sorted(folder.rglob("*.jpg"))[:40]:
        truth = folder / "object_detection_labels" / f"{path.stem}.txt"
        if not truth.is_file():
            continue
        rows = detector.detect(Photo(path))  # pyright: ignore[reportArgumentType]
        for line in truth.read_text().splitlines():
            kind, x, y, w, h = map(float, line.split())
            if w * h < 0.15:
                continue
            wanted += 1
            box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
            for row in rows[rows[:, 5] == kind]:
                low, high = np.maximum(row[:2], box[:2]), np.minimum(row[2:4], box[2:])
                shared = float(np.prod(np.maximum(high - low, 0)))
                both = float(np.prod(row[2:4] - row[:2]) + w * h - shared)
                if shared / both > 0.5:
                    found += 1
                    break
    detector.close()
    assert wanted > 25
    assert found / wanted > 0.6


def test_labels_have_groups():
    groups = Counter(group_of(label) for label in entry("nanodet-416").labels)
    assert groups == {"person": 1, "vehicle": 8, "animal": 10, "thing": 61}
