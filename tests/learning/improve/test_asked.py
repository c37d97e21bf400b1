"""What feedback asks for, in verdicts and in labels: of its own label, kind and output alone."""

from __future__ import annotations

import pytest

from analyzers.bundle.making import motion_bundle
from learning._runs import ACTION, CNN, FRAME, facts_of, make_run, recipe_of
from learning.improve._material import onlooker, seen
from onlooker.bundles import added
from onlooker.bundles.inputs import TextInput
from onlooker.bundles.outputs import Classification, Dense, Events, MultiLabel
from onlooker.core.errors import UsageError
from onlooker.improving.feedback import Feedback, Said
from onlooker.improving.labels import Taught, samples_of
from onlooker.improving.verdicts import judge
from onlooker.learning.datasets.manifest import LabelledSpan
from onlooker.learning.export import export_run

LABELS = ("fight", "robbery", "calm")
ONE_OF = Taught(Classification(task="classification", name="a", tensor="a", labels=LABELS), "a")
ANY_OF = Taught(MultiLabel(task="multi_label", name="a", tensor="a", labels=LABELS), "a")
OVER_TIME = Taught(Dense(task="dense", name="a", tensor="a", labels=LABELS, steps=8), "a")
SCENE = Taught(Classification(task="classification", name="c", tensor="c", labels=("day", "night"), kind="scene"), "c")


def said(verdict, start, end, label, kind: str | None = "action", **more):
    made = Said(verdict=verdict, source="s", start=start, end=end, analyzer="x", kind=kind, label=label, **more)
    return Feedback(f"{verdict} {label} {start}", made)


def verdicts(feedback, used, candidate, *taught, **more):
    return judge(feedback, {"s": (used, candidate)}, ("action", "scene"), taught=taught, **more)


def counts(found):
    return {k: v for k, v in found.as_dict().items() if k in ("fixed", "asked", "already", "lost", "new")}


@pytest.mark.parametrize("inputs", [("words",), ("picture", "words")])
def test_a_bundle_that_reads_texts_is_refused_before_anything_is_looked_through(tmp_path, capsys, inputs):
    nets = {"words": {"network": "text_encoder", "size": 6, "embedding": "learned"}, "picture": CNN}
    facts = {"words": TextInput(kind="text", encoder="hashed-words", size=12), "picture": FRAME}
    fusion = {"fusion": {"kind": "gated", "size": 8}} if len(inputs) > 1 else {}
    recipe = recipe_of({n: nets[n] for n in inputs}, ACTION, name="reader", **fusion)
    run = make_run(tmp_path, recipe, facts_of({n: facts[n] for n in inputs}, {"action": "class"}))
    export_run(run, tmp_path / "bundle")
    added.add(tmp_path / "bundle")
    onlooker("improve", "reader", "--library", tmp_path / "lib", "--run", run, code=1)
    assert "reader reads texts, which are not in the stored video" in capsys.readouterr().err
    assert not (tmp_path / "lib").exists()


def test_a_bundle_without_labels_is_refused_before_anything_is_looked_through(tmp_path, capsys):
    added.add(motion_bundle(tmp_path).folder)
    onlooker("improve", "moving", "--library", tmp_path / "lib", code=1)
    assert "moving answers no labels of stretches or moments, which alone feedback teaches" in capsys.readouterr().err
    assert not (tmp_path / "lib").exists()


# -- verdicts --


def test_what_holds_instead_has_to_be_told():
    feedback = [said("wrong", 10, 20, "fight", instead="calm")]
    used = [seen(10, 20, "fight"), seen(30, 40, "calm")]
    other = verdicts(feedback, used, [seen(10, 20, "robbery"), seen(30, 40, "calm")], ONE_OF)
    assert counts(other) == {"fixed": 0, "asked": 1, "already": 0, "lost": 0, "new": 1}
    right = verdicts(feedback, used, [seen(10, 19, "calm"), seen(30, 40, "calm")], ONE_OF)
    assert counts(right) == {"fixed": 1, "asked": 1, "already": 0, "lost": 0, "new": 0}
    # a moment of it is not enough; of a label that is never told, its silence is
    assert verdicts(feedback, used, [seen(10, 12, "calm"), seen(30, 40, "calm")], ONE_OF).fixed == 0
    silent = Taught(ONE_OF.output.model_copy(update={"ignore": ("calm",)}), "a")
    assert counts(verdicts(feedback, used[:1], [], silent))["fixed"] == 1


def test_a_person_s_label_has_to_be_told_too():
    feedback = [said("wrong", 10, 20, "fight")]
    used, candidate = [seen(10, 20, "fight")], [seen(10, 20, "robbery")]
    # nobody said what holds there: what comes is new
    assert counts(verdicts(feedback, used, candidate, ONE_OF))["new"] == 1
    named = verdicts(feedback, used, candidate, ONE_OF, labelled={feedback[0].key: "robbery"})
    assert counts(named) == {"fixed": 1, "asked": 1, "already": 0, "lost": 0, "new": 0}


