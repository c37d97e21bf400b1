"""Names, unknown people and corrections over stored tracks, without decoding."""

from __future__ import annotations

import numpy as np
import pytest

from onlooker.analyzers.identity import records, svm
from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.records import Enrolled, Person
from onlooker.analyzers.identity.resolve import redecide
from onlooker.analyzers.identity.samples import Sample, distances, mean_sample
from onlooker.analyzers.identity.thresholds import calibration, threshold
from onlooker.core.errors import UsageError
from onlooker.core.store import Query
from onlooker.people import People
from onlooker.timeline import open_store
from people.made_up import add_source, decide_source, face_of, source_id, unit


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "library")
    yield opened
    opened.close()


def names(store, source=None):
    """Who the tracks are, by source and track."""
    found = store.query(Query(kinds=("identity",), sources=() if source is None else (source,)))
    return {(int(o.source, 16), o.track): o.label for o in found}


def enrol(store, name, person, sightings=(9001, 9002, 9003)):
    enrolled = [Enrolled(Sample(face_of(person, s)), f"{name}-{s}.jpg") for s in sightings]
    records.save_people(store, [Person(name, enrolled)])


def test_unknown_people_are_the_same_over_sources(store):
    for number, seen in enumerate([(1, 2), (2, 3), (3, 1, 1)]):
        add_source(store, number, seen)
    found = names(store)
    assert found[0, "face-1"] == found[2, "face-2"] == found[2, "face-3"] == "unknown-1"
    assert found[0, "face-2"] == found[1, "face-1"] == "unknown-2"
    assert found[1, "face-2"] == found[2, "face-1"] == "unknown-3"
    assert [p.tracks for p in People(store).list()] == [3, 2, 2]


def test_an_enrolled_person_is_found_in_what_was_stored_before(store):
    for number in range(3):
        add_source(store, number, [number, 7])
    enrol(store, "Ann", 7)
    done = People(store).redecide()
    assert (done.tracks, done.changed) == (6, 3)
    found = names(store)
    assert {found[n, "face-2"] for n in range(3)} == {"Ann"}
    assert all(label.startswith("unknown") for key, label in found.items() if key[1] == "face-1")
    told = next(iter(store.query(Query(kinds=("identity",), labels=("Ann",)))))
    assert told.data["decided_by"] == "nearest"
    assert told.data["threshold"] == round(threshold("face", IdentityConfig().false_accept_rate), 4)
    assert told.data["distance"] < told.data["threshold"]
    assert 0.5 <= told.score <= 1
    assert redecide(store).changed == 0
    # and in what comes later
    add_source(store, 5, [8, 7])
    assert names(store)[5, "face-2"] == "Ann"


def test_naming_an_unknown_person_names_all_tracks_and_later_ones(store):
    for number in range(3):
        add_source(store, number, [1, 2])
    people = People(store)
    people.name("unknown-2", "  Li   Lei ")
    assert {label for key, label in names(store).items() if key[1] == "face-2"} == {"Li Lei"}
    assert [p.name for p in people.list()] == ["Li Lei", "unknown-1"]
    add_source(store, 3, [2, 9])
    assert names(store, source_id(3)) == {(3, "face-1"): "Li Lei", (3, "face-2"): "unknown-3"}
    shown = people.show("Li Lei")
    assert (shown.tracks, shown.sources, shown.seconds) == (4, 4, 8.0)


def test_a_track_is_named_by_source_and_by_id(store):
    add_source(store, 0, [1, 2])
    people = People(store)
    people.name("0.mp4@face-1", "Ann")
    track = next(o for o in store.query(Query(kinds=("face_track",))) if o.track == "face-2")
    people.name(track.id[:12], "Bob")
    assert names(store) == {(0, "face-1"): "Ann", (0, "face-2"): "Bob"}
    people.name("0.mp4@face-2", "Ann")  # said otherwise: the vector is no longer Bob's
    assert names(store)[0, "face-2"] == "Ann"
    assert people.show("Bob").faces == 0


def test_not_this_person_is_remembered(store):
    add_source(store, 0, [1, 2])
    enrol(store, "Ann", 1)
    people = People(store)
    people.redecide()
    people.reject("Ann", "0.mp4@face-1")
    assert names(store)[0, "face-1"].startswith("unknown")
    enrol(store, "Ann", 1, sightings=range(8000, 8010))
    people.redecide()
    assert names(store)[0, "face-1"].startswith("unknown")
    add_source(store, 1, [1])
    assert names(store)[1, "face-1"] == "Ann"


def test_merging_two_unknown_two_named_and_both(store):
    add_source(store, 0, [1, 2, 3, 4])
    people = People(store)
    people.merge("unknown-1", "unknown-2")
    assert [p.name for p in people.list()] == ["unknown-1", "unknown-3", "unknown-4"]
    people.redecide()
    assert names(store)[0, "face-2"] == "unknown-1"
    people.name("unknown-3", "Ann")
    people.merge("unknown-4", "Ann")
    assert names(store)[0, "face-4"] == "Ann"
    people.name("unknown-1", "Bob")
    people.merge("Ann", "Bob")
    assert set(names(store).values()) == {"Ann"}
    assert [p.name for p in people.list()] == ["Ann"]
    assert people.show("Ann").faces == 4


