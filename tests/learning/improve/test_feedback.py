"""What people say of observations is kept by stretch, with what they said of events."""

from __future__ import annotations

from contextlib import closing

import pytest

from analyzers.bundle.making import motion_bundle
from learning._tiny import tiny_dataset
from learning.improve._material import colours, onlooker, seen, told
from onlooker.bundles import added
from onlooker.core.event import Event
from onlooker.core.store import Query
from onlooker.events import Journal
from onlooker.improving.feedback import Feedback, Said, collect
from onlooker.improving.labels import output_of, taught_of, windows
from onlooker.improving.lessons import lessons
from onlooker.improving.stored import open_footage
from onlooker.improving.verdicts import judge
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.preparation import Pictures, Preparation
from onlooker.timeline import open_store


@pytest.fixture
def library(striped, tmp_path):
    added.add(colours(tmp_path, "used").folder)
    onlooker("analyze", striped("red", "green"), "--library", tmp_path / "lib", "--only", "colours")
    return tmp_path / "lib"


def observed(library):
    with closing(open_store(library)) as store:
        return sorted(store.query(Query(kinds=("colour",))), key=lambda o: o.span.start)


def test_a_word_on_an_observation_is_kept_and_taken_back(library):
    first, second = observed(library)
    told("feedback", "wrong", first.id[:10], "--from", "1", "--to", "2", "--instead", "blue", "--library", library)
    told("feedback", "right", second.id, "--library", library)
    told("feedback", "missed", "colours", "striped.mp4", "0:04", "0:05", "blue", "--library", library)
    listed = told("feedback", "list", "--library", library)["feedback"]
    assert [(f["verdict"], f["label"], f["start"], f["instead"]) for f in listed] == [
        ("wrong", "red", 1.0, "blue"), ("right", "green", pytest.approx(3, abs=0.3), None),
        ("missed", "blue", 4.0, None),
    ]  # fmt: skip
    # a later word on the same stretch takes its place
    told("feedback", "wrong", first.id, "--from", "1", "--to", "2", "--library", library)
    assert len(told("feedback", "list", "--library", library)["feedback"]) == 3
    onlooker("feedback", "remove", listed[0]["key"], "--library", library)
    assert len(told("feedback", "list", "--name", "colours", "--library", library)["feedback"]) == 2


def test_what_cannot_be_said_is_refused(library, capsys):
    first, _ = observed(library)
    onlooker("feedback", "wrong", first.id, "--instead", "mauve", "--library", library, code=1)
    assert "it has red, green, blue" in capsys.readouterr().err
    onlooker("feedback", "wrong", first.id, "--from", "9", "--to", "10", "--library", library, code=1)
    onlooker("feedback", "missed", "colours", "striped.mp4", "5", "4", "red", "--library", library, code=1)


def test_a_bundle_without_labels_cannot_be_said_to_miss_one(library, tmp_path, capsys):
    """The labels that it has were named, and there were none."""
    added.add(motion_bundle(tmp_path / "unusual").folder)
    onlooker("feedback", "missed", "moving", "striped.mp4", "1", "2", "fight", "--library", library, code=1)
    said = capsys.readouterr().err
    assert "moving has no labels (its task is anomaly)" in said
    assert "false_alarms_per_hour" in said
    assert "it has " not in said


def test_of_a_video_that_was_replaced_nothing_is_learned(library, striped):
    """What was said of the old one would have been learned from the new one."""
    first, _ = observed(library)
    onlooker("feedback", "wrong", first.id, "--library", library)
    (kept,) = open_footage(library, "colours", hidden=False).feedback
    striped("blue", "blue", "blue")
    footage = open_footage(library, "colours", hidden=False)
    assert (footage.files, footage.feedback) == ({}, ())
    assert "not there as it was analysed" in footage.unusable[kept.key]


def test_a_judged_event_speaks_of_the_observations_it_rests_on(library):
    first, _ = observed(library)
    event = Event("ab" * 16, "alarm", first.source, "yard", "end", 0, 3 * 10**9, "low", observations=(first.id,))
    with Journal.open(library) as journal:
        journal.take(event)
        journal.feedback(event.id, "wrong", "eve", "a bus")
    with closing(open_store(library)) as store:
        (one,) = collect(library, "colours", store)
        assert collect(library, "others", store) == []
    assert (one.said.verdict, one.said.label, one.event, one.said.note) == ("wrong", "red", event.id, "a bus")
    assert one.span == (first.span.start.seconds, pytest.approx(first.span.end.seconds))


def said(verdict, start, end, label, **more):
    made = Said(verdict=verdict, source="s", start=start, end=end, analyzer="colours", label=label, **more)
    return Feedback(f"{verdict} {start}", made)


def test_the_label_in_place_of_a_wrong_one_is_known_where_only_one_is_left(tmp_path):
    manifest = colours(tmp_path, "used").manifest
    (taught,) = taught_of(manifest, {})
    assert taught.sure(said("wrong", 0, 1, "red").said) is None
    assert taught.sure(said("wrong", 0, 1, "red", instead="blue").said) == "blue"
    assert taught.sure(said("missed", 0, 1, "red").said) == "red"
    assert output_of(said("wrong", 0, 1, "red").said, [taught]) is taught
    assert all(b - a == pytest.approx(2) for a, b in windows((3.0, 9.5), 2.0, 30.0))


def test_old_samples_are_prepared_among_the_lessons_as_their_dataset_says(tmp_path):
    base = tiny_dataset(tmp_path / "data", count=8)
    cut = Preparation(pictures=Pictures(frames=1, width=16, height=16, crop="box", margin=0.0))
    base.info = base.info.model_copy(update={"prepare": cut})
    made = lessons(
        tmp_path / "lessons", base, {"train": "train"}, base.samples[:1], [], base.info.tasks, replay=4, seed=0
    )
    assert made.info.prepare == cut
    assert Dataset.load(tmp_path / "lessons").info.prepare == cut


def test_verdicts_tell_fixed_kept_lost_and_new():
    used = [seen(0, 10, "fight"), seen(20, 25, "fight"), seen(30, 33, "fall"), seen(40, 44, "fight")]
    feedback = [said("wrong", 4, 8, "fight"), said("missed", 12, 14, "fight"), said("right", 40, 44, "fight")]
    candidate = [seen(0, 4.1, "fight"), seen(8, 10, "fight"), seen(12, 13.5, "fight"), seen(20, 22.6, "fight"),
                 seen(40, 44, "fight"), seen(50, 51, "fight")]  # fmt: skip
    found = judge(feedback, {"s": (used, candidate)}, ("action",))
    assert [f.fixed for f in found.fixes] == [True, True, True]
    assert (found.fixed, found.asked, found.kept) == (2, 2, 3)
    assert [(c.label, c.start, c.lost) for c in found.changed] == [("fall", 30, True), ("fight", 50, False)]
    assert found.broken == 2
    # however short, an alarm within the stretch is still a false alarm
    short = judge(feedback[:1], {"s": (used, [seen(5, 5.2, "fight")])}, ("action",))
    assert [(f.fixed, round(f.covered, 2)) for f in short.fixes] == [(False, 0.05)]
    # the bundle in use itself fixes nothing and breaks nothing
    same = judge(feedback, {"s": (used, used)}, ("action",))
    assert [f.fixed for f in same.fixes] == [False, False, True]
    assert (same.broken, same.kept) == (0, 4)
