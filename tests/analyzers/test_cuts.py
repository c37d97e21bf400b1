"""Tracks of real films end at cuts; moving pictures without cuts have none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onlooker.analyzers._cuts import CutFinder, split_cut, with_cut
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.analyzers.objects.analyzer import Objects
from onlooker.analyzers.objects.config import ObjectsConfig
from onlooker.core.media import AudioBlock, Packet, ReadFailure, ReadRequest
from onlooker.sources import open_source
from onlooker.testing.drive import drive


def frames(path, rate):
    source = open_source(str(path))
    tick = -1
    for item in source.read(ReadRequest(frames="all", threads=2)):
        assert not isinstance(item, AudioBlock | Packet | ReadFailure)
        if int(item.time.seconds * rate) != tick:
            tick = int(item.time.seconds * rate)
            yield item
    source.close()


def frame_times(source):
    return [i.time.seconds for i in source.read(ReadRequest(frames="all", threads=2)) if not isinstance(i, ReadFailure)]


@pytest.mark.parametrize("rate", [2.5, 10.0])
def test_cuts_of_labelled_films_are_found(data, rate):
    truth = json.loads(data("shots/gt.json").read_text())
    found = wanted = 0
    for name, own in truth.items():
        path = next(data("shots").glob(f"{name.split('.')[0]}.*"))
        source = open_source(str(path))
        times = frame_times(source)
        source.close()
        cuts, before, finder = [times[n] for n in own["cuts"]], -1.0, CutFinder(rate)
        for frame in frames(path, rate):
            told = finder.cut(frame)
            due = [c for c in cuts if before < c <= frame.time.seconds]
            found, wanted = found + bool(told and due), wanted + bool(due)
            before = frame.time.seconds
    assert wanted >= 25
    assert found >= 0.9 * wanted


@pytest.mark.parametrize(
    "name", ["carphone.mp4", "home_indoor_one_by_one_person.mp4", "sport_gym.mp4", "talking_face_signer_blue.mp4"]
)
def test_movement_is_no_cut(data, name):
    finder = CutFinder(5.0)
    assert not [f.time for f in frames(data(f"clips/{name}"), 5.0) if finder.cut(f)]


@pytest.mark.parametrize("make", [lambda: Faces(FacesConfig()), lambda: Objects(ObjectsConfig())])
def test_no_track_runs_over_a_cut(data, make):
    source = open_source(str(data("shots/hamilton.mp4")))
    times = frame_times(source)
    cuts = [times[n] for n in json.loads(data("shots/gt.json").read_text())["hamilton.mp4"]["cuts"]]
    analyzer = make()
    tracks = [o for o in drive([analyzer], source) if o.kind in ("face_track", "track")]
    source.close()
    assert tracks
    assert len(cuts) >= 3
    for track in tracks:
        inside = [c for c in cuts if track.span.start.seconds + 0.05 < c < track.span.end.seconds - 0.05]
        assert not inside, (track.track, track.span, inside)


def test_the_mark_of_a_cut_is_a_last_row():
    rows = np.ones((3, 6), np.float32)
    assert with_cut(rows, False) is rows
    for n in (0, 3):
        found, cut = split_cut(with_cut(rows[:n], True))
        assert cut
        assert len(found) == n