def test_other_labels_in_the_stretch_are_judged_all_the_same():
    feedback = [said("wrong", 10, 20, "fight")]
    lost = verdicts(feedback, [seen(10, 20, "fight"), seen(10, 20, "robbery")], [], ANY_OF)
    assert counts(lost) == {"fixed": 1, "asked": 1, "already": 0, "lost": 1, "new": 0}
    used = [seen(10, 20, "fight"), seen(10, 20, "day", kind="scene")]
    turned = verdicts(feedback, used, [seen(10, 20, "night", kind="scene")], ANY_OF, SCENE)
    assert (counts(turned)["lost"], counts(turned)["new"]) == (1, 1)


def test_where_one_label_holds_at_a_time_another_gives_way():
    used = [seen(0, 30, "calm")]
    found = verdicts([said("missed", 8, 20, "fight", None)], used, [seen(0, 8, "calm"), seen(8, 20, "fight")], ONE_OF)
    # what is lost after the fight nobody asked for, and it is less than half of what was told
    assert counts(found) == {"fixed": 1, "asked": 1, "already": 0, "lost": 1, "new": 0}
    shared = verdicts(
        [said("missed", 8, 20, "fight", None)], used,
        [seen(0, 8, "calm"), seen(8, 20, "fight"), seen(20, 30, "calm")], ONE_OF,
    )  # fmt: skip
    assert (shared.kept, shared.broken) == (1, 0)
    two = Taught(ONE_OF.output.model_copy(update={"labels": ("fight", "calm")}), "a")
    taken = verdicts([said("wrong", 3, 6, "fight")], [seen(3, 6, "fight")], [seen(2.8, 6, "calm")], two)
    assert (taken.fixed, taken.broken) == (1, 0)


def test_what_the_version_in_use_does_by_itself_is_not_counted_as_fixed():
    feedback = [said("wrong", 10, 20, "fight"), said("missed", 30, 40, "robbery")]
    used = [seen(10, 20, "calm"), seen(30, 40, "robbery")]
    same = verdicts(feedback, used, used, ONE_OF)
    assert counts(same) == {"fixed": 0, "asked": 0, "already": 2, "lost": 0, "new": 0}
    assert [f.state for f in same.fixes] == ["already so", "already so"]
    back = verdicts(feedback, used, [seen(10, 20, "fight"), seen(30, 40, "robbery")], ONE_OF)
    assert (back.fixed, [f.state for f in back.fixes]) == (0, ["lost", "already so"])
    # the fight that came back, and the calm that went for it
    assert back.broken == 2


def test_what_is_said_to_be_right_and_is_gone_is_to_come_back():
    feedback = [said("right", 10, 20, "fight")]
    found = verdicts(feedback, [seen(10, 20, "calm")], [seen(10, 20, "fight")], ONE_OF)
    assert counts(found) == {"fixed": 1, "asked": 1, "already": 0, "lost": 0, "new": 0}


# -- labels --


def labels(feedback, observed, *taught, length: float | None = 4.0, media):
    """By key of feedback, the labels of its samples."""
    made = samples_of(feedback, taught, {"s": observed}, {"s": (media, 60.0)}, length)
    return {key: [s.labels for s in some] for key, some in made.new.items()}


@pytest.fixture
def media(data):
    return data("shots/bikes.mp4")


def told(start, end, label, task="a", **more):
    return seen(start, end, label, data={"task": task}, **more)


def test_what_holds_instead_is_taught_where_labels_hold_side_by_side(media):
    one = said("wrong", 10, 14, "fight", instead="robbery")
    found = labels([one], [told(0, 60, "fight"), told(0, 60, "calm")], ANY_OF, media=media)
    assert found == {one.key: [{"a": ("calm", "robbery")}]}
    short = said("missed", 11, 12, "robbery")
    assert labels([short], [], ANY_OF, media=media) == {short.key: [{"a": ("robbery",)}]}


def test_only_the_wrong_part_of_a_stretch_is_taught_as_wrong(media):
    one = said("wrong", 11, 12, "fight", instead="robbery")
    ((sample,),) = labels([one], [told(0, 60, "fight")], OVER_TIME, media=media).values()
    assert sample["a"] == (
        LabelledSpan(label="fight", start=0, end=11), LabelledSpan(label="fight", start=12, end=60),
        LabelledSpan(label="robbery", start=11, end=12),
    )  # fmt: skip
    moments = Taught(Events(task="events", name="a", tensor="a", labels=LABELS), "a")
    seen_moments = [told(10.9, 11.9, "fight", kind="moment"), told(12.5, 13.5, "fight", kind="moment")]
    one = said("wrong", 11, 12, "fight", "moment")
    ((sample,),) = labels([one], seen_moments, moments, media=media).values()
    assert sample["a"] == (LabelledSpan(label="fight", start=12.5, end=13.5),)


def test_feedback_on_another_output_is_no_label_of_this_one(media):
    feedback = [said("wrong", 10, 14, "fight"), said("missed", 9, 15, "night", None)]
    observed = [told(0, 60, "fight"), told(0, 60, "day", "c", kind="scene")]
    found = labels(feedback, observed, ANY_OF, SCENE, media=media)
    assert found[feedback[0].key] == [{"a": ()}]
    assert {tuple(s.items()) for s in found[feedback[1].key]} == {(("c", "night"),)}


def test_a_label_that_cannot_hold_instead_is_told(media):
    with pytest.raises(UsageError, match="'night' cannot hold instead of 'fight': a has fight, robbery, calm"):
        labels([said("wrong", 10, 14, "fight", instead="night")], [], ANY_OF, SCENE, media=media)
