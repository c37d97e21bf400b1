"""Cosines between tasks' gradients, what they suggest, and their picture."""

from __future__ import annotations

import io
import json

import pytest
import torch
from PIL import Image
from torch import nn

from onlooker.core.errors import UsageError
from onlooker.learning.training.conflicts import ALL, Conflicts, draw_conflicts, suggest_splits

TASKS = ("who", "mood", "age")


def parameters():
    return {
        "first": [nn.Parameter(torch.ones(2))],
        "second": [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))],
    }


def losses(held, rows):
    """Losses whose gradients are the rows (task: four numbers)."""
    flat = [p for part in held.values() for p in part]
    return {t: sum((p * c).sum() for p, c in zip(flat, (torch.tensor(r[:2]), r[2], r[3]), strict=True))
            for t, r in rows.items()}  # fmt: skip


def slope(parameter):
    """The gradient of a parameter that has one."""
    assert parameter.grad is not None
    return parameter.grad


def told(cosines, tasks=TASKS):
    """A summary with these cosines."""
    return {"tasks": list(tasks), "every": 1, "groups": {ALL: {"cosine": cosines, "negative": [], "looks": []}}}


class TestCollecting:
    def test_cosines_are_those_of_the_gradients_group_by_group(self):
        held = parameters()
        seen = Conflicts(TASKS, held)
        seen.add(
            losses(held, {"who": [1.0, 0.0, 1.0, 0.0], "mood": [-1.0, 0.0, 1.0, 0.0], "age": [0.0, 1.0, 0.0, 0.0]})
        )
        groups = seen.summary()["groups"]
        assert groups["first"]["cosine"] == [[1, -1, 0], [-1, 1, 0], [0, 0, 1]]
        assert groups["second"]["cosine"] == [[1, 1, None], [1, 1, None], [None, None, None]]
        assert groups[ALL]["cosine"][0] == [1, 0, 0]
        assert groups["first"]["negative"][0] == [0, 1, 0]
        assert groups["second"]["looks"] == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]

    def test_several_looks_are_averaged_and_tasks_may_be_missing(self):
        held = parameters()
        seen = Conflicts(TASKS, held)
        for sign in (1.0, -1.0, -1.0, -1.0):
            seen.add(losses(held, {"who": [1.0, 0.0, 0.0, 0.0], "mood": [sign, 0.0, 0.0, 0.0]}))
        seen.add(losses(held, {"who": [1.0, 0.0, 0.0, 0.0]}))
        summary = seen.summary()
        assert summary["groups"][ALL]["cosine"][0] == [1, -0.5, None]
        assert summary["groups"][ALL]["negative"][0] == [0, 0.75, None]
        assert summary["groups"][ALL]["looks"][0] == [4, 4, 0]
        assert json.loads(json.dumps(summary)) == summary

    def test_looking_leaves_gradients_and_the_graph_as_they_are(self):
        held = parameters()
        made = losses(held, {"who": [1.0, 2.0, 3.0, 4.0], "mood": [1.0, 1.0, 1.0, 1.0]})
        Conflicts(TASKS, held).add(made)
        assert all(p.grad is None for part in held.values() for p in part)
        torch.stack([*made.values()]).sum().backward()
        assert slope(held["first"][0]).tolist() == [2, 3]

    def test_it_is_due_every_so_many_steps_where_there_are_several_tasks(self):
        assert [n for n in range(25) if Conflicts(TASKS, {}, every=10).due(n)] == [0, 10, 20]
        assert not Conflicts(("who",), {}, every=10).due(0)

    def test_it_goes_on_from_its_state(self):
        held = parameters()
        rows = {"who": [1.0, 0.0, 2.0, 0.0], "mood": [-1.0, 0.5, 1.0, 0.0]}
        whole, first, second = (Conflicts(TASKS, held) for _ in range(3))
        whole.add(losses(held, rows))
        whole.add(losses(held, rows))
        first.add(losses(held, rows))
        second.load_state_dict(first.state_dict())
        second.add(losses(held, rows))
        assert second.summary() == whole.summary()
        with pytest.raises(UsageError, match="other tasks or layers"):
            Conflicts(("who", "mood"), held).load_state_dict(first.state_dict())

    def test_a_group_cannot_be_called_all(self):
        with pytest.raises(UsageError, match="cannot be called 'all'"):
            Conflicts(TASKS, {"all": []})


