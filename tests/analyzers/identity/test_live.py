"""Who the faces in sight are, by made-up vectors: when it is told, in which pieces, and what rules wait for."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from onlooker.analyzers.identity import live
from onlooker.analyzers.identity.analyzer import Identity
from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.records import Enrolled, Person, save_people
from onlooker.analyzers.identity.samples import Sample
from onlooker.core.analyzer import Context, Window
from onlooker.core.errors import OnlookerError, StoreError, UsageError
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Batch
from onlooker.core.time import Span, Timestamp
from onlooker.people import People
from onlooker.timeline import open_store

INFO = SourceInfo("ca" * 16, "yard", "live", None, None, None, (), True, {})


def vector(*places):
    made = np.zeros(128, np.float32)
    made[list(places)] = 1
    return made / np.linalg.norm(made)


ANN, BOB, OTHER = vector(0), vector(1), vector(2)


def face(start, end, track="face-1"):
    return Observation(Span.of_seconds(start, end), "face", score=0.9, box=Box(0.1, 0.1, 0.3, 0.3), track=track)


def seen(start, end, of, track="face-1", last=False):
    data = {"unity": 1.0} if last else {"unity": 1.0, "so_far": True}
    span = Span.of_seconds(start, end)
    return Observation(span, "embedding", label="face", track=track, data=data, vector=of, vector_space="face-identity")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_READ_EVERY", 0.0)
    with closing(open_store(tmp_path / "lib")) as opened:
        yield opened


class Sight:
    def __init__(self, store, **settings):
        self.identity = Identity(IdentityConfig(longest_seconds=3.0, **settings))
        self.identity.open(Context(INFO, store=store))

    def __call__(self, end, *observations):
        made = self.identity.analyze(Window((), observations, Timestamp.of_seconds(end)))
        return [(o.track, o.label, o.span.start.seconds, o.span.end.seconds) for o in made]

    @property
    def held(self):
        held = self.identity.held("identity")
        return None if held is None else held.seconds


def enroll(store, **people):
    save_people(store, [Person(n, [Enrolled(Sample(v), "picture")]) for n, v in people.items()])


def test_a_name_is_told_at_once_and_in_pieces_without_gaps(store):
    enroll(store, Ann=ANN)
    sight = Sight(store)
    assert sight(2, face(1, 1.2)) == []
    assert sight(3, face(1.2, 2.8), seen(1, 2.8, ANN)) == [("face-1", "Ann", 1, 2.8)]
    assert sight(6, face(2.8, 5.8), seen(1, 5.8, ANN)) == [("face-1", "Ann", 2.8, 5.8)]
    assert sight(8, seen(1, 6.5, ANN, last=True)) == [("face-1", "Ann", 5.8, 6.5)]
    # the end of what was told already
    assert sight(20, face(10, 12, "face-2"), seen(10, 12, ANN, "face-2")) == [("face-2", "Ann", 10, 12)]
    assert sight(21, seen(10, 12, ANN, "face-2", last=True)) == []


def test_a_stranger_is_told_with_the_second_vector_or_at_the_end(store):
    enroll(store, Ann=ANN)
    sight = Sight(store, unknown=False)
    assert sight(3, face(1, 2.8), seen(1, 2.8, OTHER)) == []
    assert sight(6, face(2.8, 5.8), seen(1, 5.8, OTHER)) == [("face-1", "unknown", 1, 5.8)]
    assert sight(9, face(7, 8, "face-2"), seen(7, 8, OTHER, "face-2", last=True)) == [("face-2", "unknown", 7, 8)]
    # poor first faces of somebody known
    assert sight(12, face(10, 11, "face-3"), seen(10, 11, OTHER, "face-3")) == []
    assert sight(15, seen(10, 14, ANN, "face-3")) == [("face-3", "Ann", 10, 14)]


def test_how_sure_a_stranger_is_one_grows_with_the_distance(store):
    sight = Sight(store)
    window = Window((), [seen(0, 1, OTHER, last=True)], Timestamp.of_seconds(2))
    (nobody_known,) = sight.identity.analyze(window)
    assert (nobody_known.score, nobody_known.data["distance"]) == (1.0, None)
    enroll(store, Ann=ANN)
    scores = []
    for near in (0.45, 0.55, 1.0):
        of = ANN + near * OTHER
        window = Window((), [seen(0, 1, of / np.linalg.norm(of), last=True)], Timestamp.of_seconds(2))
        (made,) = Sight(store).identity.analyze(window)
        assert made.label == "unknown"
        assert float(str(made.data["distance"])) > float(str(made.data["threshold"]))
        scores.append(made.score)
    assert 0.5 < scores[0] < scores[1] < scores[2] == 1.0


@pytest.mark.parametrize("classifier", ["nearest", "svm"])
def test_who_is_enrolled_or_forgotten_meanwhile_is_known_with_the_next_vector(store, monkeypatch, classifier):
    sight = Sight(store, classifier=classifier)
    assert sight(3, seen(0, 3, ANN)) == []
    enroll(store, Ann=ANN, Bob=BOB)
    assert sight(6, seen(0, 6, ANN)) == [("face-1", "Ann", 0, 6)]
    # a library that cannot be read now leaves what was known
    with monkeypatch.context() as broken:

        def refuse(_):
            raise StoreError("busy")

        broken.setattr(store, "records", refuse)
        assert sight(9, seen(0, 9, ANN)) == [("face-1", "Ann", 6, 9)]
    save_people(store, [], gone=["Ann"])
    assert sight(12, seen(0, 12, ANN)) == [("face-1", "unknown", 9, 12)]


def test_of_two_seen_together_one_gets_the_name(store):
    enroll(store, Ann=ANN)
    alike = ANN + 0.2 * OTHER
    alike /= np.linalg.norm(alike)
    sight = Sight(store)
    assert sight(4, seen(0, 4, ANN), seen(0, 4, alike, "face-2")) == [("face-1", "Ann", 0, 4)]
    # also when the other has left meanwhile
    assert sight(5, seen(0, 4.5, ANN, last=True)) == [("face-1", "Ann", 4, 4.5)]
    assert sight(20, seen(0, 19, alike, "face-2", last=True)) == [("face-2", "unknown", 0, 19)]
    assert sight(40, seen(30, 39, alike, "face-3")) == [("face-3", "Ann", 30, 39)]


def test_rules_wait_for_what_is_to_be_told_and_not_for_ever(store):
    sight = Sight(store)
    assert sight.held is None
    sight(0.5)
    assert sight.held == 0
    sight(4)
    assert sight.held == 3
    sight(4.2, face(3.5, 4))
    assert sight.held == 3.2
    sight(6, face(5.8, 6))
    assert sight.held == 3.5
    sight(6.5, seen(3.5, 6, OTHER, last=True))
    assert sight.held == 5.5
    # a face that is never good enough
    sight(12, face(10, 12, "face-2"))
    assert sight.held == 10
    sight(17, face(12, 16, "face-2"))
    assert sight.held == 16


def test_over_a_recording_nothing_is_told_before_its_end():
    plain, asked = Identity(IdentityConfig()), Identity(IdentityConfig(longest_seconds=3.0))
    assert (plain.live, asked.live) == (False, True)
    assert plain.needs().observations == ("face_track",)
    asked.open(Context(INFO))
    assert list(asked.analyze(Window((), [seen(0, 1, ANN, last=True)], Timestamp.of_seconds(2)))) == []
    # results stored before there was the setting stay valid
    assert "longest_seconds" not in IdentityConfig().model_dump()


def test_nobody_is_no_name(store):
    made = Sight(store).identity.analyze(Window((), [seen(0, 2, OTHER, last=True)], Timestamp.of_seconds(3)))
    producer = Producer("identity", "2", "0" * 32)
    store.add_source(INFO)
    store.commit(Batch(INFO.id, [o.of(INFO.id, producer, 0) for o in made]))
    people = People(store)
    assert people.list() == []
    assert [a.observation.label for a in people.show("unknown").appearances] == ["unknown"]
    with pytest.raises(UsageError, match="without a name"):
        people.enroll("unknown", ["nobody.jpg"])
    # a correction of all of them would be none
    with pytest.raises(OnlookerError):
        people.name("unknown", "Ann")