def test_splitting_by_tracks_and_by_likeness(store):
    add_source(store, 0, [1, 2, 1, 2, 1])
    people = People(store)
    people.merge("unknown-1", "unknown-2")
    fresh, _ = people.split("unknown-1")
    found = names(store)
    assert {found[0, "face-2"], found[0, "face-4"]} == {fresh}
    assert {found[0, f"face-{n}"] for n in (1, 3, 5)} == {"unknown-1"}
    other, _ = people.split("unknown-1", ["0.mp4@face-5"])
    people.redecide()
    assert names(store)[0, "face-5"] == other != "unknown-1"
    with pytest.raises(UsageError, match="is not"):
        people.split("unknown-1", ["0.mp4@face-2"])
    with pytest.raises(UsageError, match="nothing to split"):
        people.split(other)


def test_numbers_are_not_given_twice(store):
    add_source(store, 0, [1, 2])
    People(store).name("unknown-2", "Ann")
    add_source(store, 1, [3])
    assert names(store)[1, "face-1"] == "unknown-3"


def test_two_faces_at_the_same_time_are_two_people(store):
    enrol(store, "Ann", 1)
    add_source(store, 0, [1, 1, 2, 2], at=[0, 0.5, 10, 10])
    found = names(store)
    assert sorted([found[0, "face-1"], found[0, "face-2"]]) == ["Ann", "unknown-1"]
    assert found[0, "face-3"] != found[0, "face-4"]
    redecide(store, IdentityConfig(together=True))
    found = names(store)
    assert found[0, "face-1"] == found[0, "face-2"] == "Ann"


def test_deciding_a_source_again_keeps_the_numbers(store):
    first = add_source(store, 0, [1, 2])
    add_source(store, 1, [2, 3])
    before = names(store)
    # a run that was killed between remembering and committing comes a second time
    decide_source(store, first)
    decide_source(store, first)
    assert names(store) == before
    assert [p.name for p in People(store).list()] == ["unknown-1", "unknown-2", "unknown-3"]


def test_a_correction_does_not_speak_of_another_track_of_that_name(store):
    source = add_source(store, 0, [1, 2])
    People(store).name("0.mp4@face-1", "Ann")
    store.remove_source(source)
    add_source(store, 0, [5, 6], at=[50, 60])
    assert "Ann" not in names(store).values()


def test_a_machine_chooses_and_the_threshold_decides(store):
    for person, name in enumerate(("Ann", "Bob", "Cid")):
        enrol(store, name, person)
    add_source(store, 0, [0, 1, 2, 3, 4])
    redecide(store, IdentityConfig(classifier="svm"))
    found = names(store)
    assert [found[0, f"face-{n}"] for n in (1, 2, 3)] == ["Ann", "Bob", "Cid"]
    assert all(found[0, f"face-{n}"].startswith("unknown") for n in (4, 5))
    assert {o.data["decided_by"] for o in store.query(Query(kinds=("identity",)))} == {"svm", "cluster"}


def test_unknown_people_can_be_left_alone(store):
    enrol(store, "Ann", 1)
    add_source(store, 0, [1, 2])
    redecide(store, IdentityConfig(unknown=False))
    assert names(store) == {(0, "face-1"): "Ann"}


def test_who_is_nobody_and_what_is_no_name(store):
    add_source(store, 0, [1])
    people = People(store)
    for wrong in (lambda: people.show("Ann"), lambda: people.forget("Ann"), lambda: people.reject("Ann", "unknown-1")):
        with pytest.raises(UsageError, match="nobody"):
            wrong()
    for name in ("", "unknown-7", "a@b", "x" * 101):
        with pytest.raises(UsageError, match=r"name|called"):
            people.name("unknown-1", name)
    with pytest.raises(UsageError):
        people.name("0.mp4@face-9", "Ann")
    with pytest.raises(UsageError, match="nothing to enrol"):
        people.enroll("Ann")


def test_a_mean_is_compared_with_care():
    seen = [Sample(face_of(1, i)) for i in range(6)]
    mean = mean_sample(seen)
    assert mean.unity < 1
    plain = 1 - float(mean.vector @ face_of(2, 1))
    assert distances([Sample(face_of(2, 1))], [mean], "face")[0, 0] > plain
    assert mean_sample([mean]).unity == pytest.approx(mean.unity)


def test_thresholds_grow_with_the_rate_and_shrink_with_the_people():
    for modality in ("face", "voice"):
        rates = [rate for rate, _ in calibration()[modality]["table"]]
        limits = [threshold(modality, rate) for rate in rates]
        assert limits == sorted(limits)
        assert threshold(modality, 0.01, 100) == pytest.approx(threshold(modality, 1 - 0.99 ** (1 / 100)))


def test_the_machine_separates_many_people():
    vectors = np.stack([face_of(p, s) for p in range(20) for s in range(4)])
    owners = [p for p in range(20) for _ in range(4)]
    weights = svm.train(vectors, owners, 20)
    fresh = np.stack([face_of(p, 77) for p in range(20)])
    assert svm.margins(weights, fresh).argmax(1).tolist() == list(range(20))
    assert unit(np.ones(4)).tolist() == [0.5] * 4