class TestSplits:
    def test_tasks_that_agree_are_learned_together_and_others_apart(self):
        advice = suggest_splits(told([[1, 0.4, -0.3], [0.4, 1, -0.2], [-0.3, -0.2, 1]]))
        assert advice.groups == (("who", "mood"), ("age",))
        assert advice.words == (
            "who, mood and age pull against each other (mean cosine -0.25): learn them apart",
            "who, mood: together",
        )

    def test_all_together_where_nothing_conflicts(self):
        advice = suggest_splits(told([[1, 0.1, 0.2], [0.1, 1, 0.0], [0.2, 0.0, 1]]), {"who": 0.4, "mood": -0.9})
        assert advice.groups == (TASKS,)
        assert advice.as_dict() == {"groups": [list(TASKS)], "words": ["who, mood, age: together"]}

    def test_average_linkage_weighs_all_pairs(self):
        """age agrees with mood, but conflicts more with who, who is nearer to mood."""
        advice = suggest_splits(told([[1, 0.5, -0.4], [0.5, 1, 0.3], [-0.4, 0.3, 1]]))
        assert advice.groups == (("who", "mood"), ("age",))

    def test_a_task_that_loses_is_taken_out_with_the_reason(self):
        advice = suggest_splits(told([[1, 0.5, 0.3], [0.5, 1, 0.3], [0.3, 0.3, 1]]), {"age": -2.5, "who": 1.0})
        assert advice.groups == (("who", "mood"), ("age",))
        assert advice.words[0] == (
            "age lost 2.5 points beside who, mood: learn it by itself; its gradients agree with theirs, so more shared "
            "layers may help as well"
        )

    def test_two_tasks_that_both_lose_are_both_alone(self):
        advice = suggest_splits(told([[1, 0.0], [0.0, 1]], ("a", "b")), {"a": -3.0, "b": -3.0})
        assert advice.groups == (("a",), ("b",))
        assert advice.words == (
            "a lost 3.0 points beside b: learn it by itself",
            "b lost 3.0 points: learn it by itself",
        )

    def test_tasks_that_never_met_are_not_joined(self):
        advice = suggest_splits(told([[1, None], [None, 1]], ("a", "b")))
        assert advice.groups == (("a",), ("b",))
        assert advice.words == ("a and b never met in a batch: learn them apart",)


def colours_of(body):
    picture = Image.open(io.BytesIO(body)).convert("RGB")
    return {c for _, c in picture.getcolors(1 << 20) or ()}, picture.size


class TestPicture:
    def summary(self):
        return {
            "tasks": ["who", "mood"],
            "every": 1,
            "groups": {
                ALL: {"cosine": [[1, -0.6], [-0.6, 1]], "negative": [[0, 0.9], [0.9, 0]], "looks": [[9, 9]] * 2}
            },
        }

    def test_conflict_is_orange_and_agreement_blue(self):
        colours, size = colours_of(draw_conflicts(self.summary()))
        assert (240, 160, 70) in colours
        assert (120, 175, 225) in colours
        assert size == (160 + 2 * 72 + 20, 110 + 2 * 72 + 20)

    def test_tasks_that_never_met_are_grey(self):
        summary = told([[None, None], [None, None]], ("a", "b"))
        assert (221, 226, 232) in colours_of(draw_conflicts(summary))[0]

    def test_an_unknown_group_is_refused(self):
        with pytest.raises(UsageError, match="no gradients of 'trunk'"):
            draw_conflicts(self.summary(), "trunk")
