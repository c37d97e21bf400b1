"""A candidate beside the bundle in use on stored video: what differs is found, and nothing gets into the library."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from learning.improve._material import colours, onlooker, seen, told
from onlooker.bundles import added
from onlooker.core.errors import UsageError
from onlooker.core.observation import Box
from onlooker.core.store import Query
from onlooker.shadow.candidate import pair_of
from onlooker.shadow.compare import compare
from onlooker.timeline import open_store


def test_what_only_one_saw_labels_and_scores_are_told_apart():
    used = [seen(0, 4, "walk"), seen(5, 8, "fall", 0.9), seen(10, 12, "fight"), seen(20, 24, "walk", 0.9)]
    other = [seen(0, 4.2, "walk"), seen(5, 8, "fall", 0.5), seen(10.5, 12, "dance"), seen(30, 31, "fight", 0.7)]
    found = compare("s", used, other)
    assert [(d.sort, d.start) for d in found.differences] == [
        ("score", 5), ("label", 10.5), ("only used", 20), ("only candidate", 30)
    ]  # fmt: skip
    assert found.counts["action"] == {"used": 4, "candidate": 4, "paired": 2}
    # both tell walk for 4 s and fall for 3 s, of 18.2 s in which either tells a label
    assert found.agreement["action"] == pytest.approx(7 / (4.2 + 4 + 3 + 2 + 1.5 + 1))


def test_boxes_are_paired_by_place_and_numbers_by_value():
    left, right = Box(0, 0, 0.4, 1), Box(0.6, 0, 1, 1)
    used = [seen(0, 1, "car", kind="object", box=left), seen(0, 1, "car", kind="object", box=right)]
    assert compare("s", used, used[:1]).differences[0].used == used[1]
    numbers = [seen(n, n + 1, "speed", None, "measure", data={"value": float(n)}) for n in range(10)]
    moved = [seen(3, 4, "speed", None, "measure", data={"value": 7.0}) if n == 3 else o for n, o in enumerate(numbers)]
    (found,) = compare("s", numbers, moved).differences
    assert (found.sort, found.start, found.by) == ("value", 3, 4.0)


def test_a_bundle_agrees_with_itself():
    used = [seen(0, 4, "walk"), seen(4, 9, "fall")]
    found = compare("s", used, used, kinds=("action", "moment"))
    assert found.differences == []
    assert found.agreement == {"action": 1.0, "moment": None}


def test_a_candidate_runs_over_a_library_and_leaves_it_alone(striped, tmp_path):
    clip, library = striped("red", "green", "blue"), tmp_path / "lib"
    added.add(colours(tmp_path, "used").folder)
    onlooker("analyze", clip, "--library", library, "--only", "colours")
    with closing(open_store(library)) as store:
        before = [o.as_dict() for o in store.query(Query())]
    blind = colours(tmp_path, "blind", ignore=["blue"])
    found = told("shadow", "colours", blind.folder, "--library", library, "--out", tmp_path / "out")
    assert found["counts"]["colour"]["used"] == 3
    assert found["different"] == {"only used": 1}
    (difference,) = found["differences"]
    assert difference["used"]["label"] == "blue"
    assert difference["start"] == pytest.approx(6, abs=0.5)
    assert found["agreement"]["colour"] == pytest.approx(2 / 3, abs=0.1)
    page = (tmp_path / "out" / "shadow.html").read_text()
    assert "blue" in page
    assert "data:image/jpeg" in page
    assert json.loads((tmp_path / "out" / "shadow.json").read_text())["different"] == {"only used": 1}
    # the folder was added as a version that is not in use, and nothing else became known
    versions, used = added.versions("colours")
    assert [v.digest for v in versions] == [used, blind.digest]
    with closing(open_store(library)) as store:
        assert [o.as_dict() for o in store.query(Query())] == before
    # the same again needs no decoding: what is done is not done again
    assert told("shadow", "colours", blind.digest[:8], "--library", library, "--out", tmp_path / "out") == found


def test_labels_that_are_others_are_told_with_both(striped, tmp_path):
    clip = striped("red", "green")
    added.add(colours(tmp_path, "used").folder)
    turned = colours(tmp_path, "turned", labels=["green", "red", "blue"])
    found = told("shadow", "colours", turned.folder, clip, "--out", tmp_path / "out")
    assert found["different"] == {"label": 2}
    assert [(d["used"]["label"], d["candidate"]["label"]) for d in found["differences"]] == [
        ("red", "green"), ("green", "red")
    ]  # fmt: skip
    assert found["agreement"]["colour"] == pytest.approx(0, abs=0.05)


def test_a_setting_that_is_none_is_told(striped, tmp_path, capsys):
    added.add(colours(tmp_path, "used").folder)
    other, clip = colours(tmp_path, "other", threshold=0.6).folder, striped("red")
    onlooker("shadow", "colours", other, clip, "--set", "thresholds={a", "--out", tmp_path / "out", code=1)
    assert "not a value: '{a' in 'thresholds={a' (quote it as YAML)" in capsys.readouterr().err


def test_what_is_no_candidate_is_refused(tmp_path):
    added.add(colours(tmp_path, "used").folder)
    with pytest.raises(UsageError, match="in use"):
        pair_of("colours", added.versions("colours")[1][:8])
    with pytest.raises(UsageError, match="there is no candidate"):
        pair_of("colours", "nobody")
    other = colours(tmp_path, "other", kind="hue")
    added.add(other.folder, "hues")
    with pytest.raises(UsageError, match="makes colour"):
        pair_of("colours", "hues")
